# SPDX-License-Identifier: BSD-3-Clause
"""Path MTU discovery by real kernels, with small links before and behind berth."""
import contextlib
import errno
import json
import os
import re
import socket
import threading
import time

import pytest

import lab as labs
from conftest import lab_up
from lab import CLIENT4, OTHER4, OTHER6, SERVICES, TCP, UDP, ask, request, sha256, wait_for
from wire import Cable, datagram_to

MEGABYTES_10 = 10 * 1000 * 1000
LINK, SMALL = 1500, 1280
HEADERS = {"l2": (0, 0), "nat": (0, 0), "ipip": (20, 40), "gue": (28, 48)}


@pytest.fixture(scope="module", params=["xdp", "dpdk"])
def lab(request):
    """The link to the backends has no room for an outer header; the link to client2 is smaller."""
    lab = lab_up(f"e2emtu{request.param}", request.param, lan_mtu=LINK,
                 config=labs.config_yaml(request.param, services=labs.SERVICES))
    lab.exec("router", "ip", "route", "add", OTHER4, "dev", "ext", "mtu", SMALL)
    lab.exec("router", "ip", "-6", "route", "add", OTHER6, "dev", "ext", "mtu", SMALL)
    data = os.urandom(MEGABYTES_10)
    for backend in ("b1", "b2", "b3"):
        (lab.state / backend / "files/large").write_bytes(data)
    yield lab
    lab.down()


@pytest.fixture(autouse=True)
def nothing_learnt(lab):
    for host in ("client", "client2", "b1", "b2", "b3"):
        for family in ("-4", "-6"):
            lab.exec(host, "ip", family, "route", "flush", "cache", "table", "all")


def room(service):
    """The largest packet for the link to the service's backends."""
    return LINK - HEADERS[service.mode][":" in service.lan]


def path_mtu(lab, host, to, source=None):
    shown = lab.exec(host, "ip", "route", "get", to, *(("from", source) if source else ())).stdout
    return int(re.search(r"mtu (\d+)", shown)[1]) if "mtu" in shown else LINK


def path_mtus(lab, service, client):
    """{backend: path MTU to the client in its kernel}"""
    service = SERVICES[service]
    return {f"b{i}": path_mtu(lab, f"b{i}", client, service.backend(i) if service.mode == "nat" else service.target[0])
            for i in (1, 2, 3)}


def client2_for(service):
    return OTHER6 if SERVICES[service].is6 else OTHER4


@pytest.mark.parametrize("service", TCP)
def test_a_large_download_discovers_the_small_mtu_before_the_client(lab, service):
    client = client2_for(service)
    before = lab.verdict("icmp_error")
    with contextlib.closing(lab.connect(service, client, timeout=30)) as sock:
        status, backend, data = request(sock, path="/files/large")
    assert status == 200
    assert sha256(data) == sha256((lab.state / backend / "files/large").read_bytes())
    assert lab.verdict("icmp_error") > before
    assert path_mtus(lab, service, client) == {b: SMALL if b == backend else LINK for b in ("b1", "b2", "b3")}


@pytest.mark.parametrize("service", TCP)
def test_a_large_upload_discovers_the_mtu_behind_berth(lab, service):
    data = os.urandom(MEGABYTES_10)
    before, untold = lab.verdict("answered_too_big"), lab.verdict("too_big")
    with contextlib.closing(lab.connect(service, timeout=30)) as sock:
        status, backend, _ = request(sock, "PUT", f"/files/{service}", data)
    assert status in (201, 204)
    assert sha256((lab.state / backend / "files" / service).read_bytes()) == sha256(data)
    fits = room(SERVICES[service])
    assert path_mtu(lab, "client", SERVICES[service].target[0]) == fits
    assert (lab.verdict("answered_too_big") > before) == (fits < LINK)
    # A burst of one client can exceed its budget of errors; one error is enough.
    assert fits < LINK or lab.verdict("too_big") == untold


@pytest.mark.parametrize("service", UDP)
def test_a_backend_gets_an_error_for_an_answer_that_is_too_big_and_the_next_one_arrives(lab, service):
    client = client2_for(service)
    payload = os.urandom(1400)
    before = lab.verdict("icmp_error")
    with contextlib.closing(lab.udp(service, client)) as sock:
        sock.send(payload)
        wait_for(lambda: lab.verdict("icmp_error") > before, what="the router's error")
        backend, echo = ask(sock, payload)
    assert echo == payload
    assert path_mtus(lab, service, client) == {b: SMALL if b == backend else LINK for b in ("b1", "b2", "b3")}


@contextlib.contextmanager
def backends_behind_a_router(lab, is6, mtu):
    """berth reaches the backends over the router, whose link to them is smaller than berth's own."""
    family = ["-6"] if is6 else []
    addresses = [f"{labs.LAN6 if is6 else labs.LAN4}{10 + number}" for number in (1, 2, 3)]
    lab.exec("router", "sysctl", "-qw", "net.ipv4.conf.all.send_redirects=0", "net.ipv4.conf.lan.send_redirects=0")
    lab.exec("berth", "sysctl", "-qw", "net.ipv6.conf.eth0.accept_redirects=0")
    gateway = f"{labs.LAN6 if is6 else labs.LAN4}1"
    for address in addresses:
        lab.exec("router", "ip", *family, "route", "add", address, "dev", "lan", "mtu", mtu)
        lab.exec("berth", "ip", *family, "route", "add", address, "via", gateway)
    try:
        yield
    finally:
        for address in addresses:
            lab.exec("berth", "ip", *family, "route", "del", address)
            lab.exec("router", "ip", *family, "route", "del", address)


@pytest.mark.parametrize("service", ["tunnel", "mixed", "gue6"])
def test_a_large_upload_discovers_the_mtu_of_a_link_beyond_the_next_hop(lab, service):
    outer6 = ":" in SERVICES[service].lan
    small = 1400
    data = os.urandom(MEGABYTES_10)
    with backends_behind_a_router(lab, outer6, small):
        wait_for(lambda: all(b["next_hop"] for b in lab.show("backends", service)["backends"]), what="next hops")
        router = json.loads(lab.exec("router", "ip", "-j", "link", "show", "lan").stdout)[0]["address"]
        wait_for(lambda: all(b["next_hop"]["mac"] == router for b in lab.show("backends", service)["backends"]),
                 what="the route over the router")
        with contextlib.closing(lab.connect(service, timeout=30)) as sock:
            status, backend, _ = request(sock, "PUT", f"/files/{service}", data)
        assert status in (201, 204)
        assert sha256((lab.state / backend / "files" / service).read_bytes()) == sha256(data)
        shown = lab.backend(service, backend)
        assert (shown["path_mtu"], shown["next_hop"]["mtu"], "small-mtu" in shown["state"]) == (small, LINK, True)
        overhead = HEADERS[SERVICES[service].mode][outer6]
        assert path_mtu(lab, "client", SERVICES[service].target[0]) == small - overhead
        assert f"{service}/{backend}: path MTU {small}" in lab.log()
    # Over another next hop nothing is known of the path.
    wait_for(lambda: lab.backend(service, backend)["path_mtu"] == LINK, what="the former path MTU")


@pytest.mark.parametrize("fragments", [1, 3])
@pytest.mark.parametrize("service", ["dnstunnel", "dnstunnel6", "dnsgue", "dnsgue6"])
def test_a_client_gets_an_error_for_a_request_that_is_too_big_and_the_next_one_arrives(lab, service, fragments):
    payload = os.urandom(fragments * (LINK - (40 if SERVICES[service].is6 else 20)) - 8)
    before = lab.verdict("answered_too_big")
    with contextlib.closing(lab.udp(service)) as sock:
        sock.send(payload)
        wait_for(lambda: lab.verdict("answered_too_big") > before, what="berth's answer")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.EMSGSIZE
        assert ask(sock, payload)[1] == payload
    assert path_mtu(lab, "client", SERVICES[service].target[0]) == room(SERVICES[service])


@contextlib.contextmanager
def flooding(cable, *packets):
    """Sends the packets, again and again."""
    stop = threading.Event()

    def flood():
        while not stop.is_set():
            cable.send(*packets, count=50)

    thread = threading.Thread(target=flood)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("service, flooded, flooder", [("tunnel", "dnstunnel", CLIENT4),
                                                       ("gue6", "dnsgue6", "2001:db8:7::1")])
def test_a_flood_of_expiring_and_of_large_packets_does_not_slow_another_clients_upload(lab, service, flooded, flooder):
    """Both kinds of errors have a budget for each client; in IPv6 a client is a /64."""
    data = os.urandom(3 * 1000 * 1000)
    before = lab.verdict("ttl_expired"), lab.verdict("too_big")
    large = os.urandom(LINK - (40 if SERVICES[service].is6 else 20) - 8)
    unfragmented = {} if SERVICES[service].is6 else {"flags": "DF"}
    with flooding(Cable(lab), datagram_to(flooded, 4000, b"flood", flooder, ttl=1),
                  datagram_to(flooded, 4000, large, flooder, **unfragmented)):
        wait_for(lambda: lab.verdict("ttl_expired") > before[0] + 100 and lab.verdict("too_big") > before[1] + 100,
                 what="spent budgets")
        begun = time.monotonic()
        with contextlib.closing(lab.connect(service, client2_for(service), timeout=30)) as sock:
            assert request(sock, "PUT", "/files/flooded", data)[0] in (201, 204)
        taken = time.monotonic() - begun
    assert taken < 4
