#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""rules.py PACKETS.md VERDICT.h OUTPUT.c: writes the table of rules.h, from the document."""
import pathlib
import re
import sys

document, verdicts, output = map(pathlib.Path, sys.argv[1:])
RULE = re.compile(r"\*\*(\d+\.\d+[a-z]?)[^*\n]*\*\*(.*?)(?=\*\*\d+\.\d|^#|\Z)", re.MULTILINE | re.DOTALL)
VERDICT = re.compile(r'X\(([A-Z0-9_]+), "([a-z0-9_]+)", (?:FORWARD|ANSWER|PASS|DROP)')

rules = RULE.findall(document.read_text())
lines = ['#include "controlplane/explain/rules.h"', "", "const char *const berth_verdict_rules[BERTH_VERDICT_COUNT] = {"]
for symbol, name in VERDICT.findall(verdicts.read_text()):
    found = [number for number, text in rules if f"`{name}`" in text]
    lines.append(f'\t[BERTH_VERDICT_{symbol}] = "{", ".join(found)}",')
output.write_text("\n".join([*lines, "};", ""]))
