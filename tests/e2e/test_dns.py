# SPDX-License-Identifier: BSD-3-Clause
"""Backends by DNS name, with a DNS server of the distribution (dnsmasq) on berth's host. The tests change only its
answers."""
import contextlib
import os
import pathlib
import signal
import subprocess
import time

import pytest

import lab as labs
from conftest import lab_up
from lab import CLIENTS4, HEALTH_SECONDS, SERVICE4, request, wait_for

TTL = 1
SOON = TTL + 2  # and this machine's time to get around to it
PORT = 5353
B1, B2, B3 = (f"{labs.LAN4}1{i}" for i in (1, 2, 3))
DRAIN_SECONDS = 10  # two walks over the tables, which take a second or so each, and a look each second


def config(servers=f'"127.0.0.1:{PORT}"'):
    health = "health: {interval: 200ms, timeout: 200ms, rise: 2, fall: 2, port: 80}"
    backends = "backends: [{name: pod, dns: pods.test, weight: 50}]"
    return "\n".join([
        "engine: xdp",
        "interfaces: [{name: eth0}]",
        "limits: {flows: 16384, sessions: 4096, services: 8, backends: 32}",
        f"dns: {{servers: [{servers}], timeout: 200ms}}",
        "timeouts: {closing: 1s, half-open: 1s}",
        "services:",
        f"  - {{name: web, address: {SERVICE4}, port: 80, mode: l2, affinity: {{by: client}}, {health}, {backends}}}",
        f"  - {{name: tunnel, address: {SERVICE4}, port: 8080, mode: ipip, {health}, {backends}}}",
        # The lab is up when there are backends, and all of them are up.
        f"  - {{name: written, address: {SERVICE4}, port: 8081, mode: ipip, {health},",
        f"     backends: [{{name: b1, address: {B1}}}]}}",
    ]) + "\n"


class Dns:
    """dnsmasq in the lab's berth host; its records are a file."""

    def __init__(self, lab, folder):
        self.lab = lab
        self.hosts = folder / "hosts"
        self.process = None

    def records(self, *addresses, name="pods.test"):
        self.hosts.write_text("".join(f"{address} {name}\n" for address in addresses))
        if self.process:
            self.process.send_signal(signal.SIGHUP)

    def start(self):
        self.process = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/berth-{self.lab.name}-berth", "--", "dnsmasq", "--keep-in-foreground",
             "--conf-file=/dev/null", "--no-resolv", "--no-hosts", f"--addn-hosts={self.hosts}", "--local=/test/",
             f"--local-ttl={TTL}", f"--port={PORT}", "--listen-address=127.0.0.1", "--bind-interfaces",
             "--user=root", "--pid-file="],
            stderr=subprocess.DEVNULL)
        # A signal before that would end it.
        wait_for(self.listens, 10, "dnsmasq")

    def listens(self):
        sockets = pathlib.Path(f"/proc/{self.process.pid}/net/udp").read_text()
        return f":{PORT:04X} " in sockets

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


@pytest.fixture(scope="module")
def folder():
    path = pathlib.Path("/run/berth-e2edns")
    path.mkdir(exist_ok=True)
    yield path
    for file in path.iterdir():
        file.unlink()
    path.rmdir()


@pytest.fixture(scope="module")
def lab(folder):
    lab = lab_up("e2edns", "xdp", config=config())
    yield lab
    lab.down()


@pytest.fixture
def dns(lab, folder):
    """Three addresses, all up, none draining, no sessions."""
    dns = Dns(lab, folder)
    dns.records(B1, B2, B3)
    dns.start()
    if not lab.berthd_is_running():
        lab.run("berthd")
    wait_for(lambda: names(lab) == {pod(b) for b in (B1, B2, B3)}, 20, "all backends")
    for name in names(lab):
        lab.ctl("backend", "enable", f"web/{name}")
    wait_for(lambda: all_up(lab), 20, "all backends up")
    lab.ctl("session", "clear", "--service", "web")
    yield dns
    dns.stop()


def pod(address):
    return f"pod@{address}"


def backends(lab, service="web"):
    return {b["name"]: b for b in lab.show("backends", service)["backends"]}


def names(lab, service="web"):
    return set(backends(lab, service))


def all_up(lab):
    return all(b["health"] == "up" and not b["state"] for b in lab.show("backends")["backends"])


def status(lab):
    shown = lab.show("dns")["names"]
    assert len(shown) == 1
    return shown[0]


def home(lab, source):
    """The name of b1 in berth."""
    return pod(f"{labs.LAN4}1{lab.backend_of('web', source)[1:]}")


def client_of(lab, backend):
    return next(source for source in CLIENTS4 if home(lab, source) == backend)


def forget(lab):
    """All clients of the tests."""
    lab.ctl("session", "clear", "--service", "web")


def test_each_address_of_a_name_is_a_backend_of_every_service_with_that_name(lab, dns):
    assert names(lab, "web") == names(lab, "tunnel") == {pod(b) for b in (B1, B2, B3)}
    assert backends(lab)[pod(B1)]["weight"] == 50
    assert {home(lab, source) for source in CLIENTS4} == {pod(b) for b in (B1, B2, B3)}
    assert {lab.backend_of("tunnel") for _ in range(40)} == {"b1", "b2", "b3"}
    assert status(lab)["addresses"] == [B1, B2, B3]
    assert status(lab)["used_by"] == ["web/pod", "tunnel/pod"]
    # One question for both services, each TTL.
    before = status(lab)["queries"]
    time.sleep(3)
    assert 2 <= status(lab)["queries"] - before <= 4


def test_a_new_record_is_used_within_its_ttl(lab, dns):
    forget(lab)
    dns.records(B1, B2)
    wait_for(lambda: names(lab) == {pod(B1), pod(B2)}, DRAIN_SECONDS, "the third one to leave")
    dns.records(B1, B2, B3)
    wait_for(lambda: pod(B3) in names(lab), SOON, "the new record")
    wait_for(lambda: lab.backend("web", pod(B3))["health"] == "up", HEALTH_SECONDS, "its health")
    wait_for(lambda: pod(B3) in {home(lab, source) for source in CLIENTS4}, what="clients of it")


def test_a_removed_record_drains_and_its_backend_is_removed_when_empty(lab, dns):
    client = client_of(lab, pod(B2))
    with contextlib.closing(lab.connect("web", client)) as kept:
        assert request(kept)[1] == "b2"
        others = {c: home(lab, c) for c in CLIENTS4 if c != client}
        dns.records(B1, B3)
        wait_for(lambda: backends(lab)[pod(B2)]["state"] == ["draining"], SOON, "the drain")
        assert status(lab)["draining"] == [f"web/{pod(B2)}", f"tunnel/{pod(B2)}"]
        assert status(lab)["addresses"] == [B1, B3]
        # Its connection and its clients stay; so do all others, wherever they are.
        wait_for(lambda: pod(B2) not in names(lab, "tunnel"), DRAIN_SECONDS, "it to leave where it has nothing")
        assert request(kept)[1] == "b2"
        assert home(lab, client) == pod(B2)
        assert {c: home(lab, c) for c in others} == others
        # Nobody new, though.
        forget(lab)
        assert pod(B2) not in {home(lab, c) for c in CLIENTS4}
        assert request(kept)[1] == "b2"
        assert pod(B2) in names(lab)
    wait_for(lambda: pod(B2) not in names(lab), 30, "it to leave")
    assert f"web/{pod(B2)} has left DNS and is removed: it is drained" in lab.log()


def test_a_record_that_returns_while_it_drains_is_enabled_again(lab, dns):
    client = client_of(lab, pod(B2))
    number = backends(lab)[pod(B2)]["packets"]
    lab.ctl("backend", "drain", f"web/{pod(B3)}")
    dns.records(B1)
    wait_for(lambda: backends(lab)[pod(B2)]["state"] == ["draining"], SOON, "the drain")
    dns.records(B3, B2, B1)
    wait_for(lambda: not backends(lab)[pod(B2)]["state"], SOON, "the end of the drain")
    assert home(lab, client) == pod(B2)
    assert backends(lab)[pod(B2)]["packets"] > number
    # What the operator said stands, whatever DNS said meanwhile.
    assert backends(lab)[pod(B3)]["admin"] == "draining"
    lab.ctl("backend", "enable", f"web/{pod(B3)}")


def test_a_backend_removed_from_dns_takes_new_clients_until_another_one_is_up(lab, dns):
    lab.run("stop", "b1")
    try:
        wait_for(lambda: lab.health("web", pod(B1)) == "down", 5, "b1's end")
        dns.records(B1)
        wait_for(lambda: status(lab)["draining"], SOON, "the others to leave")
        time.sleep(1.5)  # they are looked at each second
        forget(lab)
        assert {home(lab, source) for source in CLIENTS4} == {pod(B2), pod(B3)}
        lab.run("start", "b1")
        wait_for(lambda: backends(lab)[pod(B2)]["state"] == ["draining"], 5, "the drain")
        forget(lab)
        wait_for(lambda: {home(lab, source) for source in CLIENTS4} == {pod(B1)}, 2, "clients of b1 alone")
    finally:
        if not lab.serves("b1"):
            lab.run("start", "b1")


def test_a_backend_removed_from_dns_that_is_down_is_removed_at_once(lab, dns):
    client = client_of(lab, pod(B2))
    dns.records(B1, B3)
    wait_for(lambda: backends(lab)[pod(B2)]["state"] == ["draining"], SOON, "the drain")
    lab.run("stop", "b2")
    try:
        wait_for(lambda: pod(B2) not in names(lab), 5, "it to leave")
        assert lab.backend_of("web", client) in ("b1", "b3")
        assert f"web/{pod(B2)} has left DNS and is removed: it is down" in lab.log()
    finally:
        lab.run("start", "b2")


def test_while_dns_fails_nothing_changes(lab, dns):
    backends_by_client = lab.backends_by_client("web", CLIENTS4)
    failures = status(lab)["failures"]
    dns.records("192.0.2.99", name="other.test")  # the name is removed
    wait_for(lambda: "name not found" in (status(lab)["last_error"] or ""), SOON, "the failure")
    assert lab.backends_by_client("web", CLIENTS4) == backends_by_client
    dns.stop()
    wait_for(lambda: "no server answers" in (status(lab)["last_error"] or ""), 10, "the other failure")
    assert names(lab) == {pod(b) for b in (B1, B2, B3)} and all_up(lab)
    assert lab.backends_by_client("web", CLIENTS4) == backends_by_client
    assert status(lab)["failures"] >= failures + 2
    assert status(lab)["addresses"] == [B1, B2, B3]
    assert lab.log().count("the last good answer (3 addresses) stays in use") == 1
    told = [line for line in lab.ctl("doctor", check=False).stdout.splitlines() if "dns pods.test" in line]
    assert len(told) == 1 and told[0].startswith("note") and "the last good answer has 3 addresses" in told[0]


def test_a_new_berthd_has_the_backends_while_dns_is_dead(lab, dns):
    backends_by_client = lab.backends_by_client("web", CLIENTS4)
    client = client_of(lab, pod(B2))
    with contextlib.closing(lab.connect("web", client)) as kept:
        assert request(kept)[1] == "b2"
        dns.records(B1, B3)
        wait_for(lambda: backends(lab)[pod(B2)]["state"] == ["draining"], SOON, "the drain")
        dns.stop()
        lab.kill_berthd()
        assert request(kept)[1] == "b2"
        lab.run("berthd")
        assert names(lab) == {pod(b) for b in (B1, B2, B3)}
        assert backends(lab)[pod(B2)]["state"] == ["draining"]
        assert request(kept)[1] == "b2"
        assert lab.backends_by_client("web", CLIENTS4) == backends_by_client


def test_a_damaged_file_is_reported_and_dns_is_queried(lab, dns):
    lab.kill_berthd()
    file = next(lab.state.glob("*/dns.json"))
    file.write_text(file.read_text()[:-20])
    lab.run("berthd")
    wait_for(lambda: names(lab) == {pod(b) for b in (B1, B2, B3)}, SOON, "all backends")
    assert f"{file} is not used: its content is damaged; it is kept as {file}.damaged" in lab.log()


def test_addresses_that_cannot_be_backends_are_skipped_and_shown(lab, dns):
    dns.records(B1, B2, B3, SERVICE4, "2001:db8:2::11")
    wait_for(lambda: "pod@2001:db8:2::11" in names(lab, "tunnel"), SOON, "the IPv6 record")
    assert names(lab) == {pod(b) for b in (B1, B2, B3)}
    assert sorted(status(lab)["skipped"]) == [
        "tunnel: 203.0.113.10: an address of the service itself",
        "web: 2001:db8:2::11: mode l2 needs an IPv4 backend",
        "web: 203.0.113.10: an address of the service itself"]
    assert "addresses not used:" in lab.ctl("show", "dns").stdout
    lab.backend("tunnel", "pod@2001:db8:2::11")
    wait_for(lambda: lab.backend("tunnel", "pod@2001:db8:2::11")["health"] == "up", HEALTH_SECONDS, "its health")
    lab.ctl("backend", "disable", "tunnel/pod@2001:db8:2::11")
    dns.records(B1, B2, B3)
    wait_for(lambda: names(lab, "tunnel") == {pod(b) for b in (B1, B2, B3)}, DRAIN_SECONDS, "it to leave")


def test_an_answer_above_the_limits_changes_nothing(lab, dns):
    backends_by_client = lab.backends_by_client("web", CLIENTS4)
    dns.records(B1, *(f"10.1.0.{i}" for i in range(1, 30)))
    wait_for(lambda: "no room for" in (status(lab)["last_error"] or ""), SOON, "the refusal")
    assert names(lab) == {pod(b) for b in (B1, B2, B3)} and all_up(lab)
    assert lab.backends_by_client("web", CLIENTS4) == backends_by_client
    dns.records(B1, B2)
    wait_for(lambda: backends(lab).get(pod(B3), {}).get("state") == ["draining"], 5, "an answer that fits")


def test_the_written_configuration_has_the_name(lab, dns, folder):
    path = folder / "new.yaml"
    path.write_text(config().replace("weight: 50", "weight: 60"))
    assert "3 services, 1 backend, 2 DNS names" in lab.ctl("config", "check", path).stdout
    plan = lab.result("plan", path)
    changes = {(b["service"], b["name"]): b["change"] for b in plan["backends"]}
    assert changes[("web", pod(B1))] == "kept" and set(changes.values()) == {"kept"}
    lab.ctl("config", "apply", path)
    assert {b["weight"] for b in backends(lab).values()} == {60}
    saved = pathlib.Path(f"/proc/{lab.pid('berthd')}/cmdline").read_bytes().split(b"\0")
    written = pathlib.Path(os.fsdecode(saved[saved.index(b"-c") + 1])).read_text()
    assert written == path.read_text()
    path.write_text(config())
    lab.ctl("config", "apply", path)
