# SPDX-License-Identifier: BSD-3-Clause
"""The tasks of docs/operator.md: their commands, what these say, and how that is compared."""
import re
import typing

from lab import ROOT

TEXT = (ROOT / "docs/operator.md").read_text()
CONFIG = re.search(r"```yaml\n(.*?)```", TEXT, re.DOTALL)[1]

# What differs from run to run: times, digests, and numbers. Those in names and addresses, and numbers of things in the configuration,
# are the same.
VARIES = re.compile(
    r"(?P<time>\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+Z)?|\d\d:\d\d:\d\d\.\d+)"
    r"|(?P<digest>\b[0-9a-f]{16,}\b)"
    r"|(?P<port>(?<=\.\d\d\d:)\d{5}\b)"
    r"|(?P<number>(?<![\w./:-])\d+(?:\.\d+)?[kMG]?(?:ms|s|m|h|d)?(?![\w./:]|\.\d)(?! (?:service|backend|problem)))")
ANY = {
    "time": r"[\d:.TZ -]+",
    "digest": r"[0-9a-f]+",
    "port": r"\d+",
    "number": r"(?:-|\d[\d.]*[kMG]?(?:ms|s|m|h|d)?(?: \d+s)?)",
}


class Task(typing.NamedTuple):
    title: str
    files: dict  # {name: text}, which the task begins with
    steps: list  # (command, lines that it prints)


def steps_of(block):
    """The commands of a block, which begin with "# ", each with the lines below it."""
    steps = []
    for line in block.splitlines():
        if line.startswith("# "):
            steps.append((line[2:], []))
        else:
            steps[-1][1].append(line)
    return steps


def task_of(title, body):
    files, steps = {}, []
    for name, block in re.findall(r"(?:^`([\w.]+)`[^\n]*:\n\n)?^```\n(.*?)^```$", body, re.MULTILINE | re.DOTALL):
        if name:
            files[name] = block
        else:
            steps += steps_of(block)
    return Task(title, files, steps)


def tasks():
    sections = re.split(r"^## (\d+\. [^\n]*)\n", TEXT, flags=re.MULTILINE)
    return [task_of(title, body) for title, body in zip(sections[1::2], sections[2::2])]


def pattern_of(line, command):
    """A regular expression for a line: a number that the command has must be the same; flows may be one flow."""
    pattern, end = "", 0
    for found in VARIES.finditer(line):
        is_named = found.lastgroup == "number" and re.search(rf"(?<![\w.]){re.escape(found[0])}(?![\w.])", command)
        pattern += re.escape(line[end:found.start()]) + (re.escape(found[0]) if is_named else ANY[found.lastgroup])
        end = found.end()
    pattern += re.escape(line[end:])
    return re.sub(r"\b(flow|session)s?\b", r"\1s?", pattern)


def squeezed(line):
    """Without the spaces that align columns."""
    return re.sub(r" +", " ", line).strip()


def difference(command, expected, printed):
    """None, or the first line that was expected and not printed. "..." stands for any lines."""
    patterns = [None if line == "..." else pattern_of(squeezed(line), command) for line in expected]
    lines = [squeezed(line) for line in printed.rstrip("\n").split("\n")] if printed.strip() else []
    at, is_any = 0, False
    for line, pattern in zip(expected, patterns):
        if pattern is None:
            is_any = True
            continue
        while is_any and at < len(lines) and not re.fullmatch(pattern, lines[at]):
            at += 1
        if at == len(lines) or not re.fullmatch(pattern, lines[at]):
            return line
        at, is_any = at + 1, False
    return None if is_any or at == len(lines) else f"no more, but: {lines[at]}"
