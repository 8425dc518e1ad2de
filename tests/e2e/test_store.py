# SPDX-License-Identifier: BSD-3-Clause
"""The store of a cluster: two berthds and Debian's redis-server, in two network namespaces.

    berth-storeK-1  192.0.2.1  lb1, redis-server
    berth-storeK-2  192.0.2.2  lb2

What the store does is seen in `show cluster`, the log, the doctor and the metrics; berthd answers at once all the time.
"""
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

import answers
from conftest import PROCESS, need
from lab import BERTHCTL, BERTHD, wait_for

REDIS = ("192.0.2.1", 6379)


def run(*command, **more):
    return subprocess.run(command, capture_output=True, text=True, check=True, **more).stdout


class Node:
    """A berthd with the null engine in a network namespace of its own."""

    def __init__(self, directory, number):
        self.name, self.space = f"lb{number}", f"berth-store{PROCESS}-{number}"
        self.directory = directory / self.name
        self.instance = f"store{PROCESS}{number}"
        self.process = None
        self.directory.mkdir()
        (self.directory / "secret").write_text("ab" * 32 + "\n")
        (self.directory / "secret").chmod(0o600)
        (self.directory / "password").write_text("right\n")
        (self.directory / "password").chmod(0o600)

    def configure(self, weight=1, store=""):
        (self.directory / "berth.yaml").write_text(f"""
engine: 'null'
interfaces: [{{name: lo}}]
limits: {{flows: 1024, sessions: 1024, services: 4, backends: 16}}
secret-file: {self.directory}/secret
cluster: {{name: shop, node: {self.name}, store: {{redis: ["192.0.2.1:6379"]{store}}}}}
services:
  - {{name: web, address: 203.0.113.10, port: 80, mode: ipip, table-size: 251, health: {{type: none}},
     backends: [{{name: b1, address: 192.0.2.11, weight: {weight}}}, {{name: b2, address: 192.0.2.12}}]}}
""")

    def start(self):
        with open(self.directory / "log", "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                ["ip", "netns", "exec", self.space, BERTHD, "-c", self.directory / "berth.yaml", "-i", self.instance,
                 "-r", self.directory, "-d", self.directory], stderr=log)
        wait_for(lambda: self.try_ctl("show", "cluster"), what="berthd's answer")

    def try_ctl(self, *arguments):
        with contextlib.suppress(subprocess.CalledProcessError):
            return self.ctl(*arguments)
        return None

    def ctl(self, *arguments):
        result, = answers.checked(arguments, run(BERTHCTL, "-s", self.directory / f"{self.instance}.sock", "--json", *arguments))
        return result

    def log(self):
        return (self.directory / "log").read_text()

    def store(self):
        return self.ctl("show", "cluster")["store"]

    def others(self):
        return {node["name"]: node for node in self.ctl("show", "cluster")["nodes"] if not node["this_node"]}

    def wait_connected(self, connected, seconds=9):
        begin = time.monotonic()
        wait_for(lambda: self.store()["connected"] == connected, seconds=seconds, what=f"connected: {connected}")
        return time.monotonic() - begin

    def findings(self):
        # The null engine has findings of its own, and an exit status for them.
        answer = subprocess.run([BERTHCTL, "-s", self.directory / f"{self.instance}.sock", "--json", "doctor"],
                                capture_output=True, text=True, check=False).stdout
        return [check for check in answers.checked(["doctor"], answer)[0]["checks"] if check["subject"] == "cluster"]

    def metric(self, name):
        text = run(BERTHCTL, "-s", self.directory / f"{self.instance}.sock", "show", "metrics")
        return int(next(line.split()[1] for line in text.splitlines() if line.startswith(name + " ")))


class Redis:
    """redis-server beside lb1."""

    def __init__(self, directory, space):
        self.directory, self.space, self.process = directory, space, None

    def start(self, *options):
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", self.space, "redis-server", "--bind", REDIS[0], "--port", str(REDIS[1]), "--save", "",
             "--dir", self.directory, "--protected-mode", "no", *options], stdout=subprocess.DEVNULL)

    def cli(self, *arguments):
        return run("ip", "netns", "exec", self.space, "redis-cli", "-h", REDIS[0], *arguments)

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
        self.process = None


def link_up(one, two):
    run("ip", "netns", "add", one)
    run("ip", "netns", "add", two)
    run("ip", "-n", one, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", two)
    for number, space in enumerate((one, two), 1):
        run("ip", "-n", space, "address", "add", f"192.0.2.{number}/24", "dev", "eth0")
        run("ip", "-n", space, "link", "set", "lo", "up")
        run("ip", "-n", space, "link", "set", "eth0", "up")


@pytest.fixture(scope="module", name="site")
def site_fixture():
    """Two nodes with a redis-server that does not run yet."""
    need("null")
    directory = pathlib.Path(tempfile.mkdtemp(prefix="berth-store-"))
    nodes = [Node(directory, 1), Node(directory, 2)]
    redis = Redis(directory, nodes[0].space)
    for node in nodes:
        subprocess.run(["ip", "netns", "del", node.space], check=False, capture_output=True)
    link_up(*(node.space for node in nodes))
    try:
        for node in nodes:
            node.configure()
            node.start()
        yield nodes[0], nodes[1], redis
    finally:
        for node in nodes:
            if node.process:
                subprocess.run([BERTHCTL, "-s", node.directory / f"{node.instance}.sock", "shutdown"],
                               check=False, capture_output=True)
                node.process.wait(10)
        redis.kill()
        for node in nodes:
            run("ip", "netns", "del", node.space)
        shutil.rmtree(directory)


def test_a_store_that_is_absent_at_the_start_is_an_alarm_and_berthd_answers(site):
    for node in site[:2]:
        wait_for(lambda node=node: "Connection refused" in (node.store()["error"] or ""), what="the error")
        assert not node.store()["connected"] and node.others() == {}
        assert node.log().count("ALARM: cluster shop: the store cannot be reached") == 1
        finding, = node.findings()
        assert finding["level"] == "problem" and "Connection refused" in finding["finding"]
        assert node.metric("berth_store_connected") == 0 and node.metric("berth_store_failures_total") > 0


def test_nodes_see_each_other_once_the_store_is_there(site):
    one, two, redis = site
    redis.start()
    for node, other in ((one, "lb2"), (two, "lb1")):
        node.wait_connected(True)
        wait_for(lambda node=node, other=other: other in node.others(), what="the other node")
        seen = node.others()[other]
        assert seen["same_config"] and seen["same_secret"] and seen["seen_s"] <= 2
        assert node.store()["server"] == "192.0.2.1:6379"
        assert node.findings() == []
        assert node.metric("berth_cluster_nodes") == 1
    value = json.loads(redis.cli("GET", "berth:shop:node:lb2"))
    assert value["services"] == 1 and value["backends"] == 2
    assert 0 < int(redis.cli("PTTL", "berth:shop:node:lb2")) <= 5000


def test_a_flushed_store_is_filled_again(site):
    one, _, redis = site
    redis.cli("FLUSHALL")
    wait_for(lambda: sorted(redis.cli("SMEMBERS", "berth:shop:nodes").split()) == ["lb1", "lb2"], what="the nodes")
    wait_for(lambda: one.others()["lb2"]["seen_s"] <= 1, what="the other node")
    assert one.store()["connected"]


def test_values_that_are_not_from_nodes_are_refused_and_counted(site):
    one, _, redis = site
    redis.cli("SADD", "berth:shop:nodes", "evil", "list", "long", "a b")
    redis.cli("SET", "berth:shop:node:evil", "garbage")
    redis.cli("RPUSH", "berth:shop:node:list", "1")
    redis.cli("SET", "berth:shop:node:long", "x" * 100000)
    redis.cli("SET", "berth:shop:node:a b", "{}")
    wait_for(lambda: one.metric("berth_store_refused_values_total") >= 4, what="four refused values")
    assert list(one.others()) == ["lb2"] and one.store()["connected"]
    assert "the store has 4 values not from nodes" in one.findings()[0]["finding"]
    redis.cli("FLUSHALL")
    wait_for(lambda: one.findings() == [], what="no findings")


def test_another_configuration_is_an_alarm_until_it_is_the_same(site):
    one, two, _ = site
    two.configure(weight=5)
    two.ctl("config", "apply", two.directory / "berth.yaml")
    wait_for(lambda: not one.others()["lb2"]["same_config"], what="the difference")
    wait_for(lambda: "node lb2 has another configuration" in one.log(), what="the alarm")
    assert "ALARM: cluster shop: node lb1 has another configuration" in two.log()
    assert "node lb2 has another configuration" in one.findings()[0]["finding"]
    assert one.metric("berth_cluster_nodes_other_config") == 1
    two.configure()
    two.ctl("config", "apply", two.directory / "berth.yaml")
    wait_for(lambda: one.others()["lb2"]["same_config"] and not one.findings(), what="agreement")
    assert one.log().count("node lb2 has another configuration") == 1
    assert "alarm over: cluster shop: node lb2 has the same configuration" in one.log()


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_a_lost_store_ends_nothing_and_is_used_again(site, how):
    one, two, redis = site
    if how == "stopped":
        redis.signal(signal.SIGSTOP)
    else:
        redis.kill()
    for node in (one, two):
        node.wait_connected(False)
    slowest = 0
    for _ in range(20):
        begin = time.monotonic()
        one.ctl("show", "services")
        slowest = max(slowest, time.monotonic() - begin)
    assert slowest < 0.5
    assert ("no answer for 1.5 s" if how == "stopped" else "192.0.2.1:6379") in one.store()["error"]
    if how == "stopped":
        redis.signal(signal.SIGCONT)
    else:
        redis.start()
    for node, other in ((one, "lb2"), (two, "lb1")):
        node.wait_connected(True)
        wait_for(lambda node=node, other=other: node.others()[other]["seen_s"] <= 1, what="the other node")
    assert "restarted" not in json.dumps(one.findings())


def test_records_that_the_store_refuses_are_a_finding_until_it_takes_them(site):
    one, _, redis = site
    redis.cli("ACL", "SETUSER", "default", "-xread")
    wait_for(lambda: any("cannot tell each other" in finding["finding"] and "NOPERM" in finding["finding"]
                         for finding in one.findings()), seconds=15, what="the finding")
    assert one.store()["connected"]
    assert "ALARM: cluster shop: nodes cannot tell each other their exceptions" in one.log()
    redis.cli("ACL", "SETUSER", "default", "+xread")
    wait_for(lambda: one.findings() == [], seconds=15, what="no findings")


def stream_of_the_service(redis):
    """As the nodes read it."""
    redis.cli("CONFIG", "SET", "slowlog-log-slower-than", "0")
    found = wait_for(lambda: re.search("berth:shop:x:(?!6f70657261746f72)[0-9a-f]{16}", redis.cli("SLOWLOG", "GET", "64")),
                     what="the name of the stream")
    redis.cli("CONFIG", "SET", "slowlog-log-slower-than", "-1")
    return found[0]


def wait_alarm(node, cause):
    wait_for(lambda: any(cause in finding["finding"] for finding in node.findings()), seconds=20, what=cause)
    assert re.search(f"ALARM: cluster shop: .*{cause}", node.log())


def test_records_that_no_node_has_written_and_those_that_wait_are_alarms_findings_and_metrics(site):
    """The alarms end after a minute, so no test that wants none comes behind this one."""
    one, two, redis = site
    stream, by = stream_of_the_service(redis), ("*", "n", "evil", "e", "0123456789abcdef", "b")
    assert one.metric("berth_exchange_refused_records_total") == 0
    redis.cli("XADD", stream, *by, "no record")
    redis.cli("XADD", stream, "*", "no", "batch")
    redis.cli("XADD", "berth:shop:x:6f70657261746f72", *by, '[{"set": "root"}]')
    for node in (one, two):
        wait_alarm(node, "records in the store are refused")
        wait_alarm(node, "commands of operators on other nodes are refused")
        wait_for(lambda node=node: node.metric("berth_exchange_refused_records_total") >= 2, what="two refused records")
        assert node.ctl("show", "cluster")["exchange"]["refused"] >= 2
    redis.cli("ACL", "SETUSER", "default", "-xadd")
    one.ctl("backend", "drain", "web/b1")
    wait_alarm(one, "records for other nodes wait for the store for more than 5 s")
    assert one.metric("berth_exchange_lag_seconds") >= 5
    shown = one.ctl("show", "cluster")["exchange"]
    assert shown["lag_s"] >= 5 and shown["queued_bytes"] > 0
    redis.cli("ACL", "SETUSER", "default", "+xadd")
    wait_for(lambda: one.metric("berth_exchange_lag_seconds") == 0, seconds=20, what="an empty queue")
    one.ctl("backend", "enable", "web/b1")


def test_a_store_with_a_password_wants_the_right_one(site):
    one, _, redis = site
    redis.kill()
    redis.start("--requirepass", "right")
    wait_for(lambda: "NOAUTH" in one.store()["error"], seconds=9, what="NOAUTH")
    (one.directory / "password").write_text("wrong\n")
    one.configure(store=f", password-file: {one.directory}/password")
    one.ctl("config", "apply", one.directory / "berth.yaml")
    wait_for(lambda: "WRONGPASS" in (one.store()["error"] or ""), what="WRONGPASS")
    (one.directory / "password").write_text("right\n")
    one.wait_connected(True)
