# SPDX-License-Identifier: BSD-3-Clause
"""Two receive queues: with DPDK two workers over one set of tables."""
import contextlib

import pytest

import lab as labs
from conftest import lab_up
from lab import CLIENTS4, CLIENTS6, UDP, ask


@pytest.fixture(scope="module", params=["xdp", "dpdk"])
def lab(request):
    lab = lab_up("e2equeues", request.param, queues=2, config=labs.config_yaml(request.param, queues=2))
    yield lab
    lab.down()


def test_there_is_a_worker_for_each_queue(lab):
    assert lab.show("engine")["workers"] == 2


@pytest.mark.parametrize("service", UDP)
def test_each_flow_keeps_its_backend_whatever_its_queue(lab, service):
    with contextlib.ExitStack() as stack:
        flows = [stack.enter_context(contextlib.closing(lab.udp(service))) for _ in range(60)]
        first = [ask(flow)[0] for flow in flows]
        assert set(first) == {"b1", "b2", "b3"}
        for _ in range(3):
            assert [ask(flow)[0] for flow in flows] == first


@pytest.mark.parametrize("service, clients", [("web", CLIENTS4), ("tunnel6", CLIENTS6)])
def test_each_client_keeps_its_backend_whatever_its_queue(lab, service, clients):
    homes = lab.homes(service, clients)
    for _ in range(3):
        assert lab.homes(service, clients) == homes


def test_received_is_forwarded_and_passed_and_dropped_over_all_workers(lab):
    def at_rest():
        totals = lab.totals()
        return totals["received"] == totals["forwarded"] + totals["passed"] + totals["dropped"]

    labs.wait_for(at_rest, what="counters that add up")
