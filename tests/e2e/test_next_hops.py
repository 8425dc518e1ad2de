# SPDX-License-Identifier: BSD-3-Clause
"""berth follows the kernel's neighbours and routes within a second: to backends, and in mode nat to clients."""
import contextlib
import json
import time

import pytest

import lab as labs
from conftest import lab_up
from lab import SERVICE4, SERVICES, ask, request, wait_for
from wire import mac

SOON = 1.5  # a second, and time for the test to see it
GATEWAY4, GATEWAY6 = "192.0.2.9", "2001:db8:2::9"
USED = [*labs.BASIC, "nat", "nat6", "dnsnat", "dnsnat6"]


@pytest.fixture(scope="module", params=["xdp", "dpdk"])
def lab(request):
    """The router has a second interface to the backends' link."""
    lab = lab_up(f"e2eways{request.param}", request.param, config=labs.config_yaml(request.param, services=USED))
    for command in (
            "link add gateway type veth peer name cable", "link set cable master lan up", "link set gateway up",
            f"addr add {GATEWAY4}/32 dev gateway", f"addr add {GATEWAY6}/128 dev gateway nodad"):
        lab.exec("router", "ip", *command.split())
    # By default the kernel takes no news of a neighbour for a second after the last.
    lab.exec("berth", "sysctl", "-qw", "net.ipv4.neigh.eth0.locktime=0")
    yield lab
    lab.down()


@pytest.fixture(autouse=True)
def all_settled(lab):
    """Waits until the previous test's changes are undone in both families."""
    macs = {backend: mac(lab, backend) for backend in ("b1", "b2", "b3")}

    def is_settled():
        return all(b["next_hop"] and b["next_hop"]["mac"] == macs[b["name"]]
                   for b in lab.show("backends")["backends"])

    wait_for(is_settled, what="the ways to all backends")
    time.sleep(0.05)  # berthd publishes what it shows a millisecond later


def set_mac(lab, host, interface, address):
    """Announces a new address, as a replaced machine does."""
    lab.exec(host, "sysctl", "-qw", f"net.ipv4.conf.{interface}.arp_notify=1",
             f"net.ipv6.conf.{interface}.ndisc_notify=1")
    lab.exec(host, "ip", "link", "set", interface, "address", address)


def is_answered(sock):
    sock.settimeout(0.2)
    with contextlib.suppress(OSError):
        return ask(sock)[0]


def packets_into(lab, interface):
    shown = lab.exec("router", "ip", "-s", "-j", "link", "show", interface).stdout
    return json.loads(shown)[0]["stats64"]["rx"]["packets"]


@pytest.mark.parametrize("service", ["dns", "dns6", "dnstunnel6", "dnsnat"])
def test_a_backend_with_a_new_link_address_is_reached_there(lab, service):
    with contextlib.closing(lab.udp(service)) as sock:
        backend = ask(sock)[0]
        old = mac(lab, backend)
        try:
            set_mac(lab, backend, "eth0", "02:00:00:00:00:77")
            assert wait_for(lambda: is_answered(sock), SOON, "an answer") == backend
        finally:
            set_mac(lab, backend, "eth0", old)
        wait_for(lambda: lab.backend(service, backend)["next_hop"]["mac"] == old, what="the old way")


@pytest.mark.parametrize("service, backend4", [("dnstunnel", True), ("mixed6", True), ("dnstunnel6", False)])
def test_a_tunnel_follows_the_kernels_route(lab, service, backend4):
    udp = SERVICES[service].protocol == "udp"
    with contextlib.closing(lab.udp(service) if udp else lab.connect(service)) as sock:
        def answered():
            return ask(sock)[0] if udp else request(sock)[1]

        backend = answered()
        address = SERVICES[service].backend(int(backend[1:]))
        gateway = GATEWAY4 if backend4 else GATEWAY6
        lab.exec("berth", "ip", "route", "add", address, "via", gateway)
        try:
            wait_for(lambda: lab.backend(service, backend)["next_hop"]["mac"] == mac(lab, "router", "gateway"), SOON,
                     "the new way")
            before = packets_into(lab, "gateway")
            wait_for(lambda: answered() == backend and packets_into(lab, "gateway") > before, SOON, "packets that way")
        finally:
            lab.exec("berth", "ip", "route", "del", address)
        wait_for(lambda: lab.backend(service, backend)["next_hop"]["mac"] == mac(lab, backend), SOON, "the old way")
        assert answered() == backend


@pytest.mark.parametrize("service, old, new", [
    ("dnsnat", "192.0.2.1", GATEWAY4), ("dnsnat6", "2001:db8:2::1", GATEWAY6)])
def test_mode_nats_answers_follow_the_kernels_route(lab, service, old, new):
    default = ["ip", "-6" if ":" in old else "-4", "route", "replace", "default", "via"]
    with contextlib.closing(lab.udp(service)) as sock:
        backend = ask(sock)[0]

        def comes_by_the_new_one():
            before = packets_into(lab, "gateway")
            returned = lab.verdict("returned")
            return is_answered(sock) and packets_into(lab, "gateway") > before and lab.verdict("returned") > returned

        lab.exec("berth", *default, new)
        try:
            wait_for(comes_by_the_new_one, SOON, "the new way")
            set_mac(lab, "router", "gateway", "02:00:00:00:00:99")
            wait_for(comes_by_the_new_one, SOON, "the gateway's new link address")
        finally:
            lab.exec("berth", *default, old)
        wait_for(lambda: not comes_by_the_new_one(), SOON, "the old way")
        assert ask(sock)[0] == backend


def test_without_a_route_to_the_client_the_answer_passes_to_the_kernel(lab):
    with contextlib.closing(lab.udp("dnsnat")) as sock:
        ask(sock)
        lab.exec("berth", "ip", "route", "del", "default")
        try:
            def is_the_kernels():
                before = lab.verdict("returned_pass")
                return not is_answered(sock) and lab.verdict("returned_pass") > before

            wait_for(is_the_kernels, 3, "the kernel")
        finally:
            lab.exec("berth", "ip", "route", "add", "default", "via", "192.0.2.1")
        wait_for(lambda: is_answered(sock), SOON, "an answer")


@pytest.mark.parametrize("service, gateway", [("nat", "192.0.2.1"), ("nat6", "2001:db8:2::1")])
def test_a_backend_gets_an_error_for_answers_above_the_mtu_of_the_route_to_clients(lab, service, gateway):
    default = ["ip", "-6" if ":" in gateway else "-4", "route", "replace", "default", "via", gateway]
    data = bytes(1_000_000)
    for backend in ("b1", "b2", "b3"):
        (lab.state / backend / "files/zeros").write_bytes(data)
    lab.exec("berth", *default, "mtu", 1400)
    try:
        time.sleep(SOON)
        before, returned = lab.verdict("answered_too_big"), lab.verdict("returned")
        status, backend, body = lab.http(service, path="/files/zeros", timeout=10)
        assert (status, body) == (200, data)
        assert lab.verdict("answered_too_big") > before
        assert lab.verdict("returned") > returned + len(data) / 1400
        reported = lab.exec(backend, "ip", "route", "get", lab.source_for(service), "from",
                        SERVICES[service].backend(int(backend[1:]))).stdout
        assert "mtu 1400" in reported
    finally:
        lab.exec("berth", *default)


def test_an_unresolved_backend_is_resolved_and_reached_when_it_appears(lab, tmp_path):
    config = tmp_path / "more.yaml"
    config.write_text(lab.config + "\n".join([
        "  - name: late", f"    address: {SERVICE4}", "    protocol: udp", "    port: 5303", "    mode: l2",
        "    health: {type: none}", "    backends: [{name: b1, address: 192.0.2.99}]"]) + "\n")
    lab.ctl("config", "apply", config, "--no-save")
    with contextlib.closing(lab.udp("dns")) as sock:
        sock.connect((SERVICE4, 5303))
        before, given = lab.verdict("no_backend"), lab.totals()["forwarded"]
        assert is_answered(sock) is None
        wait_for(lambda: lab.verdict("no_backend") > before, what="the verdict")
        assert lab.totals()["forwarded"] == given
        lab.exec("b1", "ip", "addr", "add", "192.0.2.99/24", "dev", "eth0")
        try:
            wait_for(lambda: is_answered(sock), 1 + SOON, "an answer")
        finally:
            lab.exec("b1", "ip", "addr", "del", "192.0.2.99/24", "dev", "eth0")
            config.write_text(lab.config)
            lab.ctl("config", "apply", config, "--no-save")
