# SPDX-License-Identifier: BSD-3-Clause
"""Broken labs: "no problems found" is itself under test. Each case breaks one thing, and then clients are still
answered, or `berthctl doctor` names the cause."""
import contextlib
import json
import os
import pathlib
import signal
import socket
import time
import typing

import pytest

import conftest
from lab import BERTH_DECAP, BUILD, SERVICE4, family_of, wait_for

NAT4 = "203.0.113.20"
HEALTH = "{type: tcp, interval: 200ms, timeout: 200ms, rise: 1, fall: 2%s}"
# A closed connection is soon no flow any more, so that one case does not hide what another one finds.
HEAD = """engine: %s
interfaces: [{name: eth0}]
dpdk: {idle: adaptive, memory-mb: 64}
limits: {flows: 4096, sessions: 1024, services: 16, backends: 64}
timeouts: {half-open: 3s, closing: 1s}
services:
"""


def backends(*numbers, network="192.0.2.1"):
    return ", ".join(f"{{name: b{i}, address: {network}{i}}}" for i in numbers)


def service(name, address, port, mode, servers, health=HEALTH % "", more=""):
    return (f"  - {{name: {name}, address: {address}, port: {port}, mode: {mode}, table-size: 251, health: {health},"
            f" backends: [{servers}]{more}}}\n")


L2 = service("l2", SERVICE4, 8080, "l2", backends(1, 2))
IPIP = service("ipip", SERVICE4, 8081, "ipip", backends(1, 2))
NAT = service("nat", NAT4, 8080, "nat", backends(1, 2, network="192.0.2.11"))
TARGETS = {"l2": (SERVICE4, 8080), "ipip": (SERVICE4, 8081), "nat": (NAT4, 8080)}


class Case(typing.NamedTuple):
    """Commands are "HOST COMMAND", or "ctl COMMAND" for berthctl, or the YAML of services that replace the others."""
    name: str
    breaks: tuple
    finds: str  # in the finding of a note or problem; "": clients are still answered, and no problem is found
    repairs: tuple = ()
    about: str = None  # one of the finding's subjects
    is_note: bool = False


def nft(host, rule, hook="input"):
    return (f"{host} nft add table inet broken", f"{host} nft add chain inet broken c {{ type filter hook {hook} "
            "priority -300 ; }", f"{host} nft add rule inet broken c {rule}"), (f"{host} nft delete table inet broken",)


def sysctl(host, name, wrong, right):
    return (f"{host} sysctl -q {name}={wrong}",), (f"{host} sysctl -q {name}={right}",)


def firewall(name, host, rule, finds, hook="input", **more):
    breaks, repairs = nft(host, rule, hook)
    return Case(name, breaks, finds, repairs, **more)


def configured(name, text, finds, **more):
    return Case(name, (text,), finds, **more)


def on_each(*commands, hosts=("b1", "b2")):
    return tuple(f"{host} {command}" for command in commands for host in hosts)


GATEWAY = ("ip route change default via 192.0.2.1 mtu 1500",)
RESTORE_BERTH = ("berth ip addr replace 2001:db8:2::2/64 dev eth0 nodad",
                 "berth ip route replace default via 192.0.2.1", "berth ip -6 route replace default via 2001:db8:2::1")

CASES = [
    # --- servers ---
    Case("one server has ended", ("lab stop b1",), "its health check fails: connection refused", ("lab start b1",),
         about="l2/b1"),
    Case("all servers have ended", ("lab stop b1", "lab stop b2"), "panic: 2 of 2 backends are down",
         ("lab start b1", "lab start b2"), about="l2"),
    firewall("the port is refused on the service's address", "b1", f"ip daddr {SERVICE4} tcp dport 8080 reject with tcp reset",
             "refuses TCP port 8080 at 203.0.113.10", about="l2/b1"),
    firewall("the port is filtered on the service's address", "b1", f"ip daddr {SERVICE4} tcp dport 8080 drop",
             "does not answer TCP port 8080", about="l2/b1"),
    firewall("a firewall rejects the port", "b2", f"ip daddr {SERVICE4} tcp dport 8081 reject with icmpx admin-prohibited",
             "rejects TCP port 8081", about="ipip/b2"),
    firewall("a firewall drops everything from berth", "b1", "ip saddr 192.0.2.2 drop", "no answer at all", hook="prerouting",
             about="l2/b1"),
    firewall("a firewall drops health checks alone", "b1", "ip saddr 192.0.2.2 ip daddr 192.0.2.11 tcp dport { 8080, 8081 } drop",
             "its health check fails: no answer", about="l2/b1"),
    Case("a server answers no pings", *sysctl("b1", "net.ipv4.icmp_echo_ignore_all", 1, 0)[:1], "answers no pings",
         sysctl("b1", "net.ipv4.icmp_echo_ignore_all", 1, 0)[1], about="l2/b1", is_note=True),
    # --- what an operator did ---
    Case("all backends are drained", ("ctl backend drain l2/b1", "ctl backend drain l2/b2"),
         "no eligible backend: disabled, draining or of weight 0",
         ("ctl backend enable l2/b1", "ctl backend enable l2/b2"), about="l2"),
    Case("all backends are disabled", ("ctl backend disable ipip/b1", "ctl backend disable ipip/b2"),
         "no eligible backend: disabled, draining or of weight 0",
         ("ctl backend enable ipip/b1", "ctl backend enable ipip/b2"), about="ipip"),
    Case("all backends are forced down", ("ctl backend health nat/b1 down", "ctl backend health nat/b2 down"),
         "forced down by an operator", ("ctl backend health nat/b1 auto", "ctl backend health nat/b2 auto"),
         about="nat/b1", is_note=True),
    Case("a dead server is forced up", ("ctl backend health l2/b1 up", "lab stop b1"), "forced up by an operator",
         ("ctl backend health l2/b1 auto", "lab start b1"), about="l2/b1", is_note=True),
    # --- the configuration ---
    configured("all backends have weight 0", service("l2", SERVICE4, 8080, "l2",
               "{name: b1, address: 192.0.2.11, weight: 0}"), "no eligible backend: disabled", about="l2"),
    configured("a service has no backends", service("l2", SERVICE4, 8080, "l2", ""),
               "no eligible backend: it has no backends", about="l2"),
    configured("no server listens on the service's port", service("l2", SERVICE4, 8084, "l2", backends(1, 2),
               HEALTH % ", port: 8080"), "refuses TCP port 8084", about="l2/b2"),
    configured("the check is of another port", service("l2", SERVICE4, 8080, "l2", backends(1, 2), HEALTH % ", port: 9"),
               "its health check fails: connection refused", about="l2/b1"),
    configured("the program of the check is missing", service("l2", SERVICE4, 8080, "l2", backends(1, 2),
               "{type: exec, command: [/nowhere/check], interval: 200ms, timeout: 200ms}"),
               "its health check cannot run", about="l2/b1"),
    configured("the CA of the check is missing", service("l2", SERVICE4, 8080, "l2", backends(1, 2),
               "{type: https, interval: 200ms, timeout: 200ms, tls: {ca: /nowhere/ca.pem}}"),
               "its health check cannot run", about="l2/b1"),
    configured("a backend does not exist", service("l2", SERVICE4, 8080, "l2", "{name: b9, address: 192.0.2.99}"),
               "next hop unresolved", about="l2/b9"),
    configured("a backend's route is unreachable", service("l2", SERVICE4, 8080, "l2", "{name: b9, address: 203.0.113.99}"),
               "no route to it", about="l2/b9"),
    configured("mode l2 beyond a router", service("l2", SERVICE4, 8080, "l2", "{name: c, address: 198.51.100.10}",
               "{type: none}"), "leads over a router", about="l2/c"),
    configured("a DNS server is dead", "dns: {servers: [192.0.2.98]}\n" + service("l2", SERVICE4, 8080, "l2",
               "{name: pod, dns: pods.test}"), "last good answer has 0 addresses", about="dns pods.test"),
    configured("health is not checked, and the server is refused", service("l2", SERVICE4, 8084, "l2", backends(1),
               "{type: none}"), "refuses TCP port 8084", about="l2/b1"),
    # --- what backends need ---
    Case("the service's address is missing", (f"b1 ip addr del {SERVICE4}/32 dev lo",), "service's address is missing",
         (f"b1 ip addr add {SERVICE4}/32 dev lo",), about="l2/b1"),
    Case("nothing decapsulates", (f"b1 {BERTH_DECAP} detach eth0",), "nothing on it decapsulates ipip",
         (f"b1 {BERTH_DECAP} attach eth0",), about="ipip/b1"),
    Case("a backend answers ARP for the service", ("b1 sysctl -q net.ipv4.conf.all.arp_ignore=0 net.ipv4.conf.eth0.arp_ignore=0",),
         "answers ARP requests", ("b1 sysctl -q net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.eth0.arp_ignore=1",), about="l2/b1"),
    Case("nat through another gateway", ("b1 ip route replace default via 192.0.2.1 table 100",), "return via another router",
         ("b1 ip route replace default via 192.0.2.2 mtu 1500 table 100",), about="nat/b1"),
    Case("nat without a gateway", ("b1 ip route del default table 100",), "return via another router",
         ("b1 ip route replace default via 192.0.2.2 mtu 1500 table 100",), about="nat/b1"),
    Case("backends have no route to clients", on_each("ip route add unreachable 198.51.100.0/24"), "clients get no answer",
         on_each("ip route del unreachable 198.51.100.0/24"), about="l2/b1"),
    Case("nat backends have no route to clients", on_each("ip route add unreachable 198.51.100.0/24 table 100"),
         "clients get no answer", on_each("ip route del unreachable 198.51.100.0/24 table 100"), about="nat/b1"),
    Case("strict rp_filter on a backend", *sysctl("b1", "net.ipv4.conf.all.rp_filter", 1, 0)[:1], "",
         sysctl("b1", "net.ipv4.conf.all.rp_filter", 1, 0)[1]),
    # --- the network ---
    Case("a host's cable is pulled", ("router ip link set b1 down",), "no answer at all", ("router ip link set b1 up",),
         about="l2/b1"),
    Case("berth's cable is pulled", ("router ip link set berth down",), "interface eth0 is down",
         ("router ip link set berth up",), about="eth0"),
    Case("berth's interface is down", ("berth ip link set eth0 down",), "interface eth0 is down",
         ("berth ip link set eth0 up",) + RESTORE_BERTH, about="l2/b1"),
    Case("berth's interface has another name", ("berth ip link set eth0 down", "berth ip link set eth0 name gone"),
         "interface eth0 not found", ("berth ip link set gone name eth0", "berth ip link set eth0 up") + RESTORE_BERTH, about="eth0"),
    Case("a wrong static neighbour", ("berth ip neigh replace 192.0.2.11 lladdr 02:00:00:00:99:99 dev eth0 nud permanent",),
         "wrong static link address of its next hop 192.0.2.11", ("berth ip neigh del 192.0.2.11 dev eth0",), about="l2/b1"),
    Case("two hosts have one address", ("b2 ip addr add 192.0.2.11/32 dev eth0",), "two hosts answer for its next hop 192.0.2.11",
         ("b2 ip addr del 192.0.2.11/32 dev eth0",), about="l2/b1"),
    Case("the service is not routed to berth", ("router ip route del 203.0.113.0/24",), "has no route to it",
         ("router ip route add 203.0.113.0/24 via 192.0.2.2",), about="l2"),
    Case("the service is routed elsewhere", ("router ip route replace blackhole 203.0.113.0/24",), "does not come back",
         ("router ip route replace 203.0.113.0/24 via 192.0.2.2",), about="l2", is_note=True),
    Case("an MTU of the path is too small", ("router ip link set b1 mtu 1400",), "no packet of 1500 bytes",
         ("router ip link set b1 mtu 1600",), about="l2/b1"),
    # --- berth's host ---
    Case("the XDP program is detached by hand", ("rm link-eth0",), ""),
    firewall("berth's firewall drops what it sends", "berth", "ip daddr 192.0.2.0/24 drop", "health check", hook="output",
             about="l2/b1"),
    firewall("berth's firewall drops what it receives", "berth", "ip saddr 192.0.2.0/24 drop", "its health check fails: no answer",
             hook="prerouting", about="l2/b1"),
    Case("berth's kernel does not route", *sysctl("berth", "net.ipv4.ip_forward", 0, 1)[:1], "the kernel does not route",
         sysctl("berth", "net.ipv4.ip_forward", 0, 1)[1], about="nat", is_note=True),
    Case("a backend's route leads over an interface without berth", ("berth ip link add other type veth peer name end", "berth ip link set end up",
         "berth ip link set other up", "berth ip route add 192.0.2.11/32 dev other"), "berth does not use: other",
         ("berth ip link del other",), about="l2/b1"),
]


class BrokenLab:
    def __init__(self, lab, engine):
        self.lab = lab
        self.engine = engine
        self.apply(L2 + IPIP + NAT)

    def apply(self, text):
        dns, _, services = text.partition("  - ")
        path = self.lab.state / "broken.yaml"
        path.write_text((HEAD % self.engine).replace("\nservices:", f"\n{dns}services:") + "  - " + services)
        self.lab.ctl("config", "apply", path)

    def do(self, command):
        host, _, rest = command.partition(" ")
        if host == "ctl":
            self.lab.ctl(*rest.split())
        elif host == "lab":
            self.lab.run(*rest.split())
        elif host == "signal":  # to berth-dpdk
            status = self.lab.state / f"berth-{self.lab.name}-dpdk.json"
            os.kill(json.loads(status.read_text())["pid"], signal.Signals[rest])
        elif host == "rm":  # a pin
            (pathlib.Path("/sys/fs/bpf/berth") / f"berth-{self.lab.name}" / rest).unlink()
        elif command.startswith("  - ") or command.startswith("dns:"):
            self.apply(command)
        else:
            self.lab.exec(host, *rest.split())

    def findings(self, *of):
        """All but ok: [(level, subjects, text)]"""
        checks = self.lab.result("doctor", *of, check=False)["checks"]
        return [(check["level"], check["subjects"], check["finding"]) for check in checks if check["level"] != "ok"]

    def problems(self):
        return [finding for finding in self.findings() if finding[0] == "problem"]

    def is_answered(self, target):
        with self.lab.inside("client"):
            sock = socket.socket(family_of(target[0]))
        with contextlib.closing(sock):
            sock.settimeout(0.3)
            try:
                sock.connect(target)
                return True
            except OSError:
                return False

    def unanswered(self, targets=TARGETS):
        """Services of which a request is not answered."""
        return {name for name in targets for _ in range(4) if not self.is_answered(targets[name])}

    def try_to_connect(self, target, times):
        """Clients that do not wait for the answer."""
        with self.lab.inside("client"):
            socks = [socket.socket(family_of(target[0])) for _ in range(times)]
        for sock in socks:
            sock.setblocking(False)
            sock.connect_ex(target)
        time.sleep(0.2)
        for sock in socks:
            sock.close()

    def waits_for(self, condition, what):
        try:
            wait_for(condition, seconds=20, what=what)
        except AssertionError as error:
            raise AssertionError(f"{error}; found: {self.findings()}") from None

    def names(self, case):
        """The findings that name the cause."""
        level = "note" if case.is_note else "problem"
        return [f for f in self.findings() if case.finds in f[2] and f[0] == level and
                (case.about is None or case.about in f[1])]


@pytest.fixture(scope="module")
def labs():
    """One lab at a time: {engine: lab}."""
    up = {}
    yield up
    for broken in up.values():
        broken.lab.down()


@pytest.fixture
def broken(request, labs):
    if request.param not in labs:
        for other in list(labs):
            labs.pop(other).lab.down()
        config = (HEAD % request.param) + L2 + IPIP + NAT
        lab = conftest.lab_up(f"broken{request.param}", request.param, config=config, backends=2)
        lab.exec("berth", "sysctl", "-q", "net.ipv4.conf.all.accept_local=1")
        labs[request.param] = BrokenLab(lab, request.param)
    return labs[request.param]


# The engines differ in what stands between them and the kernel, so DPDK runs the cases that depend on it.
ON_DPDK = {"one server has ended", "all backends are drained", "nothing decapsulates", "berth's cable is pulled",
           "a wrong static neighbour", "the service is not routed to berth", "nat through another gateway",
           "the port is filtered on the service's address", "backends have no route to clients"}


OTHER_XDP = BUILD / "bpf/berth_decap.bpf.o"
DPDK_CASES = [
    Case("berth-dpdk is stopped", ("signal SIGSTOP",), "workers do not run", ("signal SIGCONT",), about="engine"),
    Case("berth-dpdk is killed", ("signal SIGKILL",), ""),
    Case("the XDP program of an AF_XDP port is removed", ("berth ip link set eth0 xdp off",), ""),
    Case("another XDP program is in its place", (f"berth ip -force link set eth0 xdp object {OTHER_XDP} section xdp",),
         "another XDP program is attached", ("berth ip link set eth0 xdp off",), about="eth0"),
]
WORKING = Case("nothing", (), "")
RUNS = ([("xdp", case) for case in [WORKING, *CASES]] +
        [("dpdk", case) for case in [WORKING, *CASES] if case is WORKING or case.name in ON_DPDK] +
        [("dpdk", case) for case in DPDK_CASES])


@pytest.mark.parametrize("broken, case", RUNS, ids=[f"{engine}: {case.name}" for engine, case in RUNS], indirect=["broken"])
def test_clients_are_answered_or_the_doctor_names_the_cause(broken, case):
    try:
        for command in case.breaks:
            broken.do(command)
        if case.finds:
            if case.finds == "clients get no answer":
                broken.try_to_connect(TARGETS[case.about.partition("/")[0]], 20)
            broken.waits_for(lambda: broken.names(case), f"{case.finds!r}")
        else:
            broken.waits_for(lambda: not broken.unanswered() and not broken.problems(), "an answer and no problem")
    finally:
        for command in case.repairs or (L2 + IPIP + NAT,):
            broken.do(command)
        broken.waits_for(lambda: not broken.problems(), "the repair")




def starts_with(lab, config):
    lab.ctl("shutdown")
    wait_for(lambda: not lab.berthd_is_running(), what="berthd to end")
    (lab.state / "berth.yaml").write_text(config)
    lab.run("berthd")


@pytest.mark.parametrize("broken", ["dpdk"], indirect=True)
def test_the_only_device_is_not_there_and_berthd_stays_and_names_it(broken):
    config = (HEAD % "dpdk") + L2 + IPIP + NAT
    absent = config.replace("{name: eth0}", "{name: nic0, device: '0000:ff:1f.7'}")
    assert absent != config
    try:
        starts_with(broken.lab, absent)
        cause = "no PCI device 0000:ff:1f.7 is there: lspci -D lists those that are"
        case = Case("", (), f"interface nic0 is down: {cause}", about="nic0")
        broken.waits_for(lambda: broken.names(case), case.finds)
        broken.waits_for(lambda: cause in (broken.lab.show("ports")["ports"][0]["fault"] or ""), "the port's fault")
        port, = broken.lab.show("ports")["ports"]
        assert (port["link"], port["speed_mbps"]) == ("absent", None)
        broken.waits_for(lambda: f"ALARM: nic0: {cause}" in broken.lab.log(), "the alarm")
    finally:
        starts_with(broken.lab, config)
        broken.waits_for(lambda: not broken.unanswered() and not broken.problems(), "the repair")
