# SPDX-License-Identifier: BSD-3-Clause
"""The decapsulating program of a backend: bytes in and bytes out through the kernel's test-run, and whole packets
through a real cable."""
import json
import re
import socket

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt
from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether
from scapy.packet import Raw

from lab import BERTH_DECAP, CLIENT4, CLIENT6, SERVICE4, SERVICE6, wait_for

XDP_DROP, XDP_PASS = 1, 2
MINE4, MINE6 = "192.0.2.11", "2001:db8:2::11"

INNER = {
    4: IP(src=CLIENT4, dst=SERVICE4, id=7) / TCP(sport=1025, dport=80, flags="S"),
    6: IPv6(src=CLIENT6, dst=SERVICE6, fl=5) / UDP(sport=1025, dport=53) / Raw(b"question"),
}
OUTER = {
    4: IP(src="192.0.2.2", dst=MINE4, flags="DF", id=0),
    6: IPv6(src="2001:db8:2::2", dst=MINE6, fl=9),
}
# Outer UDP headers: of any source port, with a checksum and without.
GUE = {
    "variant 1": UDP(sport=50123, dport=6080, chksum=0),
    "variant 1 with a checksum": UDP(sport=50123, dport=6080),
    "variant 1 with a wrong checksum": UDP(sport=50123, dport=6080, chksum=0x1234),
}
GUE0 = {4: bytes((0, 4, 0, 0)), 6: bytes((0, 41, 0, 0))}  # the header of variant 0, for each inner version
LINK = {
    "untagged": Ether(dst="02:00:00:00:00:11", src="02:00:00:00:00:02"),
    "tagged": Ether(dst="02:00:00:00:00:11", src="02:00:00:00:00:02") / Dot1Q(vlan=42, prio=3),
    "twice tagged": Ether(dst="02:00:00:00:00:11", src="02:00:00:00:00:02") / Dot1AD(vlan=7) / Dot1Q(vlan=42),
}


class Program:
    """The program on b1's interface."""

    def __init__(self, lab, directory):
        self.lab = lab
        self.directory = directory
        link = json.loads(lab.exec("b1", "ip", "-j", "-d", "link", "show", "eth0").stdout)[0]
        self.id = link["xdp"]["prog"]["id"]

    def run(self, frame):
        """(XDP's answer, the frame afterwards)"""
        into, out = self.directory / "in", self.directory / "out"
        into.write_bytes(bytes(frame))
        out.write_bytes(b"")
        reported = self.lab.exec("b1", "bpftool", "prog", "run", "id", self.id, "data_in", into, "data_out", out).stdout
        return int(re.search(r"Return value: (\d+)", reported)[1]), out.read_bytes()

    def counter(self, name):
        shown = self.lab.exec("b1", BERTH_DECAP, "show", "eth0").stdout
        return next(int(line.split()[1]) for line in shown.splitlines() if line.split()[0] == name)


@pytest.fixture
def program(bare_lab, tmp_path):
    return Program(bare_lab, tmp_path)


@pytest.mark.parametrize("link", LINK)
@pytest.mark.parametrize("outer", OUTER)
@pytest.mark.parametrize("inner", INNER)
def test_the_outer_header_is_removed_and_link_and_inner_packet_stay(program, link, outer, inner):
    name = f"{inner}in{outer}"
    before = program.counter(name)
    answer, frame = program.run(LINK[link] / OUTER[outer] / INNER[inner])
    assert answer == XDP_PASS
    assert frame == bytes(LINK[link] / INNER[inner])
    assert program.counter(name) == before + 1


def raw(packet):
    """The packet's bytes as an opaque payload, from which scapy computes no outer checksum or protocol."""
    return Raw(bytes(packet))


@pytest.mark.parametrize("link", LINK)
@pytest.mark.parametrize("udp", GUE)
@pytest.mark.parametrize("outer", OUTER)
@pytest.mark.parametrize("inner", INNER)
def test_the_outer_udp_header_is_removed(program, link, udp, outer, inner):
    name = f"gue_{inner}in{outer}"
    before = program.counter(name)
    answer, frame = program.run(LINK[link] / OUTER[outer] / GUE[udp] / raw(INNER[inner]))
    assert answer == XDP_PASS
    assert frame == bytes(LINK[link] / INNER[inner])
    assert program.counter(name) == before + 1


@pytest.mark.parametrize("outer", OUTER)
@pytest.mark.parametrize("inner", INNER)
def test_the_header_of_gue_variant_0_is_removed(program, outer, inner):
    before = program.counter(f"gue_{inner}in{outer}")
    answer, frame = program.run(
        LINK["untagged"] / OUTER[outer] / GUE["variant 1"] / raw(GUE0[inner] + bytes(INNER[inner])))
    assert answer == XDP_PASS
    assert frame == bytes(LINK["untagged"] / INNER[inner])
    assert program.counter(f"gue_{inner}in{outer}") == before + 1


@pytest.mark.parametrize("above", [[], [GUE["variant 1"]]], ids=["ipip", "gue"])
def test_an_outer_header_with_options_is_removed_whole(program, above):
    packet = LINK["untagged"] / IP(dst=MINE4, options=[b"\x94\x04\x00\x00"], proto=17 if above else 4)
    for header in above:
        packet /= header
    answer, frame = program.run(packet / raw(INNER[4]))
    assert answer == XDP_PASS
    assert frame == bytes(LINK["untagged"] / INNER[4])


# RFC 6040 figure 4: (outer, inner) to inner; None: dropped.
NOT_ECT, ECT_1, ECT_0, CE = range(4)
ECN = {(o, i): i for o in range(4) for i in range(4)}
ECN.update({(ECT_1, ECT_0): ECT_1, (CE, ECT_0): CE, (CE, ECT_1): CE, (CE, NOT_ECT): None})


def with_tos(packet, value):
    packet = packet.copy()
    packet.fields["tos" if IP in packet else "tc"] = value
    return packet


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("outer", OUTER)
@pytest.mark.parametrize("mode", ["ipip", "gue"])
@pytest.mark.parametrize("marks", ECN)
def test_congestion_marks_are_copied_inside_by_rfc_6040(program, mode, outer, inner, marks):
    class_of_traffic = 0xb8  # the upper six bits, which stay the inner packet's
    dropped = program.counter("dropped_ecn")
    carried = with_tos(INNER[inner], class_of_traffic | marks[1])
    answer, frame = program.run(
        LINK["untagged"] / with_tos(OUTER[outer], marks[0]) /
        (GUE["variant 1"] / raw(carried) if mode == "gue" else carried))
    expected = ECN[marks]
    if expected is None:
        assert answer == XDP_DROP
        assert program.counter("dropped_ecn") == dropped + 1
    else:
        assert answer == XDP_PASS
        # scapy computes the checksum anew: the program's must be the same.
        assert frame == bytes(LINK["untagged"] / with_tos(INNER[inner], class_of_traffic | expected))


UNTOUCHED = {
    "ARP": ARP(psrc="192.0.2.2", pdst=MINE4),
    "plain IPv4": IP(dst=MINE4) / TCP(),
    "plain IPv6": IPv6(dst=MINE6) / TCP(),
    "a tunnel to another host": IP(dst="192.0.2.12") / INNER[4],
    "a tunnel to another IPv6 host": IPv6(dst="2001:db8:2::12") / INNER[4],
    "the first fragment of a tunnel packet": IP(dst=MINE4, flags="MF") / INNER[4],
    "a later fragment of a tunnel packet": IP(dst=MINE4, frag=3, proto=4) / Raw(bytes(40)),
    "an inner header cut short": IP(dst=MINE4, proto=4) / Raw(bytes(INNER[4])[:19]),
    "an inner IPv6 header cut short": IPv6(dst=MINE6, nh=41) / Raw(bytes(INNER[6])[:39]),
    "nothing inside": IP(dst=MINE4, proto=4),
    "IPv6 announced as IPv4": IP(dst=MINE4, proto=4) / Raw(bytes(INNER[6])),
    "IPv4 announced as IPv6": IPv6(dst=MINE6, nh=41) / Raw(bytes(INNER[4])),
    "an outer header shorter than one can be": IP(dst=MINE4, ihl=4, proto=4) / Raw(bytes(INNER[4])),
    "an outer header of no length": IP(dst=MINE4, ihl=0, proto=4) / Raw(bytes(INNER[4])),
    "an outer header longer than its packet": IP(dst=MINE4, ihl=15, proto=4) / Raw(bytes(30)),
    "an outer IPv6 extension header": IPv6(dst=MINE6) / IPv6ExtHdrDestOpt(nh=4) / Raw(bytes(INNER[4])),
    "UDP to another port": IP(dst=MINE4) / UDP(dport=6081) / raw(INNER[4]),
    "UDP to another port in IPv6": IPv6(dst=MINE6) / UDP(dport=6081) / raw(INNER[6]),
    "GUE to another host": IP(dst="192.0.2.12") / GUE["variant 1"] / raw(INNER[4]),
    "GUE to another IPv6 host": IPv6(dst="2001:db8:2::12") / GUE["variant 1"] / raw(INNER[4]),
    "the first fragment of GUE": IP(dst=MINE4, flags="MF") / GUE["variant 1"] / raw(INNER[4]),
    "a later fragment of GUE": IP(dst=MINE4, frag=3, proto=17) / GUE["variant 1"] / raw(INNER[4]),
    "GUE with nothing inside": IP(dst=MINE4) / GUE["variant 1"],
    "GUE with an inner header cut short": IP(dst=MINE4) / GUE["variant 1"] / Raw(bytes(INNER[4])[:19]),
    "a UDP header cut short": IP(dst=MINE4, proto=17) / Raw(bytes(GUE["variant 1"])[:7]),
    "GUE of variant 1 that is no IP version": IP(dst=MINE4) / GUE["variant 1"] / Raw(b"\x55" + bytes(39)),
    "GUE of variant 2": IP(dst=MINE4) / GUE["variant 1"] / Raw(b"\x85" + bytes(39)),
    "GUE of variant 0 that carries TCP": IP(dst=MINE4) / GUE["variant 1"] / raw(b"\0\x06\0\0" + bytes(INNER[4])),
    "GUE of variant 0, IPv6 announced as IPv4": IP(dst=MINE4) / GUE["variant 1"] / raw(GUE0[4] + bytes(INNER[6])),
}


@pytest.mark.parametrize("what", UNTOUCHED)
def test_other_packets_pass_to_the_kernel_unchanged(program, what):
    frame = bytes(LINK["untagged"] / UNTOUCHED[what])
    passed = program.counter("passed")
    assert program.run(frame) == (XDP_PASS, frame)
    assert program.counter("passed") > passed


@pytest.mark.parametrize("mode", ["ipip", "gue"])
@pytest.mark.parametrize("outer, inner, service", [
    (4, 4, SERVICE4), (6, 4, SERVICE4), (4, 6, SERVICE6), (6, 6, SERVICE6)])
def test_a_tunnelled_request_is_answered_by_the_backends_server(bare_lab, mode, outer, inner, service):
    """A whole packet over the cable: the server answers its real client, not the sender."""
    client = CLIENT4 if inner == 4 else CLIENT6
    network = IP if inner == 4 else IPv6
    with bare_lab.inside("client"):
        listener = socket.socket(socket.AF_INET if inner == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
    with listener:
        listener.settimeout(3)
        listener.bind((client, 5555))
        mac = json.loads(bare_lab.exec("b1", "ip", "-j", "link", "show", "eth0").stdout)[0]["address"]
        packet = network(src=client, dst=service) / UDP(sport=5555, dport=5300) / Raw(b"hello")
        if mode == "gue":
            packet = GUE["variant 1"] / raw(packet)
        send(bare_lab, "berth", Ether(dst=mac, src="02:00:00:00:00:02") / OUTER[outer] / packet)
        answer, (source, port, *_) = listener.recvfrom(100)
    assert answer == b"b1 hello"
    assert (source, port) == (service, 5300)


def send(lab, host, frame, interface="eth0"):
    with lab.inside(host), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.bind((interface, 0))
        sock.send(bytes(frame))


def test_gue_is_received_on_the_configured_ports(bare_lab, program):
    def taken_out(port):
        frame = LINK["untagged"] / OUTER[4] / UDP(dport=port, chksum=0) / raw(INNER[4])
        return Program(bare_lab, program.directory).run(frame)[1] == bytes(LINK["untagged"] / INNER[4])

    try:
        bare_lab.exec("b1", BERTH_DECAP, "attach", "eth0", "--gue-port", 6081, "--gue-port", 65535)
        shown = bare_lab.exec("b1", BERTH_DECAP, "show", "eth0").stdout
        assert set(re.findall("gue-port (.*)", shown)) == {"6081", "65535"}
        assert taken_out(6081) and taken_out(65535) and not taken_out(6080)
    finally:
        bare_lab.exec("b1", BERTH_DECAP, "attach", "eth0")
    assert taken_out(6080) and not taken_out(6081)
    assert re.findall("gue-port (.*)", bare_lab.exec("b1", BERTH_DECAP, "show", "eth0").stdout) == ["6080"]


def test_detach_and_attach_with_chosen_addresses(bare_lab):
    def decap(*arguments, check=True):
        return bare_lab.exec("b3", BERTH_DECAP, *arguments, check=check)

    try:
        decap("detach", "eth0")
        assert "does not decapsulate" in decap("show", "eth0", check=False).stdout
        assert "XDP native" in decap("attach", "eth0", "--address", "192.0.2.13", "--address", "2001:db8:2::13").stdout
        shown = decap("show", "eth0").stdout
        assert "address 192.0.2.13\n" in shown and "address 2001:db8:2::13\n" in shown
        # Again, in place of itself: other addresses, no moment without.
        decap("attach", "eth0", "--address", "192.0.2.13")
        assert "2001:db8:2::13" not in decap("show", "eth0").stdout
    finally:
        decap("attach", "eth0")
    wait_for(lambda: "address 2001:db8:2::13\n" in decap("show", "eth0").stdout, what="all addresses")


@pytest.mark.parametrize("arguments, code, reported", [
    (("attach", "eth7"), 1, "eth7"),
    (("attach", "eth0", "--address", "192.0.2.300"), 2, "192.0.2.300"),
    (("attach", "eth0", "--gue-port", "0"), 2, "--gue-port"),
    (("attach", "eth0", "--gue-port", "65536"), 2, "--gue-port"),
    (("attach", "eth0", "--gue-port", "gue"), 2, "--gue-port"),
    (("fly", "eth0"), 2, "usage"),
    (("attach",), 2, "usage"),
    (("attach", "eth0", "--object", "/nonexistent.o"), 1, "/nonexistent.o"),
])
def test_berth_decap_reports_what_it_cannot_do(bare_lab, arguments, code, reported):
    done = bare_lab.exec("b2", BERTH_DECAP, *arguments, check=False)
    assert done.returncode == code
    assert reported in done.stderr
