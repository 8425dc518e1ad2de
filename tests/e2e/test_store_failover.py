# SPDX-License-Identifier: BSD-3-Clause
"""The store of a cluster fails over: Debian's redis-server with a replica and three Sentinels, and two berthds that ask the
Sentinels for the master.

    192.0.2.1  lb1, redis-server, Sentinel     192.0.2.2  lb2, redis-server (replica), two Sentinels
"""
import contextlib
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

from conftest import need
from lab import BERTHCTL, wait_for
from test_store import Node, link_up, run

SENTINELS = (("192.0.2.1", 26379), ("192.0.2.2", 26379), ("192.0.2.2", 26380))

SENTINEL = """
bind {address}
port {port}
dir {directory}
protected-mode no
sentinel monitor main 192.0.2.1 6379 2
sentinel down-after-milliseconds main 500
sentinel failover-timeout main 2000
"""


class Member(Node):
    """A node that asks Sentinels, with its redis-server."""

    def __init__(self, directory, number):
        super().__init__(directory, number)
        self.address = f"192.0.2.{number}"
        self.redis = None

    def configure(self, weight=1, store=""):
        super().configure(weight, store)
        path = self.directory / "berth.yaml"
        sentinels = ", ".join(f'"{address}:{port}"' for address, port in SENTINELS)
        path.write_text(path.read_text().replace('"192.0.2.1:6379"]', f"{sentinels}], sentinel: main"))

    def start_redis(self, *options):
        self.redis = subprocess.Popen(
            ["ip", "netns", "exec", self.space, "redis-server", "--bind", self.address, "--save", "", "--dir", self.directory,
             "--protected-mode", "no", "--repl-diskless-sync-delay", "0", *options], stdout=subprocess.DEVNULL)

    def cli(self, *arguments, port=6379):
        answer = subprocess.run(["ip", "netns", "exec", self.space, "timeout", "2", "redis-cli", "-h", self.address,
                                 "-p", str(port), *arguments], capture_output=True, text=True, check=False)
        return answer.stdout

    def kill_redis(self):
        self.redis.kill()
        self.redis.wait()


class Site:
    """Two members and three Sentinels."""

    def __init__(self, directory):
        self.members = [Member(directory, 1), Member(directory, 2)]
        self.directory = directory
        self.sentinels = []

    def start_sentinels(self):
        for address, port in SENTINELS:
            config = self.directory / f"sentinel-{address}-{port}.conf"
            config.write_text(SENTINEL.format(address=address, port=port, directory=self.directory))
            space = self.members[int(address[-1]) - 1].space
            self.sentinels.append(subprocess.Popen(["ip", "netns", "exec", space, "redis-sentinel", config],
                                                   stdout=subprocess.DEVNULL))

    def master(self):
        """The address that a Sentinel answers."""
        return self.members[1].cli("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main", port=26380).split("\n")[0]

    def sees_all(self):
        """Every Sentinel knows the others, and the replica, which it could choose."""
        for address, port in SENTINELS:
            member = self.members[int(address[-1]) - 1]
            shown = member.cli("SENTINEL", "MASTER", "main", port=port).split("\n")
            facts = dict(zip(shown[::2], shown[1::2]))
            replicas = member.cli("SENTINEL", "REPLICAS", "main", port=port)
            if (facts.get("num-other-sentinels"), facts.get("num-slaves"), facts.get("flags")) != ("2", "1", "master") or \
                    "flags\nslave\n" not in replicas or "master-link-status\nok\n" not in replicas:
                return False
        return True

    def uses(self, member):
        """Both nodes use this member's redis-server, and see each other through it."""
        return all(node.store()["connected"] and node.store()["server"] == f"{member.address}:6379" and
                   seen.get("seen_s", 99) <= 1
                   for node, other in ((self.members[0], "lb2"), (self.members[1], "lb1"))
                   for seen in [node.others().get(other, {})])

    def pair(self):
        """(member with the master, the other one), when both nodes use the former and Sentinels see the latter."""
        wait_for(self.sees_all, 15, "Sentinels that see a replica")
        number = int(self.master()[-1]) - 1
        holder, other = self.members[number], self.members[1 - number]
        wait_for(lambda: self.uses(holder), 10, "both nodes at the master")
        return holder, other

    def end(self):
        for sentinel in self.sentinels:
            sentinel.kill()
            sentinel.wait()
        for member in self.members:
            if member.process:
                subprocess.run([BERTHCTL, "-s", member.directory / f"{member.instance}.sock", "shutdown"],
                               check=False, capture_output=True)
                member.process.wait(10)
            if member.redis:
                member.kill_redis()
        for member in self.members:
            with contextlib.suppress(subprocess.CalledProcessError):
                run("ip", "netns", "del", member.space)


@pytest.fixture(scope="module", name="site")
def site_fixture():
    need("null")
    directory = pathlib.Path(tempfile.mkdtemp(prefix="berth-failover-"))
    site = Site(directory)
    one, two = site.members
    for member in site.members:
        subprocess.run(["ip", "netns", "del", member.space], check=False, capture_output=True)
    link_up(one.space, two.space)
    try:
        one.start_redis()
        two.start_redis("--replicaof", "192.0.2.1", "6379")
        wait_for(lambda: "PONG" in one.cli("PING"), what="redis-server")
        site.start_sentinels()
        for member in site.members:
            member.configure()
            member.start()
        yield site
    finally:
        site.end()
        shutil.rmtree(directory)


def alarms(node):
    return node.log().count("ALARM: cluster shop: the store cannot be reached")


def test_nodes_find_the_master_by_sentinel(site):
    holder, other = site.pair()
    assert holder.address == "192.0.2.1"
    wait_for(lambda: sorted(other.cli("SMEMBERS", "berth:shop:nodes").split()) == ["lb1", "lb2"], what="the replica's copy")
    assert all(node.findings() == [] for node in site.members)


@contextlib.contextmanager
def failover(site, other):
    """Both nodes find the new master, after one alarm each, which ends."""
    before = [alarms(node) for node in site.members]
    yield
    wait_for(lambda: site.uses(other), 15, "both nodes at the new master")
    assert [alarms(node) for node in site.members] == [count + 1 for count in before]
    wait_for(lambda: all(node.findings() == [] for node in site.members), what="no findings")
    for node in site.members:
        assert node.log().count("alarm over: cluster shop: the store is reached again") == alarms(node)


def test_a_killed_master_is_replaced_and_back_as_a_replica_nobody_uses_it(site):
    holder, other = site.pair()
    with failover(site, other):
        holder.kill_redis()
    holder.start_redis("--replicaof", other.address, "6379")
    wait_for(lambda: holder.cli("ROLE").startswith("slave"), what="a replica")
    assert site.uses(other)


def test_a_master_that_hung_is_replaced_and_back_as_a_second_master_nobody_uses_it(site):
    """The last of the module: Sentinels need ten seconds until they make it a replica."""
    holder, other = site.pair()
    with failover(site, other):
        holder.redis.send_signal(signal.SIGSTOP)
    holder.redis.send_signal(signal.SIGCONT)
    wait_for(lambda: "master" in holder.cli("ROLE"), what="its answer")
    time.sleep(1.5)  # a visit, at least
    assert site.uses(other) and holder.cli("ROLE").startswith("master")
