# SPDX-License-Identifier: BSD-3-Clause
"""How packets match services (ports, ranges, prefixes), and how flows differ on the path to a backend."""
import contextlib
import random

import pytest
from scapy.layers.inet import UDP
from scapy.layers.l2 import Ether

from lab import CLIENT4, CLIENT6, OWN4, OWN6, SERVICE4, SERVICE6, SERVICES, request
from wire import datagram_to, ip_of


@pytest.fixture
def lab(full_lab):
    return full_lab


def reach(lab, address, port):
    """One connection: (backend, services whose packets have grown)"""
    def packets():
        return {service["name"]: service["packets"] for service in lab.show("services")["services"]}

    before = packets()
    url = f"http://[{address}]:{port}/" if ":" in address else f"http://{address}:{port}/"
    backend = lab.exec("client", "curl", "-s", "-m", 3, url).stdout.strip()
    after = packets()
    return backend, [name for name in after if after[name] > before[name]]


@pytest.mark.parametrize("address, port, service", [
    (SERVICE4, 8080, "tunnel"), (SERVICE6, 8080, "tunnel6"), (SERVICE4, 8081, "mixed"),
    (SERVICE4, 8090, "range"), (SERVICE4, 8099, "range"), (SERVICE6, 8090, "range6"), (SERVICE6, 8099, "range6"),
    (OWN4, 80, "any"), (OWN4, 8099, "any"), (OWN6, 80, "any6"), (OWN6, 8082, "any6"),
    ("203.0.113.32", 80, "prefix"), ("203.0.113.41", 80, "prefix"), ("203.0.113.47", 80, "prefix"),
    ("2001:db8:f:0:32::", 80, "prefix6"), ("2001:db8:f:0:32:ffff:ffff:ffff", 80, "prefix6")])
def test_a_packet_matches_the_most_specific_service(lab, address, port, service):
    backend, grown = reach(lab, address, port)
    assert backend in ("b1", "b2", "b3")
    assert grown == [service]


@pytest.mark.parametrize("address, port", [
    (SERVICE4, 8079), (SERVICE4, 8100), (SERVICE6, 8100), ("203.0.113.31", 80), ("203.0.113.48", 80),
    ("203.0.113.40", 81), ("2001:db8:f:0:33::", 80), ("2001:db8:f:0:31:ffff:ffff:ffff", 80)])
def test_a_packet_outside_a_range_or_prefix_matches_no_service(lab, address, port):
    before = lab.totals()["forwarded"]
    with contextlib.closing(lab.socket(CLIENT6 if ":" in address else CLIENT4, timeout=0.3)) as sock:
        with pytest.raises(OSError):
            sock.connect((address, port))
    assert lab.totals()["forwarded"] == before


@pytest.mark.parametrize("service, addresses", [
    ("prefix", [f"203.0.113.{i}" for i in range(32, 48)]),
    ("prefix6", [f"2001:db8:f:0:32::{i}" for i in range(16)])])
def test_connections_from_one_port_to_the_addresses_of_a_prefix_are_flows_of_their_own(lab, service, addresses):
    backends = set()
    port = random.randrange(1024, 32768)
    for address in addresses:
        with contextlib.closing(lab.socket(lab.source_for(service), port=port)) as sock:
            sock.connect((address, 80))
            backends.add(request(sock)[1])
    # All on one by chance: once in 14 million times.
    assert len(backends) >= 2


def outer_ends(lab, cable, service, flows=32):
    """(source address, UDP source port or None) of the outer headers of so many flows."""
    ends = set()
    for sport in random.sample(range(1024, 65536), flows):
        packet = datagram_to(service, sport, b"x" * 20, ttl=9)
        mark = bytes(packet[UDP])[:4]
        frame = Ether(cable.through(packet, lambda frame: mark in frame and frame[12:14] != b"\x08\x06"
                                    and len(frame) > 14 + len(packet)))
        outer = ip_of(frame)
        ends.add((outer.src, outer[UDP].sport if UDP in outer and outer[UDP].dport == 6080 else None))
    return ends


@pytest.mark.parametrize("service", ["dnstunnel", "dnstunnel6", "dnsgue", "dnsgue6"])
def test_outer_sources_vary_by_flow_within_what_is_configured(lab, cable, service):
    ends = outer_ends(lab, cable, service)
    addresses = {address for address, _ in ends}
    inside = "2001:db8:2::f" if SERVICES[service].lan.startswith("2001") else "192.0.2.2"
    # Of 32 flows over 16 addresses that fewer get any than this: once in a million times.
    assert len(addresses) > 7
    assert all(address.startswith(inside) for address in addresses)
    ports = {port for _, port in ends}
    if SERVICES[service].mode == "gue":
        assert len(ports) > 16 and all(49152 <= port <= 65535 for port in ports)
    else:
        assert ports == {None}


@pytest.mark.parametrize("service", ["dnstunnel", "dnsgue6"])
def test_a_flow_keeps_its_outer_header(lab, cable, service):
    packet = datagram_to(service, 4242, b"x" * 20, ttl=9)
    outers = {cable.through(packet, lambda frame: len(frame) > 14 + len(packet) and b"x" * 20 in frame)[14:54]
              for _ in range(3)}
    assert len(outers) == 1
