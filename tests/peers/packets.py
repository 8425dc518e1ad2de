# SPDX-License-Identifier: BSD-3-Clause
"""The packets that each balancer gets, and the words for what it does with them."""
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP
from scapy.layers.inet6 import (ICMPv6EchoRequest, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrRouting)
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from machine import MAC

CLIENT, VIP, OWN, ROUTER = "198.51.100.10", "203.0.113.10", "192.0.2.2", "192.0.2.1"
CLIENT6, VIP6, OWN6, ROUTER6 = "2001:db8:1::10", "2001:db8:f::10", "2001:db8:2::2", "2001:db8:2::1"
BACKENDS = {f"b{i}": (f"192.0.2.{10 + i}", f"2001:db8:2::{10 + i}") for i in (1, 2, 3)}
WEB, TUNNEL, GUE, EMPTY, DNS = 80, 8080, 8082, 81, 5300
MTU = 1500


def link(name):
    """The link address of the router ("r") or of a backend."""
    return "02:00:00:00:00:01" if name == "r" else f"02:00:00:00:00:1{name[1]}"


LINKS = {link(name): name for name in ("r", *BACKENDS)}


def frame(packet):
    return bytes(Ether(src=link("r"), dst=MAC) / packet)


def ip(is6=False, **more):
    return IPv6(**{"src": CLIENT6, "dst": VIP6, **more}) if is6 else IP(**{"src": CLIENT, "dst": VIP, **more})


def tcp(sport, dport=WEB, flags="S", is6=False, data=b"", df=False, **more):
    if df:
        more["flags"] = "DF"
    return ip(is6, **more) / TCP(sport=sport, dport=dport, flags=flags, seq=1000, ack=0 if flags == "S" else 5000) / data


def error(kind, code, quoted, **more):
    """An ICMP error from a router on the client's side about a packet of a backend's answer."""
    return IP(src="198.51.100.1", dst=VIP) / ICMP(type=kind, code=code, **more) / Raw(bytes(quoted)[:28])


def answer(sport):
    return IP(src=VIP, dst=CLIENT) / TCP(sport=WEB, dport=sport, flags="A", seq=5000, ack=1001)


def udp(sport, size=4, **more):
    return IP(src=CLIENT, dst=VIP, **more) / UDP(sport=sport, dport=DNS) / (b"d" * size)


def pieces(sport):
    whole = bytes(udp(sport, 2000, id=sport))[20:]
    head = {"src": CLIENT, "dst": VIP, "id": sport, "proto": 17}
    return [IP(flags="MF", **head) / whole[:1208], IP(frag=1208 // 8, **head) / whole[1208:]]


def pieces6(sport):
    whole = bytes(IPv6(src=CLIENT6, dst=VIP6) / UDP(sport=sport, dport=DNS) / (b"d" * 2000))[40:]
    return [IPv6(src=CLIENT6, dst=VIP6) / IPv6ExtHdrFragment(offset=at, m=more, id=sport, nh=17) / Raw(data)
            for at, more, data in ((0, 1, whole[:1208]), (1208 // 8, 0, whole[1208:]))]


def cases():
    """(what it is, packets before it, packets of which each is reported)"""
    def flow(sport, dport=WEB, is6=False):
        return [tcp(sport, dport, is6=is6), tcp(sport, dport, "A", is6)]
    broken = tcp(20013)
    broken[IP].chksum = 1
    data = b"d" * (MTU - 40)
    return [
        ("SYN, `l2`", [], [tcp(20001)]),
        ("SYN, `ipip`", [], [tcp(20002, TUNNEL)]),
        ("SYN, `gue`", [], [tcp(20003, GUE)]),
        ("SYN in IPv6, `l2`", [], [tcp(20004, is6=True)]),
        ("SYN in IPv6, `ipip`", [], [tcp(20005, TUNNEL, is6=True)]),
        ("SYN in IPv6, `gue`", [], [tcp(20006, GUE, is6=True)]),
        ("data of a known connection", flow(20007), [tcp(20007, flags="PA", data=b"d")]),
        ("data with DSCP EF and ECT(0), `ipip`", flow(20008, TUNNEL), [tcp(20008, TUNNEL, "PA", data=b"d", tos=0xba)]),
        ("data with ECN CE, `gue`", flow(20009, GUE), [tcp(20009, GUE, "PA", data=b"d", tos=3)]),
        ("SYN with TTL 1", [], [tcp(20010, ttl=1)]),
        ("SYN with hop limit 1, `ipip`", [], [tcp(20011, TUNNEL, is6=True, hlim=1)]),
        ("SYN with an IP option (NOP)", [], [tcp(20012, options=[IPOption_NOP()] * 4)]),
        ("SYN with a wrong IP checksum", [], [broken]),
        ("data without a connection", [], [tcp(20014, flags="PA", data=b"d")]),
        ("RST without a connection", [], [tcp(20015, flags="R")]),
        ("SYN-ACK without a connection", [], [tcp(20016, flags="SA")]),
        ("TCP without any flag", [], [tcp(20017, flags="")]),
        ("1,500 bytes with DF, `ipip`", flow(20018, TUNNEL), [tcp(20018, TUNNEL, "A", data=data, df=True)]),
        ("1,500 bytes without DF, `ipip`", flow(20019, TUNNEL), [tcp(20019, TUNNEL, "A", data=data)]),
        ("1,500 bytes with DF, `gue`", flow(20020, GUE), [tcp(20020, GUE, "A", data=data, df=True)]),
        ("1,500 bytes in IPv6, `ipip`", flow(20021, TUNNEL, True), [tcp(20021, TUNNEL, "A", True, data=data[20:])]),
        ("a datagram, UDP", [], [udp(20022)]),
        ("a datagram in two fragments", [], pieces(20023)),
        ("its second fragment first", [], pieces(20024)[::-1]),
        ("a datagram in two fragments, IPv6", [], pieces6(20025)),
        ("\"fragmentation needed\" about a connection", flow(20026), [error(3, 4, answer(20026), nexthopmtu=1400)]),
        ("\"time exceeded\" about a connection", flow(20027), [error(11, 0, answer(20027))]),
        ("\"fragmentation needed\" about none", [], [error(3, 4, answer(20028), nexthopmtu=1400)]),
        ("SYN to a port without a service", [], [tcp(20029, 4444)]),
        ("SYN to a service without backends", [], [tcp(20030, EMPTY)]),
        ("SYN from the service's own address", [], [tcp(20031, src=VIP)]),
        ("SYN with a header of destination options", [], [ip(True) / IPv6ExtHdrDestOpt() / TCP(sport=20032, dport=WEB, flags="S")]),
        ("SYN with a routing header, segments left", [],
         [ip(True) / IPv6ExtHdrRouting(addresses=[OWN6], segleft=1) / TCP(sport=20033, dport=WEB, flags="S")]),
        ("echo request to the service", [], [ip() / ICMP(id=1)]),
        ("echo request to the service, IPv6", [], [ip(True) / ICMPv6EchoRequest(id=1)]),
    ]


def header(packet):
    """The outer header, in words."""
    if packet.version == 4:
        return (f"TOS {packet.tos:#04x}, TTL {packet.ttl}, id {'counted' if packet.id else 0}, "
                f"{'DF' if packet.flags.DF else 'no DF'}")
    return f"class {packet.tc:#04x}, hop limit {packet.hlim}, flow label {'set' if packet.fl else 0}"


def fragment(packet):
    """What piece of a packet it is; None: it is a whole one."""
    if packet.version == 4:
        at = packet.frag * 8 if packet.flags.MF or packet.frag else None
    else:
        at = packet[IPv6ExtHdrFragment].offset * 8 if IPv6ExtHdrFragment in packet else None
    return None if at is None else f"a fragment of {len(packet)} bytes at offset {at}"


def overhead(packet):
    """Bytes of an outer header, and of the UDP header and what follows it, or 0."""
    head, inner = (20, packet.proto) if packet.version == 4 else (40, packet.nh)
    if inner in (4, 41):
        return head, b""
    data = bytes(packet)
    if inner != 17 or int.from_bytes(data[head + 2:head + 4], "big") != 6080:
        return 0, b""
    # A GUE header of variant 0 has 4 bytes, variant 1 none (the IP version is there).
    more = 4 if data[head + 8] >> 6 == 0 else 0
    return head + 8 + more, data[head:head + 8 + more]


def hops(packet):
    return packet.ttl if packet.version == 4 else packet.hlim


def change(packet, sent):
    """What a balancer did with a packet that it sent to a backend."""
    more, encapsulation = overhead(packet)
    if fragment(packet) and not (fragment(sent) and not more and len(packet) == len(sent)):
        return fragment(packet) + (f" (outer header: {header(packet)})" if more else "")
    inside = type(sent)(bytes(packet)[more:])
    text = f"TTL {hops(inside) - hops(sent):+d}"
    if more:
        text += f" inside; {more} bytes more: {header(packet)}"
    if encapsulation:
        gue = encapsulation[8:].hex()
        text += f", UDP checksum {'set' if any(encapsulation[6:8]) else 0}, " + (f"GUE header `{gue}`" if gue else "no GUE header")
    return text


def answer_words(packet):
    if TCP in packet and packet.payload.name == "TCP":
        return f"TCP {packet[TCP].flags}"
    if ICMP in packet:
        kind = (packet[ICMP].type, packet[ICMP].code)
        mtu = f", MTU {packet[ICMP].nexthopmtu}" if kind == (3, 4) else ""
        return {(0, 0): "echo reply", (3, 4): "fragmentation needed", (11, 0): "time exceeded", (3, 3): "port unreachable"}.get(
            kind, f"ICMP {kind}") + mtu
    data = bytes(packet)
    kind = (data[40], data[41])
    mtu = f", MTU {int.from_bytes(data[44:48], 'big')}" if kind == (2, 0) else ""
    return {(129, 0): "echo reply", (2, 0): "packet too big", (3, 0): "time exceeded", (1, 4): "port unreachable"}.get(
        kind, f"ICMPv6 {kind}") + mtu
