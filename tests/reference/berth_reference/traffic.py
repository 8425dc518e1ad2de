# SPDX-License-Identifier: BSD-3-Clause
"""Random packets for a world: valid and invalid ones from clients, backends and routers."""
import dataclasses
import struct

from . import wire
from .world import TCP, UDP, address, family

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
FLAGS = [SYN] * 6 + [ACK] * 8 + [PSH | ACK] * 3 + [FIN | ACK] * 2 + [RST, SYN | ACK, SYN | FIN, 0, RST | ACK, FIN]
BAD_SOURCES = {4: [address(one) for one in ("0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "239.1.2.3", "240.0.0.1",
                                            "255.255.255.255", "169.254.7.7")],
               6: [address(one) for one in ("::", "::1", "ff02::1", "ff0e::5", "::ffff:198.51.100.1", "fe80::7", "febf::")]}
CLIENTS = {4: [address(f"198.51.{100 + i % 4}.{1 + i // 4}") for i in range(12)],
           6: [address(f"2001:db8:2:{i % 4:x}::{1 + i // 4:x}") for i in range(12)]}
ROUTERS = {4: [address("192.0.2.253"), address("198.18.9.9")], 6: [address("2001:db8:7::1"), address("2001:db8:8::1")]}
LINKS = [b"\xff" * 6, b"\1\0\x5e\0\0\1", bytes.fromhex("020000000101"), bytes.fromhex("020000000180")]
OTHERS = [b"\x08\x06", b"\x86\xdc", b"\x00\x2e", b"\x88\xcc"]
CONNECTIONS = 40


@dataclasses.dataclass
class Connection:
    client: bytes
    sport: int
    dst: bytes
    dport: int
    protocol: int


class Traffic:
    def __init__(self, random, world):
        self.random = random
        self.world = world
        self.waiting = []  # fragments to send later
        self.connections = [self.draw_connection() for _ in range(CONNECTIONS)]

    def one_in(self, n):
        return self.random.randrange(n) == 0

    def pick(self, *ways):
        """Calls one of (weight, function) at random."""
        return self.random.choices([way for _, way in ways], [weight for weight, _ in ways])[0]

    def frame(self):
        """The next frame."""
        if self.waiting and not self.one_in(4):
            frame = self.waiting.pop(0)
        else:
            frame = self.link(self.pick((40, self.client), (5, self.fragments), (14, self.error), (12, self.answer),
                                        (3, self.other))())
        if self.one_in(8):
            frame = self.spoil(frame)
        if self.one_in(30):
            frame = frame[:self.random.randrange(1 if self.one_in(10) else min(14, len(frame)), len(frame) + 1)]
        return frame

    # Sources and destinations.

    def draw_port(self, service):
        if self.one_in(10):
            return self.random.randrange(65536)
        if service.last - service.first < 200:
            return self.random.choice((service.first, service.last, self.random.randint(service.first, service.last)))
        return self.random.choice((80, 8045, 53, 5353, self.random.randrange(65536)))

    def draw_address(self, service):
        """A port of the service."""
        width = len(service.address)
        low = self.random.randrange(1 << min(width * 8 - service.bits, 6))
        return (int.from_bytes(service.address, "big") + low).to_bytes(width, "big")

    def draw_connection(self):
        if not self.world.services:
            return Connection(CLIENTS[4][0], 1024, address("203.0.113.1"), 80, TCP)
        service = self.random.choice(self.world.services)
        connection = Connection(self.random.choice(CLIENTS[family(service.address)]), 1024 + self.random.randrange(4),
                                self.draw_address(service), self.draw_port(service), service.protocol)
        if self.one_in(20):
            connection.client = self.random.choice(BAD_SOURCES[family(service.address)])
        if self.one_in(30):
            connection.client = connection.dst
        if self.one_in(20):
            connection.protocol = TCP + UDP - connection.protocol
        return connection

    def connection(self):
        if self.one_in(10):
            self.connections[self.random.randrange(CONNECTIONS)] = self.draw_connection()
        return self.random.choice(self.connections)

    def size(self):
        """Bytes of a payload: mostly few, sometimes around the path MTU."""
        if not self.one_in(6):
            return self.random.randrange(40)
        fitting = [backend.mtu - backend.overhead() for backend in self.world.backends()]
        fitting += [route.mtu for route in self.world.routes]
        if not fitting or self.one_in(4):
            return self.random.randrange(1460)
        headers = self.random.choice((20, 40)) + self.random.choice((8, 20))
        return max(0, self.random.choice(fitting) - headers + self.random.randrange(-1, 2))

    def payload(self):
        return self.random.randbytes(self.size())

    def ttl(self):
        return self.random.choice((64,) * 24 + (0, 1, 1, 2))

    def tos(self):
        return self.random.randrange(256) if self.one_in(4) else 0

    # Layers.

    def link(self, packet):
        if isinstance(packet, tuple):  # other ethertypes
            return wire.BERTH_MAC + wire.ROUTER_MAC + packet[0] + packet[1]
        tags = ()
        if self.one_in(5):
            tags = [(self.random.choice((0x8100, 0x88A8)), self.random.randrange(65536))
                    for _ in range(self.random.choice((1, 1, 2, 2, 3)))]
        dst = self.random.choice(LINKS) if self.one_in(40) else wire.BERTH_MAC
        padding = self.random.randbytes(self.random.randrange(1, 30)) if self.one_in(10) else b""
        return wire.ether(packet, tags, padding, dst)

    def transport(self, src, dst, sport, dport, protocol):
        if protocol == TCP:
            flags = self.random.randrange(256) if self.one_in(40) else self.random.choice(FLAGS)
            options = bytes([1]) * (4 * self.random.randrange(1, 11)) if self.one_in(8) else b""
            body = wire.tcp(src, dst, sport, dport, flags, self.payload(), options)
        else:
            body = wire.udp(src, dst, sport, dport, self.payload(), summed=not self.one_in(8))
        return self.misfit(body, protocol) if self.one_in(40) else body

    def misfit(self, body, protocol):
        """A transport header with invalid or extreme lengths."""
        if self.one_in(2):
            return body[:self.random.choice((0, 4, 7, 8, 9, 19, 20, 21))]
        if protocol == TCP:
            return body[:12] + bytes((self.random.randrange(16) << 4,)) + body[13:]
        return body[:4] + struct.pack("!H", self.random.choice((0, 7, 8, len(body) - 1, len(body) + 1))) + body[6:]

    def extensions(self):
        if not self.one_in(5):
            return ()
        if self.one_in(12):
            return self.far()
        most = self.random.choice((1, 1, 2, 3, 8, 9, 10))
        chain = []
        for _ in range(self.random.randint(1, most)):
            if self.one_in(5):  # mostly an atomic fragment
                offset = self.random.choice((0,) * 8 + (8, 1024, 65528))
                chain.append(wire.fragment_header(offset, int(self.one_in(8)), self.random.randrange(1 << 32)))
            else:
                words = self.random.choice((0, 0, 0, 1, 2, 30, 60, 126)) if self.one_in(6) else 0
                chain.append(wire.extension(self.random.choice((0, 43, 60)), words, int(self.one_in(12))))
        return chain

    def far(self):
        """Extension headers that put the transport header around the largest offset that is parsed."""
        begin = 14 + 40 + self.random.choice((0, 4, 8))  # the tags are added later
        total = (1024 - begin) // 8 + self.random.randrange(-1, 3)
        first = self.random.randrange(1, total - 1)
        chain = [wire.extension(60, first - 1), wire.extension(60, total - first - 1)]
        return chain + self.random.choice(([], [wire.extension(60)], [wire.fragment_header(64, 0, 5)]))

    def ip(self, src, dst, protocol, payload):
        if len(src) == 4:
            options = bytes([1]) * (4 * self.random.randrange(1, 11)) if self.one_in(12) else b""
            return wire.ip4(src, dst, protocol, payload, self.ttl(), self.tos(), options=options,
                            fragment=self.random.choice((0x4000, 0, 0x8000, 0x4000)))
        return wire.ip6(src, dst, protocol, payload, self.ttl(), self.tos(), extensions=self.extensions())

    # Kinds of packets.

    def client(self):
        one = self.connection()
        return self.ip(one.client, one.dst, one.protocol,
                       self.transport(one.client, one.dst, one.sport, one.dport, one.protocol))

    def fragments(self):
        """A fragmented datagram; most fragments are sent later: in order, out of order, twice, or never."""
        one = self.connection()
        data = self.random.randbytes(self.random.randrange(24, 900))
        body = wire.udp(one.client, one.dst, one.sport, one.dport, data)
        if one.protocol == TCP:
            body = wire.tcp(one.client, one.dst, one.sport, one.dport, self.random.choice(FLAGS), body)
        pieces = self.pieces(one, body)
        if self.one_in(6):  # a fragment without bytes
            pieces.append(self.piece(one, b"", 8 * self.random.randrange(20), self.one_in(2), 9))
        order = self.random.randrange(4)
        if order == 1:
            self.random.shuffle(pieces)
        elif order == 2:
            pieces.append(self.random.choice(pieces))
        elif order == 3 and len(pieces) > 1:
            pieces.pop(self.random.randrange(len(pieces)))
        self.waiting += [self.link(piece) for piece in pieces[1:]]
        return pieces[0]

    def pieces(self, one, body):
        step = 8 * self.random.randrange(3, 40)
        number = self.random.randrange(1 << 16) if not self.one_in(6) else 7
        return [self.piece(one, body[at:at + step], at, at + step < len(body), number)
                for at in range(0, len(body), step)]

    def piece(self, one, body, at, more, number):
        if family(one.client) == 4:
            return wire.ip4(one.client, one.dst, one.protocol, body, identification=number,
                            fragment=at // 8 | (0x2000 if more else 0))
        before = [wire.extension(0)] if self.one_in(4) else []
        return wire.ip6(one.client, one.dst, one.protocol, body,
                        extensions=before + [wire.fragment_header(at, int(more), number)])

    def nat_backends(self):
        return [(service, backend) for service in self.world.services for backend in service.backends
                if backend.mode == "nat"]

    def backend_port(self, service, backend):
        return backend.dport or self.draw_port(service)

    def known(self, service):
        """Mostly one of the connections to the service."""
        known = [one for one in self.connections if one.dst == service.address and one.protocol == service.protocol]
        return self.random.choice(known) if known and not self.one_in(4) else None

    def answer(self):
        """A backend in mode nat answers a client."""
        nats = self.nat_backends()
        if not nats:
            return self.client()
        service, backend = self.random.choice(nats)
        client = self.random.choice(CLIENTS[family(backend.address)] + ROUTERS[family(backend.address)])
        if self.one_in(20):
            client = self.random.choice(BAD_SOURCES[family(backend.address)] + [service.address, backend.address])
        protocol = service.protocol if not self.one_in(20) else TCP + UDP - service.protocol
        sport, dport = self.backend_port(service, backend), 1024 + self.random.randrange(4)
        known = self.known(service)
        if known:
            client, sport, dport = known.client, backend.dport or known.dport, known.sport
        body = self.transport(backend.address, client, sport, dport, protocol)
        if self.one_in(8) and len(body) > 48:
            one = Connection(backend.address, 0, client, 0, protocol)
            pieces = self.pieces(one, body)
            self.waiting += [self.link(piece) for piece in pieces[1:]]
            return pieces[0]
        return self.ip(backend.address, client, protocol, body)

    def error(self):
        """An ICMP error of a router or host about a packet."""
        nats = self.nat_backends()
        if nats and self.one_in(3):
            service, backend = self.random.choice(nats)
            src = self.random.choice(CLIENTS[family(backend.address)])
            sport, dport = 1024 + self.random.randrange(4), self.backend_port(service, backend)
            known = self.known(service)
            if known:
                src, sport, dport = known.client, known.sport, backend.dport or known.dport
            inner = self.inner(src, backend.address, sport, dport, service.protocol)
            router = self.random.choice(ROUTERS[family(src)] + [backend.address] * 2)
            return self.about(router, src, inner)
        one = self.connection()
        inner = self.inner(one.dst, one.client, one.dport, one.sport, one.protocol)
        router = self.random.choice(ROUTERS[family(one.dst)] + [one.client])
        dst = one.dst
        if self.one_in(12):
            dst = self.random.choice(ROUTERS[family(one.dst)])
        return self.about(router, dst, inner)

    def about(self, src, dst, inner):
        four = len(src) == 4
        kind = self.random.choice((3, 3, 11, 12, 5, 4, 8, 0) if four else (1, 2, 3, 4, 5, 128, 100))
        code = 4 if four and kind == 3 else 0
        return self.ip(src, dst, 1 if four else 58, wire.icmp_error(src, dst, kind, code, 1400, inner))

    def inner(self, src, dst, sport, dport, protocol):
        if self.one_in(12):
            protocol = self.random.choice((TCP, UDP, 1, 58, 47))
        if self.one_in(20):
            src = self.random.choice(CLIENTS[family(src)])
        body = self.transport(src, dst, sport, dport, protocol if protocol in (TCP, UDP) else UDP)
        packet = self.ip(src, dst, protocol, body)
        if self.one_in(10) and len(src) == 4:
            packet = packet[:6] + struct.pack("!H", self.random.choice((0x2000, 1, 0x2001))) + packet[8:]
        headers = len(packet) - len(body)
        return packet[:headers + self.random.choice((8, 8, 8, 18, 20, 28, 1000, self.random.randrange(20)))]

    def other(self):
        one = self.connection()
        four = len(one.dst) == 4
        kind = self.random.randrange(4)
        if kind == 0:
            return self.random.choice(OTHERS), self.random.randbytes(46)
        if kind == 1:  # echo
            echo = wire.icmp_error(one.client, one.dst, 8 if four else 128, 0, 1, self.payload())
            return self.ip(one.client, one.dst, 1 if four else 58, echo)
        if kind == 2:
            return self.ip(one.client, one.dst, self.random.randrange(256), self.payload())
        return self.ip(one.client, self.random.choice(CLIENTS[family(one.client)]), one.protocol, self.payload())

    # Invalid packets.

    def spoil(self, frame):
        frame = bytearray(frame)
        most = min(len(frame), 14 + 8 + 40 + 40)
        for _ in range(self.random.randint(1, 2)):
            at = self.random.randrange(12, most)
            kind = self.random.randrange(4)
            if kind == 0:
                frame[at] = self.random.randrange(256)
            elif kind == 1:
                frame[at] = frame[at] + self.random.choice((1, -1)) & 255
            elif kind == 2 and at + 2 <= len(frame):
                word = self.random.choice((0, 1, 7, 8, 19, 20, 39, 40, 0x1FFF, 0x2000, 0x7FFF, 0xFFFF, 0x0800, 0x86DD,
                                           0x8100))
                struct.pack_into("!H", frame, at, word)
            else:
                frame[at] ^= 1 << self.random.randrange(8)
        return bytes(frame)
