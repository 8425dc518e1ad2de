# SPDX-License-Identifier: BSD-3-Clause
"""Step 5: the service of a packet."""
from .world import masked


def best(services, packed, protocol, port):
    """The most specific service, or None."""
    found = [service for service in services
             if service.covers(packed) and service.protocol == protocol and service.first <= port <= service.last]
    return max(found, key=specificity, default=None)


def specificity(service):
    return service.is_exact(), service.bits, service.first - service.last


def at_address(services, packed):
    """Services with the address, with any protocol and port."""
    return [service for service in services if service.covers(packed)]


def sole(services, packed, protocol):
    """The service of a packet without ports: the only service of an address and protocol, if it has client affinity;
    or the first of several services that send a client to the same server in the same mode."""
    found = [service for service in at_address(services, packed) if service.protocol == protocol]
    return found[0] if found and found[0].affinity == "client" and are_alike(found) else None


def are_alike(services):
    def way(service):
        return service.address, service.bits, service.sessions(), [
            (backend.name, backend.address, backend.mode) for backend in service.backends]
    return len(services) == 1 or all(service.group and way(service) == way(services[0]) for service in services)


def return_ports(service, backend):
    """The source ports of a backend in mode nat."""
    if backend.dport:
        return backend.dport, backend.dport
    return service.first, service.last


def returning(services, packed, protocol, port):
    """(service, backend) in mode nat with this source, or None; `port` None: any protocol and port."""
    found = []
    for service in services:
        for backend in service.backends:
            first, last = return_ports(service, backend)
            if backend.mode != "nat" or backend.address != packed:
                continue
            if port is None or (service.protocol == protocol and first <= port <= last):
                found.append((last - first, service.number, service, backend))
    return min(found, key=lambda one: one[:2])[2:] if found else None


def route_to(routes, packed):
    return max((route for route in routes if route.covers(packed)), key=lambda route: route.bits, default=None)


def client_prefix(service, packed):
    return masked(packed, service.prefix4 if len(packed) == 4 else service.prefix6)
