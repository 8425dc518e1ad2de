# SPDX-License-Identifier: BSD-3-Clause
"""
Step 7: which backend, and what is remembered of it.

A drop does not show which backend a packet would have gone to. So the tables hold under each key all entries that are
possible, nearly always one; every packet's ways are those of each of them, and what became of the packet tells which
of them were true.
"""
import dataclasses

from . import classify
from .outcome import Rows
from .parse import ACK, FIN, RST, SYN
from .world import FLOWS, NEW, SESSIONS, TCP


@dataclasses.dataclass(frozen=True)
class Entry:
    backend: object
    state: str
    seen: int


@dataclasses.dataclass(frozen=True)
class Steered:
    """One way that the rules allow."""
    verdict: str
    backend: object  # None: there is none
    facts: dict  # by key, the entry that stands there then (None: none does); keys that are not here are not touched
    choice: tuple = ()  # of Rows.learn


@dataclasses.dataclass(frozen=True)
class Flow:
    """Who talks to which service: what a flow entry's key is."""
    service: object
    src: bytes
    sport: int
    dport: int
    dst: bytes  # of a service with a prefix only


def flow_of(service, src, sport, dst, dport):
    return Flow(service, src, sport, dport, b"" if service.is_whole() else dst)


def session_of(service, src):
    return "session", service, classify.client_prefix(service, src)


def fragment_of(packet):
    protocol = packet.protocol if packet.family == 4 else None
    return "fragment", packet.src, packet.dst, packet.identification, protocol


def no_host(packed):
    """Whether no host may have the address as its own."""
    if len(packed) == 4:
        return packed[0] in (0, 127) or packed[0] >= 224
    return packed[0] == 0xFF or packed in (bytes(16), bytes(15) + b"\1")


def has_bad_source(packet):
    return no_host(packet.src) or packet.src == packet.dst


def is_live(entry, service, now):
    return entry is not None and now - entry.seen <= service.timeouts[entry.state]


class Tables:
    def __init__(self):
        self.entries = {}  # by key: all that may stand there
        self.rows = Rows()

    def read(self, key):
        return self.entries.get(key, (None,))

    def adopt(self, ways):
        """One of these is what happened."""
        for key in {key for way in ways for key in way.facts}:
            before = self.read(key)
            after = [entry for way in ways for entry in ([way.facts[key]] if key in way.facts else before)]
            self.entries[key] = tuple(dict.fromkeys(after))
        choices = {way.choice for way in ways}
        if len(choices) == 1 and ways[0].choice:
            self.rows.learn(*ways[0].choice)

    # Where a flow goes that has no entry: by the client's session, where there is one, else by choice.

    def placed(self, flow, now, by_session, by_choice):
        service = flow.service
        if service.affinity != "client":
            return list(self.chosen(flow, by_choice, {}, flow))
        key = session_of(service, flow.src)
        ways = []
        for entry in self.read(key):
            if is_live(entry, service, now) and entry.backend.admits & SESSIONS:
                ways.append(Steered(by_session, entry.backend, {key: entry}))
            else:
                ways += self.chosen(flow, by_choice, {key: entry}, key)
        return ways

    def chosen(self, flow, verdict, facts, key):
        """By the selection table, whose row is that of `key`."""
        backends = tuple(flow.service.backends)
        admitting = frozenset(backend for backend in backends if backend.admits & NEW)
        for backend in self.rows.candidates(key, backends, admitting):
            choice = (key, backends, admitting, backend) if admitting else ()
            yield Steered(verdict if backend else "no_backend", backend, facts, choice)

    # The kinds of packets.

    def packet(self, service, packet, now):
        """A packet with ports."""
        flow = flow_of(service, packet.src, packet.sport, packet.dst, packet.dport)
        ways = []
        for entry in self.read(flow):
            if is_live(entry, service, now) and entry.backend.admits & FLOWS and not begins_anew(
                    service, entry, packet):
                ways += self.go_on(flow, entry, packet, now)
            else:
                ways += self.begin(flow, entry, packet, now)
        return [left_entry(way, packet, now) for way in ways]

    def go_on(self, flow, entry, packet, now):
        facts = {flow: Entry(entry.backend, next_state(entry.state, packet), now)}
        if flow.service.affinity != "client" or entry.seen == now:
            return [Steered("flow", entry.backend, facts)]
        # The client is not silent: told at most once a second by each flow.
        key = session_of(flow.service, packet.src)
        return [Steered("flow", entry.backend, {**facts, key: touched(session, flow.service, entry.backend, now)})
                for session in self.read(key)]

    def begin(self, flow, before, packet, now):
        """A flow's first packet; `before`: an entry that it can't go on with, or None."""
        service = flow.service
        if has_bad_source(packet):
            return [Steered("bad_source", None, {flow: before})]
        if packet.protocol == TCP and packet.flags & RST:
            return [dataclasses.replace(way, facts={**way.facts, flow: before})
                    for way in self.placed(flow, now, "untracked", "untracked")]
        ways = []
        for way in self.placed(flow, now, "session", "selected"):
            if not way.backend:
                ways.append(dataclasses.replace(way, facts={**way.facts, flow: before}))
                continue
            facts = {**way.facts, flow: Entry(way.backend, first_state(packet), now)}
            if service.affinity == "client":
                facts[session_of(service, flow.src)] = Entry(way.backend, "session", now)
            moved = before and before.backend is not way.backend
            if not moved or not is_live(before, service, now):
                # The walk, or another flow in need of room, may have freed an entry that has expired.
                ways.append(dataclasses.replace(way, facts=facts))
            if moved:
                ways.append(dataclasses.replace(way, verdict="moved", facts=facts))
        return ways

    def later_fragment(self, packet, services, now):
        key = fragment_of(packet)
        ways = []
        for entry in self.read(key):
            service = entry and next(one for one in services if entry.backend in one.backends)
            if is_live(entry, service, now) and entry.backend.admits & FLOWS:
                ways.append(Steered("fragment", entry.backend, {key: entry}))
            else:
                ways += self.without_first(packet, services, now, {key: entry})
        return ways

    def without_first(self, packet, services, now, facts):
        """A later fragment where it is not known where its first went."""
        service = classify.sole(services, packet.dst, packet.protocol)
        if not service:
            return [Steered("fragment_early", None, facts)]
        if has_bad_source(packet):
            return [Steered("bad_source", None, facts)]
        flow = flow_of(service, packet.src, 0, packet.dst, 0)
        session = session_of(service, packet.src)
        return [dataclasses.replace(way, facts={
            **facts, **way.facts, **({session: Entry(way.backend, "session", now)} if way.backend else {})})
                for way in self.placed(flow, now, "session", "selected")]

    def icmp_error(self, flow, now):
        """By the flow that it is about; nothing is written."""
        ways = []
        for entry in self.read(flow):
            if is_live(entry, flow.service, now) and entry.backend.admits & FLOWS:
                ways.append(Steered("icmp_error", entry.backend, {flow: entry}))
            else:
                ways += [dataclasses.replace(way, facts={**way.facts, flow: entry})
                         for way in self.placed(flow, now, "icmp_error", "icmp_error")]
        return ways


def left_entry(way, packet, now):
    """A first fragment leaves an entry for those that follow."""
    if packet.fragment != "first" or not way.backend:
        return way
    return dataclasses.replace(way, facts={**way.facts, fragment_of(packet): Entry(way.backend, "fragment", now)})


def touched(session, service, backend, now):
    """A client's session after a packet of a flow that it has with a backend."""
    if is_live(session, service, now):
        return dataclasses.replace(session, seen=now)
    return Entry(backend, "session", now) if backend.admits & SESSIONS else session


def begins_anew(service, entry, packet):
    """Whether it is a connection of its own, on the ports of one that there was."""
    if packet.protocol != TCP or packet.flags & (SYN | ACK | RST) != SYN:
        return False
    # A client that its backend may keep is not new to it.
    welcome = SESSIONS if service.affinity == "client" else NEW
    return entry.state == "closing" or not entry.backend.admits & welcome


def first_state(packet):
    """Whatever its flags: it is not confirmed."""
    return "half-open" if packet.protocol == TCP else "one-way"


def next_state(state, packet):
    if packet.protocol != TCP:
        return "repeated"
    if packet.flags & (FIN | RST) or state == "closing":
        return "closing"
    return state if packet.flags & SYN else "established"
