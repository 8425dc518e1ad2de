# SPDX-License-Identifier: BSD-3-Clause
"""Two ports: flows arrive on both and leave by the port of the backends."""
import json

import pytest

import lab as labs
from conftest import lab_up
from lab import BASIC, CLIENTS4, CLIENTS6, SERVICES, wait_for

TCP = [name for name in [*BASIC, "gue6", "nat", "nat6"] if SERVICES[name].protocol == "tcp"]
UDP = [name for name in [*BASIC, "dnsgue", "dnsnat", "dnsnat6"] if SERVICES[name].protocol == "udp"]


@pytest.fixture(scope="module", params=["xdp", "dpdk"])
def lab(request):
    lab = lab_up(f"e2eports{request.param}", request.param, ports=2,
                 config=labs.config_yaml(request.param, interfaces=["eth0", "eth1"], services=[*TCP, *UDP]))
    yield lab
    lab.down()


def received(lab, interface):
    """Packets the router sent to this interface of berth."""
    end = {"eth0": "berth", "eth1": "berth2"}[interface]
    statistics = lab.exec("router", "ip", "-s", "-j", "link", "show", end).stdout
    return json.loads(statistics)[0]["stats64"]["tx"]["packets"]


def test_both_ports_forward(lab):
    assert [port["name"] for port in lab.show("engine")["ports"]] == ["eth0", "eth1"]


@pytest.mark.parametrize("service", UDP)
def test_each_flow_keeps_its_backend_on_either_port(lab, service):
    before = {port: received(lab, port) for port in ("eth0", "eth1")}
    lab.flows_are_spread_and_kept(service)
    for port in ("eth0", "eth1"):
        assert received(lab, port) > before[port] + 40, f"{port} had no flows"


@pytest.mark.parametrize("service", TCP)
def test_http_is_answered_on_either_ingress_port(lab, service):
    for _ in range(12):
        status, backend, body = lab.http(service)
        assert (status, body.decode()) == (200, f"{backend}\n")


@pytest.mark.parametrize("service, clients", [("web", CLIENTS4), ("tunnel6", CLIENTS6)])
def test_each_client_keeps_its_backend_on_either_ingress_port(lab, service, clients):
    backends_by_client = lab.backends_by_client(service, clients)
    for _ in range(3):
        assert lab.backends_by_client(service, clients) == backends_by_client


def test_received_equals_the_sum_of_verdicts_over_both_ports(lab):
    def at_rest():
        totals = lab.totals()
        return totals["received"] == sum(totals[way] for way in ("forwarded", "answered", "passed", "dropped"))

    wait_for(at_rest, what="counters that add up")
