#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The CPU time of an adaptive engine without traffic, and the latency of the first packet after a pause: berth-dpdk
with one worker on an AF_XDP port.

   pinger  c0 ---- veth ---- b0  berth-dpdk --idle adaptive
   pinger  c0 ---- veth ---- b0  berth-dpdk --idle poll

The two engines take turns. The added latency of a packet is its round-trip time minus that of a packet through the
polling engine.

idle.py [--quick] [ID-PREFIX]...
"""
import json
import os
import pathlib
import statistics
import time

from cable import Cable, inside
from engine import tool
from program import main, say

ROWS = ["idle.cpu", "idle.latency.median", "idle.latency.worst", "idle.latency.deep"]
CPU_GOAL = 5  # percent of a core
SETTLE = 1  # seconds until an engine is fully idle
PAUSE_MS = 100
DEEP_PAUSE_MS = 600  # long enough for a worker to reach its longest sleep


class Pinged(Cable):
    def __init__(self, stack, idle):
        super().__init__(stack, f"idle-{idle}", "--idle", idle)

    def ping(self, count, pause_ms):
        """Round-trip microseconds of each packet except the first, which follows a SIGCONT."""
        with self.engine.awake():
            return json.loads(tool("ping", "c0", count + 1, pause_ms, prefix=inside(self.other)))[1:]


def cpu_seconds(pid):
    """CPU time of all its threads."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure_cpu(pinged, seconds):
    """Returns percent of a core."""
    pid = pinged.engine.process.pid
    with pinged.engine.awake():
        time.sleep(SETTLE)
        start, before = time.monotonic(), cpu_seconds(pid)
        time.sleep(seconds)
        return (cpu_seconds(pid) - before) / (time.monotonic() - start) * 100


def say_added(name, microseconds, polling):
    say(name, round(microseconds - polling, 2), "us more", "there and back through one that polls",
        round(polling, 2))


def measure_latency(adaptive, polling, wanted, quick):
    ours, theirs = [], []
    for _ in range(2 if quick else 6):
        ours += adaptive.ping(5 if quick else 10, PAUSE_MS)
        theirs += polling.ping(5 if quick else 10, PAUSE_MS)
    usual = statistics.median(theirs)
    if "idle.latency.median" in wanted:
        say_added("idle.latency.median", statistics.median(ours), usual)
    if "idle.latency.worst" in wanted:
        say_added("idle.latency.worst", max(ours), usual)
    if "idle.latency.deep" in wanted:
        say_added("idle.latency.deep", max(adaptive.ping(3 if quick else 10, DEEP_PAUSE_MS)), usual)


def measure(stack, wanted, quick):
    adaptive = Pinged(stack, "adaptive")
    if "idle.cpu" in wanted:
        percent = measure_cpu(adaptive, 1.5 if quick else 5)
        say("idle.cpu", round(percent, 2), "% of a core", goal=f"at most {CPU_GOAL}", met=percent <= CPU_GOAL)
    if wanted != ["idle.cpu"]:
        measure_latency(adaptive, Pinged(stack, "poll"), wanted, quick)


if __name__ == "__main__":
    main(lambda quick: ROWS, measure)
