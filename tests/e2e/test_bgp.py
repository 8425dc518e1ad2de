# SPDX-License-Identifier: BSD-3-Clause
"""Three nodes behind a router that learns by BGP which of them take packets: what berthd announces goes through BIRD on the
node (the recipe of docs/announce.md) to BIRD or FRR on the router, which spreads flows over the nodes (ECMP). Nothing but BGP
and BFD changes the router's routes: real clients notice neither a drained node nor a lost one."""
import json
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "faults"))

from conftest import PROCESS, lab_up  # noqa: E402
from crowds import DIRECT, all_answered, crowd  # noqa: E402,F401
from faults import Settings  # noqa: E402
from lab import SERVICE4, SERVICE6, wait_for  # noqa: E402



@pytest.fixture(scope="module", name="up")
def bgp_lab():
    lab = lab_up(f"e2ebgp{PROCESS}", "xdp,dpdk,xdp", config=Settings("xdp", DIRECT).yaml(), nodes=3, bgp="bird")
    yield lab
    lab.down()


@pytest.fixture(scope="module", name="lab", params=[("bird", "hash-threshold"), ("frr", "resilient")], ids="-".join)
def lab_with_router(request, up):
    """With this program on the router, and these groups."""
    up.router, ecmp = request.param
    up.run("route", "--bgp", up.router, "--ecmp", ecmp)
    up.table = "main" if ecmp == "hash-threshold" else "300"
    return up


def next_hops(lab, family, address):
    shown = lab.exec("router", "ip", "-j", family, "route", "show", "table", lab.table, address).stdout
    routes = json.loads(shown or "[]")
    return len(routes[0].get("nexthops", routes)) if routes else 0


def has_next_hops(lab, number):
    return next_hops(lab, "-4", SERVICE4) == next_hops(lab, "-6", SERVICE6) == number


def forwarded(lab, number):
    return lab.node(number).totals()["forwarded"]


def test_a_drained_node_gets_no_packets_and_no_client_notices(lab, crowd):
    wait_for(lambda: has_next_hops(lab, 3), what="three nodes")
    assert lab.node(2).ctl("wait", "withdrawn", check=False).returncode == 1  # it is not drained
    lab.node(2).ctl("node", "drain")
    assert "no packets for 2 s" in lab.node(2).ctl("wait", "withdrawn", "--timeout", "10s").stdout
    assert has_next_hops(lab, 2)
    all_answered(crowd)
    before = forwarded(lab, 2)
    all_answered(crowd)
    assert forwarded(lab, 2) == before
    lab.node(2).ctl("node", "enable")
    wait_for(lambda: has_next_hops(lab, 3), 3, "the return")
    all_answered(crowd)
    assert forwarded(lab, 2) > before


def test_a_lost_node_is_found_by_bgp_or_bfd_and_no_client_notices(lab, crowd):
    """By the end of its BGP connection, or by BFD alone."""
    number, how = (2, "kill") if lab.router == "bird" else (1, "silent")
    lab.node(number).fail(how)
    wait_for(lambda: has_next_hops(lab, 2), 2, "two nodes")
    all_answered(crowd)
    lab.node(number).returns()
    wait_for(lambda: has_next_hops(lab, 3), 5, "three nodes")
    all_answered(crowd)
