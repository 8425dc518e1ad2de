# SPDX-License-Identifier: BSD-3-Clause
"""
The core's outcomes are those of the reference, in random worlds and in rare situations.

BERTH_REFERENCE_PACKETS: random packets on each engine (20,000). BERTH_REFERENCE_SEED: seed of the first world (1); each
world has the next seed. A difference names its seed; a run with that seed starts with its world.
BERTH_REFERENCE_HISTORY: packets to print before a difference (30). pytest's -k selects an engine: host, xdp, dpdk.
"""
import collections
import os
import struct

import pytest

from berth_reference import compare, draw, wire
from berth_reference.bridge import BRIDGE, BUILD, STATES, Bridge
from berth_reference.world import UDP, Backend, Route, Service, World, address

PACKETS = int(os.environ.get("BERTH_REFERENCE_PACKETS", "20000"))
SEED = int(os.environ.get("BERTH_REFERENCE_SEED", "1"))
CLIENT = address("198.51.100.7")
TIMEOUTS = dict.fromkeys(STATES[UDP], 60)


@pytest.fixture(name="bridge", params=["host", "xdp", "dpdk"])
def fixture_bridge(request):
    if not BRIDGE.exists():
        pytest.fail(f"{BRIDGE} is not built")
    if request.param == "xdp" and os.geteuid() != 0:
        pytest.skip("needs root: BPF")
    if request.param == "dpdk" and not (BUILD / "dataplane/berth-dpdk").exists():
        pytest.skip("built without berth-dpdk")
    with Bridge(request.param) as bridge:
        yield bridge


def test_random_packets_have_the_outcomes_of_the_reference(bridge):
    verdicts = collections.Counter()
    sent, seed = 0, SEED
    while sent < PACKETS:
        run = compare.Run(bridge, seed)
        run.packets(min(compare.PACKETS_A_WORLD, PACKETS - sent))
        verdicts += run.verdicts
        sent += run.number
        seed += 1
    print(f"{bridge.engine}: {sent} packets, seeds {SEED} to {seed - 1}:", dict(verdicts.most_common()))


def world_of(mode, **more):
    """One UDP service with one backend, and a route to its clients."""
    own = address("192.0.2.4")
    backend = Backend(4, mode, own, 1, draw.mac(2, 4), draw.mac(1, 1), outer_src=address("198.18.0.0"), **more)
    place = address("203.0.113.1")
    service = Service(1, place, 32, 17, 53, 53, "flow", timeouts=TIMEOUTS, backends=[backend])
    return World([service], [Route(address("198.51.100.0"), 24, "hop", 0, draw.mac(3, 0), draw.mac(1, 0))])


def question(sport=1024, payload=b"", ttl=64):
    place = address("203.0.113.1")
    return wire.ether(wire.ip4(CLIENT, place, 17, wire.udp(CLIENT, place, sport, 53, payload), ttl=ttl))


def test_no_more_than_twenty_answers_to_a_client_leave_in_a_second(bridge):
    run = compare.Run(bridge, 1, world_of("l2"))
    for _ in range(2):
        verdicts = [run.send(question(ttl=1)).verdict for _ in range(23)]
        assert verdicts == ["answered_ttl_expired"] * 20 + ["ttl_expired"] * 3
        run.now += 1


def test_a_udp_checksum_of_0_is_sent_as_all_ones(bridge):
    run = compare.Run(bridge, 1, world_of("nat", dport=5353))
    own = address("192.0.2.4")
    rewritten = wire.udp(CLIENT, own, 1024, 5353, b"\0\0")
    left = run.send(question(payload=rewritten[6:8])).frame
    assert left[40:42] == b"\xff\xff"
    place = address("203.0.113.1")
    answer = wire.udp(place, CLIENT, 53, 1024, b"\0\0")
    sent = wire.udp(own, CLIENT, 5353, 1024, answer[6:8])
    left = run.send(wire.ether(wire.ip4(own, CLIENT, 17, sent))).frame
    assert left[40:42] == b"\xff\xff"


def test_source_port_and_address_vary_by_flow(bridge):
    run = compare.Run(bridge, 1, world_of("gue", dport=6080, source_bits=8))
    ports, sources = set(), set()
    for sport in range(1024, 1324):
        left = run.send(question(sport)).frame
        ports.add(struct.unpack_from("!H", left, 34)[0])
        sources.add(left[26:30])
    assert len(ports) > 280 and len(sources) > 150
