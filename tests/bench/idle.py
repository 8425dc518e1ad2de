#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""What an adaptive engine without traffic costs, and what it costs the first packet after a pause: berth-dpdk with one
worker on an AF_XDP port.

   pinger  c0 ---- veth ---- b0  berth-dpdk --idle adaptive
   pinger  c0 ---- veth ---- b0  berth-dpdk --idle poll

Both take turns; a packet's added latency is what its way there and back takes beyond that of one through the engine
that polls.

idle.py [--quick] [ID-PREFIX]...
"""
import contextlib
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from engine import Engine, Failed, run, tool

ROWS = ["idle.cpu", "idle.latency.median", "idle.latency.worst", "idle.latency.deep"]
CPU_GOAL = 5  # percent of a core
SETTLE = 1  # seconds until an engine is as idle as it gets
PAUSE_MS = 100
DEEP_PAUSE_MS = 600  # longer than it takes a worker to sleep its longest


def add_namespace(stack, name):
    run("ip", "netns", "add", name)
    stack.callback(run, "ip", "netns", "del", name)
    # Nothing of the kernel's own comes to an idle engine.
    run(*inside(name), "sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6; "
                                   "echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6")


def inside(namespace):
    return ["nsenter", f"--net=/run/netns/{namespace}"]


class Pinged:
    """An engine, and a namespace at the other end of its cable."""

    def __init__(self, stack, idle):
        name = f"berth-idle-{os.getpid()}-{idle}"
        self.pinger = name + "-c"
        directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=name, dir="/dev/shm")))
        for namespace in (name, self.pinger):
            add_namespace(stack, namespace)
        run("ip", "link", "add", "b0", "netns", name, "type", "veth", "peer", "name", "c0", "netns", self.pinger)
        run(*inside(name), "ip", "link", "set", "b0", "up")
        run(*inside(self.pinger), "ip", "link", "set", "c0", "up")
        tool("image", "make", directory / "image", directory / "pcap", 1)
        self.engine = Engine(stack, inside(name), directory, "b0", "--idle", idle, "--memory", 32)
        self.engine.pause()

    def ping(self, count, pause_ms):
        """Microseconds there and back of each packet but the first, which is the first after a SIGCONT."""
        with self.engine.awake():
            return json.loads(tool("ping", "c0", count + 1, pause_ms, way=inside(self.pinger)))[1:]


def cpu_seconds(pid):
    """All its threads'."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure_cpu(pinged, seconds):
    """Percent of a core."""
    pid = pinged.engine.process.pid
    with pinged.engine.awake():
        time.sleep(SETTLE)
        start, before = time.monotonic(), cpu_seconds(pid)
        time.sleep(seconds)
        return (cpu_seconds(pid) - before) / (time.monotonic() - start) * 100


def say(name, value, unit, baseline=None, baseline_value=None, goal=None):
    row = {
        "id": name,
        "value": round(value, 2),
        "unit": unit,
        "baseline": baseline,
        "baseline_value": baseline_value and round(baseline_value, 2),
        "ratio": None,
        "goal": goal and f"at most {goal}",
        "met": goal and value <= goal,
    }
    print(json.dumps(row), flush=True)


def say_added(name, microseconds, polling):
    say(name, microseconds - polling, "us more", "there and back through one that polls", polling)


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
        say("idle.cpu", measure_cpu(adaptive, 1.5 if quick else 5), "% of a core", goal=CPU_GOAL)
    if wanted != ["idle.cpu"]:
        measure_latency(adaptive, Pinged(stack, "poll"), wanted, quick)


def main(arguments):
    quick = arguments[:1] == ["--quick"]
    prefixes = arguments[quick:]
    wanted = [name for name in ROWS if not prefixes or any(name.startswith(p) for p in prefixes)]
    if not wanted:
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with contextlib.ExitStack() as stack:
            measure(stack, wanted, quick)
    except (Failed, OSError, subprocess.TimeoutExpired) as why:
        print(f"idle.py: {why}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
