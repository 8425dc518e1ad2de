# SPDX-License-Identifier: BSD-3-Clause
"""Frames into a lab's cables and out of them, past the kernel of the host at their end."""
import contextlib
import json
import socket
import struct
import time

from scapy.layers.inet import IP, UDP, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment, fragment6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from lab import CLIENT4, CLIENT6, SERVICES

ETH_P_ALL = 3
PACKET_OUTGOING = 4
SOL_PACKET, PACKET_AUXDATA, TP_STATUS_VLAN_VALID = 263, 8, 1 << 4
BERTH4, BERTH6 = "192.0.2.2", "2001:db8:2::2"


def mac(lab, host, interface="eth0"):
    return json.loads(lab.exec(host, "ip", "-j", "link", "show", interface).stdout)[0]["address"]


def tagged(frame, ancillary):
    """The kernel takes the first tag off and tells it beside the frame (struct tpacket_auxdata)."""
    for level, kind, data in ancillary:
        if level == SOL_PACKET and kind == PACKET_AUXDATA:
            status, _, _, _, _, tci, tpid = struct.unpack_from("IIIHHHH", data)
            if status & TP_STATUS_VLAN_VALID:
                return frame[:12] + struct.pack("!HH", tpid, tci) + frame[12:]
    return frame


class Ear:
    """Hears what comes in by a host's interface: behind its XDP program, so on a backend without outer headers."""

    def __init__(self, lab, host, interface="eth0"):
        with lab.inside(host):
            self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.sock.bind((interface, ETH_P_ALL))
        self.sock.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        self.sock.settimeout(0.2)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def frames(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(socket.timeout):
                frame, ancillary, _, (_, _, kind, *_) = self.sock.recvmsg(65536, 256)
                if kind != PACKET_OUTGOING:
                    yield tagged(frame, ancillary)

    def first(self, is_it, seconds=3):
        for frame in self.frames(seconds):
            if is_it(frame):
                return frame
        raise AssertionError("no frame of the kind came")


class Cable:
    """The router's end of berth's cable: what is sent there, berth receives, and the other way round."""

    def __init__(self, lab):
        self.lab = lab
        self.link = Ether(dst=mac(lab, "berth"), src="02:00:00:00:00:01")

    def ear(self):
        return Ear(self.lab, "router", "berth")

    def send(self, *packets, count=1):
        with self.ear() as ear:
            for _ in range(count):
                for packet in packets:
                    ear.sock.send(bytes(self.link / packet))

    def through(self, packet, is_it):
        """The frame that berth sends for this packet, chosen by is_it(frame). The packet may begin with tags."""
        with self.ear() as ear:
            ear.sock.send(bytes(self.link / packet))
            return ear.first(is_it)


def spoofed(frame, number):
    """The frame of an IPv4 packet from another source; the identification keeps the header's checksum right."""
    words = [int.from_bytes(frame[at:at + 2], "big") for at in (18, 26, 28)]
    source = [0x0b00 + (number >> 16), number & 0xffff]
    identification = (sum(words) - sum(source)) % 0xffff
    return (frame[:18] + identification.to_bytes(2, "big") + frame[20:26] +
            b"".join(word.to_bytes(2, "big") for word in source) + frame[30:])


def network(source, destination, **more):
    """An IP header of either version; `ttl` and `tos` are said as in IPv4."""
    if ":" in destination:
        names = {"ttl": "hlim", "tos": "tc"}
        return IPv6(src=source, dst=destination, **{names.get(key, key): value for key, value in more.items()})
    return IP(src=source, dst=destination, **more)


def datagram(source, destination, sport, dport, payload=b"", **more):
    return network(source, destination, **more) / UDP(sport=sport, dport=dport) / Raw(payload)


def datagram_to(service, sport, payload, source=None, **more):
    """A client's datagram to one of lab.SERVICES."""
    address, port = SERVICES[service].target
    return datagram(source or (CLIENT6 if SERVICES[service].is6 else CLIENT4), address, sport, port, payload, **more)


def ip_of(packet):
    """Its outer IP header, of either version; None: it has none."""
    return packet.getlayer(IPv6) or packet.getlayer(IP)


def hop_further(packet):
    """Its bytes after one router more."""
    further = packet.copy()
    if IPv6 in further:
        further[IPv6].hlim -= 1
    else:
        further[IP].ttl -= 1
        del further[IP].chksum
    return bytes(further)


def fragments(packet, size, identification):
    """The packet in fragments with at most `size` bytes behind the IP header."""
    if IPv6 in packet:
        whole = IPv6(src=packet[IPv6].src, dst=packet[IPv6].dst) / IPv6ExtHdrFragment(id=identification) / packet[UDP]
        return fragment6(whole, size + 40 + 8)
    packet.id = identification
    return fragment(packet, fragsize=size)
