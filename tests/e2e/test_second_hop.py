# SPDX-License-Identifier: BSD-3-Clause
"""berth-decap and the second hop of a GUE header: bytes through the kernel's test-run, and a connection that lives on
another backend than the one which receives its packets."""
import json
import re
import select
import socket
import struct
import threading

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Raw

from lab import BERTH_DECAP, CLIENT4, CLIENT6, SERVICE4, SERVICE6, request

XDP_DROP, XDP_PASS, XDP_TX = 1, 2, 3
MINE = {4: "192.0.2.11", 6: "2001:db8:2::11"}
OTHER = {4: "192.0.2.12", 6: "2001:db8:2::12"}
# No such hosts: the first two have an entry in b1's neighbour table.
HOPS = {4: ("192.0.2.98", "192.0.2.99"), 6: ("2001:db8:2::98", "2001:db8:2::99")}
HOP_MACS = ("02:00:00:00:00:98", "02:00:00:00:00:99")
SILENT = {4: "192.0.2.97", 6: "2001:db8:2::97"}
FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}
TYPE = {4: 0, 6: 0xbe06}

LINK = Ether(dst="02:00:00:00:00:11", src="02:00:00:00:00:02")
SERVICE = {4: SERVICE4, 6: SERVICE6}
CLIENT = {4: CLIENT4, 6: CLIENT6}


def inner(version, transport):
    header = IP(src=CLIENT4, dst=SERVICE4, id=7) if version == 4 else IPv6(src=CLIENT6, dst=SERVICE6, fl=5)
    return bytes(header / transport)


def outer(version, to, ttl=64):
    return (IP(src="192.0.2.2", dst=to, flags="DF", id=0, ttl=ttl) if version == 4 else
            IPv6(src="2001:db8:2::2", dst=to, fl=9, hlim=ttl))


def hop_list(version, hops, index=0, count=None, kind=None):
    """The private data; `count` and `kind` in place of the right ones."""
    return (struct.pack(">HBB", TYPE[version] if kind is None else kind, index, len(hops) if count is None else count) +
            b"".join(socket.inet_pton(FAMILY[version], hop) for hop in hops))


def variant0(payload, data, flags=0, first=None):
    """The GUE header, private data and an inner packet; `first` in place of the first byte."""
    protocol = 4 if payload[0] >> 4 == 4 else 41
    return struct.pack(">BBH", len(data) // 4 if first is None else first, protocol, flags) + data + payload


def tunnelled(version, payload, data, to=None, ttl=64, link=LINK, **more):
    udp = UDP(sport=50123, dport=6080, chksum=0)
    return link / outer(version, to or MINE[version], ttl) / udp / Raw(variant0(payload, data, **more))


KNOWN_TO_NOBODY = TCP(sport=1025, dport=80, flags="A", seq=5, ack=9)


class Program:
    """The program on b1's eth0."""

    def __init__(self, lab, directory):
        self.lab = lab
        self.directory = directory
        link = json.loads(lab.exec("b1", "ip", "-j", "-d", "link", "show", "eth0").stdout)[0]
        self.id, self.index, self.mac = link["xdp"]["prog"]["id"], link["ifindex"], link["address"]

    def run(self, frame):
        """(XDP's answer, the frame afterwards); the frame arrives on eth0."""
        into, out, context = (self.directory / name for name in ("in", "out", "context"))
        into.write_bytes(bytes(frame))
        out.write_bytes(b"")
        context.write_bytes(struct.pack("=6I", 0, len(bytes(frame)), 0, self.index, 0, 0))
        done = self.lab.exec("b1", "bpftool", "prog", "run", "id", self.id, "data_in", into, "data_out", out,
                             "ctx_in", context)
        return int(re.search(r"Return value: (\d+)", done.stdout)[1]), out.read_bytes()

    def counters(self):
        return counters(self.lab, "b1")

    def run_counted(self, frame):
        """The same, and the counters that changed, but the one that b1's own traffic changes too."""
        before = self.counters()
        answer, after = self.run(frame)
        changed = {name for name, value in self.counters().items() if value != before[name]}
        return answer, after, changed - {"passed"}


def counters(lab, host):
    shown = lab.exec(host, BERTH_DECAP, "show", "eth0").stdout
    return {name: int(value) for name, value in re.findall(r"^(\w+) +(\d+) ", shown, re.M)}


def forward(lab, answer):
    lab.exec("b1", "sysctl", "-qw", f"net.ipv4.conf.eth0.forwarding={answer}", f"net.ipv6.conf.all.forwarding={answer}")


@pytest.fixture(scope="module")
def settled_lab(bare_lab):
    """With what docs/backends.md says for the second hop. A program on the other end of b1's cable: veth delivers what
    XDP_TX sends only to an end that runs one."""
    forward(bare_lab, 1)
    bare_lab.exec("router", BERTH_DECAP, "attach", "b1", "--address", "192.0.2.1")
    for hops in HOPS.values():
        for hop, mac in zip(hops, HOP_MACS):
            bare_lab.exec("b1", "ip", "neigh", "replace", hop, "lladdr", mac, "dev", "eth0", "nud", "permanent")
    return bare_lab


@pytest.fixture
def program(settled_lab, tmp_path):
    return Program(settled_lab, tmp_path)


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("carried", [4, 6])
def test_a_packet_of_an_unknown_connection_goes_to_the_second_hop(program, version, carried, index):
    packet = inner(carried, KNOWN_TO_NOBODY / Raw(b"data"))
    answer, frame, changed = program.run_counted(tunnelled(version, packet, hop_list(version, HOPS[version], index)))
    assert answer == XDP_TX
    assert changed == {"hop_used"}
    # scapy computes the IPv4 checksum anew: the program's must be the same.
    assert frame == bytes(tunnelled(version, packet, hop_list(version, HOPS[version], index + 1),
                                    to=HOPS[version][index], ttl=63,
                                    link=Ether(dst=HOP_MACS[index], src=program.mac)))


@pytest.mark.parametrize("flags", ["A", "SA", "FA", "R", "PA"])
def test_only_a_syn_without_ack_is_new(program, flags):
    packet = inner(4, TCP(sport=1025, dport=80, flags=flags))
    assert program.run(tunnelled(4, packet, hop_list(4, HOPS[4])))[0] == XDP_TX


def test_a_udp_checksum_does_not_survive_the_second_hop(program):
    packet = inner(4, KNOWN_TO_NOBODY)
    frame = tunnelled(4, packet, hop_list(4, HOPS[4]))
    frame[UDP].chksum = 0x1234
    after = Ether(program.run(frame)[1])
    assert (after[IP].dst, after[UDP].chksum) == (HOPS[4][0], 0)


HERE = {
    "a SYN": inner(4, TCP(sport=1025, dport=80, flags="S")),
    "a SYN of IPv6": inner(6, TCP(sport=1025, dport=80, flags="SEC")),
    "UDP": inner(4, UDP(sport=1025, dport=53)),
    "UDP of IPv6": inner(6, UDP(sport=1025, dport=53)),
    "ICMP": inner(4, ICMP()),
    "a first fragment": bytes(IP(src=CLIENT4, dst=SERVICE4, flags="MF") / KNOWN_TO_NOBODY),
    "a later fragment": bytes(IP(src=CLIENT4, dst=SERVICE4, frag=3, proto=6) / Raw(bytes(40))),
    "a fragment of IPv6": bytes(IPv6(src=CLIENT6, dst=SERVICE6) / IPv6ExtHdrFragment(offset=0, m=1) / KNOWN_TO_NOBODY),
    "a TCP header cut short": inner(4, KNOWN_TO_NOBODY)[:39],
}


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("what", HERE)
def test_what_needs_no_connection_is_for_this_host(program, what, version):
    answer, frame, changed = program.run_counted(tunnelled(version, HERE[what], hop_list(version, HOPS[version])))
    assert answer == XDP_PASS
    assert frame[14:] == HERE[what]
    assert changed == {"hop_unused", f"gue_{HERE[what][0] >> 4}in{version}"}


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("used", [0, 2])
def test_without_a_hop_left_all_is_for_this_host(program, version, used):
    packet = inner(4, KNOWN_TO_NOBODY)
    answer, frame, changed = program.run_counted(tunnelled(version, packet, hop_list(version, HOPS[version][:used], used)))
    assert (answer, frame[14:]) == (XDP_PASS, packet)
    assert changed == {f"gue_4in{version}"}


def listen(lab, version):
    with lab.inside("b1"):
        listener = socket.socket(FAMILY[version])
        listener.bind((SERVICE[version], 0))
        listener.listen()
        return listener


@pytest.mark.parametrize("version", [4, 6])
def test_a_connection_of_this_kernel_is_for_this_host_in_every_state_but_listen(program, version):
    """Established, half closed, and in TIME_WAIT."""
    with listen(program.lab, version) as listener, program.lab.inside("b1"):
        client = socket.create_connection((SERVICE[version], listener.getsockname()[1]),
                                          source_address=(MINE[version], 0))
        server = listener.accept()[0]
    source, port = client.getsockname()[1], server.getsockname()[1]

    def is_here(sport=source):
        header = IP(src=MINE[4], dst=SERVICE4) if version == 4 else IPv6(src=MINE[6], dst=SERVICE6)
        packet = bytes(header / TCP(sport=sport, dport=port, flags="A"))
        return program.run(tunnelled(version, packet, hop_list(version, HOPS[version])))[0] == XDP_PASS

    with client, server:
        assert is_here()
        assert not is_here(source - 1)
        server.shutdown(socket.SHUT_WR)
        assert is_here()
        client.close()
        assert server.recv(1) == b""
        server.close()
    assert is_here()


@pytest.mark.parametrize("version", [4, 6])
def test_a_listening_socket_alone_is_no_connection(program, version):
    with listen(program.lab, version) as listener:
        packet = inner(version, TCP(sport=1025, dport=listener.getsockname()[1], flags="A"))
        assert program.run(tunnelled(version, packet, hop_list(version, HOPS[version])))[0] == XDP_TX


def send(lab, host, frame):
    with lab.inside(host), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.bind(("eth0", 0))
        sock.send(bytes(frame))


def sniffer(lab, host, timeout=3):
    with lab.inside(host):
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    sock.bind(("eth0", 0))
    sock.settimeout(timeout)
    return sock


@pytest.mark.parametrize("version", [4, 6])
def test_the_answer_to_a_syn_cookie_is_for_this_host(program, version):
    lab = program.lab
    lab.exec("b1", "sysctl", "-qw", "net.ipv4.tcp_syncookies=2")
    try:
        with listen(lab, version) as listener, sniffer(lab, "client") as cable:
            port = listener.getsockname()[1]
            syn = inner(version, TCP(sport=1025, dport=port, flags="S", seq=100, options=[("MSS", 1400)]))
            send(lab, "berth", tunnelled(version, syn, hop_list(version, HOPS[version]),
                                         link=Ether(dst=program.mac, src="02:00:00:00:00:02")))
            answer = None
            while answer is None or TCP not in answer or answer[TCP].sport != port:
                answer = Ether(cable.recv(2000))

            for offset, expected in ((1, XDP_PASS), (12345, XDP_TX)):
                ack = TCP(sport=1025, dport=port, flags="A", seq=101, ack=(answer[TCP].seq + offset) % 2**32)
                frame = tunnelled(version, inner(version, ack), hop_list(version, HOPS[version]))
                assert program.run(frame)[0] == expected
    finally:
        lab.exec("b1", "sysctl", "-qw", "net.ipv4.tcp_syncookies=1")


@pytest.mark.parametrize("version", [4, 6])
def test_without_a_route_to_the_hop_the_packet_is_for_this_host(program, version):
    packet = inner(4, KNOWN_TO_NOBODY)

    def is_here(hop):
        answer, frame, changed = program.run_counted(tunnelled(version, packet, hop_list(version, [hop])))
        return (answer, frame[14:], changed) == (XDP_PASS, packet, {"hop_no_route", f"gue_4in{version}"})

    assert is_here(MINE[version])  # this host itself
    assert is_here({4: "224.0.0.1", 6: "ff02::1"}[version])
    forward(program.lab, 0)
    try:
        assert is_here(HOPS[version][0])
    finally:
        forward(program.lab, 1)
    assert not is_here(HOPS[version][0])


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("ttl", [0, 1])
def test_a_packet_without_ttl_goes_no_further(program, version, ttl):
    frame = tunnelled(version, inner(4, KNOWN_TO_NOBODY), hop_list(version, HOPS[version]), ttl=ttl)
    answer, _, changed = program.run_counted(frame)
    assert (answer, changed) == (XDP_DROP, {"hop_expired"})


@pytest.mark.parametrize("version", [4, 6])
def test_the_kernel_sends_where_more_than_link_addresses_is_needed(program, version):
    """A hop that is not in the neighbour table, a VLAN tag: the frame is addressed, and the kernel routes it."""
    packet = inner(4, KNOWN_TO_NOBODY)
    tagged = LINK / Dot1Q(vlan=42, prio=3)
    for hop, link in ((SILENT[version], LINK), (HOPS[version][0], tagged)):
        answer, frame, changed = program.run_counted(tunnelled(version, packet, hop_list(version, [hop]), link=link))
        assert (answer, changed) == (XDP_PASS, {"hop_kernel"})
        assert frame == bytes(tunnelled(version, packet, hop_list(version, [hop], 1), to=hop, link=link))


ACK4 = inner(4, KNOWN_TO_NOBODY)
MALFORMED = {
    "an index beyond the count": (4, hop_list(4, HOPS[4], 3), {}),
    "a count beyond the length": (4, hop_list(4, HOPS[4], count=3), {}),
    "a count below the length": (4, hop_list(4, HOPS[4], count=1), {}),
    "another type": (4, hop_list(4, HOPS[4], kind=1), {}),
    "the type for IPv6 in IPv4": (4, hop_list(4, HOPS[4], kind=TYPE[6]), {}),
    "the type for IPv4 in IPv6": (6, hop_list(6, HOPS[6], kind=TYPE[4]), {}),
    "IPv4 hops in IPv6": (6, hop_list(4, HOPS[4]), {}),
    "a length beyond the frame": (4, hop_list(4, HOPS[4]), {"first": 31}),
    "a control message": (4, hop_list(4, HOPS[4]), {"first": 0x23}),
    "a control message without private data": (4, b"", {"first": 0x20}),
    "flags": (4, hop_list(4, HOPS[4]), {"flags": 1}),
    "flags in IPv6": (6, hop_list(6, HOPS[6]), {"flags": 0x8000}),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_malformed_headers_pass_to_the_kernel_unchanged(program, what):
    version, data, more = MALFORMED[what]
    frame = bytes(tunnelled(version, ACK4, data, **more))
    assert program.run_counted(frame) == (XDP_PASS, frame, {"malformed"})


def test_malformed_headers_for_another_host_are_not_counted_as_such(program):
    frame = bytes(tunnelled(4, ACK4, hop_list(4, HOPS[4], 3), to=OTHER[4]))
    assert program.run_counted(frame) == (XDP_PASS, frame, set())


class Forwarder(threading.Thread):
    """On berth's host, in place of an engine without a flow table: SYNs to b2, other packets to b1 with b2 as the
    second hop."""

    def __init__(self, lab, version):
        super().__init__()
        self.version = version
        self.macs = [json.loads(lab.exec(host, "ip", "-j", "link", "show", "eth0").stdout)[0]["address"]
                     for host in ("b1", "b2")]
        self.cable = sniffer(lab, "berth")
        self.stopped, self.stop = socket.socketpair()

    def run(self):
        while True:
            ready, _, _ = select.select([self.cable, self.stopped], [], [])
            if self.stopped in ready:
                return
            frame, (_, _, kind, *_) = self.cable.recvfrom(2000)
            packet = Ether(frame).payload
            if kind != socket.PACKET_OUTGOING and TCP in packet and packet.dst == SERVICE[self.version]:
                self.forward(packet)

    def forward(self, packet):
        opens = packet[TCP].flags == "S"
        data = b"" if opens else hop_list(self.version, [OTHER[self.version]])
        self.cable.send(bytes(tunnelled(self.version, bytes(packet), data, to=(OTHER if opens else MINE)[self.version],
                                        link=Ether(dst=self.macs[opens], src="02:00:00:00:00:02"))))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop.send(b"x")
        self.join()
        self.cable.close()


@pytest.mark.parametrize("version", [4, 6])
def test_a_connection_goes_on_although_another_backend_receives_its_packets(settled_lab, version):
    lab = settled_lab
    lab.exec("b1", "ip", "neigh", "flush", "dev", "eth0", "to", OTHER[version])
    before = [counters(lab, host) for host in ("b1", "b2")]
    with Forwarder(lab, version), lab.inside("client"):
        connection = socket.create_connection((SERVICE[version], 80), timeout=5)
        with connection:
            for _ in range(20):
                assert request(connection)[:2] == (200, "b2")
    b1, b2 = [{name: value - was[name] for name, value in counters(lab, host).items()}
              for host, was in zip(("b1", "b2"), before)]
    assert b1["hop_used"] >= 20
    assert b1[f"gue_{version}in{version}"] == 0
    assert b2[f"gue_{version}in{version}"] >= 21

