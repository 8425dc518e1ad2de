# SPDX-License-Identifier: BSD-3-Clause
"""Single packets into berth's interface and out of it: their bytes and their one verdict."""
import time

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (ICMPv6PacketTooBig, ICMPv6TimeExceeded, IPv6, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop,
                                 IPv6ExtHdrRouting)
from scapy.layers.l2 import Dot1AD, Dot1Q, Ether
from scapy.packet import Raw

from lab import CLIENT4, CLIENT6, NAT4, SERVICE4, SERVICE6, SERVICES, wait_for
from wire import BERTH4, BERTH6, datagram_to, hop_further, ip_of, mac

TAGS = {
    "untagged": None,
    "tagged": Dot1Q(vlan=42, prio=3),
    "twice tagged": Dot1AD(vlan=7) / Dot1Q(vlan=42),
}
OUTER = {4: 20, 6: 40}
GUE = 8


@pytest.fixture
def lab(full_lab):
    return full_lab


def question(service, sport, size=32, **more):
    more = {"ttl": 64, "tos": 0xb9, **({"fl": 77} if SERVICES[service].is6 else {"id": 99}), **more}
    return datagram_to(service, sport, bytes(i % 256 for i in range(size)), **more)


def behind(tags, packet):
    return tags / packet if tags else packet


@pytest.mark.parametrize("tags", TAGS)
@pytest.mark.parametrize("service", ["dns", "dns6"])
def test_l2_changes_the_link_addresses_and_the_ttl_and_nothing_else(lab, cable, service, tags):
    packet = question(service, 4001)
    frame = cable.through(behind(TAGS[tags], packet), lambda f: f.endswith(hop_further(packet)))
    link = bytes(cable.link / behind(TAGS[tags], packet))[12:-len(packet)]
    assert frame[12:] == link + hop_further(packet)
    sent = Ether(frame)
    assert sent.src == mac(lab, "berth")
    assert sent.dst in {mac(lab, host) for host in ("b1", "b2", "b3")}


def is_right(header):
    """True if scapy computes the same checksum."""
    again = header.copy()
    del again.chksum
    return bytes(header)[:20] == bytes(again)[:20]


@pytest.mark.parametrize("tags", TAGS)
@pytest.mark.parametrize("service", ["dnstunnel", "dnstunnel6", "dnsgue", "dnsgue6"])
def test_a_tunnel_adds_correct_headers_and_changes_the_ttl_and_nothing_else(lab, cable, service, tags):
    packet = question(service, 4002)
    carried = hop_further(packet)
    frame = cable.through(behind(TAGS[tags], packet), lambda f: f.endswith(carried) and len(f) > 26 + len(packet))
    sent = Ether(frame)
    link = len(TAGS[tags] or b"") + 14
    assert frame[12:link] == bytes(cable.link / behind(TAGS[tags], packet))[12:link]
    outer = ip_of(sent)
    version, gue = outer.version, SERVICES[service].mode == "gue"
    assert len(frame) == link + OUTER[version] + gue * GUE + len(packet)
    if version == 6:
        assert (outer.hlim, outer.nh, outer.plen, outer.tc) == (64, 17 if gue else 41, gue * GUE + len(packet), 0xb9)
    else:
        assert (outer.ttl, outer.proto, outer.len) == (64, 17 if gue else 4, 20 + gue * GUE + len(packet))
        assert (outer.tos, outer.flags, outer.id) == (0xb9, "DF", 0)
        assert is_right(outer)
    if gue:
        udp = UDP(frame[link + OUTER[version]:])
        assert (udp.dport, udp.len, udp.chksum) == (6080, GUE + len(packet), 0)
        assert udp.sport >= 49152
    assert outer.dst in SERVICES[service].backends


@pytest.mark.parametrize("tags", TAGS)
@pytest.mark.parametrize("service", ["dnsnat", "dnsnat6"])
def test_nat_changes_the_destination_and_the_ttl_and_nothing_else(lab, cable, service, tags):
    packet = question(service, 4003)
    frame = cable.through(behind(TAGS[tags], packet), lambda f: f.endswith(bytes(packet)[-32:]))
    ip = ip_of(Ether(frame))
    assert ip.dst in SERVICES[service].backends and ip[UDP].dport == 5300
    expected = packet.copy()
    ip_of(expected).dst = ip.dst
    expected[UDP].dport = 5300
    # hop_further() lets scapy compute the checksums again, also of UDP.
    assert bytes(ip) == hop_further(expected)


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
    "a fragment of no multiple of 8 bytes": (
        IP(dst=SERVICE4, flags="MF", proto=17) / Raw(bytes(UDP(dport=5300)) + bytes(7)), "bad_ip4"),
    "a fragment that ends past 65,535 bytes": (IP(dst=SERVICE4, frag=8191, proto=17) / Raw(bytes(24)), "bad_ip4"),
    "a fragment without its first": (IP(dst=SERVICE4, frag=4, proto=17, id=77) / Raw(bytes(24)), "fragment_unknown"),
    "an IPv6 fragment without its first": (
        IPv6(dst=SERVICE6) / IPv6ExtHdrFragment(nh=17, offset=4, id=1) / Raw(bytes(24)), "fragment_unknown"),
    "a SYN from a loopback address": (IP(src="127.0.0.9", dst=SERVICE4) / TCP(dport=80, flags="S"), "bad_source"),
    "a question from the service itself": (IP(src=SERVICE4, dst=SERVICE4) / UDP(dport=5300), "bad_source"),
    "an IPv6 SYN from a group": (IPv6(src="ff02::1", dst=SERVICE6) / TCP(dport=80, flags="S"), "bad_source"),
    "an ICMP error about a packet that another sent": (
        IP(src=CLIENT4, dst=SERVICE4) / ICMP(type=3, code=1) / IP(src=BERTH4, dst=CLIENT4) / UDP(sport=5300),
        "bad_icmp"),
    "an ICMP error about too little": (
        IP(src=CLIENT4, dst=SERVICE4) / ICMP(type=3, code=1) /
        Raw(bytes(IP(src=SERVICE4, dst=CLIENT4, proto=17)) + bytes(7)),
        "bad_icmp"),
    "an ICMP error that has made its last hop": (
        IP(src=CLIENT4, dst=SERVICE4, ttl=1) / ICMP(type=3, code=1) / IP(src=SERVICE4, dst=CLIENT4) / UDP(sport=5300),
        "ttl_expired"),
    "a last hop from an address that no host has": (
        IP(src="0.0.0.0", dst=SERVICE4, ttl=1) / TCP(dport=80, flags="S"), "ttl_expired"),
    "a SYN to a service without backends": (IP(src=CLIENT4, dst=SERVICE4) / TCP(dport=81, flags="S"), "no_backend"),
}


@pytest.mark.parametrize("what", DROPPED)
def test_a_dropped_packet_is_counted_by_its_verdict(lab, cable, what):
    packet, verdict = DROPPED[what]
    before, dropped = lab.verdict(verdict), lab.totals()["dropped"]
    cable.send(packet, count=3)
    wait_for(lambda: lab.verdict(verdict) >= before + 3, what=verdict)
    assert lab.verdict(verdict) == before + 3
    assert lab.totals()["dropped"] == dropped + 3


NOT_ROUTED = {
    # a link destination (None: berth's), a packet, its verdict
    "a frame to another host": ("02:00:00:00:00:99", question("dns", 4005), "not_own_link"),
    "a frame to all with a unicast destination": ("ff:ff:ff:ff:ff:ff", question("dns", 4005), "not_own_link"),
    "a frame to a group with a unicast destination": ("33:33:00:00:00:01", question("dns6", 4005), "not_own_link"),
    "a link-local client": (None, question("dns", 4005, source="169.254.7.7"), "link_local"),
    "a link-local IPv6 client": (None, question("dns6", 4005, source="fe80::7"), "link_local"),
    "a routing header with a segment left": (
        None, IPv6(src=CLIENT6, dst=SERVICE6) / IPv6ExtHdrRouting(segleft=1, addresses=["2001:db8::9"]) /
        UDP(sport=4005, dport=5300), "routing_header"),
}


@pytest.mark.parametrize("what", NOT_ROUTED)
def test_a_packet_that_no_router_forwards_is_passed_and_counted(lab, cable, what):
    to, packet, verdict = NOT_ROUTED[what]
    before, forwarded = lab.verdict(verdict), lab.totals()["forwarded"]
    with cable.ear() as ear:
        for _ in range(3):
            ear.sock.send(bytes(Ether(dst=to or cable.link.dst, src=cable.link.src) / packet))
    wait_for(lambda: lab.verdict(verdict) >= before + 3, what=verdict)
    assert lab.totals()["forwarded"] == forwarded


def test_a_frame_to_a_macvlan_of_the_port_is_forwarded(lab, cable):
    """keepalived's use_vmac."""
    mac_of_vrrp = "00:00:5e:00:01:33"
    lab.exec("berth", "ip", "link", "add", "vrrp", "address", mac_of_vrrp, "link", "eth0", "type", "macvlan")
    packet = question("dns", 4006)
    try:
        lab.exec("berth", "ip", "link", "set", "vrrp", "up")
        with cable.ear() as ear:
            def is_forwarded():
                ear.sock.send(bytes(Ether(dst=mac_of_vrrp, src=cable.link.src) / packet))
                return any(frame.endswith(hop_further(packet)) for frame in ear.frames(0.1))
            wait_for(is_forwarded, what="a forwarded packet")
    finally:
        lab.exec("berth", "ip", "link", "del", "vrrp")


ROOM = 1600  # the MTU of the link to the backends
ANSWERED = {
    # a packet; its verdict, and the MTU that the answer tells (0: none)
    "a last hop": (question("dns", 4004, ttl=1), "answered_ttl_expired", 0),
    "no hop at all": (question("dns", 4004, ttl=0), "answered_ttl_expired", 0),
    "a last hop in IPv6": (question("dnsgue6", 4004, ttl=1), "answered_ttl_expired", 0),
    "a last hop to mode nat": (question("dnsnat", 4004, ttl=1), "answered_ttl_expired", 0),
    "a packet too big with an outer header": (question("dnstunnel", 4004, 1590 - 28), "answered_too_big", ROOM - 20),
    "one that forbids fragmentation": (
        question("dnstunnel", 4004, 1590 - 28, flags="DF"), "answered_too_big", ROOM - 20),
    "a packet too big with two": (question("dnsgue", 4004, 1590 - 28), "answered_too_big", ROOM - 28),
    "an IPv6 packet too big with an outer header": (
        question("dnstunnel6", 4004, 1580 - 48), "answered_too_big", ROOM - 40),
    "an IPv6 packet too big with two": (question("dnsgue6", 4004, 1580 - 48), "answered_too_big", ROOM - 48),
}


@pytest.mark.parametrize("tags", TAGS)
@pytest.mark.parametrize("what", ANSWERED)
def test_a_packet_is_answered_with_an_icmp_error_to_its_sender(lab, cable, what, tags):
    packet, verdict, mtu = ANSWERED[what]
    before, answered = lab.verdict(verdict), lab.totals()["answered"]
    is6 = IPv6 in packet

    def is_icmp(frame):
        ip = Ether(frame).getlayer(IPv6 if is6 else IP)
        return ip is not None and ip.dst == packet.src and (ip.nh == 58 if is6 else ip.proto == 1)

    frame = cable.through(behind(TAGS[tags], packet), is_icmp)
    sent = Ether(frame)
    assert (sent.src, sent.dst) == (mac(lab, "berth"), cable.link.src)
    link = len(TAGS[tags] or b"") + 14
    assert frame[12:link] == bytes(cable.link / behind(TAGS[tags], packet))[12:link]
    answer = IPv6(frame[link:]) if is6 else IP(frame[link:])
    assert answer.src == packet.dst
    quoted = min(len(packet), (1280 if is6 else 576) - (48 if is6 else 28)) & ~3
    assert frame[link + (48 if is6 else 28):] == bytes(packet)[:quoted]
    if is6:
        icmp = answer[ICMPv6PacketTooBig if mtu else ICMPv6TimeExceeded]
        assert (answer.hlim, answer.tc, answer.plen) == (64, 0, 8 + quoted)
        assert (icmp.mtu == mtu) if mtu else (icmp.code == 0)
    else:
        assert (answer.ttl, answer.tos, answer.flags, answer.len) == (64, 0xc0, "DF", 28 + quoted)
        assert (answer[ICMP].type, answer[ICMP].code) == ((3, 4) if mtu else (11, 0))
        assert not mtu or answer[ICMP].nexthopmtu == mtu
        assert is_right(answer)
    assert lab.verdict(verdict) == before + 1
    assert lab.totals()["answered"] == answered + 1


FORWARDED = {
    "a SYN": (IP(src=CLIENT4, dst=SERVICE4) / TCP(sport=4010, dport=80, flags="S"), ("selected", "session")),
    "a SYN behind IPv4 options": (
        IP(src=CLIENT4, dst=SERVICE4, options=[b"\x94\x04\x00\x00"]) / TCP(sport=4011, dport=80, flags="S"),
        ("selected", "session")),
    "a datagram behind an IPv6 extension header": (
        IPv6(src=CLIENT6, dst=SERVICE6) / IPv6ExtHdrHopByHop() / UDP(sport=4012, dport=5300), ("selected",)),
    "the first fragment of a datagram": (
        IP(src=CLIENT4, dst=SERVICE4, flags="MF") / UDP(sport=4014, dport=5300, len=99) / Raw(bytes(24)),
        ("selected",)),
    "an atomic fragment": (
        IPv6(src=CLIENT6, dst=SERVICE6) / IPv6ExtHdrFragment(nh=17, id=9) / UDP(sport=4015, dport=5300), ("selected",)),
    "an ICMP error about an unknown flow": (
        IP(src="198.51.100.1", dst=SERVICE4) / ICMP(type=3, code=4, nexthopmtu=1280) /
        IP(src=SERVICE4, dst=CLIENT4) / UDP(sport=5300, dport=4016), ("icmp_error",)),
    "a RST of no known flow": (
        IP(src=CLIENT4, dst=SERVICE4) / TCP(sport=4013, dport=8081, flags="R"), ("untracked",)),
}


@pytest.mark.parametrize("what", FORWARDED)
def test_a_forwarded_packet_is_counted_by_its_verdict(lab, cable, what):
    packet, verdicts = FORWARDED[what]

    def count():
        return sum(lab.verdict(verdict) for verdict in verdicts)

    before, forwarded = count(), lab.totals()["forwarded"]
    cable.send(packet)
    wait_for(lambda: count() > before, what=" or ".join(verdicts))
    assert lab.totals()["forwarded"] >= forwarded + 1


PASSED = {
    "a frame of an unknown kind": (Raw(bytes(46)), "not_ip"),
    "a ping": (IP(src=CLIENT4, dst=SERVICE4) / ICMP(id=7), "not_tcp_udp"),
    "a ping to an address of mode nat": (IP(src=CLIENT4, dst=NAT4) / ICMP(id=7), "not_tcp_udp"),
    "a rotten packet for another": (IP(src=CLIENT4, dst=BERTH4) / UDP(dport=9, len=99), "no_service"),
    "a port that no service has": (IP(src=CLIENT4, dst=SERVICE4) / UDP(dport=9), "no_service"),
    "berth's own address": (IPv6(src=CLIENT6, dst=BERTH6) / UDP(dport=9), "no_service"),
}


@pytest.mark.parametrize("what", PASSED)
def test_a_packet_of_no_service_passes_and_is_counted_by_its_verdict(lab, cable, what):
    # Other packets are passed meanwhile, of the health checks for one; so many are not.
    packet, verdict = PASSED[what]
    before = lab.verdict(verdict)
    cable.send(packet, count=200)
    wait_for(lambda: lab.verdict(verdict) >= before + 200, what=verdict)


def test_a_reset_of_no_known_flow_inserts_nothing(lab, cable):
    added = lab.show("stats")["events"]["flow_added"]
    untracked = lab.verdict("untracked")
    cable.send(IP(src=CLIENT4, dst=SERVICE4) / TCP(sport=4020, dport=8081, flags="R"), count=5)
    wait_for(lambda: lab.verdict("untracked") >= untracked + 5, what="untracked")
    assert lab.show("stats")["events"]["flow_added"] == added


@pytest.mark.parametrize("service", ["dns", "dns6"])
def test_the_last_dropped_packets_of_a_service_are_shown_with_their_reason(lab, cable, service):
    """From an address that no host can have."""
    source = "ff02::9" if SERVICES[service].is6 else "127.0.0.9"

    def row():
        return next((drop for drop in lab.show("drops", "--service", service)["drops"] if drop["name"] == "bad_source"), None)

    before = (row() or {"count": 0})["count"]
    for port in range(4201, 4207):
        cable.send(datagram_to(service, port, b"hello", source=source))
    wait_for(lambda: row() and row()["count"] == before + 6, what="the drops")
    packets = [sample["packet"] for sample in row()["samples"]]
    # On XDP packets of several CPUs within 100 ms have one time, so any of them can be the last ones.
    assert len({packet["source_port"] for packet in packets} & set(range(4201, 4207))) == 4
    times = [sample["time_ns"] for sample in row()["samples"]]
    assert times == sorted(times, reverse=True)
    assert {packet["source"] for packet in packets} == {source}
    assert all(abs(sample["time_ns"] / 1e9 - time.time()) < 30 for sample in row()["samples"])
    text = lab.ctl("show", "drops", "--service", service).stdout
    assert "\nbad_source " in text and f":{packets[0]['source_port']} -> " in text and " bad_source: udp " in text
    assert "nothere" in lab.ctl("show", "drops", "--service", "nothere", check=False).stderr
