# SPDX-License-Identifier: BSD-3-Clause
"""Steps 8 and 9: the bytes that leave. scapy builds outer headers; checksums are updated by RFC 1624."""
import struct

from scapy.layers.inet import IP, UDP as ScapyUDP
from scapy.layers.inet6 import IPv6

from .world import UDP, family, text


def update(checksum, old, new):
    """RFC 1624, equation 3, over all words of `old` and `new`."""
    words = f"!{len(old) // 2}H"
    total = ~checksum & 0xFFFF
    for was, becomes in zip(struct.unpack(words, old), struct.unpack(words, new)):
        total += (~was & 0xFFFF) + becomes
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def put_word(frame, at, value):
    struct.pack_into("!H", frame, at, value)


def change(frame, at, new, *checksums):
    """Writes `new` at `at` and updates the checksums at the offsets in `checksums` for it."""
    old = bytes(frame[at:at + len(new)])
    frame[at:at + len(new)] = new
    for checksum in checksums:
        before = struct.unpack_from("!H", frame, checksum)[0]
        put_word(frame, checksum, update(before, old, new))


def ttl_down(frame, packet):
    if packet.family == 4:
        at = packet.network + 8
        change(frame, at, bytes((frame[at] - 1, frame[at + 1])), packet.network + 10)
    else:
        frame[packet.network + 7] -= 1


def link(frame, dst_mac, src_mac):
    frame[0:12] = dst_mac + src_mac


# Tunnels.

class Bits:
    """The flow's hash as far as headers show it: the known bits, else those of the frame that left."""

    def __init__(self, hashes, key):
        self.hashes = hashes
        self.key = key
        self.learnt = []

    def take(self, shift, width, seen):
        value = self.hashes.field(self.key, shift, width, seen & ((1 << width) - 1)) if self.key else seen
        self.learnt.append((shift, width, value))
        return value & ((1 << width) - 1)

    def learn(self):
        for shift, width, value in self.learnt:
            if self.key:
                self.hashes.learn(self.key, shift, width, value)


def gue_header(packet, hop):
    """draft-ietf-intarea-gue, variant 0, with GLB's private data: one hop, which is the next one. Without a second
    hop, variant 1 has no header."""
    if not hop:
        return b""
    data = struct.pack("!HBB", 0 if family(hop.address) == 4 else 0xBE06, 0, 1) + hop.address
    return struct.pack("!BBH", len(data) // 4, 4 if packet.family == 4 else 41, 0) + data


def tunnel(frame, packet, way, bits, left):
    """`left`: the frame that left."""
    inner = gue_header(packet, way.hop) + bytes(frame[packet.network:])
    outer = family(way.backend.address)
    at = packet.network
    more = len(gue_header(packet, way.hop))
    header = outer_header(packet, way.backend, more, bits, left[at:].ljust(48, b"\0"))
    put_word(frame, at - 2, 0x0800 if outer == 4 else 0x86DD)
    return frame[:at] + header + inner


def outer_header(packet, backend, more, bits, left):
    """`more`: bytes of the GUE header; `left`: the bytes that left, from the outer header on."""
    outer = family(backend.address)
    size = 20 if outer == 4 else 40
    source = outer_source(backend, bits, left[12:16] if outer == 4 else left[8:24])
    payload, udp = packet.length() + more, b""
    if backend.mode == "gue":
        seen = struct.unpack_from("!H", left, size)[0]
        payload += 8
        udp = bytes(ScapyUDP(sport=49152 + bits.take(20, 14, seen), dport=backend.dport, len=payload, chksum=0))
    protocol = UDP if udp else 4 if packet.family == 4 else 41
    if outer == 4:
        header = IP(version=4, ihl=5, tos=packet.traffic_class, len=size + payload, id=0, flags="DF", ttl=64,
                    proto=protocol, src=text(source), dst=text(backend.address))
    else:
        label = bits.take(0, 20, struct.unpack_from("!I", left)[0])
        header = IPv6(tc=packet.traffic_class, fl=label, plen=payload, nh=protocol, hlim=64, src=text(source),
                      dst=text(backend.address))
    return bytes(header) + udp


def outer_source(backend, bits, left):
    width = backend.source_bits
    if not width:
        return backend.outer_src
    value = bits.take(20, width, int.from_bytes(left, "big"))
    return (int.from_bytes(backend.outer_src, "big") | value).to_bytes(len(backend.outer_src), "big")


# Mode nat.

def transport_checksum(frame, at, end, protocol):
    """Offset of a transport header's checksum, or None if it is absent or unused."""
    where = at + (6 if protocol == UDP else 16)
    if where + 2 > end:
        return None
    if protocol == UDP and frame[where:where + 2] == b"\0\0":
        return None
    return where


def set_address(frame, packet, at, new, *checksums):
    """Checksum offsets of the IP header at `at`: only IPv4 has one."""
    more = (packet.network + 10,) if packet.family == 4 else ()
    change(frame, at, new, *more, *checksums)


def nat(frame, packet, side, new, port):
    """Rewrites one side ("src", "dst") of a packet other than an ICMP error. Port None: the port stays."""
    at = packet.network + {(4, "src"): 12, (4, "dst"): 16, (6, "src"): 8, (6, "dst"): 24}[packet.family, side]
    if packet.fragment == "later":
        set_address(frame, packet, at, new)
        return
    where = transport_checksum(frame, packet.transport, packet.end, packet.protocol)
    checksums = (where,) if where else ()
    set_address(frame, packet, at, new, *checksums)
    if port is not None:
        change(frame, packet.transport + (0 if side == "src" else 2), struct.pack("!H", port), *checksums)
    finish_udp(frame, packet.protocol, where)


def finish_udp(frame, protocol, where):
    """RFC 768: a checksum of 0 is sent as all ones."""
    if protocol == UDP and where and frame[where:where + 2] == b"\0\0":
        frame[where:where + 2] = b"\xff\xff"


def nat_error(frame, packet, inner_side, new, port, outer_side, outer_new):
    """Rewrites an ICMP error: one side's address and port of the quoted packet, and the error's own address on
    `outer_side` (None: neither). Updates the ICMP checksum for every change."""
    inner, is4 = packet.inner, packet.family == 4
    icmp = packet.transport + 2
    old = bytes(frame[packet.transport + 8:packet.end])
    where = transport_checksum(frame, inner.transport, packet.end, inner.protocol)
    at = inner.network + {(4, "src"): 12, (4, "dst"): 16, (6, "src"): 8, (6, "dst"): 24}[packet.family, inner_side]
    own = (inner.network + 10,) if is4 else ()
    own_transport = (where,) if where else ()
    change(frame, at, new, *own, *own_transport)
    if port is not None:
        change(frame, inner.transport + (0 if inner_side == "src" else 2), struct.pack("!H", port), *own_transport)
    finish_udp(frame, inner.protocol, where)
    body = bytes(frame[packet.transport + 8:packet.end])
    odd = bytes(len(old) % 2)
    checksum = update(struct.unpack_from("!H", frame, icmp)[0], old + odd, body + odd)
    put_word(frame, icmp, checksum)
    if outer_side:
        at = packet.network + {(4, "src"): 12, (4, "dst"): 16, (6, "src"): 8, (6, "dst"): 24}[
            packet.family, outer_side]
        # ICMPv6's checksum covers the addresses (RFC 4443, 2.3); ICMP's does not.
        set_address(frame, packet, at, outer_new, *(() if is4 else (icmp,)))
