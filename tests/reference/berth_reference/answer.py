# SPDX-License-Identifier: BSD-3-Clause
"""Step 10: ICMP errors that berth sends itself, built by scapy."""
import struct

from scapy.layers.inet import ICMP, IP, TCP as ScapyTCP
from scapy.layers.inet6 import ICMPv6PacketTooBig, ICMPv6TimeExceeded, IPv6
from scapy.packet import Raw

from .parse import ACK, FIN, SYN
from .steer import no_host
from .world import text

A_SECOND = 20


class Limit:
    """The ICMP errors sent in a second, by kind and client."""

    def __init__(self):
        self.second = None
        self.sent = {}

    def has_room(self, kind, client, now):
        """(whether the client may get one, whether it certainly does: clients with one hash share a budget)"""
        if now != self.second:
            return True, True
        everyone = sum(n for (other, _), n in self.sent.items() if other == kind)
        return self.sent.get((kind, client), 0) < A_SECOND, everyone < A_SECOND

    def count(self, kind, client, now):
        if now != self.second:
            self.second, self.sent = now, {}
        self.sent[kind, client] = self.sent.get((kind, client), 0) + 1


def client_of(packed):
    """The address of a client, in IPv6 its /64."""
    return packed[:8] if len(packed) == 16 else packed


def is_due(packet):
    """Whether the rules allow an answer to the packet."""
    return not (packet.inner or packet.fragment == "later" or no_host(packet.src) or packet.src == packet.dst)


def build(packet, src, mtu=None):
    """The frame of an answer from `src`; "too big" with `mtu`, else "time exceeded"."""
    frame = packet.frame
    most = 576 - 28 if packet.family == 4 else 1280 - 48
    quoted = frame[packet.network:packet.end][:most]
    quoted = Raw(quoted[:len(quoted) // 4 * 4])
    if packet.family == 4:
        icmp = ICMP(type=11, code=0) if mtu is None else ICMP(type=3, code=4, nexthopmtu=mtu)
        answer = IP(tos=0xC0, id=0, flags="DF", ttl=64, src=text(src), dst=text(packet.src)) / icmp / quoted
    else:
        icmp = ICMPv6TimeExceeded(code=0) if mtu is None else ICMPv6PacketTooBig(code=0, mtu=mtu)
        answer = IPv6(tc=0, fl=0, hlim=64, src=text(src), dst=text(packet.src)) / icmp / quoted
    return frame[6:12] + frame[0:6] + frame[12:packet.network] + bytes(answer)


def build_reset(packet):
    """The frame of a RST to the sender of a segment (RFC 9293 section 3.5.2)."""
    frame = packet.frame
    sport, dport, sequence, acknowledged, offset = struct.unpack_from("!HHIIB", frame, packet.transport)
    brought = packet.end - packet.transport - (offset >> 4) * 4 + bool(packet.flags & SYN) + bool(packet.flags & FIN)
    if packet.flags & ACK:
        tcp = ScapyTCP(sport=dport, dport=sport, seq=acknowledged, ack=0, flags="R", window=0)
    else:
        tcp = ScapyTCP(sport=dport, dport=sport, seq=0, ack=(sequence + brought) % 2**32, flags="RA", window=0)
    if packet.family == 4:
        ip = IP(tos=0, id=0, flags="DF", ttl=64, src=text(packet.dst), dst=text(packet.src))
    else:
        ip = IPv6(tc=0, fl=0, hlim=64, src=text(packet.dst), dst=text(packet.src))
    return frame[6:12] + frame[0:6] + frame[12:packet.network] + bytes(ip / tcp)
