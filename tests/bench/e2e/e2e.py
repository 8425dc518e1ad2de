#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Requests per second of wrk in a lab's client to nginx on one backend, through berth and through other systems.

    client -- router -- berth host ------ backend      route, xdp, bare, dpdk: the answer goes from the backend
                 \\_____________________/               to the router directly
    client -- router -- berth host ------ backend      nft, haproxy: the answer goes back through the berth host,
                                                       which translates addresses

route    the kernel of the berth host forwards as a plain router: the same hosts, hops and cables as with berth, but
         without the cable settings that XDP needs (scripts/lab, settle_cable). The baseline of all others.
xdp      berth, XDP engine, mode l2
bare     an XDP program with a fixed next hop instead of berth: the cost of XDP on such a cable
dpdk     berth, DPDK engine, an AF_XDP port and a worker that sleeps when idle, mode l2
nft      nftables on the berth host: DNAT to the backend, whose answers return through the berth host
haproxy  HAProxy in TCP mode on the berth host

All labs exist at the same time and the systems take turns, so that each ratio is of runs close in time. The processes
of the other systems are stopped (SIGSTOP) meanwhile: idle engines and health checks cost nothing. A run counts only
without errors, and only if at least as many packets as requests took the measured path.

e2e.py [--quick] [ID-PREFIX]...
"""
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import tempfile
import time

from program import Failed, main, say, say_failed

ROOT = pathlib.Path(__file__).resolve().parents[3]
LAB = ROOT / "scripts/lab"
STATE = pathlib.Path("/run/berth-lab")

CONNECTIONS = 32
KINDS = {"close": ["-H", "Connection: close"], "keepalive": []}
BACKEND = "192.0.2.11"
BERTH = "192.0.2.2"

CONFIG = """\
engine: {engine}
interfaces: [{{name: eth0}}]
dpdk: {{idle: adaptive, memory-mb: 64}}
limits: {{flows: 1000000, sessions: 1024, services: 4, backends: 60}}
services:
  - name: web
    address: 203.0.113.10
    protocol: tcp
    port: 80
    mode: l2
    health: {{type: tcp, interval: 1s, timeout: 500ms, rise: 1, fall: 3}}
    backends: [{{name: b1, address: {backend}}}]
"""

NFT = """\
table ip bench {{
	chain prerouting {{
		type nat hook prerouting priority dstnat
		ip daddr {address} tcp dport 80 dnat to {backend}:80
	}}
}}
"""

HAPROXY = """\
global
    maxconn 4096
defaults
    mode tcp
    timeout connect 5s
    timeout client 30s
    timeout server 30s
listen bench
    bind {address}:80
    server b1 {backend}:80
"""


def run(*command, **more):
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, **more)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()[-4:]
        raise Failed(f"{' '.join(map(str, command))}: {' / '.join(said) or done.returncode}")
    return done.stdout


class Lab:
    """Separate hosts for each system: its cable and kernel settings affect no other."""

    address = "203.0.113.10"
    engine = "none"

    def __init__(self, system):
        self.system = system
        self.name = f"bench{system}"

    def up(self):
        self.down()
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as config:
            config.write(CONFIG.format(engine=self.engine, backend=BACKEND))
            config.flush()
            run(LAB, "up", "--name", self.name, "--engine", self.engine, "--backends", "1",
                "--config", config.name)
        self.host("client", "sh", "-c", "echo 1024 65535 >/proc/sys/net/ipv4/ip_local_port_range")
        self.prepare()
        self.await_answer()
        self.signal(signal.SIGSTOP)

    def down(self):
        self.signal(signal.SIGCONT)  # a stopped process cannot end
        run(LAB, "down", "--name", self.name)

    def host(self, host, *command, **more):
        return run("nsenter", f"--net=/run/netns/berth-{self.name}-{host}", "--", *command, **more)

    def signal(self, number):
        """Sends a signal to all processes of the lab."""
        for path in pathlib.Path("/run/netns").glob(f"berth-{self.name}-*"):
            for pid in run("ip", "netns", "pids", path.name).split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), number)

    @contextlib.contextmanager
    def awake(self):
        self.signal(signal.SIGCONT)
        try:
            yield
        finally:
            self.signal(signal.SIGSTOP)

    def prepare(self):
        """Starts what this system needs beyond the lab."""

    def await_answer(self):
        end = time.monotonic() + 5
        while True:
            try:
                answer = self.host("client", "curl", "-s", "-m", "1", f"http://{self.address}/")
            except Failed as failed:
                answer = str(failed)
            if answer == "b1\n":
                return
            if time.monotonic() > end:
                raise Failed(f"{self.system}: b1 does not answer: {answer.strip()}")
            time.sleep(0.1)

    def carried(self):
        """Returns the packets that took the measured path so far."""
        raise NotImplementedError

    def measure(self, kind, seconds):
        """Returns requests per second."""
        before = self.carried()
        output = self.host("client", "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "5s",
                           *KINDS[kind], f"http://{self.address}/")
        errors = re.search(r"Socket errors:.*|Non-2xx.*", output)
        if errors:
            raise Failed(f"e2e.{self.system}.{kind}: {errors.group(0).strip()}")
        requests = int(re.search(r"(\d+) requests in", output).group(1))
        carried = self.carried() - before
        if not 0 < requests <= carried:
            raise Failed(f"e2e.{self.system}.{kind}: {requests} requests, but {carried} packets took the measured path")
        return float(re.search(r"Requests/sec:\s+([\d.]+)", output).group(1))


class Berth(Lab):
    def __init__(self, system):
        super().__init__(system)
        self.engine = system

    def carried(self):
        stats = json.loads(run(LAB, "ctl", "--name", self.name, "-j", "show", "stats"))
        return stats["packets"]["forwarded"]


class Bare(Lab):
    """Sends packets as berth does, to a fixed backend."""

    def __init__(self, system):
        super().__init__(system)
        self.pins = pathlib.Path("/sys/fs/bpf") / f"berth-{self.name}"

    def mac_of(self, host):
        return json.loads(self.host(host, "ip", "-j", "link", "show", "eth0"))[0]["address"].split(":")

    def prepare(self):
        self.pins.mkdir()
        run("bpftool", "prog", "load", ROOT_BUILD / "tests/bench/xdp_bare.bpf.o", self.pins / "program", "type", "xdp",
            "pinmaps", self.pins)
        address = [f"{int(byte):02x}" for byte in self.address.split(".")]
        value = ["00"] * 8 + address + self.mac_of("b1") + self.mac_of("berth")
        run("bpftool", "map", "update", "pinned", self.pins / "bare_map", "key", "hex", *["00"] * 4, "value", "hex",
            *value)
        self.host("berth", "bpftool", "net", "attach", "xdp", "pinned", self.pins / "program", "dev", "eth0")

    def down(self):
        super().down()
        shutil.rmtree(self.pins, ignore_errors=True)

    def carried(self):
        entry = json.loads(run("bpftool", "-j", "map", "lookup", "pinned", self.pins / "bare_map", "key", "hex",
                               *["00"] * 4))
        return int.from_bytes(bytes(int(byte, 16) for byte in entry["value"][:8]), "little")


class Kernel(Lab):
    """The kernel of the berth host forwards."""

    def plain_router(self):
        # Undo the lab's settings for berth: rules that keep the kernel from answering, and a cable for XDP.
        self.host("berth", "nft", "delete", "table", "inet", "silent")
        self.host("router", ROOT_BUILD / "bpf/berth-decap", "detach", "berth")
        self.host("router", "ethtool", "-K", "berth", "tx", "on", "tso", "on")
        self.host("berth", "sh", "-c", """
            echo 1 >/proc/sys/net/ipv4/ip_forward
            for where in all default eth0; do
                echo 0 >/proc/sys/net/ipv4/conf/$where/send_redirects
            done""")

    def snmp(self, protocol, field):
        lines = [line.split() for line in self.host("berth", "cat", "/proc/net/snmp").splitlines()]
        names, values = [line for line in lines if line[0] == protocol + ":"]
        return int(values[names.index(field)])

    def carried(self):
        return self.snmp("Ip", "ForwDatagrams")


class Route(Kernel):
    address = "203.0.113.20"

    def prepare(self):
        self.plain_router()
        self.host("b1", "ip", "addr", "add", f"{self.address}/32", "dev", "lo")
        self.host("berth", "ip", "route", "add", f"{self.address}/32", "via", BACKEND)


class Nft(Kernel):
    address = "203.0.113.40"

    def prepare(self):
        self.plain_router()
        self.host("berth", "nft", "-f", "-", input=NFT.format(address=self.address, backend=BACKEND))
        self.host("b1", "ip", "rule", "add", "from", BACKEND, "lookup", "100")
        self.host("b1", "ip", "route", "replace", "default", "via", BERTH, "table", "100")


class Haproxy(Kernel):
    address = "203.0.113.30"

    def __init__(self, system):
        super().__init__(system)
        self.process = None

    def prepare(self):
        self.plain_router()
        self.host("berth", "ip", "addr", "add", f"{self.address}/32", "dev", "lo")
        config = STATE / self.name / "haproxy.cfg"
        config.write_text(HAPROXY.format(address=self.address, backend=BACKEND))
        self.process = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/berth-{self.name}-berth", "--", "haproxy", "-db", "-q", "-f", config],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def down(self):
        super().down()
        if self.process:
            self.process.wait()

    def carried(self):
        """HAProxy forwards no packets; the kernel counts those that it received."""
        return self.snmp("Tcp", "InSegs")


SYSTEMS = {"route": Route, "xdp": Berth, "bare": Bare, "dpdk": Berth, "nft": Nft, "haproxy": Haproxy}
ROOT_BUILD = pathlib.Path(os.environ.get("BERTH_BUILD", ROOT / "build"))
GOALS = {"xdp": 1.0}
OF_BARE = "e2e.xdp.keepalive.of_bare"  # of runs next to each other
GOAL_OF_BARE = 0.99


def say_ratio(system, kind, ours, routing):
    routing = routing[: len(ours)]
    ratio = statistics.median(a / b for a, b in zip(ours, routing))
    goal = GOALS.get(system)
    say(f"e2e.{system}.{kind}", round(statistics.median(ours)), "requests/s", "kernel routing",
        round(statistics.median(routing)), round(ratio, 4), goal and f"at least {goal:g}", goal and ratio >= goal)


def say_of_bare(ours, bare):
    ratio = statistics.median(a / b for a, b in zip(ours, bare))
    say(OF_BARE, round(statistics.median(ours)), "requests/s", "an XDP program that only swaps link addresses",
        round(statistics.median(bare)), round(ratio, 4), f"at least {GOAL_OF_BARE:g}", ratio >= GOAL_OF_BARE)


def rounds_of(system, quick):
    """Rounds per system: a hop is a small part of a request, so rows with a goal need many rounds."""
    has_goal = system in GOALS or system in ("route", "bare")
    return 2 if quick else (9 if has_goal else 3)


def measure_kind(labs, kind, quick):
    """Returns {system: requests per second of each round} and {system: reason of its failure}; a failed one stops."""
    values = {system: [] for system in labs}
    failed = {}
    for i in range(rounds_of("route", quick)):
        # In alternating order, so that slow changes of the machine favour no system.
        for system in list(labs)[:: -1 if i % 2 else 1]:
            if system in failed or i >= rounds_of(system, quick):
                continue
            try:
                with labs[system].awake():
                    values[system].append(labs[system].measure(kind, 1 if quick else 2))
            except Failed as why:
                failed[system] = why
    return values, failed


def bring_up(stack, systems):
    """Returns the labs that started, and whether all did."""
    labs = {}
    for system in systems:
        lab = SYSTEMS[system](system)
        stack.callback(lab.down)
        try:
            lab.up()
            labs[system] = lab
        except Failed as why:
            say_failed(f"{system}: {why}")
    return labs, len(labs) == len(systems)


def ids(quick):
    """--quick measures only rows with a goal: a lab takes two seconds to start."""
    systems = GOALS if quick else [system for system in SYSTEMS if system != "route"]
    return [f"e2e.{system}.{kind}" for system in systems for kind in KINDS] + [OF_BARE] * (not quick)


def measure(stack, wanted, quick):
    """Returns whether all succeeded; a failure does not stop the others."""
    with_bare = OF_BARE in wanted
    wanted = [name.split(".")[1:] for name in wanted if name != OF_BARE]
    if with_bare:
        wanted += [pair for pair in (["xdp", "keepalive"], ["bare", "keepalive"]) if pair not in wanted]
    labs, good = bring_up(stack, ["route"] + [s for s in SYSTEMS if s in {system for system, _ in wanted}])
    if "route" not in labs:
        return False
    for kind in KINDS:
        asked = [system for system, of in wanted if of == kind]
        taking_part = {s: lab for s, lab in labs.items() if s in ["route", *asked]}
        values, failed = measure_kind(taking_part, kind, quick)
        for why in failed.values():
            say_failed(why)
        good = good and not failed
        for system in asked:
            if system in labs and system not in failed and "route" not in failed:
                say_ratio(system, kind, values[system], values["route"])
        pair = [values.get(system) for system in ("xdp", "bare") if system not in failed]
        if with_bare and kind == "keepalive" and len(pair) == 2 and all(pair):
            say_of_bare(*pair)
    return good


if __name__ == "__main__":
    main(ids, measure)
