# SPDX-License-Identifier: BSD-3-Clause
"""Random worlds."""
from .world import ALL, FLOWS, FULL, LIMIT, SESSIONS, TCP, UDP, Backend, FlowLimit, Route, Service, World, address, family, text

PLACES = [(address(one), bits) for one, bits in (
    ("203.0.113.1", 32), ("203.0.113.2", 32), ("203.0.113.17", 32), ("203.0.113.40", 32),
    ("203.0.113.0", 28), ("203.0.113.0", 24), ("203.0.113.32", 27),
    ("2001:db8:1::1", 128), ("2001:db8:1::2", 128), ("2001:db8:1:1::7", 128),
    ("2001:db8:1::", 112), ("2001:db8:1::", 64), ("2001:db8:1::", 48))]
PORTS = [(80, 80), (443, 443), (53, 53), (8080, 8080), (8000, 8099), (80, 90), (8040, 8050), (0, 65535)]
MTUS = [1500, 1500, 1500, 1500, 1400, 1280, 1340, 600]
MAPPED = bytes(10) + b"\xff\xff"  # no client has such an address
OTHER_MAC = bytes.fromhex("02000000")


def mac(kind, number):
    return OTHER_MAC + bytes((kind, number))


def draw_world(random):
    services = []
    for number in range(1, 2 + random.randrange(12)):
        service = draw_service(random, services, number)
        if service:
            services.append(service)
    draw_groups(random, services)
    return World(services, draw_routes(random))


def draw_service(random, services, number):
    """None if it would conflict with another one."""
    packed, bits = random.choice(PLACES)
    protocol = random.choice((TCP, UDP))
    first, last = random.choice(PORTS)
    if any(clash(service, packed, bits, protocol, first, last) for service in services):
        return None
    service = Service(
        number, packed, bits, protocol, first, last, random.choice(("flow", "client")),
        prefix4=random.choice((32, 32, 24, random.randrange(33))),
        prefix6=random.choice((64, 64, 128, random.randrange(129))),
        timeouts={"claimed": 2, "half-open": 10, "established": random.randrange(60, 300), "closing": 20, "closed": 15,
                  "unreplied": 10,
                  "assured": random.randrange(20, 100), "session": random.randrange(50, 500),
                  "fragment": random.randrange(2, 30)})
    mode = random.choice(("l2", "ipip", "gue", "nat") if service.is_whole() else ("l2", "ipip", "gue"))
    if mode == "nat":
        return draw_nat_backends(random, services, service)
    for i in range(random.choice((0, 1, 1, 1, 2, 2, 2, 3, 3, 4, 4, 4, 4))):
        service.backends.append(draw_backend(random, service, mode, i))
    return service


def draw_policies(random, service):
    """Draws scheduler, overload, failback and down policies."""
    service.scheduler = random.choice(("maglev", "maglev", "maglev", "round-robin", "least-conn"))
    service.overload = random.choice(("stick", "spill"))
    service.failback = random.choice(("stay", "return"))
    service.down = random.choice(("rehash", "reset")) if service.protocol == TCP else "rehash"
    for i, backend in enumerate(service.backends):
        backend.name = f"b{i}"
        if service.affinity == "client" and random.random() < 0.5:
            backend.backup = random.choice([one for one in service.backends if one is not backend] or [None])


def draw_former(random, service):
    """In any mode and for any protocol: it has an effect for TCP in mode gue only."""
    if service.backends and random.random() < 0.6:
        service.former = random.choice(service.backends)


def draw_limit(random):
    """Packets are seconds apart, so limits are lower than configurations allow."""
    if random.random() < 0.8:
        return FlowLimit()
    return FlowLimit(random.randrange(1, 1 << 32), random.randrange(10000), random.randrange(1, 33), random.randrange(1, 129))


def draw_groups(random, services):
    for service in services:
        draw_policies(random, service)
        draw_former(random, service)
        service.limit, service.source_limit = draw_limit(random), draw_limit(random)
    clients = [service for service in services if service.affinity == "client"]
    if len(clients) < 2 or random.random() < 0.4:
        return
    group = random.sample(clients, random.randint(2, min(4, len(clients))))
    for service in group:
        service.group = group[0]
        service.prefix4, service.prefix6 = group[0].prefix4, group[0].prefix6
        service.timeouts["session"] = group[0].timeouts["session"]


def clash(service, packed, bits, protocol, first, last):
    """Ranges of the same addresses may be disjoint or nested, but not overlap partly."""
    if (service.address, service.bits, service.protocol) != (packed, bits, protocol):
        return False
    apart = last < service.first or first > service.last
    within = service.first <= first <= last <= service.last or first <= service.first <= service.last <= last
    return not apart and (not within or (first, last) == (service.first, service.last))


def draw_backend(random, service, mode, i):
    number = service.number * 4 + i
    outer = random.choice((4, 6)) if mode in ("ipip", "gue") else family(service.address)
    backend = Backend(
        number, mode, address(f"192.0.2.{number}" if outer == 4 else f"2001:db8:3::{number:x}"),
        random.randrange(2), mac(2, number), mac(1, number % 2), mtu=random.choice(MTUS), known=random.random() < 0.95)
    backend.outer_src = address("192.0.2.254" if outer == 4 else "2001:db8:3::fe")
    if random.random() < 0.5:
        backend.source_bits = random.choice((1, 4, 8, 16))
        backend.outer_src = address("198.18.0.0" if outer == 4 else "2001:db8:5::")
    if mode == "gue":
        backend.dport = random.choice((6080, 6080, 5555))
    return backend


def draw_nat_backends(random, services, service):
    """The backend's address, protocol and port must identify the service of an answer."""
    shared = [one for one in services if one.is_nat() and one.address == service.address]
    for i in range(1 + random.randrange(4)):
        backend = draw_backend(random, service, "nat", i)
        if shared and i < len(shared[0].backends) and random.random() < 0.7:
            backend.address = shared[0].backends[i].address
        if service.first == service.last and random.random() < 0.6:
            backend.dport = random.choice((8080, 9000 + i, 80))
        service.backends.append(backend)
    mine = [(backend.address, service.protocol, *ports_of(service, backend)) for backend in service.backends]
    for other in services:
        for backend in other.backends:
            first, last = ports_of(other, backend)
            if backend.mode == "nat" and any(
                    backend.address == packed and other.protocol == protocol and first <= one_last and one_first <= last
                    for packed, protocol, one_first, one_last in mine):
                return None
    return service


def ports_of(service, backend):
    return (backend.dport, backend.dport) if backend.dport else (service.first, service.last)


def draw_routes(random):
    routes = []
    for one, bits in (("198.51.100.0", 24), ("198.51.101.0", 24), ("198.51.0.0", 16), ("0.0.0.0", 0),
                      ("198.51.100.1", 32), ("2001:db8:2::", 64), ("2001:db8:2:1::", 64), ("2001:db8:2::", 48),
                      ("::", 0)):
        if random.random() < 0.6:
            routes.append(Route(address(one), bits, random.choice(("hop", "hop", "hop", "kernel")),
                                random.randrange(2), mac(3, len(routes)), mac(1, 0), random.choice(MTUS)))
    return routes


def disturb(random, world):
    """A backend's state changes. Returns it, or None."""
    backends = world.backends()
    if not backends:
        return None
    backend = random.choice(backends)
    kind = random.randrange(4)
    if kind < 3:
        backend.eligibility = random.choice((ALL, ALL, ALL, ALL, FLOWS | SESSIONS, FLOWS, 0, ALL | FULL, ALL | LIMIT,
                                        ALL | FULL | LIMIT, FLOWS | SESSIONS | FULL, FLOWS | SESSIONS | LIMIT))
    elif random.random() < 0.5:
        backend.known = random.random() < 0.8
    else:
        backend.mtu = random.choice(MTUS)
    return backend


def draw_words(random, world, connections):
    """An operator's command on a client's session: (verb, service, client, backend), or None."""
    services = [service for service in world.services if service.affinity == "client" and service.backends]
    if not services:
        return None
    service = random.choice(services)
    clients = [one.client for one in connections
               if family(one.client) == family(service.address) and not one.client.startswith(MAPPED)]
    backends = [one for one in service.backends if service.sessions().sibling(one)]
    if not clients or not backends:
        return None
    verb = random.choice(("pin", "pin", "move", "clear", "unpin"))
    backend = random.choice(backends) if verb in ("pin", "move") else None
    return verb, service, random.choice(clients), service.sessions().sibling(backend) if backend else None


def summary(world):
    """Text for a report."""
    for service in world.services:
        yield (f"service {service.number}: {text(service.address)}/{service.bits} {service.protocol} "
               f"{service.first}-{service.last} by {service.affinity} /{service.prefix4} /{service.prefix6} "
               f"{service.timeouts} {service.scheduler} {service.overload} {service.failback} {service.down} "
               f"sessions of {service.sessions().number} former {service.former.number if service.former else 0}")
        for backend in service.backends:
            yield (f"  backend {backend.number}: {backend.mode} {text(backend.address)} port {backend.port} mtu "
                   f"{backend.mtu} known {backend.known} eligibility {backend.eligibility} dport {backend.dport} from "
                   f"{text(backend.outer_src)}~{backend.source_bits} backup "
                   f"{backend.backup.number if backend.backup else 0}")
    for route in world.routes:
        yield f"route {text(route.prefix)}/{route.bits} {route.kind} port {route.port} mtu {route.mtu}"
