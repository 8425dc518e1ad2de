# SPDX-License-Identifier: BSD-3-Clause
"""The real core behind bridge.c: writes a world into its image and sends frames to it. Slots have the layout of
dataplane/core/abi.h."""
import dataclasses
import os
import pathlib
import subprocess

from . import classify
from .world import TCP, UDP, Route, family, text

ROOT = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("BERTH_BUILD", ROOT / "build"))
BRIDGE = BUILD / "tests/reference/reference_bridge"
PROGRAM = BUILD / "bpf/berth_xdp.bpf.o"

# Values of abi.h; the timeouts of a service are in the order of the core's states.
STATES = {
    TCP: ("claimed", "half-open", "established", "established", "closing", "closed", "session", "fragment"),
    UDP: ("claimed", "unreplied", "assured", "assured", "closing", "closed", "session", "fragment"),
}
AFFINITIES = ("flow", "client")
SCHEDULERS = ("maglev", "round-robin", "least-conn")
DOWN = ("rehash", "reset")
OVERLOAD = ("stick", "spill")
FAILBACK = ("stay", "return")
LOAD_UNIT = 64
MODES = ("l2", "ipip", "gue", "nat")
EXACT, RANGE, ADDRESS, SOLE, RETURN, RETURN_RANGE, RETURN_ADDRESS = range(1, 8)
ROUTES = {"kernel": 1, "hop": 2}
ROWS = 16


@dataclasses.dataclass
class Actual:
    """The outcome of a frame in the core."""
    verdict: str
    kind: str
    port: int
    frame: bytes


class Bridge:
    """`engine`: host, xdp or dpdk."""

    def __init__(self, engine="host"):
        self.engine = engine
        self.world = None
        command = [str(BRIDGE), engine] + ([str(PROGRAM)] if engine == "xdp" else [])
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(timeout=10)

    def tell(self, *lines):
        self.process.stdin.write("".join(line + "\n" for line in lines).encode())

    def lay_out(self, world):
        self.world = world
        self.tell("world", *lay_out(world))

    def change(self, service, backend):
        """Updates a changed backend."""
        self.tell(backend_line(service, backend, self.world), f"admit {backend.number} {backend.eligibility}")

    def operate(self, verb, service, client, backend, now):
        """An operator's command on a client's session. False: it was not executed."""
        self.tell(f"session {verb} {now} {service.number} {text(client)} {backend.number if backend else 0}")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip() == b"done"

    def send(self, frame, now):
        self.tell(f"frame {now} {frame.hex()}")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().split()
        if len(answer) != 4:
            raise RuntimeError("the bridge ended")
        verdict, kind, port, left = (word.decode() for word in answer)
        return Actual(verdict, kind, int(port), b"" if left == "-" else bytes.fromhex(left))


def lay_out(world):
    """The lines that describe the image."""
    for service in world.services:
        yield service_line(service)
        yield from row_lines(service)
        for backend in service.backends:
            yield backend_line(service, backend, world)
            yield f"admit {backend.number} {backend.eligibility}"
    slots = list(vip_slots(world.services))
    for kind, packed, protocol, port, first, last, number in slots:
        yield f"vip {kind} {text(packed)} {protocol} {port} {first} {last} {number}"
    for index, bits in enumerate(prefix_lengths(world.services)):
        yield f"prefix {index} {bits}"
    if any(service.is_nat() for service in world.services):
        yield "returns"
    for index, route in enumerate(listed_routes(world.routes)):
        yield (f"route {index} {text(route.prefix)} {bits128(route.prefix, route.bits)} {ROUTES[route.kind]} "
               f"{route.port} {route.dst_mac.hex()}{route.src_mac.hex()} {route.mtu}")


def listed_routes(routes):
    """Longest prefix first. IPv4 has a default route of its own, because IPv6's would cover it."""
    if not any(route.bits == 0 and family(route.prefix) == 4 for route in routes):
        routes = routes + [Route(bytes(4), 0, "kernel")]
    return sorted(routes, key=lambda route: -bits128(route.prefix, route.bits))


def service_line(service):
    port = service.first if service.first == service.last else 0
    timeouts = " ".join(str(service.timeouts[state]) for state in STATES[service.protocol])
    return (f"service {service.number} {AFFINITIES.index(service.affinity)} {service.prefix4} {service.prefix6} "
            f"{text(service.address)} {port} {timeouts} {SCHEDULERS.index(service.scheduler)} "
            f"{DOWN.index(service.down)} {OVERLOAD.index(service.overload)} {FAILBACK.index(service.failback)} "
            f"{service.sessions().number} {limit_words(service.limit)} {limit_words(service.source_limit)} "
            f"{service.source_limit.prefix4} {service.source_limit.prefix6}")


def limit_words(limit):
    return f"{limit.interval_ns} {limit.burst_ms}"


def row_lines(service):
    """The rows: the backends in turn as primary, the next one as alternate."""
    numbers = [backend.number for backend in service.backends]
    for row in range(ROWS if numbers else 0):
        second = numbers[(row + 1) % len(numbers)] if len(numbers) > 1 else 0
        yield f"row {service.number} {row} {numbers[row % len(numbers)]} {second}"
    if service.former:
        yield f"former {service.number} {service.former.number}"


def next_sibling(service, backend, world):
    """The number of the same server in the group's next service with it; 0: no group."""
    group = [one for one in world.services if one.group and one.group is service.group and one.sibling(backend)]
    return group[(group.index(service) + 1) % len(group)].sibling(backend).number if len(group) > 1 else 0


def backend_line(service, backend, world):
    source = text(backend.outer_src) if backend.outer_src else "::"
    return (f"backend {backend.number} {service.number} {MODES.index(backend.mode)} {text(backend.address)} "
            f"{backend.port} {backend.dst_mac.hex()}{backend.src_mac.hex()} {backend.mtu} {int(backend.known)} "
            f"{backend.dport} {source} {backend.source_bits} {next_sibling(service, backend, world)} "
            f"{backend.backup.number if backend.backup else 0} {LOAD_UNIT}")


def bits128(packed, bits):
    """A prefix length in the image's form."""
    return bits + 96 if family(packed) == 4 else bits


def prefix_lengths(services):
    return sorted({bits128(service.address, service.bits) for service in services if not service.is_whole()},
                  reverse=True)


def vip_slots(services):
    """(kind, address, protocol, port, first, last, service); prefixes have 128 less their length as port, and narrower
    ranges come first."""
    for service in sorted(services, key=lambda one: one.last - one.first):
        if service.is_exact():
            yield EXACT, service.address, service.protocol, service.first, 0, 0, service.number
        else:
            length = 128 - bits128(service.address, service.bits)
            yield RANGE, service.address, service.protocol, length, service.first, service.last, service.number
    places = {(service.address, service.bits) for service in services}
    for packed, bits in sorted(places):
        yield ADDRESS, packed, 0, 128 - bits128(packed, bits), 0, 0, 0
        for protocol in (6, 17):
            yield from sole_slots(services, packed, bits, protocol)
    yield from return_slots(services)


def sole_slots(services, packed, bits, protocol):
    """The slots for portless packets of a prefix. Unless exactly one service matches, a slot without a service hides
    the slots of wider prefixes."""
    covering = [service for service in services
                if service.protocol == protocol and service.bits <= bits and service.covers(packed)]
    if covering:
        sole = covering[0].affinity == "client" and classify.are_alike(covering)
        number = covering[0].number if sole else 0
        yield SOLE, packed, protocol, 128 - bits128(packed, bits), 0, 0, number


def return_slots(services):
    addresses = {}
    ranges = []
    for service in services:
        for backend in service.backends:
            if backend.mode != "nat":
                continue
            addresses.setdefault(backend.address, service.number)
            first, last = classify.return_ports(service, backend)
            ranges.append((last - first, backend.address, service.protocol, first, last, service.number))
    for width, packed, protocol, first, last, number in sorted(ranges):
        if width == 0:
            yield RETURN, packed, protocol, first, 0, 0, number
        else:
            yield RETURN_RANGE, packed, protocol, 0, first, last, number
    for packed, number in addresses.items():
        yield RETURN_ADDRESS, packed, 0, 0, 0, 0, number
