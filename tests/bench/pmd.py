#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Packets a second through the real engine, berth-dpdk with one polling worker, against dpdk-testpmd that swaps the
link addresses of each packet. Both have the same port: DPDK's pcap driver, which copies packets of 2,000 TCP flows
into fresh buffers for ever, and frees what is transmitted.

Both are on the same cores and have the same kind of memory; they take turns, and whose turn it is not is stopped
(SIGSTOP).

pmd.py [--quick] [ID-PREFIX]...
"""
import contextlib
import json
import os
import pathlib
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BERTH_BUILD", ROOT / "build-bench"))
TOOL = BUILD / "tests/bench/image"

ROW = "dpdk.pmd"
GOAL = 0.30
FLOWS = 2000
DEVICE = "net_pcap0,rx_pcap={},infinite_rx=1"
MEMORY_MB = 64
BUFFERS = 28000  # what berth-dpdk makes of them
HUGE_MB = 2 * (MEMORY_MB + 32) + 64  # for both, with room to spare
LIFETIME = 60  # seconds after which either ends, whatever becomes of the other


class Failed(Exception):
    """One line for people."""


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIFETIME)
    if done.returncode:
        raise Failed(f"{' '.join(map(str, command))}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def has_hugepages():
    fields = dict(re.findall(r"^(\w+):\s+(\d+)", pathlib.Path("/proc/meminfo").read_text(), re.MULTILINE))
    free = int(fields["HugePages_Free"]) - int(fields["HugePages_Rsvd"])
    return free * int(fields["Hugepagesize"]) // 1024 >= HUGE_MB


class Forwarder:
    """A program with two threads that matter, in a network namespace of its own, which ends with this one."""

    def __init__(self, stack, command, **more):
        command = ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", *map(str, command)]
        self.process = subprocess.Popen(command, stderr=subprocess.STDOUT, text=True, **more)
        timer = threading.Timer(LIFETIME, self.process.kill)
        timer.start()
        stack.callback(self.process.wait)
        stack.callback(self.process.kill)
        stack.callback(timer.cancel)

    @contextlib.contextmanager
    def awake(self):
        self.process.send_signal(signal.SIGCONT)
        time.sleep(0.1)  # caches and the other's last packets
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGSTOP)


class Engine(Forwarder):
    def __init__(self, stack, directory, huge):
        self.image = directory / "image"
        log = open(directory / "log", "w+")
        super().__init__(stack, [
            BUILD / "dataplane/berth-dpdk", "--instance", "bench-pmd", "--image", self.image, "--run-dir", directory,
            "--port", "bench0,device=" + DEVICE.format(directory / "pcap"), "--workers", "1", "--idle", "poll",
            "--memory", MEMORY_MB, *(() if huge else ("--no-hugepages",))], stdout=log)
        while not (directory / "bench-pmd-dpdk.json").exists():
            if self.process.poll() is not None:
                log.seek(0)
                raise Failed(f"berth-dpdk: {log.read().strip()}")
            time.sleep(0.02)

    def rate(self, seconds):
        with self.awake():
            told = json.loads(run(TOOL, "rate", self.image, str(seconds)))
        if not 0 < told["judged"] == told["forwarded"]:
            raise Failed(f"{ROW}: berth-dpdk forwarded {told['forwarded']} of {told['judged']} packets")
        return told["rate"]


def lcores():
    """As dataplane/eal.c has it for one worker: the last core is the worker's, where there is another."""
    cores = sorted(os.sched_getaffinity(0))
    main, worker = (cores[:-1], cores[-1:]) if len(cores) > 1 else (cores, cores)
    return ",".join(f"{i}@({','.join(map(str, of))})" for i, of in enumerate((main, worker)))


class Testpmd(Forwarder):
    def __init__(self, stack, directory, huge):
        memory = ["--in-memory"] if huge else ["--no-shconf", "--no-huge", "-m", MEMORY_MB + 32]
        super().__init__(stack, [
            "stdbuf", "-oL", "dpdk-testpmd", "--file-prefix", "bench-testpmd", "--no-telemetry", "--log-level=error",
            "--no-pci", "--iova-mode=va", *memory, "--lcores", lcores(),
            "--vdev", DEVICE.format(directory / "pcap"),
            "--", "-i", "--forward-mode=macswap", "--nb-cores=1", f"--total-num-mbufs={BUFFERS}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=1)
        self.process.stdin.write("start\n")
        self.stats()

    def stats(self):
        """{name: number} of what it tells of its port; rates are since it was last asked."""
        self.process.stdin.write("show port stats 0\n")
        told, said = {}, []
        for line in self.process.stdout:
            said.append(line)
            told |= {name: int(number) for name, number in re.findall(r"([RT][xX]-\w+):\s+(\d+)", line)}
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


def measure(quick):
    with contextlib.ExitStack() as stack:
        directory = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="berth-pmd-", dir="/dev/shm")))
        run(TOOL, "make", directory / "image", directory / "pcap", str(FLOWS))
        huge = has_hugepages()
        engine = Engine(stack, directory, huge)
        engine.process.send_signal(signal.SIGSTOP)
        testpmd = Testpmd(stack, directory, huge)
        testpmd.process.send_signal(signal.SIGSTOP)
        seconds = 0.5 if quick else 1.0
        pairs = [(engine.rate(seconds), testpmd.rate(seconds)) for _ in range(3 if quick else 5)]
    ours, theirs = (statistics.median(of) for of in zip(*pairs))
    ratio = statistics.median(a / b for a, b in pairs)
    return {
        "id": ROW,
        "value": round(ours / 1e6, 3),
        "unit": "M/s",
        "baseline": "dpdk-testpmd macswap, " + ("hugepages" if huge else "no hugepages"),
        "baseline_value": round(theirs / 1e6, 3),
        "ratio": round(ratio, 4),
        "goal": f"at least {GOAL:g}",
        "met": ratio >= GOAL,
    }


def main(arguments):
    quick = arguments[:1] == ["--quick"]
    prefixes = arguments[quick:]
    if prefixes and not any(ROW.startswith(p) for p in prefixes):
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        print(json.dumps(measure(quick)), flush=True)
    except (Failed, OSError) as why:
        print(f"pmd.py: {why}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
