# SPDX-License-Identifier: BSD-3-Clause
"""Three nodes with mixed engines tell each other their exceptions through Redis: after the backends have changed a node is
lost, and no flow, session or connection moves. tests/e2e/test_nodes.py has the same without a change and without a store."""
import contextlib
import pathlib
import re
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "faults"))

from clients import FLOWS, SESSIONS, Crowd  # noqa: E402
from conftest import PROCESS, lab_up  # noqa: E402
from crowds import DIRECT, all_answered, crowd  # noqa: E402,F401
from faults import Settings  # noqa: E402
from lab import wait_for  # noqa: E402

NODES = (1, 2, 3)
DETECTED = 0.3  # seconds until the router withdraws the routes of a node that failed


@pytest.fixture(scope="module")
def lab():
    lab = lab_up(f"e2eexch{PROCESS}", "xdp,dpdk,xdp", config=Settings("xdp", DIRECT).yaml(), nodes=3, store="redis")
    yield lab
    lab.down()


def exchange(lab, number):
    return lab.node(number).show("cluster")["exchange"]


def told(lab, number):
    return sum(exchange(lab, number)["told"].values())


def taken(lab, number):
    counts = exchange(lab, number)["received"]
    return sum(counts.values()) - counts["own"]


def totals(lab):
    return {number: (told(lab, number), taken(lab, number)) for number in NODES}


def clients_known(lab, number):
    return {(row["service"], row["client"]) for row in lab.node(number).show("sessions")["sessions"]}


def change_weight(lab, weight, numbers=NODES):
    """Of b3 in each service, on one node after the other. A client's next connection may come to a node that has changed
    already and has neither seen the client nor been told of it yet: that one moves, so all nodes have seen all."""
    expected = {(service, client) for service in SESSIONS for client in SESSIONS[service] if service in DIRECT}
    wait_for(lambda: all(clients_known(lab, number) >= expected for number in NODES), 30, "each client on each node")
    for number in numbers:
        node = lab.node(number)
        path = node.folder / "change.yaml"
        text = (node.folder / "berth.yaml").read_text()
        path.write_text(re.sub(r"(name: b3, .*weight: )\d+", rf"\g<1>{weight}", text))
        node.ctl("config", "apply", path)


def arrived(lab, before, least):
    """All that each node has told since is on both others, and it is so many records. After a store has lost its data a
    node may read a record twice."""
    now = totals(lab)
    sent = {number: now[number][0] - before[number][0] for number in NODES}
    return sum(sent.values()) >= least and all(
        now[number][1] - before[number][1] >= sum(sent.values()) - sent[number] for number in NODES)


def wait_exchanged(lab, before, least=10):
    """A scan is whole after a second at most."""
    wait_for(lambda: arrived(lab, before, least), 10, "records")
    time.sleep(1.2)
    wait_for(lambda: arrived(lab, before, least), 10, "records")


@contextlib.contextmanager
def without(lab, number, how):
    others = [n for n in NODES if n != number]
    lab.node(number).fail(how)
    time.sleep(DETECTED)
    lab.route(*others)
    yield
    lab.node(number).returns()
    wait_for(lambda: lab.node(number).ctl("ready", check=False).returncode == 0, 15, "ready")
    lab.route(*NODES)


def test_all_nodes_are_synchronised_and_a_steady_state_is_told_nothing(lab, crowd):
    wait_for(lambda: all(exchange(lab, number)["synchronised"] for number in NODES), 10, "synchronised")
    all_answered(crowd)
    time.sleep(2)
    assert [told(lab, number) for number in NODES] == [0, 0, 0]


def test_after_a_change_of_backends_a_lost_node_moves_nothing(lab, crowd):
    before = totals(lab)
    change_weight(lab, 1)
    wait_exchanged(lab, before)
    all_answered(crowd)
    with without(lab, 1, "kill"):
        all_answered(crowd)
    all_answered(crowd)
    assert all(exchange(lab, number)["refused"] == 0 for number in NODES)


def test_a_node_receives_only_what_it_announces_and_tells_all(lab, crowd):
    node = lab.node(3)
    path = node.folder / "change.yaml"
    text = path.read_text()
    path.write_text(re.sub("(?m)^(  - name: .*)$", r"\1\n    announce: false", text))
    node.ctl("config", "apply", path)
    assert exchange(lab, 3)["received_services"] == 0 < exchange(lab, 3)["services"]
    assert "received of 0 of" in node.ctl("show", "cluster").stdout
    before = totals(lab)
    change_weight(lab, 400, (1, 2))
    wait_for(lambda: taken(lab, 2) > before[2][1] and told(lab, 2) > before[2][0], 10, "records of two nodes")
    assert taken(lab, 3) == before[3][1]
    path.write_text(re.sub(r"(name: b3, .*weight: )\d+", r"\g<1>400", text))
    node.ctl("config", "apply", path)
    wait_for(lambda: taken(lab, 3) > before[3][1], 10, "what it has missed")
    all_answered(crowd)


def test_a_killed_store_is_told_what_it_has_missed(lab, crowd):
    before = totals(lab)
    lab.run("store", "stop")
    change_weight(lab, 100)
    all_answered(crowd)
    lab.run("store", "start")
    wait_exchanged(lab, before)
    with without(lab, 2, "silent"):
        all_answered(crowd)
    all_answered(crowd)


def test_a_flushed_store_is_told_all_again(lab, crowd):
    before = totals(lab)
    lab.exec("router", "redis-cli", "-h", "192.0.2.1", "flushall")
    wait_exchanged(lab, before)
    with without(lab, 3, "link"):
        all_answered(crowd)
    all_answered(crowd)


@contextlib.contextmanager
def cut_from_store(lab, number):
    """What the node sends to the store gets lost, without an answer."""
    lab.exec("router", "nft", "add table ip cut; add chain ip cut input { type filter hook input priority 0; };"
             f"add rule ip cut input ip saddr 192.0.2.{1 + number} tcp dport 6379 drop")
    try:
        yield
    finally:
        lab.exec("router", "nft", "delete table ip cut")


def store_alarm(lab, number):
    """The last one of the node: "ALARM" or "alarm over"."""
    return re.findall("(ALARM|alarm over): .*: the store (?:cannot be|is) reached", lab.node(number).log())[-1:]


@contextlib.contextmanager
def new_flows(lab):
    """Of which no node has told anything. A node tells nothing that the others know: of the other clients each node has what
    was told after former changes, and what a node tells that has changed before it. Most of these are on b3."""
    change_weight(lab, 100)
    flows = Crowd(lab, services=set(FLOWS))
    try:
        all_answered(flows)
        yield flows
        all_answered(flows)
    finally:
        flows.end()


def test_a_node_that_is_cut_off_from_the_store_forwards_and_then_all_is_told_again(lab, crowd):
    with new_flows(lab):
        cut_off_and_back(lab, crowd)


def cut_off_and_back(lab, crowd):
    before, deferred = totals(lab), exchange(lab, 2)["deferred"]
    with cut_from_store(lab, 2):
        wait_for(lambda: store_alarm(lab, 2) == ["ALARM"], 15, "the alarm")
        cut_off = (told(lab, 2), taken(lab, 2))
        assert "no answer for 1.5 s" in lab.node(2).show("cluster")["store"]["error"]
        change_weight(lab, 1)
        wait_for(lambda: taken(lab, 1) > before[1][1] and taken(lab, 3) > before[3][1], 20, "records of the other two")
        wait_for(lambda: exchange(lab, 2)["deferred"] > deferred, 20, "what it cannot tell")
        all_answered(crowd)
        assert (told(lab, 2), taken(lab, 2)) == cut_off
        wait_for(lambda: all(lab.node(number).show("cluster")["store"]["connected"] for number in (1, 3)), 10, "the other two")
    wait_for(lambda: store_alarm(lab, 2) == ["alarm over"], 20, "the end of the alarm")
    wait_exchanged(lab, before)
    with without(lab, 2, "link"):
        all_answered(crowd)
    with without(lab, 1, "silent"):
        all_answered(crowd)
    all_answered(crowd)


@contextlib.contextmanager
def slow_store(lab):
    """In the store's place one that answers each command after 2 s."""
    space = ["nsenter", f"--net=/run/netns/berth-{lab.name}-router", "--"]
    lab.run("store", "stop")
    with subprocess.Popen([*space, "redis-server", "--bind", "127.0.0.1", "--port", "6380", "--save", ""],
                          stdout=subprocess.DEVNULL) as redis, \
         subprocess.Popen([*space, sys.executable, pathlib.Path(__file__).parent / "slow_store.py", "192.0.2.1", "6379",
                           "6380", "2"], stderr=subprocess.DEVNULL) as slow:
        try:
            yield
        finally:
            slow.kill()
            redis.kill()
    lab.run("store", "start")


def probes(lab, number):
    text = lab.node(number).ctl("show", "metrics").stdout
    return sum(float(value) for value in re.findall(r"(?m)^berth_backend_health_probes_total.* (\S+)$", text))


def probes_in_two_seconds(lab, number):
    before = probes(lab, number)
    time.sleep(2)
    return probes(lab, number) - before


def test_a_store_that_answers_slowly_is_an_alarm_and_slows_nothing(lab, crowd):
    normal = probes_in_two_seconds(lab, 1)
    with slow_store(lab):
        wait_for(lambda: "no answer for 1.5 s" in str(lab.node(1).show("cluster")["store"]["error"]), 15, "the error")
        wait_for(lambda: store_alarm(lab, 1) == ["ALARM"], 15, "the alarm")
        for number in NODES:
            begin = time.monotonic()
            lab.node(number).ctl("show", "backends")
            assert time.monotonic() - begin < 1
        assert 0.7 * normal <= probes_in_two_seconds(lab, 1) <= 1.5 * normal
        all_answered(crowd)
    wait_for(lambda: all(lab.node(number).show("cluster")["store"]["connected"] for number in NODES), 15, "the store")


def backend(lab, number, service, name):
    return next(row for row in lab.node(number).show("backends")["backends"]
                if row["service"] == service and row["name"] == name)


def pins(lab, number):
    return {row["client"]: row["backend"] for row in lab.node(number).show("sessions")["sessions"]
            if row["reason"] == "pinned"}


def test_what_an_operator_sets_on_one_node_is_in_force_on_all(lab):
    service = next(row["name"] for row in lab.node(1).show("services")["services"] if row["affinity"] == "client")
    target = f"{service}/b2"

    def everywhere(key, value, numbers=NODES):
        wait_for(lambda: all(backend(lab, number, service, "b2")[key] == value for number in numbers), 5, value)

    assert "in force on all nodes of cluster" in lab.node(1).ctl("backend", "drain", target, "--deadline", "1h").stdout
    everywhere("admin", "draining")
    assert all("on node berth" in backend(lab, number, service, "b2")["set_by"] for number in NODES)
    lab.node(2).ctl("backend", "health", target, "up")
    everywhere("health_forced", True)
    lab.node(3).ctl("session", "pin", "198.51.100.77", f"{service}/b1")
    wait_for(lambda: all(pins(lab, number).get("198.51.100.77") == "b1" for number in NODES), 5, "the pin")
    lab.node(2).ctl("session", "unpin", "198.51.100.77", service)
    wait_for(lambda: not any(pins(lab, number) for number in NODES), 5, "its end")
    # What node 1 misses it has before it is ready, and not what it had saved itself.
    lab.node(1).fail("kill")
    lab.route(2, 3)
    lab.node(2).ctl("backend", "enable", target)
    lab.node(2).ctl("backend", "health", target, "auto")
    lab.node(1).returns()
    wait_for(lambda: lab.node(1).ctl("ready", check=False).returncode == 0, 15, "ready")
    assert backend(lab, 1, service, "b2")["admin"] == "enabled"
    everywhere("health_forced", False)
    lab.route(*NODES)
    # Of one node alone; and without the store, until it is back.
    lab.node(3).ctl("backend", "health", target, "up", "--local")
    lab.run("store", "stop")
    wait_for(lambda: not lab.node(1).show("cluster")["store"]["connected"], 10, "the loss")
    assert "in force on this node alone until the store" in lab.node(1).ctl("backend", "drain", target).stdout
    time.sleep(0.5)
    assert [backend(lab, number, service, "b2")["admin"] for number in NODES] == ["draining", "enabled", "enabled"]
    assert [backend(lab, number, service, "b2")["health_forced"] for number in NODES] == [False, False, True]
    lab.run("store", "start")
    everywhere("admin", "draining")
    lab.node(3).ctl("backend", "enable", target)
    everywhere("admin", "enabled")
    counts = lab.node(1).show("cluster")["operators"]["received"]
    lab.exec("router", "redis-cli", "-h", "192.0.2.1", "-x", "xadd", f"berth:{cluster_name(lab)}:x:6f70657261746f72", "*",
             "n", "evil", "e", "0123456789abcdef", "b", input='[{"set":"admin","service":"nobody","backend":"b1","value":"disabled",'
             '"time_ms":1700000000000,"node":"evil","by":"uid 0"},{"set":"root"}]')
    wait_for(lambda: counts != lab.node(1).show("cluster")["operators"]["received"], 5, "the records")
    after = lab.node(1).show("cluster")["operators"]["received"]
    assert after["unknown"] == counts["unknown"] + 1 and after["refused"] == counts["refused"] + 1


def sessions_of(lab, client):
    """On each node: (backend, reason), or nothing."""
    return [[(row["backend"], row["reason"]) for row in lab.node(number).show("sessions", "--client", client)["sessions"]]
            for number in NODES]


def test_sessions_that_are_moved_or_cleared_on_one_node_are_so_on_all(lab):
    service = next(row["name"] for row in lab.node(1).show("services")["services"] if row["affinity"] == "client")
    client = "198.51.100.78"

    def everywhere(*sessions):
        wait_for(lambda: sessions_of(lab, client) == list(sessions), 5, sessions)

    lab.node(1).ctl("session", "pin", client, f"{service}/b1")
    everywhere(*3 * [[("b1", "pinned")]])
    assert "in force on all nodes of cluster" in lab.node(2).ctl("session", "move", client, f"{service}/b2").stdout
    everywhere(*3 * [[("b2", "moved")]])
    lab.node(3).ctl("session", "move", client, f"{service}/b3", "--local")
    time.sleep(0.5)
    assert sessions_of(lab, client)[2] == [("b3", "moved")]
    lab.node(1).ctl("session", "clear", "--service", service, "--client", client, "--local")
    assert sessions_of(lab, client)[0] == [] != sessions_of(lab, client)[1]
    assert "in force on all nodes of cluster" in lab.node(1).ctl("session", "clear", "--client", client).stdout
    everywhere([], [], [])


def in_force(node):
    change = node.folder / "change.yaml"
    return change if change.exists() else node.folder / "berth.yaml"


def add_backend(lab, number, service):
    """One more, b9, without new clients: b3 at another address."""
    node = lab.node(number)
    path, more = in_force(node), node.folder / "more.yaml"
    head, name, text = path.read_text().partition(f"  - name: {service}\n")
    backend = re.search(r" +- {name: b3, address: \"([0-9.]+)\.13\".*}\n", text)
    line = re.sub("weight: [0-9]+", "weight: 0", backend[0].replace("name: b3", "name: b9").replace(".13\"", ".113\""))
    more.write_text(head + name + text[:backend.end()] + line + text[backend.end():])
    node.ctl("config", "apply", more)


def test_what_a_node_hears_of_a_backend_that_it_gets_later_is_done_then(lab):
    service = next(row["name"] for row in lab.node(1).show("services")["services"] if row["affinity"] == "client")
    client = "198.51.100.79"
    lab.node(1).ctl("session", "pin", client, f"{service}/b1")
    wait_for(lambda: sessions_of(lab, client) == 3 * [[("b1", "pinned")]], 10, "a pin on all nodes")
    unknown = exchange(lab, 2)["received"]["unknown"]
    add_backend(lab, 1, service)
    lab.node(1).ctl("session", "move", client, f"{service}/b9")
    wait_for(lambda: exchange(lab, 2)["received"]["unknown"] > unknown, 10, "a record of a backend that is not there")
    assert "b9" not in str(sessions_of(lab, client)[1:])
    add_backend(lab, 2, service)
    wait_for(lambda: sessions_of(lab, client)[1] == [("b9", "moved")], 10, "the session on the new backend")
    lab.node(1).ctl("session", "clear", "--client", client)
    for number in (1, 2):
        lab.node(number).ctl("config", "apply", in_force(lab.node(number)))


def cluster_name(lab):
    return lab.node(1).show("cluster")["cluster"]


def test_a_node_that_starts_waits_for_what_others_have_told_and_not_for_ever(lab, crowd):
    node = lab.node(2)  # its engine is a process, and ends with it
    node.fail("kill")
    time.sleep(DETECTED)
    lab.route(1, 3)
    lab.run("store", "stop")
    node.returns()
    assert "waiting for what other nodes have told" in node.ctl("ready", check=False).stdout
    wait_for(lambda: node.ctl("ready", check=False).returncode == 0, 15, "ready")
    assert "not synchronised after 10000 ms" in (lab.state / "berthd2.log").read_text()
    lab.run("store", "start")
    wait_for(lambda: exchange(lab, 2)["synchronised"], 10, "synchronised")
    lab.route(*NODES)
    all_answered(crowd)
