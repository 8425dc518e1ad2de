# SPDX-License-Identifier: BSD-3-Clause
"""
Step 7: the backend of a packet, and the entries that it writes.

A drop does not show the backend that a packet would have had. Therefore the tables hold all possible entries of each
key, nearly always one. A packet's possible outcomes are those of all of them, and its real outcome decides which remain.
"""
import dataclasses

from . import classify
from .outcome import Rows
from .parse import ACK, FIN, RST, SYN
from .world import FLOWS, FULL, LIMIT, NEW, SESSIONS, TCP, masked


UNCONFIRMED = "half-open", "unreplied"
SECOND, MILLISECOND = 1000000000, 1000000


@dataclasses.dataclass(frozen=True)
class Entry:
    backend: object
    state: str  # of a session: unconfirmed, session
    seen: int
    # Of a session, whose backends are numbered in its group's first service:
    origin: object = None  # the backend before a failover
    pin: object = None  # the backend that it is pinned to
    moved: object = None  # second of its last move; None: none


@dataclasses.dataclass(frozen=True)
class Steered:
    """An outcome that the rules allow."""
    verdict: str
    backend: object  # None: no backend
    facts: dict  # key: the entry afterwards (None: none); other keys do not change
    choice: tuple = ()  # of Rows.learn
    hop: object = None  # the second hop


@dataclasses.dataclass(frozen=True)
class Flow:
    """The key of a flow entry: client and service."""
    service: object
    src: bytes
    sport: int
    dport: int
    dst: bytes  # of a service with a prefix only


def flow_of(service, src, sport, dst, dport):
    return Flow(service, src, sport, dport, b"" if service.is_whole() else dst)


def session_of(service, src):
    return "session", service.sessions(), classify.client_prefix(service, src)


def fragment_of(packet):
    protocol = packet.protocol if packet.family == 4 else None
    return "fragment", packet.src, packet.dst, packet.identification, protocol


def no_host(packed):
    """Whether the address is invalid as a source."""
    if len(packed) == 4:
        return packed[0] in (0, 127) or packed[0] >= 224
    return packed[0] == 0xFF or packed in (bytes(16), bytes(15) + b"\1")


def has_bad_source(packet):
    return no_host(packet.src) or packet.src == packet.dst


def is_live(entry, service, now):
    if entry is None:
        return False
    state = entry.state
    if state == "unconfirmed":
        state = "half-open" if service.protocol == TCP else "unreplied"
    return now - entry.seen <= service.timeouts[state]


class Tables:
    def __init__(self):
        self.entries = {}  # key: the possible entries
        self.rows = Rows()

    def read(self, key):
        return self.entries.get(key, (None,))

    def adopt(self, ways):
        """Keeps the outcomes that equal the real one."""
        for key in {key for way in ways for key in way.facts}:
            before = self.read(key)
            after = [entry for way in ways for entry in ([way.facts[key]] if key in way.facts else before)]
            self.entries[key] = tuple(dict.fromkeys(after))
        choices = {way.choice for way in ways}
        if len(choices) == 1 and ways[0].choice:
            self.rows.learn(*ways[0].choice)

    # The backend of a flow without an entry: from the client's session, else by selection. A packet that inserts
    # nothing leaves the session unchanged.

    def placed(self, flow, now, remembered, syn, key=None):
        """`syn`: the packet has that flag; `key`: the key whose hash a spilled flow uses, if it is not the flow's."""
        service = flow.service
        if service.affinity != "client":
            if remembered and not syn and service.protocol == TCP and service.scheduler != "maglev":
                return list(self.chosen_in_midst(service, flow))
            return list(self.chosen(service, flow, {}, remembered))
        session = session_of(service, flow.src)
        ways = []
        for entry in self.read(session):
            alive = is_session_alive(entry, service, now)
            mine = service.sibling(entry.backend) if alive else None
            if mine and mine.eligibility & SESSIONS:
                ways += self.keep(service, session, entry, mine, now, remembered, syn, key or flow)
            else:
                ways += self.leave(service, session, entry, alive, mine, now, remembered)
        return ways

    def keep(self, service, session, entry, mine, now, remembered, syn, key):
        """A client whose session's backend is eligible for it."""
        same = {session: entry}
        stays = [self.stay(service, session, entry, mine, now, remembered, syn)]
        if not mine.eligibility & LIMIT and not (mine.eligibility & FULL and service.overload == "spill"):
            return stays
        ways = []
        # By turns and loads, also for a packet that inserts nothing.
        for way in self.chosen(service, key, same, True):
            if way.backend and way.backend is not mine:
                ways.append(dataclasses.replace(way, verdict="spilled"))
            elif mine.eligibility & LIMIT:
                ways.append(dataclasses.replace(way, verdict="no_backend", backend=None))
            else:
                ways += [dataclasses.replace(one, choice=way.choice) for one in stays]
        return ways

    @staticmethod
    def stay(service, session, entry, mine, now, remembered, syn):
        home = home_of(service, entry)
        if not home or home is mine:
            # A second packet confirms the session, unless it is a SYN.
            state = entry.state if syn else "session"
            after = dataclasses.replace(entry, seen=now, state=state) if remembered else entry
            return Steered("session", mine, {session: after})
        after = (Entry(service.sessions().sibling(home), entry.state, now, None, entry.pin, now)
                 if remembered else entry)
        return Steered("selected", home, {session: after})

    def leave(self, service, session, entry, alive, mine, now, remembered):
        """A client without a session, or whose session's backend is not eligible for it."""
        same = {session: entry}
        if mine and mine.backup and mine.backup.takes_beyond():
            ways = [Steered("selected", mine.backup, same)]
        else:
            ways = list(self.chosen(service, session, same, remembered))
        if not remembered or (alive and not mine):
            return ways
        return [dataclasses.replace(way, facts={session: begun(service, entry, way.backend, mine, now)})
                for way in ways]

    def chosen_in_midst(self, service, flow):
        """A connection whose SYN may have found no room: by the hash alone, if that backend takes it gladly."""
        for way in self.chosen(service, flow, {}, False):
            if way.backend and way.backend.takes_gladly():
                yield way
            else:
                yield from self.chosen(service, flow, {}, True)

    def chosen(self, service, key, facts, remembered):
        """By the selection table, with the row of `key`."""
        row = service, key
        backends = tuple(service.backends)
        candidates, pool = self.rows.choose(row, service, remembered)
        for backend in candidates:
            choice = (row, backends, pool, backend) if pool else ()
            yield Steered("selected" if backend else "no_backend", backend, facts, choice)

    def answers(self, service, backend, packet, now):
        """Mode nat: the flow that the backend's packet answers."""
        if packet.inner or packet.fragment == "later":
            return [Steered("returned", None, {})]
        port = service.first if service.first == service.last else packet.sport
        flow = flow_of(service, packet.dst, packet.dport, service.address, port)
        ways = []
        for entry in self.read(flow):
            if is_live(entry, service, now) and entry.backend.address == backend.address:
                entry = answered(entry, packet, now)
            ways.append(Steered("returned", None, {flow: entry}))
        return ways

    # An operator's commands on a client's session. False: the answer is impossible.

    def operate(self, verb, service, client, backend, now, done):
        session = session_of(service, client)
        before = self.read(session)
        meant = [entry for entry in before if is_session_alive(entry, service, now) and (verb != "unpin" or entry.pin)]
        if not done:
            self.entries[session] = tuple(entry for entry in before if entry not in meant)
            return verb != "pin" and len(meant) < len(before)
        named = service.sessions().sibling(backend)
        after = Entry(named, "session", now, None, named if verb == "pin" else None, now) if named else None
        self.entries[session] = (after,)
        return verb == "pin" or bool(meant)

    # Kinds of packets.

    def packet(self, service, packet, now):
        """A packet with ports."""
        flow = flow_of(service, packet.src, packet.sport, packet.dst, packet.dport)
        ways = []
        for entry in self.read(flow):
            if is_live(entry, service, now) and entry.backend.eligibility & FLOWS and not begins_anew(
                    service, entry, packet):
                left = self.session_left(flow, entry, packet, now)
                ways += self.begin(flow, entry, packet, now) if True in left else []
                ways += self.go_on(flow, entry, packet, now) if False in left else []
            elif is_cut(entry, service, packet, now):
                ways.append(Steered("reset", None, {flow: entry}))
            else:
                ways += self.begin(flow, entry, packet, now)
        return [left_entry(way, packet, now) for way in ways]

    def session_left(self, flow, entry, packet, now):
        """Whether this opens a connection on the half-open entry of an earlier attempt, and the client's session has
        moved since then: all possible values."""
        service = flow.service
        if not opens(packet) or entry.state != "half-open" or service.affinity != "client":
            return {False}
        return {is_session_alive(session, service, now) and session.moved is not None and
                session.moved >= entry.seen and service.sibling(session.backend) not in (None, entry.backend)
                for session in self.read(session_of(service, packet.src))}

    def go_on(self, flow, entry, packet, now):
        after = next_state(entry.state, packet)
        facts = {flow: Entry(entry.backend, after, now)}
        was = entry.state not in UNCONFIRMED
        confirmed = was or (after not in UNCONFIRMED and not packet.flags & RST)
        if flow.service.affinity != "client" or (entry.seen == now and confirmed == was):
            return [Steered("flow", entry.backend, facts)]
        # The flow refreshes the client's session, at most once a second, and confirms it.
        key = session_of(flow.service, packet.src)
        return [Steered("flow", entry.backend, {**facts, key: touched(session, flow.service, entry.backend, now, confirmed)})
                for session in self.read(key)]

    def taken(self, limit, key, now):
        """What a new flow takes of a limit: (whether it is over it, the facts afterwards)."""
        for until in self.read(key) if limit.interval_ns else ():
            ahead = max(until or 0, now * SECOND) - now * SECOND
            if ahead > limit.burst_ms * MILLISECOND:
                yield True, {key: until}
            else:
                yield False, {key: now * SECOND + ahead + limit.interval_ns}
        if not limit.interval_ns:
            yield False, {}

    def limited(self, service, packet, now):
        """The same for the limits of its source and then of its service."""
        bits = service.source_limit.prefix4 if len(packet.src) == 4 else service.source_limit.prefix6
        for over, facts in self.taken(service.source_limit, ("source", service, masked(packet.src, bits)), now):
            if over:
                yield over, facts
                continue
            for over_service, more in self.taken(service.limit, ("limit", service), now):
                yield over_service, {**facts, **more}

    def begin(self, flow, before, packet, now):
        """A flow's first packet; `before`: an entry that it cannot use, or None."""
        if has_bad_source(packet):
            return [Steered("bad_source", None, {flow: before})]
        hopping = self.with_second_hop(flow, before, packet, now)
        return [way for way in hopping if way] + (self.begin_here(flow, before, packet, now) if None in hopping else [])

    def with_second_hop(self, flow, before, packet, now):
        """For a packet of an unknown connection: the outcomes with a second hop; None: without."""
        service = flow.service
        if (not service.former or packet.protocol != TCP or packet.flags & SYN or packet.fragment == "first" or
                is_live(before, service, now)):
            return [None]
        ways = []
        for way in self.placed(flow, now, False, False):
            for hop in self.second_hops(flow, way.backend):
                usable = way.backend and hop and is_second_hop(hop, way.backend)
                ways.append(dataclasses.replace(way, verdict="second_hop", facts={**way.facts, flow: before},
                                                hop=hop) if usable else None)
        return ways

    def second_hops(self, flow, backend):
        """Those that are possible behind a backend: the former one, or behind that one what the row gives."""
        service = flow.service
        if backend is not service.former:
            return [service.former]
        key = session_of(service, flow.src) if service.affinity == "client" else flow
        return self.rows.of_row((service, key), service)

    def begin_here(self, flow, before, packet, now):
        """The same without a second hop."""
        if packet.protocol == TCP and packet.flags & RST:
            return self.enter(flow, before, packet, now, False)
        if is_live(before, flow.service, now) and not (opens(packet) and before.state in ("closing", "closed")):
            return self.enter(flow, before, packet, now, True)
        ways = []
        for over, facts in self.limited(flow.service, packet, now):
            if over and (packet.protocol != TCP or packet.flags & SYN):
                ways.append(Steered("over_limit", None, {flow: before, **facts}))
            else:
                ways += [dataclasses.replace(way, facts={**way.facts, **facts})
                         for way in self.enter(flow, before, packet, now, not over)]
        return ways

    def enter(self, flow, before, packet, now, remembered):
        """The same within the limits; or over them, and then not `remembered`."""
        service = flow.service
        ways = []
        for way in self.placed(flow, now, remembered, bool(packet.flags & SYN)):
            if not way.backend or not remembered:
                verdict = "untracked" if way.backend else way.verdict
                ways.append(dataclasses.replace(way, verdict=verdict, facts={**way.facts, flow: before}))
                continue
            facts = {**way.facts, flow: Entry(way.backend, first_state(packet), now)}
            moved = before and before.backend is not way.backend
            if not moved or not is_live(before, service, now):
                # A scan, or an insert of another flow, may have freed an expired entry.
                ways.append(dataclasses.replace(way, facts=facts))
            if moved:
                ways.append(dataclasses.replace(way, verdict="reselected", facts=facts))
        return ways

    def later_fragment(self, packet, services, now):
        key = fragment_of(packet)
        ways = []
        for entry in self.read(key):
            service = entry and next(one for one in services if entry.backend in one.backends)
            if is_live(entry, service, now) and entry.backend.eligibility & FLOWS:
                ways.append(Steered("fragment", entry.backend, {key: entry}))
            else:
                ways += self.without_first(packet, services, now, {key: entry})
        return ways

    def without_first(self, packet, services, now, facts):
        """A later fragment whose first fragment is unknown."""
        service = classify.sole(services, packet.dst, packet.protocol)
        if not service:
            return [Steered("fragment_unknown", None, facts)]
        if has_bad_source(packet):
            return [Steered("bad_source", None, facts)]
        flow = flow_of(service, packet.src, 0, packet.dst, 0)
        return [dataclasses.replace(way, facts={**facts, **way.facts})
                for way in self.placed(flow, now, True, False, fragment_of(packet))]

    def icmp_error(self, flow, now):
        """An ICMP error follows its flow and writes nothing."""
        ways = []
        for entry in self.read(flow):
            if is_live(entry, flow.service, now) and entry.backend.eligibility & FLOWS:
                ways.append(Steered("icmp_error", entry.backend, {flow: entry}))
            else:
                ways += [dataclasses.replace(way, verdict="icmp_error" if way.backend else way.verdict,
                                             facts={**way.facts, flow: entry})
                         for way in self.placed(flow, now, False, False)]
        return ways


def returned(packet, key, entry, now):
    """The entries after a backend's packet in a flow."""
    is_seen = not packet.inner and packet.fragment != "later" and packet.ttl > 1
    facts = {key: answered(entry, packet, now) if is_seen else entry}
    if packet.fragment == "first" and packet.ttl > 1:
        facts[fragment_of(packet)] = Entry(entry.backend, "fragment", now)
    return facts


def left_entry(way, packet, now):
    """A first fragment inserts an entry for the later ones."""
    if packet.fragment != "first" or not way.backend:
        return way
    return dataclasses.replace(way, facts={**way.facts, fragment_of(packet): Entry(way.backend, "fragment", now)})


def answered(entry, packet, now):
    """A flow's entry after a packet of its backend, which berth sees in mode nat."""
    if packet.protocol != TCP:
        return dataclasses.replace(entry, seen=now)
    if packet.flags & RST:
        state = entry.state if entry.state == "half-open" else "closed"
    elif packet.flags & FIN:
        state = "closed" if entry.state == "closing" else entry.state
    elif packet.flags & SYN or entry.state in ("closing", "closed"):
        state = entry.state
    else:
        state = "established"
    return entry if state == "half-open" else dataclasses.replace(entry, state=state, seen=now)


def is_session_alive(session, service, now):
    """A pinned session does not expire."""
    return session is not None and (session.pin is not None or is_live(session, service, now))


def touched(session, service, backend, now, confirmed):
    """A client's session after a packet of a known flow, which is `confirmed` or not."""
    state = "session" if confirmed else "unconfirmed"
    if is_session_alive(session, service, now):
        return dataclasses.replace(session, seen=now, state="session" if session.state == "session" else state)
    named = service.sessions().sibling(backend)
    return Entry(named, state, now) if named and backend.eligibility & SESSIONS else session


def begun(service, entry, backend, mine, now):
    """The session after its client's flow went to `backend`, because `mine`, its backend, was not eligible."""
    named = service.sessions().sibling(backend)
    if not named:
        return entry
    if not mine:
        return Entry(named, "unconfirmed", now)
    return Entry(named, entry.state, now, None if entry.pin else entry.backend, entry.pin, now)


def home_of(service, entry):
    """The backend that a session returns to now, or None."""
    if entry.pin:
        home = service.sibling(entry.pin)
        return home if home and home.eligibility & SESSIONS and not home.eligibility & LIMIT else None
    home = service.sibling(entry.origin) if entry.origin and service.failback == "return" else None
    return home if home and home.takes_beyond() else None


def is_second_hop(former, backend):
    """Whether a packet to `backend` can have `former` as its second hop."""
    return (former is not backend and former.mode == backend.mode == "gue" and former.known and
            len(former.address) == len(backend.address) and bool(former.eligibility & FLOWS))


def opens(packet):
    return packet.protocol == TCP and packet.flags & (SYN | ACK | RST) == SYN


def is_cut(entry, service, packet, now):
    """Whether a flow is reset when its backend is down."""
    return (service.down == "reset" and is_live(entry, service, now) and entry.state == "established" and
            not entry.backend.eligibility & FLOWS and not opens(packet))


def begins_anew(service, entry, packet):
    """Whether the packet opens a new connection on the ports of an earlier one."""
    if not opens(packet):
        return False
    # A client is not new to the backend of its session.
    welcome = SESSIONS if service.affinity == "client" else NEW
    return entry.state in ("closing", "closed") or not entry.backend.eligibility & welcome


def first_state(packet):
    """The state of a new entry, for any flags: unconfirmed."""
    return "half-open" if packet.protocol == TCP else "unreplied"


def next_state(state, packet):
    if packet.protocol != TCP:
        return "assured"
    if state == "closed":
        return "closed"
    if packet.flags & (FIN | RST):
        return "closing"
    if state == "closing" and (packet.flags & SYN or not packet.data):
        return "closing"
    return state if packet.flags & SYN else "established"
