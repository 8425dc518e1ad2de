#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""What of a burst is lost, by the size of the receive ring: berth-dpdk with one adaptive worker on an AF_XDP port,
which sleeps its longest when the burst comes, for up to a millisecond.

   burst  c0 ---- veth ---- b0  berth-dpdk --rx-ring N

The rings take turns.

rings.py [--quick] [ID-PREFIX]...
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
from idle import add_namespace, inside

RINGS = [256, 512, 1024, 2048, 4096]
BURSTS = [512, 1024, 2048, 4096]
PAUSE = 0.35  # longer than it takes a worker to sleep its longest
SETTLE = 0.02  # until all of a burst has its verdict


class Ring:
    """An engine, and a namespace at the other end of its cable."""

    def __init__(self, stack, size):
        name = f"berth-rings-{os.getpid()}-{size}"
        self.size = size
        self.sender = name + "-c"
        directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=name, dir="/dev/shm")))
        for namespace in (name, self.sender):
            add_namespace(stack, namespace)
        run("ip", "link", "add", "b0", "netns", name, "type", "veth", "peer", "name", "c0", "netns", self.sender)
        run(*inside(name), "ip", "link", "set", "b0", "up")
        run(*inside(self.sender), "ip", "link", "set", "c0", "up")
        tool("image", "make", directory / "image", directory / "pcap", 1)
        self.engine = Engine(stack, inside(name), directory, "b0", "--idle", "adaptive", "--memory", 32,
                             "--rx-ring", size)
        self.engine.pause()

    def forwarded(self):
        return json.loads(tool("image", "rate", self.engine.image, 0))["forwarded"]

    def lost(self, packets):
        """Percent of a burst. Its sender is not on the worker's core, which is the last (dataplane/eal.c)."""
        before = self.forwarded()
        time.sleep(PAUSE)
        tool("burst", "c0", packets, way=["taskset", "-c", str(min(os.sched_getaffinity(0))), *inside(self.sender)])
        time.sleep(SETTLE)
        return 100 * (1 - (self.forwarded() - before) / packets)


def name_of(ring, burst):
    return f"rings.{ring}.{burst}"


def say(name, values):
    row = {
        "id": name,
        "value": round(statistics.median(values), 1),
        "unit": "% lost",
        "baseline": None,
        "baseline_value": None,
        "ratio": None,
        "goal": None,
        "met": None,
    }
    print(json.dumps(row), flush=True)


def measure(stack, wanted, quick):
    values = {}
    rings = [Ring(stack, size) for size in RINGS if any(ring == size for ring, _ in wanted)]
    for i in range(3 if quick else 5):
        for ring in rings[:: -1 if i % 2 else 1]:
            with ring.engine.awake():
                for burst in [burst for size, burst in wanted if size == ring.size]:
                    values.setdefault((ring.size, burst), []).append(ring.lost(burst))
    for ring, burst in wanted:
        say(name_of(ring, burst), values[ring, burst])


def main(arguments):
    quick = arguments[:1] == ["--quick"]
    prefixes = arguments[quick:]
    wanted = [(ring, burst) for ring in (RINGS[1::2] if quick else RINGS) for burst in BURSTS
              if not prefixes or any(name_of(ring, burst).startswith(p) for p in prefixes)]
    if not wanted:
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with contextlib.ExitStack() as stack:
            measure(stack, wanted, quick)
    except (Failed, OSError, subprocess.TimeoutExpired) as why:
        print(f"rings.py: {why}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
