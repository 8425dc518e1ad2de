# SPDX-License-Identifier: BSD-3-Clause
"""Offloads of the network interfaces around berth, on and off. scripts/lab describes veth at settle_cable."""
import contextlib
import os
import socket

import pytest

import lab as labs
from conftest import lab_up
from lab import SERVICES, ask, request, sha256, wait_for

MEGABYTES_10 = 10 * 1000 * 1000
USED = ["web", "tunnel6", "gue", "nat", "nat6", "dns6", "dnsgue", "dnsnat"]
TCP = [name for name in USED if SERVICES[name].protocol == "tcp"]
UDP = [name for name in USED if SERVICES[name].protocol == "udp"]
HOSTS = ("client", "client2", "b1", "b2", "b3")
# Every cable except berth's, whose ends have settings of their own.
INTERFACES = [(host, "eth0") for host in HOSTS] + [("router", host) for host in HOSTS]
UDP_SEGMENT = 103


@pytest.fixture(scope="module", params=["xdp", "generic", "dpdk"])
def lab(request):
    """generic: XDP behind the driver, on packets in kernel buffers."""
    config = labs.config_yaml("dpdk" if request.param == "dpdk" else "xdp", services=USED)
    if request.param == "generic":
        config = config.replace("  - name: eth0\n", "  - {name: eth0, xdp: generic}\n")
    lab = lab_up(f"e2eoff{request.param}", "dpdk" if request.param == "dpdk" else "xdp", config=config)
    lab.is_generic = request.param == "generic"
    yield lab
    lab.down()


def set_offloads(lab, host, interface, **features):
    words = [word for name, value in features.items() for word in (name.replace("_", "-"), value)]
    lab.exec(host, "ethtool", "-K", interface, *words)


@pytest.fixture(scope="module", params=["on", "off"])
def offloads(lab, request):
    """Segmentation, merging, and checksum offload; berth's own interface only merges."""
    for host, interface in INTERFACES:
        set_offloads(lab, host, interface, tx=request.param, gso=request.param, gro=request.param)
        # A device with an XDP program behind it has no TSO, which ethtool calls an error.
        lab.exec(host, "ethtool", "-K", interface, "tso", request.param, check=False)
    set_offloads(lab, "berth", "eth0", gro=request.param)
    set_offloads(lab, "router", "berth", gro=request.param)


def merging_finding(lab):
    findings = lab.result("doctor", check=False)["checks"]
    return next((finding for finding in findings if "longer than its MTU" in finding["finding"]), None)


@pytest.mark.parametrize("service", TCP)
def test_ten_megabytes_go_up_and_down_unchanged(lab, offloads, service):
    data = os.urandom(MEGABYTES_10)
    with contextlib.closing(lab.connect(service, timeout=30)) as sock:
        status, backend, _ = request(sock, "PUT", f"/files/{service}", data)
        assert status in (201, 204)
        assert sha256((lab.state / backend / "files" / service).read_bytes()) == sha256(data)
        status, _, returned = request(sock, path=f"/files/{service}")
    assert sha256(returned) == sha256(data)


@pytest.mark.parametrize("service", UDP)
def test_datagrams_that_leave_as_one_packet_arrive_one_by_one(lab, offloads, service):
    """UDP segmentation: the client's kernel sends 20 datagrams as one packet."""
    with contextlib.closing(lab.udp(service)) as sock:
        backend = ask(sock)[0]
        datagrams = [bytes([i]) * 1000 for i in range(20)]
        sock.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 1000)
        sock.send(b"".join(datagrams))
        answers = [sock.recv(2000) for _ in datagrams]
    assert sorted(answers) == [backend.encode() + b" " + datagram for datagram in datagrams]


@pytest.mark.parametrize("service", UDP)
def test_a_datagram_in_fragments_arrives_whole(lab, offloads, service):
    with contextlib.closing(lab.udp(service)) as sock:
        payload = os.urandom(8000)
        assert ask(sock, payload)[1] == payload


def test_no_host_dropped_a_packet_for_its_checksum(lab, offloads):
    assert {host: lab.checksum_errors(host) for host in HOSTS} == dict.fromkeys(HOSTS, 0)


def test_a_checksum_left_to_the_device_by_another_host_on_the_machine_is_lost_or_reported(lab):
    """What is not supported: a peer on the same machine that does not finish its packets. XDP in the driver and AF_XDP
    see frames without the note that their checksum is yet to be computed, which only the receiver can notice; XDP
    behind the driver keeps the note, but of many packets in one says that they are too big."""
    errors = {host: lab.checksum_errors(host) for host in HOSTS}
    before = lab.verdict("answered_too_big")
    set_offloads(lab, "router", "berth", tx="on")
    lab.exec("router", "ethtool", "-K", "berth", "tso", "on", check=False)
    try:
        with contextlib.closing(lab.udp("dns6")) as sock:
            sock.settimeout(0.5)
            if lab.is_generic:
                assert ask(sock)[1] == b"hello"
            else:
                with pytest.raises(socket.timeout):
                    ask(sock)
                assert {host: lab.checksum_errors(host) for host in HOSTS} != errors
        if lab.is_generic:
            with contextlib.closing(lab.connect("web", timeout=0.5)) as sock, pytest.raises(socket.timeout):
                request(sock, "PUT", "/files/lost", bytes(1_000_000))
            assert lab.verdict("answered_too_big") > before
            finding = wait_for(lambda: merging_finding(lab), what="the doctor to say why the upload stalls")
            assert finding["level"] == "problem" and "ethtool -K PEER tso off" in finding["finding"], finding
            assert lab.show("engine")["ports"][0]["merged_packets"] > 0
    finally:
        lab.exec("router", "ethtool", "-K", "berth", "tso", "off", check=False)
        set_offloads(lab, "router", "berth", tx="off")
        wait_for(lambda: lab.all_up(services=USED), what="all backends to be up")
