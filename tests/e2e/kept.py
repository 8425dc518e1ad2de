# SPDX-License-Identifier: BSD-3-Clause
"""What stays on its backends while the tables change: for test_tables.py and test_tables_adopted.py. Each of their tests has
a lab of its own."""
import contextlib
import re

import pytest

import lab as labs
from conftest import PROCESS, lab_up
from lab import CLIENTS4, CLIENTS6, ask
from test_restart import Asker

USED = ["web", "web6", "tunnel6", "dns"]
SMALL = "{flows: 65536, sessions: 16384, services: 64, backends: 256}"
LARGE = "{flows: 400000, sessions: 100000, services: 128, backends: 700}"
MIDDLE = "{flows: 200000, sessions: 50000, services: 64, backends: 256}"


def yaml(engine, limits=SMALL):
    # Connections that ended leave a former table soon. No backend is down because the machine is slow.
    text = labs.config_yaml(engine, services=USED, more=["timeouts: {closing: 2s}"]).replace("timeout: 200ms", "timeout: 2s")
    return re.sub(r"limits: \{.*\}", f"limits: {limits}", text)


@pytest.fixture(params=["xdp", "dpdk"])
def lab(request):
    lab = lab_up(f"e2etab{request.param}{PROCESS}", request.param, config=yaml(request.param))
    yield lab
    lab.down()


def restart(lab, config):
    lab.kill_berthd()
    (lab.state / "berth.yaml").write_text(config)
    lab.run("berthd")


class Kept:
    """Connections with requests all the time, idle ones, UDP flows and clients: after each change all are where they
    were."""

    def __init__(self, lab, stack):
        self.lab = lab
        self.askers = [stack.enter_context(Asker(lab, service, pause=0.1)) for service in ("web", "web6", "tunnel6")]
        self.udp = [stack.enter_context(contextlib.closing(lab.udp("dns"))) for _ in range(40)]
        self.idle = [stack.enter_context(contextlib.closing(lab.connect("web", timeout=10))) for _ in range(10)]
        self.answers = [ask(sock) for sock in self.udp]
        self.homes = [labs.request(sock)[1] for sock in self.idle]
        self.clients = self.clients_now()

    def clients_now(self):
        lab = self.lab
        return lab.backends_by_client("web", CLIENTS4[:8]), lab.backends_by_client("tunnel6", CLIENTS6[:8])

    def go_on(self):
        """The connections with requests. (TCP waits longer after each stop of packets that it meets.)"""
        for asker in self.askers:
            asker.goes_on()

    def stay(self):
        self.go_on()
        assert [ask(sock) for sock in self.udp] == self.answers
        assert [labs.request(sock)[:2] for sock in self.idle] == [(200, home) for home in self.homes]
        assert self.clients_now() == self.clients
