# SPDX-License-Identifier: BSD-3-Clause
"""Three nodes behind a router that learns by BGP which of them take packets: what berthd announces goes through BIRD on the
node (the recipe of docs/announce.md) to BIRD or FRR on the router, which spreads flows over the nodes (ECMP). Nothing but BGP
and BFD changes the router's routes: real clients notice neither a drained node nor a lost one."""
import contextlib
import json
import pathlib
import re
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "faults"))

from conftest import PROCESS, lab_up  # noqa: E402
from crowds import DIRECT, all_answered, crowd  # noqa: E402,F401
from faults import Settings  # noqa: E402
from lab import SERVICE4, SERVICE6, wait_for  # noqa: E402
from routing import graceful_shutdown  # noqa: E402


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


@contextlib.contextmanager
def leaving(lab, number):
    """BIRD on the node exports with GRACEFUL_SHUTDOWN, as docs/announce.md says, for a while."""
    folder = lab.node(number).folder
    config = folder / "bird.conf"
    before = config.read_text()
    export = graceful_shutdown("BIRD").rstrip(";")
    config.write_text(re.sub(r'export where proto = "(berth[46])"', lambda found: export.replace("berth4", found[1]), before))
    configure = ("birdc", "-s", folder / "bird.ctl", "configure")
    assert "Reconfig" in lab.exec(lab.node(number).host, *configure).stdout
    yield
    config.write_text(before)
    lab.exec(lab.node(number).host, *configure)


def nodes_that_leave(lab, family, address):
    """Those whose routes have the community on the router."""
    if lab.router == "bird":
        shown = lab.exec("router", "birdc", "-s", lab.state / "router-bird.ctl", "show", "route", "all", "for", address).stdout
        paths = [path for path in shown.split("unicast [")[1:] if "(65535,0)" in path]
        return {int(re.search(r"BGP.next_hop: \S*[.:](\d+)\s", path)[1]) - 1 for path in paths}
    shown = json.loads(lab.exec("router", "vtysh", "--vty_socket", lab.state / "router-frr", "-c",
                                f"show bgp ipv{family} unicast {address} json").stdout)
    return {int(path["peer"]["peerId"].split(".")[-1]) - 1 for path in shown.get("paths", ())
            if "gracefulShutdown" in path.get("community", {}).get("list", ())}


def only_leaves(lab, *numbers):
    return nodes_that_leave(lab, 4, SERVICE4) == nodes_that_leave(lab, 6, SERVICE6) == set(numbers)


def gets_none(lab, number, crowd):
    before = forwarded(lab, number)
    all_answered(crowd)
    return forwarded(lab, number) == before


def test_a_node_with_graceful_shutdown_gets_packets_only_when_no_other_one_is_left(lab, crowd):
    wait_for(lambda: has_next_hops(lab, 3), 10, "three nodes")
    with leaving(lab, 2):
        wait_for(lambda: only_leaves(lab, 2) and has_next_hops(lab, 2), 10, "the community of node 2 on the router")
        wait_for(lambda: gets_none(lab, 2, crowd), 20, "packets to others alone")
        lab.node(1).ctl("node", "drain")
        lab.node(3).ctl("node", "drain")
        wait_for(lambda: has_next_hops(lab, 1) and only_leaves(lab, 2), 10, "the last node's routes")
        assert not gets_none(lab, 2, crowd)
        lab.node(1).ctl("node", "enable")
        lab.node(3).ctl("node", "enable")
        wait_for(lambda: has_next_hops(lab, 2), 10, "the others' return")
        lab.node(2).ctl("node", "drain")
        wait_for(lambda: only_leaves(lab), 10, "the withdrawal")
        assert has_next_hops(lab, 2)
        all_answered(crowd)
        lab.node(2).ctl("node", "enable")
        wait_for(lambda: only_leaves(lab, 2), 10, "its routes, with the community")
    wait_for(lambda: has_next_hops(lab, 3) and only_leaves(lab), 10, "three nodes")
    all_answered(crowd)


def test_a_lost_node_is_found_by_bgp_or_bfd_and_no_client_notices(lab, crowd):
    """By the end of its BGP connection, or by BFD alone."""
    number, how = (2, "kill") if lab.router == "bird" else (1, "silent")
    lab.node(number).fail(how)
    wait_for(lambda: has_next_hops(lab, 2), 2, "two nodes")
    all_answered(crowd)
    lab.node(number).returns()
    wait_for(lambda: has_next_hops(lab, 3), 5, "three nodes")
    all_answered(crowd)
