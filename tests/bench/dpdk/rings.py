#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The share of a burst that is lost, by the size of the receive ring: berth-dpdk with one adaptive worker on an AF_XDP
port, which is in its longest sleep (up to a millisecond) when the burst arrives.

   burst  c0 ---- veth ---- b0  berth-dpdk --rx-ring N

The rings take turns.

rings.py [--quick] [ID-PREFIX]...
"""
import json
import os
import statistics
import time

from cable import Cable, inside
from engine import tool
from program import main, say

RINGS = [256, 512, 1024, 2048, 4096]
DEFAULT = 2048
BURSTS = [512, 1024, 2048, 4096]
PAUSE = 0.35  # long enough for a worker to reach its longest sleep
SETTLE = 0.02  # until all packets of a burst have a verdict


class Ring(Cable):
    def __init__(self, stack, size):
        super().__init__(stack, f"rings-{size}", "--idle", "adaptive", "--rx-ring", size)
        self.size = size

    def forwarded(self):
        return json.loads(tool("image", "rate", self.engine.image, 0))["forwarded"]

    def lost(self, packets):
        """Returns percent of a burst. The sender is on the first core; the worker has the last (dataplane/eal.c)."""
        before = self.forwarded()
        time.sleep(PAUSE)
        tool("burst", "c0", packets, prefix=["taskset", "-c", str(min(os.sched_getaffinity(0))), *inside(self.other)])
        time.sleep(SETTLE)
        return 100 * (1 - (self.forwarded() - before) / packets)


def name_of(ring, burst):
    return f"rings.{ring}.{burst}"


def pairs(quick):
    """{id: (ring, burst)}"""
    return {name_of(ring, burst): (ring, burst) for ring in ([DEFAULT] if quick else RINGS) for burst in BURSTS}


def measure(stack, ids, quick):
    wanted = [pairs(quick)[name] for name in ids]
    values = {}
    rings = [Ring(stack, size) for size in RINGS if any(ring == size for ring, _ in wanted)]
    for i in range(1 if quick else 5):
        for ring in rings[:: -1 if i % 2 else 1]:
            with ring.engine.awake():
                for burst in [burst for size, burst in wanted if size == ring.size]:
                    values.setdefault((ring.size, burst), []).append(ring.lost(burst))
    for ring, burst in wanted:
        say(name_of(ring, burst), round(statistics.median(values[ring, burst]), 1), "% lost")


if __name__ == "__main__":
    main(pairs, measure)
