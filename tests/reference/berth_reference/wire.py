# SPDX-License-Identifier: BSD-3-Clause
"""Builds frames, valid except where the caller asks for a fault."""
import struct

TCP, UDP = 6, 17
BERTH_MAC = bytes.fromhex("020000000100")
ROUTER_MAC = bytes.fromhex("020000000909")


def checksum(data):
    """RFC 1071."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def pseudo(src, dst, protocol, length):
    if len(src) == 4:
        return src + dst + struct.pack("!BBH", 0, protocol, length)
    return src + dst + struct.pack("!II", length, protocol)


def tcp(src, dst, sport, dport, flags, payload=b"", options=b""):
    offset = (20 + len(options)) // 4 << 4
    header = struct.pack("!HHIIBBHHH", sport, dport, 0x1000, 0x2000, offset, flags, 0x4000, 0, 0) + options
    total = checksum(pseudo(src, dst, TCP, len(header) + len(payload)) + header + payload)
    return header[:16] + struct.pack("!H", total) + header[18:] + payload


def udp(src, dst, sport, dport, payload=b"", summed=True):
    length = 8 + len(payload)
    header = struct.pack("!HHHH", sport, dport, length, 0)
    total = checksum(pseudo(src, dst, UDP, length) + header + payload) or 0xFFFF
    return header[:6] + struct.pack("!H", total if summed else 0) + payload


def icmp_error(src, dst, kind, code, rest, inner):
    """ICMP or ICMPv6; `rest`: the header's second word."""
    header = struct.pack("!BBHI", kind, code, 0, rest)
    if len(src) == 4:
        total = checksum(header + inner)
    else:
        total = checksum(pseudo(src, dst, 58, 8 + len(inner)) + header + inner)
    return header[:2] + struct.pack("!H", total) + header[4:] + inner


def ip4(src, dst, protocol, payload, ttl=64, tos=0, identification=0x1234, fragment=0x4000, options=b""):
    header = struct.pack("!BBHHHBBH", 0x40 | (20 + len(options)) // 4, tos, 20 + len(options) + len(payload),
                         identification, fragment, ttl, protocol, 0) + src + dst + options
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + payload


def ip6(src, dst, protocol, payload, ttl=64, tos=0, label=0x34567, extensions=()):
    """`extensions`: (protocol, bytes after the next-header byte)."""
    after = [number for number, _ in extensions[1:]] + [protocol]
    chain = b"".join(bytes((follows,)) + body for (_, body), follows in zip(extensions, after))
    first = extensions[0][0] if extensions else protocol
    return struct.pack("!IHBB", 6 << 28 | tos << 20 | label, len(chain) + len(payload), first, ttl) + src + dst + \
        chain + payload


def ip(src, dst, protocol, payload, ttl=64, tos=0):
    return (ip4 if len(src) == 4 else ip6)(src, dst, protocol, payload, ttl=ttl, tos=tos)


def extension(number, words=0, segments_left=0):
    """A hop-by-hop, routing or destination options header of 8 * (1 + words) bytes. Without `segments_left` it has no
    effect: zeros are padding (Pad1), or a routing header with no segments left."""
    return number, bytes((words, 0, segments_left if number == 43 else 0)) + bytes(4 + 8 * words)


def fragment_header(offset, more, identification, reserved=0):
    """`offset` in bytes."""
    return 44, struct.pack("!BHI", 0, offset | reserved | more, identification)


def ether(packet, tags=(), padding=b"", dst=BERTH_MAC, src=ROUTER_MAC):
    """`tags`: (ethertype, tag)."""
    stack = b"".join(struct.pack("!HH", kind, tag) for kind, tag in tags)
    return dst + src + stack + struct.pack("!H", 0x0800 if packet[0] >> 4 == 4 else 0x86DD) + packet + padding
