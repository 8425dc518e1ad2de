# SPDX-License-Identifier: BSD-3-Clause
"""A configuration in the terms of the rules. Addresses have 4 or 16 bytes, link addresses 6."""
import dataclasses
import ipaddress

TCP, UDP = 6, 17

# Eligibility of a backend.
FLOWS, SESSIONS, NEW = 1, 2, 4
ALL = FLOWS | SESSIONS | NEW
# Load bits: over its share; at its limit.
FULL, LIMIT = 8, 16

# Encapsulation overhead of a mode in bytes, by outer family.
OVERHEAD = {("l2", 4): 0, ("l2", 6): 0, ("nat", 4): 0, ("nat", 6): 0,
            ("ipip", 4): 20, ("ipip", 6): 40, ("gue", 4): 28, ("gue", 6): 48}


def address(text):
    return ipaddress.ip_address(text).packed


def family(packed):
    return 4 if len(packed) == 4 else 6


def text(packed):
    return str(ipaddress.ip_address(packed))


def is_link_local(packed):
    return ipaddress.ip_address(packed).is_link_local


def masked(packed, bits):
    """The address masked to its first `bits` bits."""
    past = len(packed) * 8 - bits
    return (int.from_bytes(packed, "big") >> past << past).to_bytes(len(packed), "big")


@dataclasses.dataclass(eq=False)
class Backend:
    number: int
    mode: str  # l2, ipip, gue, nat
    address: bytes
    port: int  # egress port
    dst_mac: bytes
    src_mac: bytes
    mtu: int = 1500
    known: bool = True  # the next hop is resolved
    eligibility: int = ALL
    dport: int = 0  # gue: the outer UDP port; nat: the backend's port, 0: the service's
    outer_src: bytes = b""
    source_bits: int = 0
    name: str = ""  # equal for one server in all services of a group
    backup: object = None  # takes its sessions when it is down

    def takes_beyond(self):
        """New flows, also over its share."""
        return bool(self.eligibility & NEW) and not self.eligibility & LIMIT

    def takes_gladly(self):
        return self.takes_beyond() and not self.eligibility & FULL

    def overhead(self):
        return OVERHEAD[self.mode, family(self.address)]


@dataclasses.dataclass(frozen=True)
class FlowLimit:
    """A limit of new flows."""
    interval_ns: int = 0  # 0: no limit
    burst_ms: int = 0
    prefix4: int = 0  # of a source
    prefix6: int = 0


@dataclasses.dataclass(eq=False)
class Service:
    number: int
    address: bytes
    bits: int  # prefix length of the address
    protocol: int
    first: int  # ports
    last: int
    affinity: str  # flow, client
    prefix4: int = 32
    prefix6: int = 64
    timeouts: dict = dataclasses.field(default_factory=dict)  # by state, seconds
    backends: list = dataclasses.field(default_factory=list)
    scheduler: str = "maglev"  # round-robin, least-conn; bounded is maglev with backends over their share
    down: str = "rehash"  # reset
    overload: str = "stick"  # spill
    failback: str = "stay"  # return
    limit: FlowLimit = FlowLimit()
    source_limit: FlowLimit = FlowLimit()
    former: object = None  # the backend that was the primary of all rows before they changed
    group: object = None  # the service that numbers the backends of the group's sessions

    def sessions(self):
        return self.group or self

    def sibling(self, backend):
        """The same server in this service, or None."""
        if backend in self.backends:
            return backend
        return next((one for one in self.backends if backend and one.name and one.name == backend.name), None)

    def is_whole(self):
        return self.bits == len(self.address) * 8

    def is_exact(self):
        return self.is_whole() and self.first == self.last

    def covers(self, packed):
        return len(packed) == len(self.address) and masked(packed, self.bits) == self.address

    def is_nat(self):
        return any(backend.mode == "nat" for backend in self.backends)


@dataclasses.dataclass(eq=False)
class Route:
    prefix: bytes
    bits: int
    kind: str  # kernel: left to the kernel; hop: all fields are known
    port: int = 0
    dst_mac: bytes = bytes(6)
    src_mac: bytes = bytes(6)
    mtu: int = 1500

    def covers(self, packed):
        return len(packed) == len(self.prefix) and masked(packed, self.bits) == self.prefix


@dataclasses.dataclass
class World:
    services: list
    routes: list
    # The link addresses of the receiving port: its own, and a macvlan's.
    links: tuple = (bytes.fromhex("020000000100"), bytes.fromhex("020000000180"))

    def backends(self):
        return [backend for service in self.services for backend in service.backends]

    def service_of(self, backend):
        return next(service for service in self.services if backend in service.backends)
