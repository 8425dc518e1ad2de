#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Packets per second through the real engine, berth-dpdk with one polling worker, against dpdk-testpmd, which exchanges
the link addresses of each packet. Both have the same port: DPDK's pcap driver, which copies packets of 2,000 TCP flows
into new buffers without end and frees transmitted ones.

Both have the same cores and the same kind of memory, and take turns.

pmd.py [--quick] [ID-PREFIX]...
"""
import json
import os
import pathlib
import re
import statistics
import subprocess
import tempfile
import time

from engine import Engine, Process, tool
from program import Failed, main, say

ROW = "dpdk.pmd"
GOAL = 0.30
FLOWS = 2000
DEVICE = "net_pcap0,rx_pcap={},infinite_rx=1"
MEMORY_MB = 64
BUFFERS = 28000  # as many as berth-dpdk creates
HUGE_MB = 2 * (MEMORY_MB + 32) + 64  # for both, with a reserve
ALONE = ["unshare", "--net"]  # in a network namespace of its own


def has_hugepages():
    fields = dict(re.findall(r"^(\w+):\s+(\d+)", pathlib.Path("/proc/meminfo").read_text(), re.MULTILINE))
    free = int(fields["HugePages_Free"]) - int(fields["HugePages_Rsvd"])
    return free * int(fields["Hugepagesize"]) // 1024 >= HUGE_MB


def rate_of_engine(engine, seconds):
    with engine.awake():
        told = json.loads(tool("image", "rate", engine.image, seconds))
    if not 0 < told["judged"] == told["forwarded"]:
        raise Failed(f"{ROW}: berth-dpdk forwarded {told['forwarded']} of {told['judged']} packets")
    return told["rate"]


def lcores(worker):
    """Its worker has the CPU of berth-dpdk's, if that has one for itself."""
    cpus = sorted(os.sched_getaffinity(0))
    main = [cpu for cpu in cpus if cpu != worker]
    return f"0@({','.join(map(str, main))}),1@({','.join(map(str, cpus if worker is None else [worker]))})"


class Testpmd(Process):
    def __init__(self, stack, pcap, huge, worker):
        # A small page holds one of its buffers.
        memory = ["--in-memory"] if huge else ["--no-shconf", "--no-huge", "-m", 2 * (MEMORY_MB + 32)]
        super().__init__(stack, [
            *ALONE, "stdbuf", "-oL", "dpdk-testpmd", "--file-prefix", "berth-testpmd", "--no-telemetry",
            "--log-level=error", "--no-pci", "--iova-mode=va", *memory, "--lcores", lcores(worker),
            "--vdev", DEVICE.format(pcap),
            "--", "-i", "--forward-mode=macswap", "--nb-cores=1", f"--total-num-mbufs={BUFFERS}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=1)
        self.process.stdin.write("start\n")
        self.stats()

    def stats(self):
        """Returns {name: number} of its port statistics; rates are since the previous call."""
        self.process.stdin.write("show port stats 0\n")
        told, said = {}, []
        for line in self.process.stdout:
            said.append(line)
            told |= {name: int(number) for name, number in re.findall(r"([RT]x-pps):\s+(\d+)", line)}
            if "Tx-pps" in told and re.fullmatch(r"\s*#+\s*", line):
                return told
        raise Failed("dpdk-testpmd: " + "".join(said[-3:]).strip())

    def rate(self, seconds):
        with self.awake():
            self.stats()
            time.sleep(seconds)
            told = self.stats()
        if not 0 < told["Rx-pps"] <= told["Tx-pps"] * 1.01:
            raise Failed(f"{ROW}: dpdk-testpmd forwarded {told['Tx-pps']} of {told['Rx-pps']} packets a second")
        return told["Rx-pps"]


def measure(stack, _, quick):
    directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="berth-pmd-", dir="/dev/shm")))
    pcap = directory / "pcap"
    tool("image", "make", directory / "image", pcap, FLOWS)
    huge = has_hugepages()
    engine = Engine(stack, ALONE, directory, "bench0,device=" + DEVICE.format(pcap), "--idle", "poll", "--memory",
                    MEMORY_MB, *([] if huge else ["--no-hugepages"]))
    engine.pause()
    testpmd = Testpmd(stack, pcap, huge, engine.status()["cpus"][0])
    testpmd.pause()
    seconds = 0.5 if quick else 1.0
    pairs = [(rate_of_engine(engine, seconds), testpmd.rate(seconds)) for _ in range(3 if quick else 5)]
    ours, theirs = (statistics.median(of) for of in zip(*pairs))
    ratio = statistics.median(a / b for a, b in pairs)
    say(ROW, round(ours / 1e6, 3), "M/s", f"dpdk-testpmd macswap on the same port, {'with' if huge else 'without'} hugepages",
        round(theirs / 1e6, 3),
        round(ratio, 4), f"at least {GOAL:g}", ratio >= GOAL)


if __name__ == "__main__":
    main(lambda quick: [ROW], measure)
