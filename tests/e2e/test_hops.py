# SPDX-License-Identifier: BSD-3-Clause
"""berth is a hop on the way: TTL, time exceeded, DSCP and ECN, in every mode and family."""
import contextlib
import errno
import socket
import struct

import pytest

from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from lab import CLIENT4, CLIENT6, OTHER4, OTHER6, SERVICES, UDP, ask, request, wait_for
from wire import Ear, datagram_to

ROUTER = {False: "198.51.100.1", True: "2001:db8:1::1"}
ROUTER_TTL, BERTH_TTL, BACKEND_TTL = 1, 2, 3  # what reaches no further than this host
CLASS = 0xb9  # expedited forwarding, ECT(1)


@pytest.fixture
def lab(full_lab):
    return full_lab


def set_ttl(sock, ttl):
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, ttl)
    else:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)


def set_class(sock, value):
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, value)
    else:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, value)


IP_RECVTTL, IP_RECVERR, IPV6_RECVERR, MSG_ERRQUEUE = 12, 11, 25, 0x2000


def told_by(sock):
    """The ICMP error that a socket received: (sender, type, code)."""
    def taken():
        with contextlib.suppress(BlockingIOError):
            return sock.recvmsg(1500, 512, MSG_ERRQUEUE | socket.MSG_DONTWAIT)

    _, ancillary, _, _ = wait_for(taken, what="an ICMP error")
    data = next(data for _, kind, data in ancillary if kind in (IP_RECVERR, IPV6_RECVERR))
    # struct sock_extended_err, and behind it the sender as a sockaddr.
    _, _, icmp_type, icmp_code = struct.unpack_from("IBBB", data)
    if sock.family == socket.AF_INET6:
        return socket.inet_ntop(socket.AF_INET6, data[16 + 8:16 + 24]), icmp_type, icmp_code
    return socket.inet_ntop(socket.AF_INET, data[16 + 4:16 + 8]), icmp_type, icmp_code


@contextlib.contextmanager
def udp_with_ttl(lab, service, ttl, source=None):
    """A socket of its own for each packet that expires: the kernel queues an error first, and notes it later for the
    next call, which fails with it."""
    option = (socket.IPPROTO_IPV6, IPV6_RECVERR) if SERVICES[service].is6 else (socket.IPPROTO_IP, IP_RECVERR)
    with contextlib.closing(lab.udp(service, source)) as sock:
        sock.setsockopt(*option, 1)
        set_ttl(sock, ttl)
        yield sock


def answer_to_ttl(lab, service, ttl, source=None):
    with udp_with_ttl(lab, service, ttl, source) as sock:
        sock.send(b"who is there?")
        return told_by(sock)


@pytest.mark.parametrize("service", UDP)
def test_a_trace_shows_the_router_then_the_service_then_its_backend(lab, service):
    is6 = SERVICES[service].is6
    exceeded = (3, 0) if is6 else (11, 0)
    assert answer_to_ttl(lab, service, ROUTER_TTL) == (ROUTER[is6], *exceeded)
    before = lab.verdict("answered_ttl_expired")
    assert answer_to_ttl(lab, service, BERTH_TTL) == (SERVICES[service].target[0], *exceeded)
    # berth-dpdk counts a burst after it has sent it.
    wait_for(lambda: lab.verdict("answered_ttl_expired") == before + 1, what="the verdict")
    with udp_with_ttl(lab, service, BACKEND_TTL) as sock:
        assert ask(sock)[0] in ("b1", "b2", "b3")


def is_left_alone(lab, cable, service, flooder, other):
    before = lab.verdict("ttl_expired")
    for _ in range(5):
        cable.send(datagram_to(service, 4000, b"flood", flooder, ttl=1), count=200)
        try:
            assert answer_to_ttl(lab, service, BERTH_TTL, other)[0] == SERVICES[service].target[0]
        except TimeoutError:
            return False
    # The flood itself was not answered any more.
    assert lab.verdict("ttl_expired") > before + 500
    return True


@pytest.mark.parametrize("service, flooders, other", [
    ("dns", (CLIENT4, "198.51.100.77"), OTHER4),
    ("dns6", ("2001:db8:7::1", "2001:db8:8::1"), OTHER6)])
def test_a_flood_of_expiring_packets_leaves_the_errors_of_another_client_alone(lab, cable, service, flooders, other):
    """In IPv6 a client is a /64. There are 512 budgets: by chance one flooder in 512 has that of the other client."""
    assert any(is_left_alone(lab, cable, service, flooder, other) for flooder in flooders)


@pytest.mark.parametrize("service", ["web", "web6", "tunnel", "gue6", "nat", "nat6"])
def test_a_connection_whose_syn_expires_at_berth_fails_soon(lab, service):
    # Over veth the answer may come while connect() has the socket still locked. The kernel then only notes it, and
    # gives up when the second SYN, a second later, is answered too.
    before = lab.verdict("answered_ttl_expired")
    with contextlib.closing(lab.socket(lab.source_for(service))) as sock:
        set_ttl(sock, BERTH_TTL)
        with pytest.raises(OSError) as caught:
            sock.connect(SERVICES[service].target)
    assert caught.value.errno == errno.EHOSTUNREACH
    assert before < lab.verdict("answered_ttl_expired") <= before + 2


def ip_of(frame):
    """(source, TTL, class) of a frame's IP header."""
    packet = Ether(frame)
    if IPv6 in packet:
        return packet[IPv6].src, packet[IPv6].hlim, packet[IPv6].tc
    if IP in packet:
        return packet[IP].src, packet[IP].ttl, packet[IP].tos
    return None, None, None


@pytest.mark.parametrize("service", UDP)
def test_a_backend_sees_the_ttl_of_two_hops_and_the_class_as_it_was_sent(lab, service):
    client = lab.source_for(service)
    with contextlib.closing(lab.udp(service)) as sock:
        backend = ask(sock)[0]
        set_ttl(sock, 20)
        set_class(sock, CLASS)
        with Ear(lab, backend) as ear:
            assert ask(sock)[0] == backend
            frame = ear.first(lambda frame: ip_of(frame)[0] == client)
    assert ip_of(frame) == (client, 18, CLASS)


@pytest.mark.parametrize("service", ["web", "tunnel6", "mixed", "gue6", "guemixed6", "nat", "nat6"])
def test_a_connection_has_the_ttl_of_two_hops_and_its_class(lab, service):
    # The kernel keeps the two lowest bits of TCP's class for its own ECN.
    client = lab.source_for(service)
    with contextlib.closing(lab.connect(service)) as sock:
        backend = request(sock)[1]
        set_ttl(sock, 20)
        set_class(sock, CLASS & ~3)
        with Ear(lab, backend) as ear:
            assert request(sock)[1] == backend
            frame = ear.first(lambda frame: ip_of(frame)[:2] == (client, 18))
    assert ip_of(frame) == (client, 18, CLASS & ~3)


@pytest.mark.parametrize("service", UDP)
def test_an_answer_passes_berth_in_mode_nat_and_bypasses_it_in_the_other_modes(lab, service):
    hops = 2 if SERVICES[service].mode == "nat" else 1
    is6 = SERVICES[service].is6
    option = (socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT) if is6 else (socket.IPPROTO_IP, IP_RECVTTL)
    with contextlib.closing(lab.udp(service)) as sock:
        sock.setsockopt(*option, 1)
        sock.send(b"hello")
        _, ancillary, _, _ = sock.recvmsg(1500, 256)
    assert struct.unpack("i", ancillary[0][2])[0] == 64 - hops


@pytest.mark.parametrize("client", [CLIENT4, CLIENT6])
def test_an_expired_ping_is_answered_by_the_kernel(lab, client):
    """berth's kernel answers a ping to a service address, so that its TTL only has to reach berth."""
    target = SERVICES["web6" if ":" in client else "web"].target[0]
    lab.exec("client", "ping", "-c", 1, "-W", 2, "-t", BERTH_TTL, "-I", client, target)
