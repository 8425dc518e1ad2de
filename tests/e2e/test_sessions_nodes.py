# SPDX-License-Identifier: BSD-3-Clause
"""HTTP sessions on real session servers (tomcat.py) behind two berth nodes without a store. A node is killed, also after a
server has been, and no user has to log in again.

     client - router (ECMP) - berth (XDP), berth2 (DPDK) - b1, b2: Tomcat, each with a copy of every session
"""
import contextlib
import threading
import time

import pytest

import tomcat
from conftest import lab_up
from lab import CLIENTS4, SERVICE4, config_yaml, wait_for
from people import count_all, log_in_all

PORT = 8084
OTHER = {1: 2, 2: 1, "b1": "b2", "b2": "b1"}
DETECTED = 0.3  # seconds until the router withdraws the routes of a node that failed

SERVICE = f"""
  - name: shop
    address: {SERVICE4}
    port: {PORT}
    mode: l2
    affinity: {{by: client}}
    # A server that was killed refuses at once. One that takes longer than the interval is busy, not dead.
    health: {{type: tcp, interval: 200ms, timeout: 2s, rise: 2, fall: 2}}
    backends: [{{name: b1, address: 192.0.2.11}}, {{name: b2, address: 192.0.2.12}}]
"""


@pytest.fixture(scope="module")
def lab():
    if tomcat.missing():
        pytest.skip(f"needs tomcat10-common and a JRE: no {tomcat.missing()}")
    lab = lab_up("sessionsnodes", "xdp,dpdk", backends=2, nodes=2, config=config_yaml("xdp", (1,), services=["web"]))
    yield lab
    lab.down()


@pytest.fixture(scope="module")
def servers(lab):
    application = lab.state / "application"
    tomcat.compile_application(application)
    servers = {name: tomcat.Node(lab, name, ["b1", "b2"], [PORT], application) for name in ("b1", "b2")}
    try:
        tomcat.start_nodes(servers["b1"])
        tomcat.start_nodes(servers["b2"])
        for number in (1, 2):
            config = lab.node(number).folder / "berth.yaml"
            config.write_text(config.read_text() + SERVICE)
            lab.node(number).ctl("config", "apply", config)
        for name in servers:
            wait_for_health(lab, name, "up")
        yield servers
    finally:
        for server in servers.values():
            server.kill()


def wait_for_health(lab, server, health):
    for number in (1, 2):
        wait_for(lambda node=lab.node(number): node.health("shop", server) == health, what=f"{server} to be {health}")


def new_flows(lab):
    """Of each node."""
    return [sum(b["new_flows"] for b in lab.node(number).show("backends", "shop")["backends"]) for number in (1, 2)]


def kill(lab, number):
    """The node's processes and its link, since a killed berthd leaves XDP forwarding; then the router notices."""
    lab.node(number).fail("kill")
    lab.node(number).fail("link")
    time.sleep(DETECTED)
    lab.route(OTHER[number])


@contextlib.contextmanager
def without(lab, number, people):
    """A node is killed while all users count, and comes back at the end. Gives what the users saw meanwhile."""
    seen = []
    killer = threading.Thread(target=kill, args=(lab, number))
    killer.start()
    while killer.is_alive():
        seen.append(count_all(people))
    killer.join()
    seen.append(count_all(people))
    yield seen
    lab.node(number).returns()
    lab.route(1, 2)


def log_in_both_kinds(lab):
    """(users, {source: server}): half of the users have their sessions in /all, the others in /backup."""
    people, servers_by_client = [], {}
    for path, clients in zip(tomcat.MANAGERS, (CLIENTS4[::2], CLIENTS4[1::2])):
        more, servers = log_in_all(lab, PORT, path, clients)
        assert set(servers.values()) == {"b1", "b2"}
        people += more
        servers_by_client |= servers
    return people, servers_by_client


@pytest.mark.usefixtures("servers")
def test_users_stay_on_their_server_when_a_node_is_killed_and_when_it_returns(lab):
    before = new_flows(lab)
    people, servers_by_client = log_in_both_kinds(lab)
    assert all(now > was + len(people) for was, now in zip(before, new_flows(lab)))
    with without(lab, 2, people) as seen:
        assert all(counted == servers_by_client for counted in seen)
    assert count_all(people) == servers_by_client


def test_no_login_is_lost_when_a_server_and_then_a_node_are_killed(lab, servers):
    """The last of the module: at the end the nodes have different servers for a client, until its sessions expire."""
    people, servers_by_client = log_in_both_kinds(lab)
    dead = servers_by_client[people[0].source]
    servers[dead].kill()
    wait_for_health(lab, dead, "down")
    for _ in range(3):
        assert set(count_all(people).values()) == {OTHER[dead]}

    # The server is back, and its users stay where they are: exceptions, of which a node without a store knows its own.
    tomcat.start_nodes(servers[dead])
    wait_for_health(lab, dead, "up")
    with without(lab, 1, people) as seen:
        assert all(server for counted in seen for server in counted.values())
    servers[OTHER[dead]].kill()
    wait_for_health(lab, OTHER[dead], "down")
    assert set(count_all(people).values()) == {dead}
