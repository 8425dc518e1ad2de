# SPDX-License-Identifier: BSD-3-Clause
"""What `berthctl -j` prints, compared with docs/commands.md: it explains each field of each result."""
import functools
import json
import pathlib
import re

COMMANDS = (pathlib.Path(__file__).resolve().parents[2] / "docs/commands.md").read_text()
SECTIONS = dict(re.findall(r"^## ([^\n]*)\n(.*?)(?=^## |\Z)", COMMANDS, re.MULTILINE | re.DOTALL))
# "as in [`plan`](#plan)", "the fields of [`show backends`](#show-backends)"
REFERENCE = re.compile(r"(?:as in|as of|that of|fields of)\s+\[`([^`]*)`\]\(#")
# Objects whose keys are data: names of verdicts and of events.
FREE_KEYS = ("verdicts", "events")


def section_of(words):
    """The title of a command's section; options of berthctl before the command are left out."""
    text = " ".join(word for word in words if not word.startswith("-") or word == "--plan") + " "
    found = [title for title in SECTIONS if text.startswith(f"{title} ")]
    assert found, f"docs/commands.md has no section for: {text}"
    return "plan" if " --plan " in text else max(found, key=len)


@functools.lru_cache(None)
def names(title):
    """The names that a section has, with those of all sections that it refers to, and what all commands share."""
    read, todo = set(), [title, "For all commands"]
    while todo:
        section = todo.pop()
        read.add(section)
        todo += [other for other in REFERENCE.findall(SECTIONS[section]) if other not in read]
    return frozenset(name for section in read for name in re.findall(r"`([^`]*)`", SECTIONS[section]))


def undocumented(title, value, key=""):
    """The keys of a result, at any depth, that the section does not have."""
    if isinstance(value, list):
        return [name for one in value for name in undocumented(title, one)]
    if not isinstance(value, dict):
        return []
    missing = [] if key in FREE_KEYS else [name for name in value if name not in names(title)]
    return missing + [name for inner, one in value.items() for name in undocumented(title, one, inner)]


def parse(text):
    """One JSON document, or one in each line."""
    try:
        return [json.loads(text)]
    except json.JSONDecodeError:
        return [json.loads(line) for line in text.splitlines()]


def checked(words, text):
    """The results that a command has printed, each field of which the document explains."""
    found, title = parse(text), section_of(list(map(str, words)))
    assert found and all(isinstance(result, dict) for result in found), (words, text)
    for result in found:
        # Each part of a report is the result of a command.
        parts = [(part, result.pop(part)) for part in list(result) if title == "report" and part in SECTIONS]
        for part, value in [(title, result), *parts]:
            missing = undocumented(part, value)
            assert not missing, f"{words}: docs/commands.md does not explain {missing} in the section {part}"
        result.update(parts)
    return found
