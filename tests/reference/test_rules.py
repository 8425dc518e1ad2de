# SPDX-License-Identifier: BSD-3-Clause
"""The reference itself, against expectations written by hand from docs/packets.md."""
import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6PacketTooBig, IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from berth_reference import wire
from berth_reference.reference import Reference
from berth_reference.world import ALL, FLOWS, FULL, LIMIT, SESSIONS, Backend, FlowLimit, Route, Service, World, address

NOW = 1000000
A_SECOND = 1000000000
TIMEOUTS = {"claimed": 2, "half-open": 10, "established": 3600, "closing": 240, "closed": 30, "unreplied": 10, "assured": 180,
            "session": 10800, "fragment": 30}
CLIENT, CLIENT6 = "198.51.100.7", "2001:db8:2::7"
SYN, ACK, FIN, RST = 2, 16, 1, 4


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def backend(number, mode, own, **more):
    source = address("192.0.2.254" if "." in own else "2001:db8:3::fe")
    more.setdefault("outer_src", source)
    return Backend(number, mode, address(own), 0, mac(f"02:00:00:00:02:{number:02x}"), mac("02:00:00:00:01:00"), **more)


def service(number, place, protocol, ports, *backends, affinity="flow", bits=None):
    first, last = ports if isinstance(ports, tuple) else (ports, ports)
    packed = address(place)
    return Service(number, packed, bits or len(packed) * 8, protocol, first, last, affinity, timeouts=dict(TIMEOUTS),
                   backends=list(backends))


def reference_of(*services, routes=()):
    return Reference(World(list(services), list(routes)))


def send(reference, frame, now=NOW, left=b"", pick=None):
    """Processes a frame: returns its only outcome, or the outcome with backend `pick`."""
    outcomes = reference.process(bytes(frame), 0, now)
    if pick:
        outcomes = [outcome for outcome in outcomes if outcome.way.backend.number == pick]
    assert len(outcomes) == 1, outcomes
    bytes_left = outcomes[0].render(left or bytes(100)) if outcomes[0].render else bytes(frame)
    reference.adopt(outcomes, now)
    return outcomes[0].verdict, bytes_left


def verdict(reference, frame, now=NOW, **more):
    return send(reference, frame, now, **more)[0]


def tcp(flags, sport=1024, dport=80, src=CLIENT, dst="203.0.113.1", data=b"", **more):
    src, dst = address(src), address(dst)
    return wire.ether(wire.ip(src, dst, 6, wire.tcp(src, dst, sport, dport, flags, data), **more))


def udp(payload=b"data", sport=1024, dport=53, src=CLIENT, dst="203.0.113.1", **more):
    src, dst = address(src), address(dst)
    return wire.ether(wire.ip(src, dst, 17, wire.udp(src, dst, sport, dport, payload), **more))


def web(**more):
    return service(1, "203.0.113.1", 6, 80, backend(4, "l2", "192.0.2.4"), **more)


# Bytes. These frames are written by hand from the RFCs, like those of tests/golden.

def test_an_ipv4_packet_in_ipv4_leaves_with_its_tag_and_dscp():
    reference = reference_of(service(2, "203.0.113.1", 17, 53, backend(8, "ipip", "192.0.2.8")))
    sent = bytes.fromhex("020000000100 020000000909 81002064 0800 45b8001e12340000 4011 01a7 c6336407 cb007101"
                         "04010035 000a0000 0001".replace(" ", ""))
    left = bytes.fromhex("020000000208 020000000100 81002064 0800 45b80032 00004000 4004b509 c00002fe c0000208"
                         "45b8001e 12340000 3f1102a7 c6336407 cb007101 04010035 000a0000 0001".replace(" ", ""))
    assert send(reference, sent) == ("selected", left)


def test_an_ipv4_packet_in_ipv6_has_the_label_of_its_flow():
    reference = reference_of(service(11, "203.0.113.11", 17, 53, backend(0x44, "ipip", "2001:db8:3::44")))
    left = bytes.fromhex("020000000244 020000000100 86dd 600f84e4 001e0440 20010db8000300000000000000 0000fe"
                         "20010db8000300000000000000000044 4500001e 12340000 3f110355 c6336407 cb00710b"
                         "04010035 000a0000 0001".replace(" ", ""))
    sent = bytearray(left[:12] + b"\x08\0" + left[54:])
    sent[:12] = wire.BERTH_MAC + wire.ROUTER_MAC
    sent[22:26] = bytes.fromhex("40110255")
    assert send(reference, sent, left=left) == ("selected", left)
    reference.hashes.learn(next(iter(reference.tables.entries)), 0, 20, 0xF84E4)
    other = left[:15] + b"\1\2\3" + left[18:]
    assert send(reference, sent, left=other) == ("flow", left), "the label changed with the frame that left"


def test_gue_puts_udp_behind_the_outer_header():
    reference = reference_of(service(2, "2001:db8:1::5", 17, 53, backend(
        8, "gue", "192.0.2.8", dport=6080, outer_src=address("198.18.0.0"), source_bits=4)))
    sent = Ether(udp(src=CLIENT6, dst="2001:db8:1::5", ttl=9, tos=3))
    inner = sent[IPv6].copy()
    inner.hlim = 8
    # Bits 20 to 33 of the hash are 0x1abd; the low four of them are in the outer source.
    expected = Ether(dst="02:00:00:00:02:08", src="02:00:00:00:01:00") / IP(
        tos=3, id=0, flags="DF", ttl=64, src="198.18.0.13", dst="192.0.2.8") / UDP(
        sport=49152 + 0x1ABD, dport=6080, chksum=0) / Raw(bytes(inner))
    assert send(reference, bytes(sent), left=bytes(expected)) == ("selected", bytes(expected))


@pytest.mark.parametrize("summed", [True, False])
def test_nat_leaves_what_scapy_builds_for_the_new_destination(summed):
    reference = reference_of(service(3, "203.0.113.1", 17, 53, backend(12, "nat", "192.0.2.12", dport=5353)))
    sent = Ether(dst=wire.BERTH_MAC, src=wire.ROUTER_MAC) / IP(src=CLIENT, dst="203.0.113.1", ttl=17) / UDP(
        sport=1024, dport=53, chksum=None if summed else 0) / Raw(b"question")
    expected = sent.copy()
    expected.dst, expected.src = "02:00:00:00:02:0c", "02:00:00:00:01:00"
    expected[IP].dst, expected[IP].ttl, expected[UDP].dport = "192.0.2.12", 16, 5353
    assert send(reference, bytes(sent)) == ("selected", bytes(expected))


def nat_reference(**route):
    hop = Route(address("198.51.100.0"), 24, "hop", 1, mac("02:00:00:00:03:01"), mac("02:00:00:00:01:01"), **route)
    return reference_of(service(3, "203.0.113.1", 6, 80, backend(12, "nat", "192.0.2.12", dport=8080)), routes=[hop])


def opened(**route):
    """A reference in which the client has opened its flow."""
    reference = nat_reference(**route)
    assert verdict(reference, tcp(SYN)) == "selected"
    return reference


def test_an_answer_of_no_flow_passes():
    answer = tcp(ACK, 8080, 1024, "192.0.2.12", CLIENT)
    assert verdict(nat_reference(), answer) == "no_flow"
    reference = opened()
    assert verdict(reference, tcp(ACK, 8080, 1025, "192.0.2.12", CLIENT)) == "no_flow"
    assert verdict(reference, tcp(ACK, 8080, 1024, "192.0.2.12", "198.51.100.8")) == "no_flow"
    opening = tcp(SYN | ACK, 8080, 1024, "192.0.2.12", CLIENT)  # renews no half-open flow
    assert verdict(reference, opening, NOW + 10) == "returned"
    assert verdict(reference, opening, NOW + 11) == "no_flow"


def test_an_answer_in_mode_nat_returns_from_the_service():
    sent = Ether(tcp(ACK, 8080, 1024, "192.0.2.12", CLIENT))
    expected = Ether(tcp(ACK, 80, 1024, "203.0.113.1", CLIENT, ttl=63))
    expected.dst, expected.src = "02:00:00:00:03:01", "02:00:00:00:01:01"
    assert send(opened(), bytes(sent)) == ("returned", bytes(expected))


def test_an_answer_without_a_route_is_rewritten_and_passed():
    reference = reference_of(*nat_reference().world.services)
    assert verdict(reference, tcp(SYN)) == "selected"
    expected = tcp(ACK, 80, 1024, "203.0.113.1", CLIENT)
    assert send(reference, tcp(ACK, 8080, 1024, "192.0.2.12", CLIENT)) == ("returned_pass", expected)


def test_an_error_about_a_nat_flow_is_rewritten_within():
    inner = IP(src="203.0.113.1", dst=CLIENT, ttl=5) / TCP(sport=80, dport=1024, flags="A") / Raw(b"0123456789")
    sent = Ether(dst=wire.BERTH_MAC, src=wire.ROUTER_MAC) / IP(src="198.18.9.9", dst="203.0.113.1") / ICMP(
        type=3, code=4, nexthopmtu=1300) / Raw(bytes(inner))
    inner[IP].src, inner[TCP].sport = "192.0.2.12", 8080
    expected = Ether(dst="02:00:00:00:02:0c", src="02:00:00:00:01:00") / IP(
        src="198.18.9.9", dst="192.0.2.12", ttl=63) / ICMP(type=3, code=4, nexthopmtu=1300) / Raw(bytes(inner))
    assert send(nat_reference(), bytes(sent)) == ("icmp_error", bytes(expected))


def test_an_error_from_a_nat_backend_returns_about_the_service():
    inner = IP(src=CLIENT, dst="192.0.2.12", ttl=5) / TCP(sport=1024, dport=8080, flags="A")
    sent = Ether(dst=wire.BERTH_MAC, src=wire.ROUTER_MAC) / IP(src="192.0.2.12", dst=CLIENT) / ICMP(
        type=3, code=1) / Raw(bytes(inner))
    inner[IP].dst, inner[TCP].dport = "203.0.113.1", 80
    expected = Ether(dst="02:00:00:00:03:01", src="02:00:00:00:01:01") / IP(
        src="203.0.113.1", dst=CLIENT, ttl=63) / ICMP(type=3, code=1) / Raw(bytes(inner))
    assert send(opened(), bytes(sent)) == ("returned", bytes(expected))


def test_too_big_is_answered_with_what_fits():
    reference = reference_of(
        service(2, "203.0.113.1", 17, 53, backend(8, "gue", "2001:db8:3::8", dport=6080, mtu=1400)))
    assert verdict(reference, udp(bytes(1400 - 48 - 28))) == "selected"
    sent = Ether(udp(bytes(1400 - 48 - 27), tos=4))
    expected = Ether(dst=wire.ROUTER_MAC, src=wire.BERTH_MAC) / IP(
        tos=0xC0, id=0, flags="DF", ttl=64, src="203.0.113.1", dst=CLIENT) / ICMP(
        type=3, code=4, nexthopmtu=1352) / Raw(bytes(sent[IP])[:548])
    assert send(reference, bytes(sent)) == ("answered_too_big", bytes(expected))


def test_ipv6_too_big_is_answered_within_1280_bytes():
    reference = reference_of(service(2, "2001:db8:1::5", 17, 53, backend(8, "l2", "2001:db8:3::8", mtu=1300)))
    sent = Ether(udp(bytes(1400), src=CLIENT6, dst="2001:db8:1::5"))
    expected = Ether(dst=wire.ROUTER_MAC, src=wire.BERTH_MAC) / IPv6(
        hlim=64, src="2001:db8:1::5", dst=CLIENT6) / ICMPv6PacketTooBig(mtu=1300) / Raw(bytes(sent[IPv6])[:1232])
    left = send(reference, bytes(sent))
    assert left == ("answered_too_big", bytes(expected))
    assert len(left[1]) == 14 + 1280


def test_time_exceeded_is_answered_twenty_times_a_second():
    reference = reference_of(web(), service(2, "2001:db8:1::5", 6, 80, backend(8, "l2", "2001:db8:3::8", mtu=1280)))
    verdicts = [verdict(reference, tcp(SYN, ttl=1)) for _ in range(21)]
    assert verdicts == ["answered_ttl_expired"] * 20 + ["ttl_expired"]
    assert verdict(reference, tcp(SYN, ttl=1), NOW + 1) == "answered_ttl_expired"
    last = tcp(SYN, ttl=1, src=CLIENT6, dst="2001:db8:1::5")
    other = tcp(SYN, ttl=1, src="2001:db8:2:0:ffff::9", dst="2001:db8:1::5")  # of the same /64
    verdicts = [verdict(reference, frame, NOW + 2) for frame in [last, other] * 10 + [other]]
    assert verdicts == ["answered_ttl_expired"] * 20 + ["ttl_expired"]


def test_too_big_and_other_clients_have_budgets_of_their_own():
    reference = reference_of(service(2, "203.0.113.1", 17, 53, backend(8, "l2", "192.0.2.8", mtu=600)))
    for _ in range(20):
        assert verdict(reference, udp(ttl=1)) == "answered_ttl_expired"
    assert verdict(reference, udp(bytes(1000))) == "answered_too_big"
    # The other client may share the budget of the first: both outcomes are allowed.
    outcomes = reference.process(udp(ttl=1, src="198.51.100.9"), 0, NOW)
    assert [outcome.verdict for outcome in outcomes] == ["answered_ttl_expired", "ttl_expired"]


# States.

def test_a_flow_expires_after_the_timeout_of_its_state():
    reference = reference_of(web())
    assert verdict(reference, tcp(SYN)) == "selected"
    assert verdict(reference, tcp(SYN), NOW + 9) == "flow"
    assert verdict(reference, tcp(ACK), NOW + 18) == "flow"
    assert verdict(reference, tcp(ACK), NOW + 18 + 3599) == "flow"
    assert verdict(reference, tcp(FIN | ACK), NOW + 3700) == "flow"
    assert verdict(reference, tcp(ACK), NOW + 3700 + 240) == "flow", "it refreshes the closing flow"
    assert verdict(reference, tcp(ACK), NOW + 3700 + 481) == "selected"
    assert verdict(reference, tcp(FIN | ACK), NOW + 4190) == "flow"
    assert verdict(reference, tcp(ACK, data=b"more"), NOW + 4200) == "flow", "the FIN was not the client's"
    assert verdict(reference, tcp(ACK), NOW + 4200 + 3600) == "flow"


def test_a_session_is_unconfirmed_until_a_second_packet_that_is_no_syn():
    for second, confirms in (SYN, False), (SYN | ACK, False), (RST, False), (ACK, True), (FIN | ACK, True):
        for port in 1, 2:
            reference = pair()[0]
            assert verdict(reference, tcp(SYN, 1), pick=4) == "selected"
            verdict(reference, tcp(second, port))
            outcomes = reference.process(bytes(tcp(SYN, 3)), 0, NOW + 11)
            assert {one.verdict for one in outcomes} == {"session" if confirms else "selected"}, (second, port)


def test_a_syn_reopens_a_closing_flow_only():
    reference = reference_of(web())
    assert [verdict(reference, tcp(flags)) for flags in (SYN, ACK, SYN, RST, ACK, SYN)] == [
        "selected", "flow", "flow", "flow", "flow", "selected"]


def test_a_rst_of_no_flow_inserts_nothing():
    reference = reference_of(web())
    assert [verdict(reference, tcp(flags)) for flags in (RST, RST, SYN)] == ["untracked", "untracked", "selected"]


def hopping(**more):
    """Two backends; both were the primary of no row, and backend 9 that of all rows before."""
    changed = service(1, "203.0.113.1", 6, 80, backend(8, "gue", "192.0.2.8", dport=6080),
                      backend(9, "gue", "192.0.2.9", dport=6080), **more)
    changed.former = changed.backends[1]
    changed.backends[1].eligibility = FLOWS
    return changed


def test_a_packet_of_an_unknown_connection_has_the_former_backend_as_second_hop():
    reference = reference_of(hopping())
    sent = Ether(tcp(ACK, data=b"data"))
    inner = sent[IP].copy()
    inner.ttl -= 1
    del inner.chksum
    private = bytes.fromhex("02040000 00000001 c0000209")
    expected = Ether(dst="02:00:00:00:02:08", src="02:00:00:00:01:00") / IP(
        id=0, flags="DF", ttl=64, src="192.0.2.254", dst="192.0.2.8") / UDP(
        sport=49152, dport=6080, chksum=0) / Raw(private + bytes(inner))
    assert send(reference, bytes(sent), left=bytes(expected)) == ("second_hop", bytes(expected))


def test_each_packet_of_an_unknown_connection_has_a_second_hop_until_its_next_syn():
    reference = reference_of(hopping())
    assert [verdict(reference, tcp(flags)) for flags in (ACK, ACK, FIN | ACK, RST)] == ["second_hop"] * 4
    assert [verdict(reference, tcp(flags)) for flags in (SYN, ACK)] == ["selected", "flow"]


def test_a_second_hop_is_behind_the_backend_of_the_clients_session():
    reference = reference_of(hopping(affinity="client"))
    assert verdict(reference, tcp(ACK)) == "second_hop"
    assert verdict(reference, tcp(SYN, sport=1025)) == "selected"
    assert verdict(reference, tcp(ACK)) == "second_hop"
    assert verdict(reference, tcp(ACK, sport=1025)) == "flow"


def test_behind_the_former_backend_of_a_session_is_what_the_row_gives_now():
    changed = hopping(affinity="client")
    first, former = changed.backends
    first.eligibility, former.eligibility = 0, ALL
    reference = reference_of(changed)
    assert verdict(reference, tcp(SYN, sport=1025)) == "selected"
    first.eligibility, former.eligibility = ALL, FLOWS | SESSIONS
    sent = Ether(tcp(ACK, data=b"data"))
    inner = sent[IP].copy()
    inner.ttl -= 1
    del inner.chksum
    expected = Ether(dst="02:00:00:00:02:09", src="02:00:00:00:01:00") / IP(
        id=0, flags="DF", ttl=64, src="192.0.2.254", dst="192.0.2.9") / UDP(
        sport=49152, dport=6080, chksum=0) / Raw(bytes.fromhex("02040000 00000001 c0000208") + bytes(inner))
    assert send(reference, bytes(sent), left=bytes(expected)) == ("second_hop", bytes(expected))


@pytest.mark.parametrize("change", [{"eligibility": 0}, {"known": False}, {"address": address("2001:db8:3::9")}])
def test_a_former_backend_out_of_reach_is_no_second_hop(change):
    changed = hopping()
    for name, value in change.items():
        setattr(changed.former, name, value)
    assert verdict(reference_of(changed), tcp(ACK)) == "selected"


def test_a_second_hop_takes_nothing_of_a_limit():
    limited = hopping()
    limited.limit = FlowLimit(A_SECOND, 0)
    reference = reference_of(limited)
    flows = [verdict(reference, tcp(flags, port)) for port, flags in enumerate((ACK, ACK, SYN, SYN, ACK))]
    assert flows == ["second_hop", "second_hop", "selected", "over_limit", "second_hop"]


def test_a_limit_of_new_flows_lets_in_its_burst_and_then_its_rate():
    limited = web()
    limited.limit = FlowLimit(A_SECOND, 2000)
    reference = reference_of(limited)
    assert [verdict(reference, tcp(SYN, port)) for port in range(5)] == ["selected"] * 3 + ["over_limit"] * 2
    assert verdict(reference, tcp(ACK, 0)) == "flow"
    assert verdict(reference, tcp(ACK, 9)) == "untracked"
    assert verdict(reference, tcp(SYN, 9), NOW + 1) == "selected"
    assert verdict(reference, tcp(SYN, 10), NOW + 1) == "over_limit"


def test_a_source_over_its_limit_takes_nothing_of_the_services():
    limited = web()
    limited.limit, limited.source_limit = FlowLimit(A_SECOND, 1000), FlowLimit(A_SECOND, 0, 24, 64)
    reference = reference_of(limited)
    sources = "198.51.100.7", "198.51.100.8", "198.51.101.7", "198.51.102.7"
    assert [verdict(reference, tcp(SYN, src=src)) for src in sources] == [
        "selected", "over_limit", "selected", "over_limit"]



def test_a_client_keeps_its_backend_and_a_flow_moves_when_its_backend_is_down():
    first, second = backend(4, "l2", "192.0.2.4"), backend(5, "l2", "192.0.2.5")
    reference = reference_of(service(1, "203.0.113.1", 6, 80, first, second, affinity="client"))
    assert verdict(reference, tcp(SYN, 1), pick=5) == "selected"
    assert verdict(reference, tcp(SYN, 2)) == "session"
    second.eligibility = FLOWS
    assert verdict(reference, tcp(ACK, 2)) == "flow"
    assert verdict(reference, tcp(SYN, 2)) == "reselected", "a SYN stays with a backend that takes no new clients"
    second.eligibility = 0
    assert verdict(reference, tcp(ACK, 1)) == "reselected"
    second.eligibility = ALL
    assert verdict(reference, tcp(SYN, 3)) == "session"


def test_selection_repeats_its_result():
    reference = reference_of(
        service(1, "203.0.113.1", 6, 80, backend(4, "l2", "192.0.2.4"), backend(5, "l2", "192.0.2.5")))
    assert verdict(reference, tcp(RST), pick=5) == "untracked"
    assert len(reference.process(tcp(SYN), 0, NOW)) == 1


# Sessions: the backend of a client whose own backend is removed or over its share.

def pair(**more):
    """A service with two backends, and its reference."""
    one, other = backend(4, "l2", "192.0.2.4"), backend(5, "l2", "192.0.2.5")
    web2 = service(1, "203.0.113.1", 6, 80, one, other, affinity="client")
    for key, value in more.items():
        setattr(web2, key, value)
    return reference_of(web2), one, other


def where(reference, frame, now=NOW):
    """The only outcome: (verdict, number of the backend)."""
    outcomes = reference.process(bytes(frame), 0, now)
    assert len(outcomes) == 1, outcomes
    reference.adopt(outcomes, now)
    return outcomes[0].verdict, outcomes[0].way.backend.number if outcomes[0].way.backend else None


def test_a_client_fails_over_to_the_backup_and_returns_where_configured():
    for failback, back in ("stay", 5), ("return", 4):
        reference, one, other = pair(failback=failback)
        one.backup = other
        assert verdict(reference, tcp(SYN, 1), pick=4) == "selected"
        one.eligibility, other.eligibility = 0, ALL | FULL
        assert where(reference, tcp(SYN, 2)) == ("selected", 5)
        one.eligibility = ALL
        assert where(reference, tcp(SYN, 3))[1] == back
        assert where(reference, tcp(SYN, 4)) == ("session", back)


def test_an_attempt_to_a_removed_backend_does_not_move_its_client_back():
    reference, one, _ = pair()
    assert verdict(reference, tcp(SYN, 1), pick=4) == "selected"
    assert where(reference, tcp(SYN, 2)) == ("session", 4)
    assert where(reference, tcp(ACK, 2)) == ("flow", 4)
    one.eligibility = 0
    assert where(reference, tcp(SYN, 3), NOW + 1)[1] == 5
    one.eligibility = ALL
    assert where(reference, tcp(SYN, 2), NOW + 3) == ("flow", 4), "a connection"
    assert where(reference, tcp(SYN, 1), NOW + 3) == ("reselected", 5), "an attempt"
    assert where(reference, tcp(SYN, 1), NOW + 4) == ("flow", 5)


def test_a_client_sticks_to_a_full_backend_or_spills_and_the_session_stays():
    for overload, expected in ("stick", ("session", 4)), ("spill", ("spilled", 5)):
        reference, one, _ = pair(overload=overload)
        assert verdict(reference, tcp(SYN, 1), pick=4) == "selected"
        one.eligibility = ALL | FULL
        assert where(reference, tcp(SYN, 2)) == expected
        assert where(reference, tcp(ACK, 2)) == ("flow", expected[1])
        one.eligibility = ALL
        assert where(reference, tcp(SYN, 3)) == ("session", 4)


def test_a_backend_at_its_limit_gets_no_flow():
    reference, one, other = pair()
    assert verdict(reference, tcp(SYN, 1), pick=4) == "selected"
    one.eligibility = ALL | LIMIT
    assert where(reference, tcp(SYN, 2)) == ("spilled", 5)
    other.eligibility = ALL | LIMIT
    assert where(reference, tcp(SYN, 3)) == ("no_backend", None)
    assert where(reference, tcp(ACK, 1)) == ("flow", 4)


def test_if_all_backends_are_over_their_share_none_is_avoided():
    reference, one, other = pair(overload="spill")
    assert verdict(reference, tcp(SYN, 1), pick=4) == "selected"
    one.eligibility = ALL | FULL
    other.eligibility = FLOWS | SESSIONS
    assert where(reference, tcp(SYN, 2)) == ("session", 4)


def test_a_pin_outlives_silence_and_failover_and_ends_with_unpin():
    reference, one, other = pair()
    web2 = reference.world.services[0]
    assert reference.tables.operate("pin", web2, address(CLIENT), other, NOW, True)
    assert where(reference, tcp(SYN, 1), NOW + 20000) == ("session", 5)
    other.eligibility = FLOWS
    assert where(reference, tcp(SYN, 2), NOW + 20000) == ("selected", 4)
    other.eligibility = FLOWS | SESSIONS
    assert where(reference, tcp(SYN, 3), NOW + 20001) == ("selected", 5), "it also returns to a draining backend"
    assert not reference.tables.operate("unpin", web2, address(CLIENT), None, NOW + 20001, False)
    assert reference.tables.operate("pin", web2, address(CLIENT), one, NOW + 20001, True)
    assert reference.tables.operate("unpin", web2, address(CLIENT), None, NOW + 20001, True)
    assert where(reference, tcp(SYN, 4), NOW + 20001) == ("selected", 4)


def test_services_of_a_group_share_a_clients_server():
    first = service(1, "203.0.113.1", 6, 80, backend(4, "l2", "192.0.2.4"), backend(5, "l2", "192.0.2.5"),
                    affinity="client")
    second = service(2, "203.0.113.1", 6, 443, backend(8, "l2", "192.0.2.4"), backend(9, "l2", "192.0.2.5"),
                     affinity="client")
    third = service(3, "203.0.113.1", 6, 444, backend(12, "l2", "192.0.2.4"), affinity="client")
    for one in first, second, third:
        one.group = first
        for name, member in zip("ab", one.backends):
            member.name = name
    reference = reference_of(first, second, third)
    assert verdict(reference, tcp(SYN, 1), pick=5) == "selected"
    assert where(reference, tcp(SYN, 1, 443)) == ("session", 9)
    assert where(reference, tcp(SYN, 1, 444)) == ("selected", 12), "it lacks the session's server"
    assert where(reference, tcp(SYN, 2, 443)) == ("session", 9), "the session was left as it was"


@pytest.mark.parametrize("flags, answer", [
    (ACK, dict(seq=77, ack=0, flags="R")), (FIN | ACK, dict(seq=77, ack=0, flags="R")),
    (FIN, dict(seq=0, ack=8 + 5 + 1, flags="RA")), (0, dict(seq=0, ack=8 + 5, flags="RA"))])
def test_an_established_flow_is_reset_where_configured(flags, answer):
    reference = reference_of(web())
    reference.world.services[0].down = "reset"
    assert [verdict(reference, tcp(flags)) for flags in (SYN, ACK)] == ["selected", "flow"]
    reference.world.services[0].backends[0].eligibility = 0
    sent = Ether(dst=wire.BERTH_MAC, src=wire.ROUTER_MAC) / IP(src=CLIENT, dst="203.0.113.1", tos=8) / TCP(
        sport=1024, dport=80, seq=8, ack=77, flags=flags) / Raw(b"bytes")
    expected = Ether(dst=wire.ROUTER_MAC, src=wire.BERTH_MAC) / IP(
        src="203.0.113.1", dst=CLIENT, ttl=64, id=0, flags="DF") / TCP(sport=80, dport=1024, window=0, **answer)
    assert send(reference, bytes(sent)) == ("answered_reset", bytes(expected))
    assert verdict(reference, tcp(RST)) == "reset"
    assert verdict(reference, tcp(SYN)) == "no_backend"


# Classification.

def test_the_most_specific_service_wins():
    reference = reference_of(service(1, "203.0.113.0", 6, (0, 65535), backend(4, "l2", "192.0.2.4"), bits=24),
                  service(2, "203.0.113.0", 6, (80, 80), backend(8, "l2", "192.0.2.8"), bits=28),
                  service(3, "203.0.113.1", 6, (70, 90), backend(12, "l2", "192.0.2.12")),
                  service(4, "203.0.113.1", 6, (75, 85), backend(16, "l2", "192.0.2.16")),
                  service(5, "203.0.113.1", 6, 80, backend(20, "l2", "192.0.2.20")))
    for dst, port, number in (("203.0.113.1", 80, 20), ("203.0.113.1", 81, 16), ("203.0.113.1", 71, 12),
                              ("203.0.113.2", 80, 8), ("203.0.113.2", 81, 4), ("203.0.113.1", 9, 4)):
        assert verdict(reference, tcp(SYN, dport=port, dst=dst), pick=number) == "selected"


def fragment(offset, more, dst="203.0.113.1", size=16, protocol=17, number=9):
    src, dst = address(CLIENT), address(dst)
    body = wire.udp(src, dst, 1024, 53, bytes(100))[offset:offset + size]
    return wire.ether(wire.ip4(src, dst, protocol, body, identification=number,
                               fragment=offset // 8 | (0x2000 if more else 0)))


def test_fragments_follow_their_first():
    reference = reference_of(service(2, "203.0.113.1", 17, 53, backend(8, "ipip", "192.0.2.8")))
    assert verdict(reference, fragment(16, True)) == "fragment_unknown"
    assert verdict(reference, fragment(0, True)) == "selected"
    assert verdict(reference, fragment(16, True)) == "fragment"
    assert verdict(reference, fragment(16, True, number=10)) == "fragment_unknown"
    assert verdict(reference, fragment(32, False), NOW + 31) == "fragment_unknown"


def test_fragments_of_a_known_client_need_no_first():
    reference = reference_of(service(2, "203.0.113.1", 17, 53, backend(8, "l2", "192.0.2.8"), affinity="client"))
    assert verdict(reference, fragment(16, True)) == "selected"
    assert verdict(reference, fragment(32, False)) == "session"


@pytest.mark.parametrize("number, expected", [(9, "session"), (10, "fragment_unknown")])
def test_fragments_for_a_group_need_no_first_where_its_servers_are_the_same(number, expected):
    one = service(2, "203.0.113.1", 17, 53, backend(8, "l2", "192.0.2.8", name=1), affinity="client")
    two = service(3, "203.0.113.1", 17, 54, backend(12, "l2", f"192.0.2.{number - 1}", name=1), affinity="client")
    one.group = two.group = one
    reference = reference_of(one, two)
    src, dst = address(CLIENT), address("203.0.113.1")
    assert verdict(reference, wire.ether(wire.ip4(src, dst, 17, wire.udp(src, dst, 1024, 54, bytes(8))))) == "selected"
    assert verdict(reference, fragment(16, True)) == expected


@pytest.mark.parametrize("frame, expected", [
    (bytes(13), "bad_frame"),
    (bytes(12) + b"\x81\0\0\1", "bad_frame"),
    (bytes(12) + b"\x81\0\0\1" * 3 + b"\x08\0", "not_ip"),
    (bytes(12) + b"\x08\6" + bytes(46), "not_ip"),
    (fragment(0, True, size=12), "bad_ip4"),
    (fragment(16, False, size=5), "fragment_unknown"),
    (fragment(16, False, protocol=47), "not_tcp_udp"),
    (fragment(16, True, dst="203.0.113.9"), "no_service"),
    (udp()[:-1], "bad_ip4"),
    (fragment(0, True, size=12, dst="203.0.113.9"), "no_service"),
    (udp(sport=9, dport=54), "no_service"),
    (udp(src="127.0.0.1"), "bad_source"),
    (udp(src="203.0.113.1"), "bad_source"),
    (udp(src="127.0.0.1", ttl=1), "ttl_expired"),
    (udp(ttl=0), "answered_ttl_expired"),
])
def test_a_frame_has_its_verdict(frame, expected):
    reference = reference_of(service(2, "203.0.113.1", 17, 53, backend(8, "l2", "192.0.2.8")))
    assert verdict(reference, frame) == expected
