# SPDX-License-Identifier: BSD-3-Clause
"""Single packets into berth's interface and out of it: their bytes, and the one verdict each gets."""
import contextlib
import json
import socket
import time

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from lab import CLIENT4, CLIENT6, SERVICE4, SERVICE6, SERVICES, wait_for

ETH_P_ALL = 3
PACKET_OUTGOING = 4
BERTH4, BERTH6 = "192.0.2.2", "2001:db8:2::2"


def mac(lab, host):
    return json.loads(lab.exec(host, "ip", "-j", "link", "show", "eth0").stdout)[0]["address"]


@pytest.fixture(scope="module")
def cable(lab):
    """The router's end of berth's cable: what is sent there, berth receives, and the other way round."""
    return Cable(lab)


class Cable:
    def __init__(self, lab):
        self.lab = lab
        self.link = Ether(dst=mac(lab, "berth"), src="02:00:00:00:00:01")

    @contextlib.contextmanager
    def socket(self):
        with self.lab.inside("router"):
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        with sock:
            sock.bind(("berth", ETH_P_ALL))
            yield sock

    def send(self, packet, count=1):
        with self.socket() as sock:
            for _ in range(count):
                sock.send(bytes(self.link / packet))

    def through(self, packet, is_it):
        """The frame that berth sends for this packet, chosen by is_it(frame)."""
        with self.socket() as sock:
            sock.send(bytes(self.link / packet))
            sock.settimeout(0.2)
            end = time.monotonic() + 3
            while time.monotonic() < end:
                with contextlib.suppress(socket.timeout):
                    frame, (_, _, kind, *_) = sock.recvfrom(4096)
                    if kind != PACKET_OUTGOING and is_it(frame):
                        return frame
        raise AssertionError("berth sent nothing of the kind")


def question(service, sport, size=32):
    address, _, port = SERVICES[service][:3]
    payload = Raw(bytes(i % 256 for i in range(size)))
    if ":" in address:
        return IPv6(src=CLIENT6, dst=address, fl=77, tc=0xb8) / UDP(sport=sport, dport=port) / payload
    return IP(src=CLIENT4, dst=address, id=99, tos=0xb8) / UDP(sport=sport, dport=port) / payload


@pytest.mark.parametrize("service", ["dns", "dns6"])
def test_l2_changes_the_link_addresses_and_nothing_else(lab, cable, service):
    packet = question(service, 4001)
    frame = cable.through(packet, lambda f: f[14:] == bytes(packet))
    sent = Ether(frame)
    assert sent.src == mac(lab, "berth")
    assert sent.dst in {mac(lab, host) for host in ("b1", "b2", "b3")}
    assert sent.type == (0x86dd if "6" in service else 0x0800)


@pytest.mark.parametrize("service", ["dnstunnel", "dnstunnel6"])
def test_ipip_puts_a_right_outer_header_in_front_and_changes_nothing_else(lab, cable, service):
    packet = question(service, 4002)
    frame = cable.through(packet, lambda f: f.endswith(bytes(packet)) and len(f) > 14 + len(packet))
    sent = Ether(frame)
    backends = {b["address"] for b in lab.show("backends", service)["backends"]}
    if "6" in service:
        outer = sent[IPv6]
        assert (outer.src, outer.hlim, outer.nh, outer.plen) == (BERTH6, 64, 41, len(packet))
        assert outer.tc == 0xb8
        assert len(frame) == 14 + 40 + len(packet)
    else:
        outer = sent[IP]
        assert (outer.src, outer.ttl, outer.proto, outer.len) == (BERTH4, 64, 4, 20 + len(packet))
        assert (outer.tos, outer.flags) == (0xb8, "DF")
        assert bytes(outer)[:20] == bytes(without_checksum(outer))[:20]
        assert len(frame) == 14 + 20 + len(packet)
    assert outer.dst in backends


def without_checksum(outer):
    """The header anew, for scapy to compute its checksum."""
    again = outer.copy()
    del again.chksum
    return again


DROPPED = {
    "an IPv4 header shorter than one can be": (IP(dst=SERVICE4, ihl=4) / UDP(dport=5300), "bad_ip4"),
    "an IPv4 header longer than its frame": (IP(dst=SERVICE4, ihl=15) / Raw(b"x" * 8), "bad_ip4"),
    "IPv4 longer than its frame": (IP(dst=SERVICE4, len=200) / UDP(dport=5300), "bad_ip4"),
    "IPv4 shorter than its header": (IP(dst=SERVICE4, len=19) / UDP(dport=5300), "bad_ip4"),
    "IPv6 longer than its frame": (IPv6(dst=SERVICE6, plen=200) / UDP(dport=5300), "bad_ip6"),
    "an IPv6 extension header past the end": (
        IPv6(dst=SERVICE6, nh=0) / Raw(b"\x11\x09" + bytes(6)), "bad_ip6"),
    "half a TCP header": (IP(dst=SERVICE4, proto=6) / Raw(bytes(TCP(sport=9, dport=80))[:10]), "bad_tcp"),
    "a TCP data offset under 5": (IP(dst=SERVICE4) / TCP(dport=80, dataofs=4), "bad_tcp"),
    "a TCP data offset past the end": (IP(dst=SERVICE4) / TCP(dport=80, dataofs=15), "bad_tcp"),
    "half a UDP header": (IP(dst=SERVICE4, proto=17) / Raw(bytes(4)), "bad_udp"),
    "a UDP length past the end": (IP(dst=SERVICE4) / UDP(dport=5300, len=99), "bad_udp"),
    "the first fragment": (IP(dst=SERVICE4, flags="MF") / UDP(dport=5300) / Raw(bytes(24)), "fragment"),
    "a later fragment": (IP(dst=SERVICE4, frag=4, proto=17) / Raw(bytes(24)), "fragment"),
    "an IPv6 fragment": (
        IPv6(dst=SERVICE6) / IPv6ExtHdrFragment(nh=17, offset=4, id=1) / Raw(bytes(24)), "fragment"),
    "a SYN to a service without backends": (IP(src=CLIENT4, dst=SERVICE4) / TCP(dport=81, flags="S"), "no_backend"),
    "a packet too big once encapsulated": (question("dnstunnel", 4004, 1590 - 28), "too_big"),
    "an IPv6 packet too big once encapsulated": (question("dnstunnel6", 4004, 1580 - 48), "too_big"),
}


@pytest.mark.parametrize("what", DROPPED)
def test_a_packet_is_dropped_with_the_verdict_that_says_why(lab, cable, what):
    packet, verdict = DROPPED[what]
    before, dropped = lab.verdict(verdict), lab.totals()["dropped"]
    cable.send(packet, 3)
    wait_for(lambda: lab.verdict(verdict) >= before + 3, what=verdict)
    assert lab.verdict(verdict) == before + 3
    assert lab.totals()["dropped"] == dropped + 3


FORWARDED = {
    "a SYN": (IP(src=CLIENT4, dst=SERVICE4) / TCP(sport=4010, dport=80, flags="S"), ("selected", "session")),
    "a SYN behind IPv4 options": (
        IP(src=CLIENT4, dst=SERVICE4, options=[b"\x94\x04\x00\x00"]) / TCP(sport=4011, dport=80, flags="S"),
        ("selected", "session")),
    "a datagram behind an IPv6 extension header": (
        IPv6(src=CLIENT6, dst=SERVICE6) / IPv6ExtHdrHopByHop() / UDP(sport=4012, dport=5300), ("selected",)),
    "a RST of no known flow": (
        IP(src=CLIENT4, dst=SERVICE4) / TCP(sport=4013, dport=8081, flags="R"), ("untracked",)),
}


@pytest.mark.parametrize("what", FORWARDED)
def test_a_packet_is_forwarded_with_the_verdict_that_says_how(lab, cable, what):
    packet, verdicts = FORWARDED[what]

    def count():
        return sum(lab.verdict(verdict) for verdict in verdicts)

    before, forwarded = count(), lab.totals()["forwarded"]
    cable.send(packet)
    wait_for(lambda: count() > before, what=" or ".join(verdicts))
    assert lab.totals()["forwarded"] >= forwarded + 1


PASSED = {
    "a frame of an unknown kind": (Raw(bytes(46)), "not_ip"),
    "a ping": (IP(src=CLIENT4, dst=SERVICE4) / ICMP(), "not_transport"),
    "a port that no service has": (IP(src=CLIENT4, dst=SERVICE4) / UDP(dport=9), "no_service"),
    "berth's own address": (IPv6(src=CLIENT6, dst=BERTH6) / UDP(dport=9), "no_service"),
}


@pytest.mark.parametrize("what", PASSED)
def test_what_is_for_no_service_is_passed_with_its_verdict(lab, cable, what):
    # Other packets are passed meanwhile, of the health checks for one; so many are not.
    packet, verdict = PASSED[what]
    before = lab.verdict(verdict)
    cable.send(packet, 200)
    wait_for(lambda: lab.verdict(verdict) >= before + 200, what=verdict)


def test_a_reset_of_no_known_flow_leaves_nothing_behind(lab, cable):
    added = lab.show("stats")["events"]["flow_added"]
    untracked = lab.verdict("untracked")
    cable.send(IP(src=CLIENT4, dst=SERVICE4) / TCP(sport=4020, dport=8081, flags="R"), 5)
    wait_for(lambda: lab.verdict("untracked") >= untracked + 5, what="untracked")
    assert lab.show("stats")["events"]["flow_added"] == added
