# SPDX-License-Identifier: BSD-3-Clause
"""Steps 1 to 4: parsing. Without scapy, which accepts packets that must be dropped."""
import dataclasses
import struct

from .world import TCP, UDP

TAGS = (0x8100, 0x88A8)
ROUTING_HEADER, FRAGMENT_HEADER = 43, 44
EXTENSIONS = (0, ROUTING_HEADER, 60, FRAGMENT_HEADER)  # 0: hop-by-hop, 60: destination options
MOST_EXTENSIONS = 8
FURTHEST = 1024  # largest offset of a header in the frame
MAPPED = bytes(10) + b"\xff\xff"
ICMP, ICMP6 = 1, 58
ERRORS = {4: (ICMP, (3, 11, 12)), 6: (ICMP6, (1, 2, 3, 4))}

FIN, SYN, RST, ACK = 1, 2, 4, 16


class Leaves(Exception):
    """The packet's verdict stands. `dst`: its destination; None if the IP header is invalid."""

    def __init__(self, verdict, dst=None):
        super().__init__(verdict)
        self.verdict = verdict
        self.dst = dst


@dataclasses.dataclass
class Inner:
    """The packet that an ICMP error quotes."""
    network: int  # offsets into the frame
    transport: int
    src: bytes
    dst: bytes
    protocol: int
    sport: int
    dport: int


@dataclasses.dataclass
class Packet:
    frame: bytes
    family: int  # 4 or 6
    network: int  # offsets into the frame: the IP header, the transport header, the end
    transport: int
    end: int
    src: bytes
    dst: bytes
    ttl: int
    traffic_class: int
    protocol: int
    fragment: str = ""  # first, later
    identification: int = 0
    sport: int = 0
    dport: int = 0
    flags: int = 0
    data: int = 0  # bytes behind a TCP header
    inner: Inner = None

    def length(self):
        """Length of the packet from its IP header on."""
        return self.end - self.network


def word(frame, at):
    return struct.unpack_from("!H", frame, at)[0]


def parse(frame, own):
    """`own`: the link addresses of this host on the port where the frame arrived."""
    network = link(frame)
    if frame[:6] not in own:
        raise Leaves("not_own_link")
    if word(frame, network - 2) == 0x0800:
        packet = ip4(frame, network)
    else:
        packet = ip6(frame, network)
    try:
        transport(packet)
    except Leaves as leaves:
        leaves.dst = packet.dst
        raise
    return packet


def link(frame):
    """Offset of the IP header."""
    at = 14
    for _ in range(2):
        if len(frame) < at:
            raise Leaves("bad_frame")
        if word(frame, at - 2) not in TAGS:
            break
        at += 4
    if len(frame) < at:
        raise Leaves("bad_frame")
    if word(frame, at - 2) not in (0x0800, 0x86DD):
        raise Leaves("not_ip")
    return at


def check_fragment(offset, more, payload):
    """Whether a fragment may have such a payload."""
    return not (more and (payload == 0 or payload % 8)) and offset * 8 + payload <= 65535


def ip4(frame, network):
    if len(frame) - network < 20:
        raise Leaves("bad_ip4")
    src, dst = frame[network + 12:network + 16], frame[network + 16:network + 20]
    header, total = (frame[network] & 15) * 4, word(frame, network + 2)
    if frame[network] >> 4 != 4 or header < 20 or total < header or total > len(frame) - network:
        raise Leaves("bad_ip4")
    more, offset = word(frame, network + 6) & 0x2000, word(frame, network + 6) & 0x1FFF
    if (more or offset) and not check_fragment(offset, more, total - header):
        raise Leaves("bad_ip4", dst)
    return Packet(frame, 4, network, network + header, network + total, src, dst, ttl=frame[network + 8],
                  traffic_class=frame[network + 1], protocol=frame[network + 9],
                  fragment="later" if offset else "first" if more else "",
                  identification=word(frame, network + 4))


def ip6(frame, network):
    if len(frame) - network < 40:
        raise Leaves("bad_ip6")
    src, dst = frame[network + 8:network + 24], frame[network + 24:network + 40]
    end = network + 40 + word(frame, network + 4)
    if frame[network] >> 4 != 6 or end > len(frame) or MAPPED in (src[:12], dst[:12]):
        raise Leaves("bad_ip6")
    skipped = skip_extensions(frame, network + 40, end, frame[network + 6], has_lengths=True)
    if not skipped:
        raise Leaves("bad_ip6", dst)
    protocol, at, fragment, identification, segments_left = skipped
    if segments_left:
        raise Leaves("routing_header", dst)
    return Packet(frame, 6, network, at, end, src, dst, ttl=frame[network + 7],
                  traffic_class=word(frame, network) >> 4 & 0xFF, protocol=protocol, fragment=fragment,
                  identification=identification)


def skip_extensions(frame, at, end, protocol, has_lengths):
    """Skips IPv6 extension headers: protocol, offset, kind of fragment, identification, and whether a routing header
    has segments left; None if they are invalid. `has_lengths`: `end` is the end of the packet, not only of the bytes that are present."""
    fragment, identification, skipped, segments_left = "", 0, 0, False
    while protocol in EXTENSIONS:
        skipped += 1
        if skipped > MOST_EXTENSIONS or at > FURTHEST or end - at < 8:
            return None
        if protocol == FRAGMENT_HEADER:
            offset, more, payload = word(frame, at + 2) >> 3, word(frame, at + 2) & 1, end - at - 8
            if offset or more:
                if fragment or (has_lengths and not check_fragment(offset, more, payload)):
                    return None
                fragment = "later" if offset else "first"
                identification = struct.unpack_from("!I", frame, at + 4)[0]
        if protocol == ROUTING_HEADER and frame[at + 3]:
            segments_left = True
        size = 8 if protocol == FRAGMENT_HEADER else 8 + frame[at + 1] * 8
        if end - at < size:
            return None
        protocol = frame[at]
        at += size
        if fragment == "later":
            break
    if skipped and at > FURTHEST:
        return None
    return protocol, at, fragment, identification, segments_left


def transport(packet):
    if packet.fragment == "later":
        if packet.protocol not in (TCP, UDP) and not (packet.family == 6 and packet.protocol in EXTENSIONS):
            raise Leaves("not_tcp_udp")
    elif packet.protocol == TCP:
        tcp(packet)
    elif packet.protocol == UDP:
        udp(packet)
    elif is_error(packet):
        icmp(packet)
    else:
        raise Leaves("not_tcp_udp")


def tcp(packet):
    frame, at, room = packet.frame, packet.transport, packet.end - packet.transport
    if room < 20 or not 20 <= (frame[at + 12] >> 4) * 4 <= room:
        raise Leaves("bad_tcp")
    packet.sport, packet.dport, packet.flags = word(frame, at), word(frame, at + 2), frame[at + 13]
    packet.data = room - (frame[at + 12] >> 4) * 4


def udp(packet):
    frame, at, room = packet.frame, packet.transport, packet.end - packet.transport
    if room < 8 or word(frame, at + 4) < 8 or (not packet.fragment and word(frame, at + 4) > room):
        raise Leaves("bad_udp")
    packet.sport, packet.dport = word(frame, at), word(frame, at + 2)


def is_error(packet):
    protocol, types = ERRORS[packet.family]
    return (packet.protocol == protocol and not packet.fragment and packet.end - packet.transport >= 8 and
            packet.frame[packet.transport] in types)


def icmp(packet):
    """Fills packet.inner. The caller, which knows the services, checks its addresses against the error's."""
    frame, at, end = packet.frame, packet.transport + 8, packet.end
    fixed = 20 if packet.family == 4 else 40
    if end - at < fixed or frame[at] >> 4 != packet.family:
        raise Leaves("bad_icmp")
    if packet.family == 4:
        header = (frame[at] & 15) * 4
        skipped = (frame[at + 9], at + header, "later" if word(frame, at + 6) & 0x1FFF else "", 0, False)
        src, dst = frame[at + 12:at + 16], frame[at + 16:at + 20]
        skipped = skipped if header >= 20 else None
    else:
        skipped = skip_extensions(frame, at + 40, end, frame[at + 6], has_lengths=False)
        src, dst = frame[at + 8:at + 24], frame[at + 24:at + 40]
    if not skipped or skipped[1] > end:
        raise Leaves("bad_icmp")
    protocol, ports, fragment, _, _ = skipped
    if protocol not in (TCP, UDP) or fragment == "later":
        raise Leaves("not_tcp_udp")
    if end - ports < 8:
        raise Leaves("bad_icmp")
    packet.inner = Inner(at, ports, src, dst, protocol, word(frame, ports), word(frame, ports + 2))
