# SPDX-License-Identifier: BSD-3-Clause
"""Two nodes without a store, whose backends change at the moment when one of them is lost: real connections go on where
the service has a second hop, and some break where it has none. Each engine stays once."""
import contextlib
import pathlib
import time

import pytest

from conftest import PROCESS, lab_up
from lab import BERTH_DECAP, CLIENTS4, CLIENTS6, LAN4, LAN6, SERVICE4, SERVICE6, Service, request, service_yaml, wait_for
from test_second_hop import counters

# name: the service, and whether it has second hops
SERVICES = {
    "hop": (Service(SERVICE4, "tcp", 8082, "gue", "flow", LAN4), True),
    "hop6": (Service(SERVICE6, "tcp", 8082, "gue", "client", LAN6), True),
    "hopmixed": (Service(SERVICE4, "tcp", 8083, "gue", "client", LAN6), True),
    "none": (Service(SERVICE4, "tcp", 8081, "gue", "flow", LAN4), False),
}
BY_CLIENT = [name for name, (service, _) in SERVICES.items() if service.affinity == "client"]
EACH = 40  # connections to each service, so that some are to each backend
BACKENDS = ("b1", "b2", "b3")


def config(backends):
    """scripts/lab sets what nodes differ in."""
    lines = ["engine: xdp", "interfaces: [{name: eth0}]", "dpdk: {idle: adaptive, memory-mb: 64}",
             "limits: {flows: 65536, sessions: 16384, services: 8, backends: 64}", "services:"]
    for name, (service, has_hops) in SERVICES.items():
        lines += service_yaml(name, service, backends) + ["    table-size: 2039"] + (["    second-hop: 1h"] if has_hops else [])
    return "\n".join(lines).replace("interval: 1s", "interval: 200ms") + "\n"


@pytest.fixture
def lab():
    """Of each case: of two changes of a row within a minute the first one counts."""
    lab = lab_up(f"e2ehop{PROCESS}", "dpdk,xdp", config=config((1, 2)), nodes=2)
    for name in BACKENDS:
        lab.exec(name, "sysctl", "-qw", "net.ipv4.conf.eth0.forwarding=1", "net.ipv4.conf.all.send_redirects=0",
                 "net.ipv4.conf.eth0.send_redirects=0", "net.ipv6.conf.all.forwarding=1")
        # veth delivers what XDP_TX sends only to an end that runs a program.
        lab.exec("router", BERTH_DECAP, "attach", name, "--address", "192.0.2.1")
    yield lab
    lab.down()


class Connections:
    """Through one node, and each has been answered."""

    def __init__(self, lab, node, names=SERVICES, clients_of=None):
        """Each node has clients of its own, of which the other one has no sessions; or those of the other one."""
        first = clients_of or node
        lab.route(node)
        self.clients = {False: CLIENTS4[first::2], True: CLIENTS6[first::2]}
        self.lab = lab
        self.open = {name: [self.connect(SERVICES[name][0], i) for i in range(EACH)] for name in names}
        self.backend = {sock: request(sock)[1] for socks in self.open.values() for sock in socks}

    def connect(self, service, number):
        clients = self.clients[service.is6]
        sock = self.lab.socket(clients[number % len(clients)])
        sock.connect(service.target)
        return sock

    def backends(self):
        return list(self.backend.values())

    def broken(self, name):
        return [sock for sock in self.open[name] if not self.goes_on(sock)]

    def goes_on(self, sock):
        with contextlib.suppress(OSError):
            return request(sock)[:2] == (200, self.backend[sock])
        return False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for sock in self.backend:
            sock.close()


def hops_used(lab):
    return sum(counters(lab, name)["hop_used"] + counters(lab, name)["hop_kernel"] for name in BACKENDS)


def all_up(lab):
    wait_for(lambda: all(one["health"] == "up" for one in lab.show("backends")["backends"]), 10, "health")


def rows_changed(lab):
    """How many rows of each service have a second hop."""
    return {one["name"]: one["second_hop_rows"] for one in lab.show("services")["services"]}


def apply(lab, node, text):
    other = lab.node(node)
    path = pathlib.Path(other.folder) / "berth.yaml"
    own = [line for line in path.read_text().splitlines() if line.startswith(("engine:", "secret-file:", "cluster:"))]
    shared = [line for line in text.splitlines() if not line.startswith(("engine:", "secret-file:", "cluster:"))]
    path.write_text("\n".join(own + shared) + "\n")
    other.ctl("config", "apply", path)


def add_backend(lab):
    for node in (1, 2):
        apply(lab, node, config((1, 2, 3)))


def drain_backend(lab):
    for node in (1, 2):
        for name in SERVICES:
            lab.node(node).ctl("backend", "drain", f"{name}/b2")


@pytest.mark.parametrize("lost,change,how", [(1, add_backend, "kill"), (2, drain_backend, "link")])
def test_a_change_of_backends_and_the_loss_of_a_node_at_once_break_nothing(lab, lost, change, how):
    survivor = lab.node(3 - lost)
    all_up(survivor)
    time.sleep(2)  # changes are recorded when the first tables with all backends are in force
    with contextlib.ExitStack() as stack:
        stayed = stack.enter_context(Connections(lab, survivor.number, BY_CLIENT))
        connections = stack.enter_context(Connections(lab, lost))
        assert set(connections.backend.values()) >= {"b1", "b2"}
        sent, used, rows = survivor.verdict("second_hop"), hops_used(lab), rows_changed(survivor)
        change(lab)
        crossed = []
        if change is drain_backend:  # in force at once, on both nodes
            # Clients with sessions on the other node alone, some of them on the backend that their row gave before.
            crossed.append(stack.enter_context(Connections(lab, lost, BY_CLIENT, clients_of=survivor.number)))
            assert crossed[0].backends() != stayed.backends()
        lab.node(lost).fail(how)
        lab.route(survivor.number)
        all_up(survivor)
        wait_for(lambda: all(n > rows[name] for name, n in rows_changed(survivor).items() if name != "none"), 10, "rows")
        # A backend that is added takes clients with the generation that has its rows.
        broken = {name: len(connections.broken(name)) for name in SERVICES}
        assert broken.pop("none") > 0
        assert broken == dict.fromkeys(broken, 0)
        # Each connection goes on in the same way, packet by packet.
        for name in broken:
            assert not connections.broken(name)
            assert not any(each.broken(name) for each in [stayed, *crossed] if name in BY_CLIENT)
        assert survivor.verdict("second_hop") >= sent + 10
        assert hops_used(lab) >= used + 10
