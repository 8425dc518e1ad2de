# SPDX-License-Identifier: BSD-3-Clause
"""What scripts/bench shows: how far it is, and its plots."""
import importlib.machinery
import importlib.util
import io
import pathlib
import time
import xml.dom.minidom

ROOT = pathlib.Path(__file__).resolve().parents[3]
loader = importlib.machinery.SourceFileLoader("bench", str(ROOT / "scripts/bench"))
bench = importlib.util.module_from_spec(importlib.util.spec_from_loader("bench", loader))
loader.exec_module(bench)


import plot  # noqa: E402


class Terminal(io.StringIO):
    def isatty(self):
        return True


def row(name, value, unit="ms", goal=None, baseline=None):
    return {"id": name, "value": value, "unit": unit, "goal": goal, "baseline_value": baseline}


def test_a_terminal_sees_how_far_it_is(monkeypatch):
    terminal = Terminal()
    progress = bench.Progress(terminal)
    monkeypatch.setattr(bench, "Progress", lambda: progress)
    monkeypatch.setattr(bench, "USUAL_S", {"table": 30, "xdp": 10})
    ticker = bench.Ticker(["table", "xdp"])
    ticker.begin("table")
    ticker.begin("xdp")
    deadline = time.monotonic() + 60
    while "measuring xdp: 7" not in terminal.getvalue() and time.monotonic() < deadline:
        time.sleep(0.05)
    ticker.print("a row")
    ticker.end()
    shown = terminal.getvalue()
    # 30 of 40 s are over, and the time of this program.
    assert "measuring xdp: 7" in shown and " left\r\033[K" in shown
    assert not shown.endswith("left")


def test_nothing_is_shown_where_there_is_no_terminal():
    stream = io.StringIO()
    progress = bench.Progress(stream)
    progress.show("flows", 0.5)
    progress.clear()
    assert stream.getvalue() == ""


def test_rows_of_scale_are_bars_and_rows_of_packets_curves():
    rows = [row("scale.start.10000x6", 2.5, "s", "at most 5"), row("scale.stall.10000.apply", 40, goal="at most 20"),
            row("scale.health.20000.in_time", 0.5, "of the checks", "at least 0.25"), row("scale.other", 3)]
    assert [plot.share_of_goal(of) for of in rows] == [0.5, 2, 0.5, None]
    curves = [row("xdp.l2.64k", 60, "ns", baseline=200), row("xdp.l2.1m", 170, "ns", baseline=400)]
    for drawn, bars, lines in ((rows, 3, 0), (curves, 0, 2), (rows + curves, 3, 2)):
        svg = xml.dom.minidom.parseString(bench.plot(drawn))
        assert len(svg.getElementsByTagName("rect")) == 1 + bars
        assert len(svg.getElementsByTagName("polyline")) == lines
    assert bench.plot([row("idle.cpu", 1)]) is None
