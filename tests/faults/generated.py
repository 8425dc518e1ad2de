# SPDX-License-Identifier: BSD-3-Clause
"""Many flows of synthetic clients (generator.c), which the backends answer below their kernels (responder.c).

A flow has some questions in seconds or minutes, a client of a service with affinity by client some connections. The judge is that of
the real clients (clients.py): it knows who may move.
"""
import collections
import json
import os
import subprocess

import lab as labs

PROGRAMS = labs.BUILD / "tests/faults"
SERVICES = {
    "flows": labs.Service(labs.SERVICE4, "tcp", 8085, "l2", "flow", labs.LAN4),
    "flowsgue": labs.Service(labs.SERVICE4, "udp", 5304, "gue", "flow", labs.LAN4),
    "flows6": labs.Service(labs.SERVICE6, "udp", 5305, "ipip", "flow", labs.LAN6),
    "people": labs.Service(labs.SERVICE4, "tcp", 8086, "ipip", "client", labs.LAN4),
    "people6": labs.Service(labs.SERVICE6, "tcp", 8087, "gue", "client", labs.LAN6),
}
NAMES = list(SERVICES)
# Of entries: longer than any pause of a flow, so that an entry is there while its flow is.
TIMEOUTS = "{established: 60s, assured: 60s}"
CLIENTS = 1500  # with affinity by client, at one time
ROUTER_EXT, ROUTER_LAN = "02:00:c6:33:64:01", "02:00:c0:00:02:01"  # scripts/lab-network.sh

TOTALS = ("answers", "begun", "carried_on", "retired", "unmet", "answered", "living", "rate", "asked", "repeated", "moved", "stale")
Totals = collections.namedtuple("Totals", TOTALS)


def kind(service):
    return "generated session" if SERVICES[service].affinity == "client" else "generated flow"


def ether(lab, host):
    return json.loads(lab.exec(host, "ip", "-j", "link", "show", "eth0").stdout)[0]["address"]


def inside(lab, host, *command, **more):
    return subprocess.Popen(["nsenter", f"--net=/run/netns/berth-{lab.name}-{host}", "--", *map(str, command)], text=True,
                            stdout=subprocess.PIPE, **more)


def prepare(lab, nodes):
    """Routes to the clients' addresses, and a responder on each backend, whose kernel drops the questions: (the responders)"""
    lab.exec("router", "ip", "route", "add", "198.18.0.0/15", "via", "198.51.100.10")
    lab.exec("router", "ip", "route", "add", "2001:db8:4::/64", "via", "2001:db8:1::10")
    senders = [ether(lab, lab.node(number).host) for number in range(1, nodes + 1)]
    ports = ", ".join(str(service.port) for service in SERVICES.values())
    silent = f"table inet generated {{\nchain arriving {{\ntype filter hook prerouting priority raw\nth dport {{ {ports} }} drop\n}}\n}}"
    responders = []
    for number in (1, 2, 3):
        lab.exec(f"b{number}", "nft", "-f", "-", input=silent)
        responders.append(inside(lab, f"b{number}", PROGRAMS / "responder", "eth0", number, ROUTER_LAN, *senders))
    for responder in responders:
        assert responder.stdout.readline() == "ready\n"
    return responders


def setting(name):
    service = SERVICES[name]
    return f"{name},{service.protocol},{service.address},{service.port},{service.affinity}"


class Generated:
    """The generator's process, for the clients' process. `clients` judges what it reports."""

    def __init__(self, clients, lab, rate, seed, router=ROUTER_EXT, host="client"):
        self.clients = clients
        self.phases = []  # names by number
        self.process = inside(lab, host, PROGRAMS / "generator", "eth0", router, rate, CLIENTS, seed, *map(setting, NAMES),
                              stdin=subprocess.PIPE)
        self.rest = ""  # of a line
        self.lines = collections.deque()  # that are not judged yet
        self.moved = collections.Counter()  # by kind

    def fileno(self):
        return self.process.stdout.fileno()

    def receive(self):
        """Waits for something that it has written."""
        data = os.read(self.fileno(), 65536).decode()
        assert data, "the generator has ended"
        *lines, self.rest = (self.rest + data).split("\n")
        self.lines += lines

    def read(self):
        """Judges all that it has reported."""
        self.receive()
        while self.lines:
            self.judge(self.lines.popleft())

    def judge(self, line):
        what, service, source, port, home, backend, phase, before, node = line.split()
        self.moved[kind(service)] += what == "moved"
        home = f"b{home}" if home != "0" else None
        text = f"is answered by b{backend}" if what == "moved" else "has no answer to 20 questions"
        self.clients.judge(kind(service), service, home, self.phases[int(phase)] if home else None,
                           f"{kind(service)} {service} {source} of {home} in node {before}, from port {port}: {text} in node {node}")

    def command(self, name, value=0):
        """What it has seen before it obeys is judged when this returns, and nothing else."""
        self.process.stdin.write(f"{name} {int(value)}\n")
        self.process.stdin.flush()
        while True:
            if not self.lines:
                self.receive()
                continue
            line = self.lines.popleft()
            if line.startswith("done "):
                totals = Totals(*map(int, line.split()[1:]))
                assert totals.moved == self.moved.total(), "reports of the generator are missing"
                return totals  # what follows was seen after the command
            self.judge(line)

    def phase(self, name, is_change):
        """During a change no new clients come: nodes that differ may give them two sessions
        (docs/cluster.md#two-sessions-of-a-client)."""
        if name not in self.phases:  # the generator has a byte for the number
            self.phases.append(name)
        self.command("phase", self.phases.index(name))
        self.command("clients", not is_change)

    def waiting(self, totals, is_change):
        """Services of which nobody was answered since the mark; in a change one may have lost its clients."""
        return [f"generated {name}" for i, name in enumerate(NAMES)
                if not totals.answered >> i & 1 and not (is_change and SERVICES[name].affinity == "client")]

    def end(self):
        self.process.stdin.close()
        self.process.wait(5)
