# SPDX-License-Identifier: BSD-3-Clause
"""Common parts of the benchmark programs in Python: PROGRAM [--quick] [ID-PREFIX]... prints a row, one line of JSON,
for each id with one of the prefixes. scripts/bench runs them with this folder in PYTHONPATH."""
import contextlib
import json
import pathlib
import signal
import subprocess
import sys


class Failed(Exception):
    """Ends the program; its text is one line for the user."""


def say(name, value, unit, baseline=None, baseline_value=None, ratio=None, goal=None, met=None):
    print(json.dumps({
        "id": name,
        "value": value,
        "unit": unit,
        "baseline": baseline,
        "baseline_value": baseline_value,
        "ratio": ratio,
        "goal": goal,
        "met": met,
    }), flush=True)


def say_failed(why):
    print(f"{pathlib.Path(sys.argv[0]).name}: {why}", file=sys.stderr, flush=True)


def main(ids, measure):
    """Calls measure(stack, wanted, quick) with the wanted ids of ids(quick); exits with its return value."""
    arguments = sys.argv[1:]
    quick = arguments[:1] == ["--quick"]
    prefixes = arguments[quick:]
    wanted = [name for name in ids(quick) if not prefixes or any(name.startswith(p) for p in prefixes)]
    if not wanted:
        sys.exit(0)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with contextlib.ExitStack() as stack:
            good = measure(stack, wanted, quick)
    except (Failed, OSError, subprocess.TimeoutExpired) as why:
        say_failed(why)
        good = False
    sys.exit(1 if good is False else 0)
