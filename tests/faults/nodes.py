# SPDX-License-Identifier: BSD-3-Clause
"""What happens to several nodes while the clients talk: to one of them, to the router, to the backends of all.

While the backends are as they were, no connection breaks and no client moves. A change of backends has phases. Who gets a
backend while they change, or after it, may be an exception (an entry of one node that differs from selection), which the
other nodes do not know: its moves are counted. With a store that ends when all have told their exceptions: from
then on no client may move, whatever is lost, the store too; those of a backend that is drained or has another weight may not, either.
Who got its backend before stays, unless rows of the selection table changed. When the change has been undone, the router
spreads all flows anew once more, the exceptions are deleted, and all clients start afresh.
"""
import pathlib
import shutil
import time

import generated
import lab as labs
from clients import SERVICES, SESSIONS, STEADY
from faults import SETTLED, VICTIM, Faults, Settings
from lab import wait_for

# A backend of mode nat answers through its gateway, which is one node.
DIRECT = {name for name in SERVICES if labs.SERVICES[name].mode != "nat"}

# Phases, beside STEADY.
QUIET = 1.5  # seconds: a scan takes one
STORE_FOUND = 60  # seconds in which Sentinel has chosen a master: it may try again after four
WRITES_LOST = 10  # seconds
TOLD_ALL = 300  # seconds, at most, until all exceptions have been told
TOLD, RECEIVED = ("new", "changed", "answered", "commands"), ("inserted", "replaced", "unknown", "commands")  # what is news
MET = 10  # seconds in which nearly all clients have come to each node

AWAY, BACK = "during the change", "after the change"

# Those of Faults that one node has for itself, and that no other node or router notices.
OF_ONE = ["kill_berthd", "end_berthd", "kill_both", "kill_engine", "resize", "limits", "engine_options", "other_engine", "damage"]


def drop_tables(lab):
    """Of a node whose processes were killed."""
    shutil.rmtree(pathlib.Path("/sys/fs/bpf/berth") / lab.instance, ignore_errors=True)
    for folder in ("/dev/hugepages/berth", "/dev/shm/berth"):
        for path in pathlib.Path(folder).glob(f"{lab.instance}.*"):
            path.unlink()


class NodeFaults(Faults):
    def __init__(self, lab, crowd, settings, options):
        super().__init__(lab, crowd, settings, options.seed)
        self.has_store = options.store != "none"
        known = {**labs.SERVICES, **generated.SERVICES}
        self.by_client = sorted(name for name in settings.services if known[name].affinity == "client")
        self.members = {}
        for number in range(1, options.nodes + 1):
            engine = (settings.engine.split(",") * options.nodes)[number - 1]
            member = Faults(lab.node(number), crowd, Settings(engine, settings.services), options.seed)
            member.random = self.random
            member.settings.more = [line for line in (member.lab.folder / "berth.yaml").read_text().splitlines()
                                    if line.startswith(("secret-file:", "cluster:"))]
            self.members[number] = member
        self.gone = set()  # numbers of nodes that failed
        self.behind = set()  # nodes that have exceptions of a change that is over
        self.command = "enable"  # of the operator, for the victim
        self.changes = 0

    # --- what these faults are made of ---

    def present(self):
        """Numbers of the nodes that have routes, in random order."""
        numbers = [number for number in self.members if number not in self.gone]
        self.random.shuffle(numbers)
        return numbers

    def route(self, weighted=False, **more):
        hops = self.present()
        if weighted:
            hops = [f"{number}={self.random.randint(1, 20)}" for number in hops]
        self.lab.route(*hops, **more)

    def detected(self):
        """The time until the router withdraws a node that failed."""
        time.sleep(self.random.uniform(0.05, 1))

    def up_to_date(self, number):
        """Configuration and operator state of a node become those of the others."""
        member = self.members[number]
        member.settings.without, member.settings.weight = self.settings.without, self.settings.weight
        member.apply()
        if VICTIM not in self.settings.without:
            member.on_all(self.command)
        wait_for(lambda: all(backend["next_hop"] for backend in member.lab.show("backends")["backends"]), SETTLED, "its next hops")
        if self.lab.serves(VICTIM):
            member.all_up()

    def forget(self, number):
        """The exceptions of the client's sessions; those of flows do not matter, as all clients have new ports."""
        for name in self.by_client:
            self.members[number].ctl("session", "clear", "--local", "--service", name)
        self.behind.discard(number)

    def forget_all(self):
        """On all nodes that are present. With a store the others hear of it when they return."""
        if not self.has_store:
            for number in self.present():
                self.forget(number)
            return
        present = self.present()
        for name in self.by_client:
            self.members[present[0]].ctl("session", "clear", "--service", name)
        wait_for(lambda: not any(self.members[number].lab.show("sessions")["sessions"] for number in present), SETTLED, "no sessions")
        self.behind.difference_update(present)

    def exchanges(self):
        """What nodes that are present say of their exchange."""
        return [member.lab.show("cluster")["exchange"] for number, member in sorted(self.members.items()) if number not in self.gone]

    def exchanged(self):
        """Waits until all exceptions have been told: nothing new for longer than a scan takes. A flow that goes on is told again for as
        long, which is no news."""
        before, since, is_sent = None, 0, False
        end = time.monotonic() + TOLD_ALL
        while not is_sent or time.monotonic() - since < QUIET:
            time.sleep(0.1)
            exchanges = self.exchanges()
            now = [[of[name] for of, names in ((e["told"], TOLD), (e["received"], RECEIVED)) for name in names] for e in exchanges]
            assert time.monotonic() < end, (
                f"the exchange is not quiet after {TOLD_ALL} s: {TOLD + RECEIVED} of each node: {before}, then {now}; bytes queued, "
                f"synchronised: {[(e['queued_bytes'], e['synchronised']) for e in exchanges]}")
            if now != before:
                before, since, is_sent = now, time.monotonic(), False
            is_sent = is_sent or all(e["queued_bytes"] == 0 and e["synchronised"] for e in exchanges)

    def meet_all(self):
        """Clients whom a node meets first while another one has the former configuration may change between two backends for ten
        seconds, or more (docs/cluster.md#two-sessions-of-a-client)."""
        if not self.has_store:
            return
        present = [member.lab for number, member in self.members.items() if number not in self.gone]
        end = time.monotonic() + MET
        self.crowd.meet(lab.number for lab in present)
        while time.monotonic() < end and not self.have_met(present):
            time.sleep(0.2)
        self.crowd.retire()

    def have_met(self, present):
        """Whether all clients have met all of these nodes."""
        _, _, _, totals = self.crowd.state()
        expected = {(name, client) for name in SESSIONS if name in DIRECT for client in SESSIONS[name]}
        return not (totals and totals.unmet) and not any(
            expected - {(row["service"], row["client"]) for row in lab.show("sessions")["sessions"]} for lab in present)

    def all_go_on(self):
        """As goes_on(), and nearly all generated flows and clients have come again."""
        self.goes_on()
        self.crowd.mark()
        end = time.monotonic() + MET
        while time.monotonic() < end and (totals := self.crowd.state()[3]) and totals.stale:
            time.sleep(0.1)

    def nothing_moves(self, phase):
        """From now on, as all exceptions are known on all nodes."""
        if self.has_store:
            self.exchanged()
            self.crowd.phase(phase)

    # --- the store ---

    def store_killed(self):
        """For a while, in which a node may be lost."""
        self.lab.run("store", "stop")
        self.random.choice((self.node_link, self.detected))()
        self.lab.run("store", "start")
        self.exchanged()

    def store_flushed(self):
        self.lab.exec("router", "redis-cli", "-h", "192.0.2.1", "-p", self.store_server().rpartition(":")[2], "flushall")
        self.exchanged()

    def store_servers(self):
        """What each node that is present uses; None: it is not connected."""
        stores = [member.lab.show("cluster")["store"] for number, member in self.members.items() if number not in self.gone]
        return {store["server"] if store["connected"] else None for store in stores}

    def store_server(self):
        wait_for(lambda: len(servers := self.store_servers()) == 1 and None not in servers, STORE_FOUND, "one store for all nodes")
        return self.store_servers().pop()

    def store_fails_over(self):
        """The master is killed, and Sentinel makes the replica the master; a node may be lost meanwhile."""
        before = self.store_server()
        self.lab.run("store", "stop")
        self.random.choice((self.node_link, self.detected))()
        wait_for(lambda: not self.store_servers() & {before, None}, STORE_FOUND, "the new master")
        self.exchanged()
        self.lab.run("store", "start", timeout=90)

    def store_loses_writes(self):
        """The replica lacks what was told in the last seconds when it becomes the master. A node that was away then and comes
        back without its tables has all the same what was told."""
        for number in sorted(self.gone):
            self.node_returns(number)
        if self.back:
            self.victim()
        self.lab.run("store", "cut")
        end = time.monotonic() + WRITES_LOST
        away = self.node_fails("kill")
        self.victim()
        time.sleep(max(0, end - time.monotonic()))
        self.store_fails_over()
        drop_tables(self.members[away].lab)
        self.node_returns(away)
        self.exchanged()
        self.lab.route(away)
        self.goes_on()
        self.route()

    # --- nodes ---

    def node_fails(self, how):
        number = self.random.choice(self.present())
        self.members[number].lab.fail(how)
        self.gone.add(number)
        self.detected()
        self.route()
        return number

    def node_killed(self):
        if len(self.gone) + 1 < len(self.members):
            self.node_fails("kill")

    def node_returns(self, number):
        member = self.members[number]
        member.settings.without = self.settings.without
        member.write_settings()
        if self.has_store and number in self.behind:
            drop_tables(member.lab)  # else it tells the others its exceptions of the change that is over
        member.lab.returns()
        wait_for(lambda: member.lab.ctl("ready", check=False).returncode == 0, SETTLED, "ready")
        self.up_to_date(number)
        if not self.has_store and number in self.behind:
            self.forget(number)
        self.behind.discard(number)
        self.gone.discard(number)
        self.route()

    def node_back(self):
        if self.gone:
            self.node_returns(self.random.choice(sorted(self.gone)))

    def node_link(self):
        """Its link fails, or its kernel has gone silent, for a while."""
        if len(self.gone) + 1 < len(self.members):
            number = self.node_fails(self.random.choice(("link", "silent")))
            self.goes_on()
            self.node_returns(number)

    def node_alone(self):
        """What happens to its berthd, its engine and its tables, while its routes stay."""
        member = self.members[self.random.choice(self.present())]
        name = self.random.choice(OF_ONE)
        if name == "damage" and self.command != "enable":
            return  # costs what the operator set
        print(f"    node {member.lab.number}: {name}", flush=True)
        member.make(name)

    # --- all nodes ---

    def rehash(self):
        self.route(weighted=True, ecmp=self.random.choice(("hash-threshold", "resilient")))

    def rolling(self):
        """An apply on one node after the other, of what selection does not depend on."""
        half_open = f"{self.random.randint(2, 5)}s"
        for number in self.present():
            self.members[number].settings.half_open = half_open
            self.members[number].apply()

    # --- changes of the backends ---

    def on_all(self, *command):
        self.command = command[0]
        for number in self.present():
            self.members[number].on_all(*command)

    def apply(self):
        for number in self.present():
            self.up_to_date(number)

    def all_up(self):
        for number in self.present():
            self.members[number].all_up()

    def reweighted(self):
        self.settings.weight = self.random.randint(1, 100)
        self.apply()

        def returns():
            self.settings.weight = 10
            self.apply()
        return returns

    def victim(self):
        """Leaves or returns, on one node after the other; or has another weight for a while."""
        self.meet_all()
        if self.back:
            self.crowd.phase(BACK, AWAY, BACK, *self.others)
            self.back()
            self.back = None
            self.all_up()
            self.goes_on()
            self.nothing_moves(BACK)
            self.rehash()
            self.all_go_on()
            self.ends_change()
            return
        how = self.random.choice((self.stopped, self.disabled, self.drained, self.removed, self.reweighted))
        print(f"    {VICTIM}: {how.__name__}", flush=True)
        self.others = [STEADY] if how in (self.removed, self.reweighted) else []  # they change rows
        self.crowd.phase(AWAY, AWAY, *self.others)
        self.crowd.excuse(VICTIM)
        self.back = how()
        self.nothing_moves(AWAY)
        if self.has_store and how in (self.drained, self.reweighted):
            self.crowd.hold(VICTIM)  # what is on it stays

    def ends_change(self):
        """The clients start afresh; the nodes that are away have exceptions still."""
        self.changes += 1
        with self.crowd.silence():
            time.sleep(0.2)  # what is under way
            self.behind = set(self.members)
            self.forget_all()
            self.crowd.phase(STEADY)
            self.crowd.hold(VICTIM)
        self.goes_on()

    def ends(self):
        """Everything is as it was at the start."""
        for number in sorted(self.gone):
            self.node_returns(number)
        super().ends()

    def nodes(self):
        return list(self.members.values())

    def moved(self):
        """What the changes cost, with a store only until all exceptions were told."""
        yield f"{self.changes} changes of the backends"
        for (kind, homed), count in sorted(self.crowd.moved.items()):
            yield f"{count:6} moved: {kind}, with its backend from {homed}"


STORE_FAULTS = {"none": [], "redis": ["store_killed", "store_flushed"],
                "sentinel": ["store_fails_over", "store_loses_writes", "store_flushed"]}
NODE_FAULTS = ["node_killed", "node_back", "node_link", "node_alone", "rehash", "rolling", "victim"]
