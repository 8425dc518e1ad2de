# SPDX-License-Identifier: BSD-3-Clause
"""Affinity with HTTP sessions on real session servers (tomcat.py). Users log in and count in their session; a server
is killed, and they continue to count.

Four nodes in two clusters, b1 with b2 and b3 with b4: only the nodes of one pair hold a session."""
import pytest

import tomcat
from conftest import lab_up
from lab import SERVICE4, config_yaml, wait_for
from people import count_all, log_in_all

PARTNER = {"b1": "b2", "b2": "b1", "b3": "b4", "b4": "b3"}

# Service: its port. All the nodes listen on all of them.
PORTS = {
    "pair": 8084,  # b1 and b2
    "partners": 8085,  # all four, each with its partner as backup
    "strangers": 8086,  # all four, and none with a backup
}

# More than the lab has by itself: so that the fullest node has ten at least, whatever the hash.
CLIENTS = [f"198.51.100.{i}" for i in range(101, 141)]


def backend_yaml(backend, backup):
    return f'      - {{name: {backend}, address: "192.0.2.1{backend[1:]}"{f", backup: {backup}" if backup else ""}}}'


def service_yaml(name, backups):
    """backups: {backend: its backup, or None}"""
    return "\n".join([
        f"  - name: {name}",
        f'    address: "{SERVICE4}"',
        "    protocol: tcp",
        f"    port: {PORTS[name]}",
        "    mode: l2",
        "    affinity: {by: client}",
        # A server that was killed refuses at once. One that takes longer than the interval is busy, not dead.
        "    health: {type: tcp, interval: 200ms, timeout: 2s, rise: 2, fall: 2}",
        "    backends:",
        *(backend_yaml(backend, backup) for backend, backup in backups.items()),
    ]) + "\n"


def sessions_yaml(engine):
    return config_yaml(engine, (1,), services=["web"]) + "".join([
        service_yaml("pair", {"b1": None, "b2": None}),
        service_yaml("partners", PARTNER),
        service_yaml("strangers", dict.fromkeys(PARTNER)),
    ])


@pytest.fixture(scope="module", params=["xdp", "dpdk"])
def lab(request):
    if tomcat.missing():
        pytest.skip(f"needs tomcat10-common and a JRE: no {tomcat.missing()}")
    # Its nodes are not there yet: the service is another's, and theirs come later.
    config = config_yaml(request.param, (1,), services=["web"])
    lab = lab_up(f"sessions{request.param}", request.param, backends=4, config=config)
    yield lab
    lab.down()


@pytest.fixture(scope="module")
def nodes(lab):
    for last in range(121, 141):
        lab.exec("client", "ip", "addr", "add", f"198.51.100.{last}/24", "dev", "eth0")
    application = lab.state / "application"
    tomcat.compile_application(application)
    nodes = {backend: tomcat.Node(lab, backend, sorted((backend, partner)), list(PORTS.values()), application)
             for backend, partner in PARTNER.items()}
    try:
        tomcat.start_nodes(nodes["b1"], nodes["b3"])
        tomcat.start_nodes(nodes["b2"], nodes["b4"])
        config = lab.state / "sessions.yaml"
        config.write_text(sessions_yaml(lab.engine))
        lab.ctl("config", "apply", config)
        yield nodes
    finally:
        for node in nodes.values():
            node.kill()


@pytest.fixture(autouse=True)
def all_backends_up(lab, nodes):
    """All nodes are up before each test."""
    for node in nodes.values():
        if not node.is_running():
            tomcat.start_nodes(node)
    wait_for(lambda: all(b["health"] == "up" for b in lab.show("backends")["backends"]), what="all nodes to be up")


def moved(backends_by_client, dead):
    """The backends_by_client, when the dead node's partner has taken its people."""
    return {source: PARTNER[dead] if home == dead else home for source, home in backends_by_client.items()}


@pytest.mark.parametrize("path", tomcat.MANAGERS)
def test_a_session_continues_on_the_other_node_without_login_when_its_own_is_killed(lab, nodes, path):
    people, backends_by_client = log_in_all(lab, PORTS["pair"], path, CLIENTS[:10])
    first = backends_by_client[people[0].source]
    second = PARTNER[first]
    assert set(backends_by_client.values()) <= {first, second}

    nodes[first].kill()
    backends_by_client = moved(backends_by_client, first)
    for _ in range(3):
        assert count_all(people) == backends_by_client

    # It comes back and has copies again: all go on there when the other one is killed.
    tomcat.start_nodes(nodes[first])
    wait_for(lambda: lab.health("pair", first) == "up", what=f"{first} to be up")
    assert count_all(people) == backends_by_client
    nodes[second].kill()
    assert count_all(people) == moved(backends_by_client, second)


def kill_the_fullest(lab, nodes, service, path):
    """(users, {source: node}, the dead node, which had most of the users)"""
    people, backends_by_client = log_in_all(lab, PORTS[service], path, CLIENTS)
    fullest = max(nodes, key=list(backends_by_client.values()).count)
    nodes[fullest].kill()
    wait_for(lambda: lab.health(service, fullest) == "down", what=f"{fullest} to be down")
    return people, backends_by_client, fullest


@pytest.mark.parametrize("path", tomcat.MANAGERS)
def test_all_sessions_of_a_killed_node_continue_on_its_backup(lab, nodes, path):
    people, backends_by_client, dead = kill_the_fullest(lab, nodes, "partners", path)
    backends_by_client = moved(backends_by_client, dead)
    for _ in range(3):
        assert count_all(people) == backends_by_client


def test_without_a_backup_sessions_are_lost_to_nodes_that_do_not_know_them(lab, nodes, capsys):
    people, backends_by_client, dead = kill_the_fullest(lab, nodes, "strangers", "all")
    now = count_all(people)
    orphans = {source for source, home in backends_by_client.items() if home == dead}
    lost = {source for source, node in now.items() if node is None}
    with capsys.disabled():
        print(f"\n{lab.engine}, no backup: {len(lost)} of the {len(orphans)} sessions on a killed server are lost")
    assert lost and lost <= orphans
    assert {source: now[source] for source in backends_by_client.keys() - lost} == \
        {source: home for source, home in moved(backends_by_client, dead).items() if source not in lost}
