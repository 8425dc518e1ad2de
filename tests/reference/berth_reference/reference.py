# SPDX-License-Identifier: BSD-3-Clause
"""The steps in their order: the possible outcomes of a frame."""
from . import answer, classify, emit, steer
from .outcome import Hashes, Outcome
from .parse import RST, Leaves, parse
from .world import is_link_local


class Reference:
    """Frames are processed one after another; `adopt` takes the real outcome of each before the next."""

    def __init__(self, world):
        self.world = world
        self.tables = steer.Tables()
        self.hashes = Hashes()
        self.limit = answer.Limit()

    def process(self, frame, ingress, now):
        """All outcomes that the rules allow for a frame."""
        try:
            packet = parse(frame, self.world.links)
        except Leaves as leaves:
            return [Outcome(self.mended(leaves))]
        if packet.inner:
            return self.process_error(packet, now)
        if packet.fragment == "later":
            return self.process_later(packet, ingress, now)
        service = classify.best(self.world.services, packet.dst, packet.protocol, packet.dport)
        if not service:
            return self.process_return(packet, packet.src, packet.protocol, packet.sport, ingress, now)
        if is_link_local(packet.src):
            return [Outcome("link_local")]
        if packet.ttl <= 1:
            return self.expired(packet, ingress, now)
        flow = steer.flow_of(service, packet.src, packet.sport, packet.dst, packet.dport)
        return self.send(packet, self.tables.packet(service, packet, now), flow, ingress, now)

    def mended(self, leaves):
        """A packet with an invalid header passes unless its destination is a service's address."""
        drops = Outcome(leaves.verdict).kind == "drop"
        if drops and leaves.dst is not None and not classify.at_address(self.world.services, leaves.dst):
            return "no_service"
        return leaves.verdict

    def process_error(self, packet, now):
        services, inner = self.world.services, packet.inner
        if inner.src != packet.dst:
            return [Outcome(self.mended(Leaves("bad_icmp", packet.dst)))]
        if not classify.at_address(services, packet.dst):
            return self.process_return(packet, inner.dst, inner.protocol, inner.dport, 0, now)
        service = classify.best(services, inner.src, inner.protocol, inner.sport)
        if not service:
            return [Outcome("no_service")]
        if is_link_local(inner.dst):
            return [Outcome("link_local")]
        if packet.ttl <= 1:
            return [Outcome("ttl_expired")]
        flow = steer.flow_of(service, inner.dst, inner.dport, inner.src, inner.sport)
        return self.send(packet, self.tables.icmp_error(flow, now), flow, 0, now)

    def process_later(self, packet, ingress, now):
        if not classify.at_address(self.world.services, packet.dst):
            return self.process_return(packet, packet.src, packet.protocol, None, ingress, now)
        if is_link_local(packet.src):
            return [Outcome("link_local")]
        if packet.ttl <= 1:
            return [Outcome("ttl_expired")]
        return self.send(packet, self.tables.later_fragment(packet, self.world.services, now),
                         steer.fragment_of(packet), ingress, now)

    def expired(self, packet, ingress, now):
        return self.answered("answered_ttl_expired", "ttl_expired", packet, packet.src, packet.dst, None, ingress, now)

    def answered(self, verdict, unanswered, packet, client, src, mtu, ingress, now):
        """`client`: whose budget it is; `src`: the source of the answer."""
        budget = verdict, answer.client_of(client)
        may, must = self.limit.has_room(*budget, now)
        due = answer.is_due(packet)
        outcomes = []
        if due and may:
            outcomes.append(Outcome(verdict, ingress, lambda left: answer.build(packet, src, mtu), budget=budget))
        if not due or not must:
            outcomes.append(Outcome(unanswered))
        return outcomes

    def reset(self, packet, ingress, now):
        if packet.flags & RST or not answer.is_due(packet):
            return Outcome("reset")
        return Outcome("answered_reset", ingress, lambda left: answer.build_reset(packet))

    def adopt(self, outcomes, now):
        """`outcomes`: those that equal the real outcome of the frame."""
        self.tables.adopt([outcome.way for outcome in outcomes if outcome.way])
        if len(outcomes) == 1 and outcomes[0].bits:
            outcomes[0].bits.learn()
        if outcomes[0].budget:
            self.limit.count(*outcomes[0].budget, now)

    # Step 8.

    def send(self, packet, ways, flow, ingress, now):
        outcomes = []
        for way in ways:
            if way.backend:
                sent = self.send_to(packet, way, flow, ingress, now)
            elif way.verdict == "reset":
                sent = [self.reset(packet, ingress, now)]
            else:
                sent = [Outcome(way.verdict)]
            for outcome in sent:
                outcome.way = way
            outcomes += sent
        return outcomes

    def send_to(self, packet, way, flow, ingress, now):
        backend = way.backend
        if not backend.known:
            return [Outcome("no_next_hop")]
        overhead = backend.overhead() + len(emit.gue_header(packet, way.hop))
        if packet.length() + overhead > backend.mtu:
            mtu = backend.mtu - overhead
            return self.answered("answered_too_big", "too_big", packet, packet.src, packet.dst, mtu, ingress, now)
        bits = emit.Bits(self.hashes, flow)
        return [Outcome(way.verdict, backend.port, lambda left: forwarded(packet, way, bits, left), bits=bits)]

    # Step 9.

    def process_return(self, packet, src, protocol, port, ingress, now):
        """Looks up `src`, `protocol` and `port` among the backends in mode nat; the packet must be of a flow."""
        found = classify.returning(self.world.services, src, protocol, port)
        if not found:
            return [Outcome("no_service")]
        key = steer.fragment_of(packet) if port is None else self.returned_flow(packet, found[0], port)
        outcomes = []
        for entry in self.tables.read(key):
            service = self.world.service_of(entry.backend) if entry else None
            if steer.is_live(entry, service, now) and entry.backend.address == src:
                sent = self.send_back(packet, service, entry.backend, ingress, now)
                facts = steer.returned(packet, key, entry, now)
            else:
                sent, facts = [Outcome("no_flow")], {key: entry}
            for outcome in sent:
                outcome.way = steer.Steered(outcome.verdict, None, facts)
            outcomes += sent
        return outcomes

    @staticmethod
    def returned_flow(packet, service, port):
        client, sport = (packet.inner.src, packet.inner.sport) if packet.inner else (packet.dst, packet.dport)
        dport = service.first if service.first == service.last else port
        return steer.flow_of(service, client, sport, service.address, dport)

    def send_back(self, packet, service, backend, ingress, now):
        if packet.ttl <= 1:
            return [Outcome("ttl_expired")]
        outcomes = []
        for way in self.tables.answers(service, backend, packet, now):
            sent = self.send_return(packet, service, backend, ingress, now)
            for outcome in sent:
                outcome.way = way
            outcomes += sent
        return outcomes

    def send_return(self, packet, service, backend, ingress, now):
        route = classify.route_to(self.world.routes, packet.dst)
        if not route or route.kind == "kernel":
            return [Outcome("returned_pass", 0, lambda left: bytes(returned(packet, service, backend)))]
        if packet.length() > route.mtu:
            return self.answered("answered_too_big", "too_big", packet, packet.dst, service.address, route.mtu, ingress,
                                 now)

        def render(_left):
            frame = returned(packet, service, backend)
            emit.ttl_down(frame, packet)
            emit.link(frame, route.dst_mac, route.src_mac)
            return bytes(frame)
        return [Outcome("returned", route.port, render)]


def forwarded(packet, way, bits, left):
    frame = bytearray(packet.frame)
    backend = way.backend
    emit.ttl_down(frame, packet)
    emit.link(frame, backend.dst_mac, backend.src_mac)
    if backend.mode in ("ipip", "gue"):
        frame = emit.tunnel(frame, packet, way, bits, left)
    elif backend.mode == "nat" and packet.inner:
        port = backend.dport or None
        emit.nat_error(frame, packet, "src", backend.address, port, "dst", backend.address)
    elif backend.mode == "nat":
        emit.nat(frame, packet, "dst", backend.address, backend.dport or None)
    return bytes(frame)


def returned(packet, service, backend):
    """The packet with its source rewritten to the service's."""
    frame = bytearray(packet.frame)
    port = service.first if service.first == service.last else None
    if packet.inner:
        outer = "src" if packet.src == backend.address else None
        emit.nat_error(frame, packet, "dst", service.address, port, outer, service.address)
    else:
        emit.nat(frame, packet, "src", service.address, port)
    return frame
