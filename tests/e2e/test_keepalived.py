# SPDX-License-Identifier: BSD-3-Clause
"""Two nodes of which one holds the service addresses: the recipe of docs/announce.md with Debian's keepalived (VRRP to the
other node's address, no multicast), and `berthctl ready` as its check.

     client - router (the service addresses are on its network) - berth (XDP), berth2 (DPDK) - b1, b2, b3: mode l2
"""
import contextlib
import time

import pytest

from conftest import PROCESS, lab_up
from lab import BASIC, CLIENTS4, SERVICE4, SERVICE6, config_yaml, request, wait_for
from routing import keepalived

SERVICES = {name: BASIC[name] for name in ("web", "web6", "dns")}
TAKEN_OVER = 3  # seconds: a check each second; the rest is a margin for a loaded machine


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    # The last service has no backends.
    text = config_yaml("xdp", services=SERVICES, more=["announce: {table: 200, stop-wait: 3s}"]) + "    announce: false\n"
    lab = lab_up(f"e2evrrp{PROCESS}", "xdp,dpdk", nodes=2, config=text)
    lab.exec("router", "ip", "route", "replace", SERVICE4, "dev", "lan")
    lab.exec("router", "ip", "-6", "route", "replace", SERVICE6, "dev", "lan")
    folder = tmp_path_factory.mktemp("keepalived")
    with keepalived(lab, folder, "192.0.2.2", "192.0.2.3"), keepalived(lab.node(2), folder, "192.0.2.3", "192.0.2.2"):
        yield lab
    lab.down()


def has(lab, number, *addresses):
    shown = lab.exec(lab.node(number).host, "ip", "-o", "address", "show", "dev", "eth0").stdout
    return all(f" {address}/" in shown for address in addresses)


def holder(lab):
    """The node that has both addresses, while the other one has none."""
    for number, other in ((1, 2), (2, 1)):
        if has(lab, number, SERVICE4, SERVICE6) and not has(lab, other, SERVICE4) and not has(lab, other, SERVICE6):
            return number
    return None


@pytest.fixture(autouse=True)
def held(lab):
    """Both nodes are ready before each test, and one of them, which this gives, holds the addresses."""
    for number in (1, 2):
        lab.node(number).ctl("node", "enable")
        lab.node(number).ctl("wait", "ready", "--timeout", "9s")
    time.sleep(1.2)  # until the checks have noticed
    return wait_for(lambda: holder(lab), what="a holder of the addresses")


@contextlib.contextmanager
def unchanged(lab):
    """Connections in both families that are open all the time, and new ones of the clients, keep their backends."""
    with contextlib.closing(lab.connect("web")) as sock, contextlib.closing(lab.connect("web6")) as sock6:
        before = [request(sock)[1], request(sock6)[1]], lab.backends_by_client("web", CLIENTS4[:8])
        yield
        assert ([request(sock)[1], request(sock6)[1]], lab.backends_by_client("web", CLIENTS4[:8])) == before


def keeps(lab, number, seconds):
    for _ in range(round(2 * seconds)):
        assert holder(lab) == number
        time.sleep(0.5)


def test_a_drain_moves_the_addresses_and_a_drain_of_the_last_node_does_not(lab, held):
    with unchanged(lab):
        lab.node(held).ctl("node", "drain")
        wait_for(lambda: holder(lab) == 3 - held, TAKEN_OVER, "the other node")
        lab.node(3 - held).ctl("node", "drain")
        keeps(lab, 3 - held, 2)


def test_a_lost_node_loses_the_addresses_and_no_connection_breaks(lab, held):
    with unchanged(lab):
        lab.node(held).fail("silent")
        wait_for(lambda: has(lab, 3 - held, SERVICE4, SERVICE6), TAKEN_OVER, "the other node")
    with unchanged(lab):
        lab.node(held).returns()
        wait_for(lambda: holder(lab), TAKEN_OVER, "one holder")


def test_a_restart_of_berthd_does_not_move_the_addresses(lab, held):
    with unchanged(lab):
        lab.node(held).kill_berthd()
        keeps(lab, held, 2)
        lab.node(held).run("berthd")
        assert holder(lab) == held


def test_a_shutdown_moves_the_addresses_before_packets_stop(lab, held):
    """The last of the module: a berthd is gone."""
    with unchanged(lab):
        lab.node(held).ctl("shutdown")
        assert holder(lab) == 3 - held
