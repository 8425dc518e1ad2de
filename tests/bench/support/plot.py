# SPDX-License-Identifier: BSD-3-Clause
"""Draws rows of scripts/bench as SVG: the cost per packet by the number of flows, and what scale rows need of their goals."""
import math
import re

CURVES = {
    # prefix of the ids: name of ours, name of the baseline, colour
    "dpdk.l2.": ("DPDK engine, whole pipeline", "DPDK, addresses swapped only", "#1f5fa8"),
    "xdp.l2.": ("XDP engine", "XDP balancer with an LRU hash map", "#b3401f"),
    "table.lookup.": ("table lookup alone", "rte_hash bulk lookup", "#2f7d3b"),
}
WIDTH, HEIGHT = 900, 520  # of the curves
LEFT, RIGHT, TOP, BOTTOM = 70, 300, 50, 60


def flows_of(row_id):
    number, unit = re.fullmatch(r".*\.(\d+)([km])", row_id).groups()
    return int(number) * {"k": 1e3, "m": 1e6}[unit]


def as_ns(value, unit):
    if value is None:
        return None
    return 1e3 / value if unit == "M/s" else value


def points_of(rows, begin):
    """Returns [(flows, ns of ours, ns of the baseline)], sorted by flows."""
    return sorted((flows_of(row["id"]), as_ns(row["value"], row["unit"]), as_ns(row["baseline_value"], row["unit"]))
                  for row in rows if re.fullmatch(re.escape(begin) + r"\d+[km]", row["id"]))


class Axes:
    def __init__(self, points):
        flows = [point[0] for point in points]
        self.low, self.high = math.log10(min(flows)) - 0.15, math.log10(max(flows)) + 0.15
        most = max(ns for point in points for ns in point[1:] if ns is not None)
        self.step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10**4) if most / s <= 8)
        self.top = self.step * math.ceil(most / self.step)

    def x(self, flows):
        return LEFT + (math.log10(flows) - self.low) / (self.high - self.low) * (WIDTH - LEFT - RIGHT)

    def y(self, ns):
        return HEIGHT - BOTTOM - ns / self.top * (HEIGHT - TOP - BOTTOM)


def svg_text(x, y, text, **style):
    attributes = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in style.items())
    escaped = text.replace("&", "&amp;").replace("<", "&lt;")
    return f'<text x="{x:.1f}" y="{y:.1f}"{attributes}>{escaped}</text>'


def svg_line(x1, y1, x2, y2, colour):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def flows_name(flows):
    return f"{flows / 1e6:g} M" if flows >= 1e6 else f"{flows / 1e3:g} k"


def draw_axes(axes):
    left, right, bottom = LEFT, WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = [svg_text(LEFT, 26, "Cost per packet, by number of flows", font_size=17, font_weight="bold")]
    for ns in range(0, axes.top + 1, axes.step):
        parts += [svg_line(left, axes.y(ns), right, axes.y(ns), "#dddddd"),
                  svg_text(left - 8, axes.y(ns) + 4, f"{ns}", text_anchor="end")]
    for power in range(3, 10):
        for flows in (10**power, 3 * 10**power):
            if axes.low <= math.log10(flows) <= axes.high:
                parts += [svg_line(axes.x(flows), bottom, axes.x(flows), bottom + 5, "#444444"),
                          svg_text(axes.x(flows), bottom + 20, flows_name(flows), text_anchor="middle")]
    parts += [svg_line(left, bottom, right, bottom, "#444444"),
              svg_text((left + right) / 2, HEIGHT - 14, "flows in the table (logarithmic)", text_anchor="middle"),
              f'<g transform="translate(18 {(TOP + bottom) / 2:.0f}) rotate(-90)">',
              svg_text(0, 0, "ns per packet", text_anchor="middle"), "</g>"]
    return parts


def draw_curve(axes, points, colour, dashed):
    places = [(axes.x(flows), axes.y(ns)) for flows, ns in points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dash = ' stroke-dasharray="5 4"' if dashed else ""
    parts = [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>']
    for (x, y), (flows, ns) in zip(places, points):
        fill = "white" if dashed else colour
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{fill}" stroke="{colour}">'
                     f"<title>{flows_name(flows)} flows: {ns:.3g} ns</title></circle>")
    return parts


def draw_legend(entries):
    parts = []
    for i, (name, colour, dashed) in enumerate(entries):
        x, y = WIDTH - RIGHT + 20, TOP + 12 + 24 * i
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        parts += [f'<line x1="{x}" y1="{y}" x2="{x + 26}" y2="{y}" stroke="{colour}" stroke-width="2"{dash}/>',
                  svg_text(x + 34, y + 4, name)]
    return parts


def draw_curves(rows):
    """Returns [elements], [] if there are no rows for them."""
    curves = {begin: points_of(rows, begin) for begin in CURVES}
    points = [point for curve in curves.values() for point in curve]
    if not points:
        return []
    axes = Axes(points)
    parts, legend = draw_axes(axes), []
    for begin, curve in curves.items():
        ours, baseline, colour = CURVES[begin]
        for name, column, dashed in ((ours, 1, False), (baseline, 2, True)):
            known = [(point[0], point[column]) for point in curve if point[column] is not None]
            if known:
                parts += draw_curve(axes, known, colour, dashed)
                legend.append((name, colour, dashed))
    return parts + draw_legend(legend)


# --- rows of scale: what they need of their goals ---

BARS_LEFT, BAR = 260, 22
LEAST, MOST = 0.01, 100  # times the goal, logarithmic


def share_of_goal(row):
    """Below 1: the goal is met. None: it has no goal."""
    found = re.fullmatch(r"at (most|least) ([0-9.]+)", row["goal"] or "")
    if not found or not row["value"]:
        return None
    share = row["value"] / float(found.group(2))
    return share if found.group(1) == "most" else 1 / share


def bar_x(share):
    width = WIDTH - BARS_LEFT - 130
    return BARS_LEFT + (math.log10(min(max(share, LEAST), MOST)) - math.log10(LEAST)) / math.log10(MOST / LEAST) * width


def draw_bars(rows):
    """Returns [elements] and their height."""
    bars = [(row, share_of_goal(row)) for row in rows if row["id"].startswith("scale.")]
    bars = [(row, share) for row, share in bars if share is not None]
    if not bars:
        return [], 0
    bottom = TOP + BAR * len(bars)
    parts = [svg_text(LEFT, 26, "Many services: measured, as a share of the goal", font_size=17, font_weight="bold")]
    for share in (0.01, 0.1, 1, 10, 100):
        parts += [svg_line(bar_x(share), TOP - 8, bar_x(share), bottom, "#444444" if share == 1 else "#dddddd"),
                  svg_text(bar_x(share), bottom + 18, "goal" if share == 1 else f"{share:g}", text_anchor="middle")]
    for i, (row, share) in enumerate(bars):
        y = TOP + BAR * i
        colour = "#2f7d3b" if share <= 1 else "#b3401f"
        parts += [svg_text(BARS_LEFT - 8, y + 11, row["id"], text_anchor="end"),
                  f'<rect x="{BARS_LEFT}" y="{y}" width="{bar_x(share) - BARS_LEFT:.1f}" height="{BAR - 7}" fill="{colour}">'
                  f"<title>{row['id']}: {row['value']:g} {row['unit']}, goal {row['goal']}</title></rect>",
                  svg_text(bar_x(share) + 6, y + 11, f"{row['value']:g} {row['unit']}".strip())]
    return parts, bottom + 40


def plot(rows):
    """Returns the SVG: the curves, and below them the bars. None if it has no rows to show."""
    curves = draw_curves(rows)
    bars, bars_height = draw_bars(rows)
    if not curves and not bars:
        return None
    top = HEIGHT if curves else 0
    height = top + bars_height
    body = "\n".join([*curves, f'<g transform="translate(0 {top})">', *bars, "</g>"])
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" ' \
           f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12" fill="#222222">\n' \
           f'<rect width="{WIDTH}" height="{height}" fill="white"/>\n{body}\n</svg>\n'
