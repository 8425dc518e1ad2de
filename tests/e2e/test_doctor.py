# SPDX-License-Identifier: BSD-3-Clause
"""berthctl doctor: real probes to real backends. Each test breaks one thing on b1 (mode nat: b3); doctor must
name it, with its remedy, for that backend alone."""
import contextlib
import subprocess
import time

import pytest

import answers
import conftest
from lab import BERTH_DECAP, BERTHCTL, SERVICE4, SERVICE6, wait_for

# name: (service, mode, outer IP version)
SERVICES = {
    "l2": (SERVICE4, "l2", 4), "l26": (SERVICE6, "l2", 6),
    "ipip": (SERVICE4, "ipip", 4), "ipip64": (SERVICE6, "ipip", 4),
    "ipip66": (SERVICE6, "ipip", 6), "ipip46": (SERVICE4, "ipip", 6),
    "gue": (SERVICE4, "gue", 4), "gue64": (SERVICE6, "gue", 4),
    "gue66": (SERVICE6, "gue", 6), "gue46": (SERVICE4, "gue", 6),
}
TUNNELS = [name for name, service in SERVICES.items() if service[1] != "l2"]
LINK = [name for name in SERVICES if name not in TUNNELS]
OUTER_BYTES = {("l2", 4): 0, ("l2", 6): 0, ("ipip", 4): 20, ("ipip", 6): 40, ("gue", 4): 28, ("gue", 6): 48}
BACKEND = {4: "192.0.2.1", 6: "2001:db8:2::1"}


def config(engine):
    lines = [f"engine: {engine}", "interfaces: [{name: eth0}]", "dpdk: {idle: adaptive, memory-mb: 64}",
             "limits: {flows: 4096, sessions: 1024, services: 32, backends: 128}", "services:"]
    ports = {SERVICE4: [8080, 8081, 8082, 8083, 8090], SERVICE6: [8080, 8081, 8082, 8083, 8090]}
    for name, (address, mode, outer) in SERVICES.items():
        port = ports[address].pop()
        backends = ", ".join(f'{{name: b{i}, address: "{BACKEND[outer]}{i}"}}' for i in (1, 2))
        lines += service(name, address, port, mode, backends)
    lines += service("nat", SERVICE4, 80, "nat", "{name: b3, address: 192.0.2.13}", "none")
    return "\n".join(lines) + "\n"


def service(name, address, port, mode, backends, health="tcp"):
    return [f"  - name: {name}", f'    address: "{address}"', "    protocol: tcp", f"    port: {port}",
            f"    mode: {mode}", "    table-size: 251",
            f"    health: {{type: {health}, port: 80, interval: 200ms, timeout: 200ms, rise: 2, fall: 2}}",
            f"    backends: [{backends}]"]


class Clinic:
    def __init__(self, lab):
        self.lab = lab

    def doctor(self, *of):
        """(exit code, {subject: [(verdict, what was seen, what to do)]})"""
        done = self.lab.ctl("-j", "doctor", *of, check=False)
        checks = answers.checked(["doctor"], done.stdout)[0]["checks"]
        reported = {}
        for check in checks:
            for subject in check["subjects"]:
                reported.setdefault(subject, []).append((check["level"], check["finding"], check["remedy"] or ""))
        return done.returncode, reported

    def finds(self, seen, do, *, services, backend="b1"):
        """That it names this and nothing else, and ends with 1."""
        code, reported = self.doctor()
        assert code == 1
        wrong = {subject: found for subject, found in reported.items() if any(f[0] != "ok" for f in found)}
        assert set(wrong) == {f"{name}/{backend}" for name in services}, wrong
        for subject, found in wrong.items():
            verdict, what, how = found[0]
            assert verdict == "problem"
            assert seen in what and do in how, (subject, found)
        return wrong

    def on(self, host, *command):
        return self.lab.exec(host, *command)

    @contextlib.contextmanager
    def broken(self, host, command, remedy):
        """`command` was typed on a host, and `remedy` is afterwards; each a line."""
        self.on(host, *command.split())
        try:
            yield
        finally:
            self.on(host, *remedy.split())


@pytest.fixture(scope="module", params=["xdp", "dpdk"])
def clinic(request):
    lab = conftest.lab_up(f"doctor{request.param}", request.param, config=config(request.param))
    # In mode nat a backend has not the service's address, and berth is its way to clients.
    lab.exec("b3", "ip", "addr", "del", f"{SERVICE4}/32", "dev", "lo")
    lab.exec("b3", "ip", "route", "replace", "default", "via", "192.0.2.2")
    lab.exec("berth", "sysctl", "-q", "net.ipv4.ip_forward=1", "net.ipv4.conf.all.accept_local=1")
    yield Clinic(lab)
    lab.down()


@pytest.fixture(autouse=True)
def healthy_again(clinic):
    """Waits until the state that a test has broken is restored."""
    yield
    wait_for(lambda: clinic.doctor()[0] == 0, seconds=15, what="all to be well again")


def test_no_problems_are_found_in_a_working_setup(clinic):
    code, reported = clinic.doctor()
    assert code == 0
    assert set(reported) == {"engine", "eth0", "nat/b3", *(f"{name}/b{i}" for name in SERVICES for i in (1, 2))}
    for subject, found in reported.items():
        notes = {verdict for verdict, *_ in found} - {"ok"}
        assert not notes or subject == "engine", (subject, found)  # a machine without huge pages
        if "/" in subject:
            assert "answer" in found[0][1] and "packets of up to 1500 bytes" in found[0][1]


def test_doctor_checks_only_the_named_service_or_backend(clinic):
    assert set(clinic.doctor("gue")[1]) == {"gue/b1", "gue/b2"}
    assert set(clinic.doctor("gue/b2")[1]) == {"gue/b2"}
    done = clinic.lab.ctl("doctor", "gue/b9", check=False)
    assert done.returncode == 1 and "gue/b9" in done.stderr


def test_the_text_has_a_line_for_each_finding(clinic):
    done = clinic.lab.ctl("doctor", "ipip", check=False)
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        f"ok       ipip/b1, ipip/b2: ipip: {SERVICE4} answers packets of up to 1500 bytes", "no problems found"]
    with clinic.broken("b1", f"ip addr del {SERVICE4}/32 dev lo", f"ip addr add {SERVICE4}/32 dev lo"):
        done = clinic.lab.ctl("doctor", "ipip/b1", check=False)
        line, closing = done.stdout.splitlines()
        assert line.startswith("problem  ipip/b1: ")
        assert line.endswith(f" -> on the backend: ip addr add {SERVICE4}/32 dev lo")
        assert closing == "1 problem found"


def test_berthd_serves_other_clients_meanwhile(clinic):
    with clinic.broken("b1", f"ip addr del {SERVICE4}/32 dev lo", f"ip addr add {SERVICE4}/32 dev lo"):
        command = [BERTHCTL, "-s", clinic.lab.socket_path, "doctor"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as doctor:
            time.sleep(0.3)
            begun = time.monotonic()
            clinic.lab.show("engine")
            assert time.monotonic() - begun < 1
            assert doctor.poll() is None, "the doctor was not at work any more"
            assert doctor.wait(timeout=4) == 1


@pytest.mark.parametrize("address, add", [(SERVICE4, f"{SERVICE4}/32"), (SERVICE6, f"{SERVICE6}/128")])
def test_a_missing_service_address_is_found(clinic, address, add):
    with clinic.broken("b1", f"ip addr del {add} dev lo", f"ip addr add {add} dev lo"):
        clinic.finds("address is missing", f"ip addr add {add} dev lo",
                     services=[name for name, (service, *_) in SERVICES.items() if service == address])


def test_a_missing_decapsulation_is_found(clinic):
    with clinic.broken("b1", f"{BERTH_DECAP} detach eth0", f"{BERTH_DECAP} attach eth0"):
        wrong = clinic.finds("nothing on it decapsulates", "berth-decap attach eth0", services=TUNNELS)
        assert "modprobe ipip && ip link set tunl0 up" in wrong["ipip/b1"][0][2]
        assert "ip -6 fou add port 6080 gue" in wrong["gue66/b1"][0][2]


# netfilter says no in the input hook alone, and not about every protocol (nf_reject_ipv4 wants a right checksum).
FIREWALLS = {
    "drops": ("a firewall drops", TUNNELS,
              "hook prerouting priority raw", "meta l4proto { 4, 41 } drop; udp dport 6080 drop"),
    "rejects": ("a firewall on the path rejects", [name for name in TUNNELS if name.startswith("gue")],
                "hook input priority filter", "udp dport 6080 reject with icmpx admin-prohibited"),
}


@pytest.mark.parametrize("what", FIREWALLS)
def test_a_firewall_is_found(clinic, what):
    seen, services, hook, rules = FIREWALLS[what]
    # The program would take the header off before any rule is asked; it stays away.
    clinic.lab.exec("b1", "nft", "-f", "-",
                    input=f"table inet doctor {{ chain c {{ type filter {hook}; {rules}; }}; }}")
    try:
        with clinic.broken("b1", f"{BERTH_DECAP} detach eth0", f"{BERTH_DECAP} attach eth0"):
            code, reported = clinic.doctor()
            assert code == 1
            for name in services:
                verdict, what_is_seen, how = reported[f"{name}/b1"][0]
                assert verdict == "problem" and seen in what_is_seen and "from berth's host" in how, reported
    finally:
        clinic.on("b1", "nft", "delete", "table", "inet", "doctor")


def test_a_backend_that_answers_arp_for_the_service_is_found(clinic):
    setting = "sysctl -q net.ipv4.conf.all.arp_ignore={0} net.ipv4.conf.eth0.arp_ignore={0}"
    with clinic.broken("b1", setting.format(0), setting.format(1)):
        clinic.finds("answers ARP requests", "arp_ignore=1",
                     services=[name for name, (address, *_) in SERVICES.items() if address == SERVICE4])


def test_an_ipv6_address_that_is_not_on_lo(clinic):
    clinic.on("b1", "ip", "addr", "del", f"{SERVICE6}/128", "dev", "lo")
    try:
        with clinic.broken("b1", f"ip addr add {SERVICE6}/128 dev eth0 nodad",
                           f"ip addr del {SERVICE6}/128 dev eth0"):
            clinic.finds("answers neighbour solicitations", f"ip addr add {SERVICE6}/128 dev lo",
                         services=[name for name, (address, *_) in SERVICES.items() if address == SERVICE6])
    finally:
        clinic.on("b1", "ip", "addr", "add", f"{SERVICE6}/128", "dev", "lo", "nodad")


def test_an_mtu_on_the_way_that_berth_does_not_know_of(clinic):
    with clinic.broken("router", "ip link set b1 mtu 1400", "ip link set b1 mtu 1600"):
        wrong = clinic.finds("small packets, but no packet of 1500 bytes", "mtu", services=SERVICES)
        for name, (_, mode, outer) in SERVICES.items():
            assert f"mtu {1500 + OUTER_BYTES[mode, outer]}" in wrong[f"{name}/b1"][0][2]


def test_an_mtu_that_has_room_for_clients_but_not_for_the_outer_header(clinic):
    with clinic.broken("router", "ip link set b1 mtu 1500", "ip link set b1 mtu 1600"):
        clinic.finds("small packets, but no packet of 1500 bytes", "of encapsulation", services=TUNNELS)


def test_an_mtu_that_berth_knows_of_is_a_note(clinic):
    with clinic.broken("berth", "ip link set eth0 mtu 1500", "ip link set eth0 mtu 1600"):
        def noted():
            code, reported = clinic.doctor("gue66/b1")
            (verdict, seen, do), = reported["gue66/b1"]
            return code == 0 and verdict == "note" and "at most 1452 bytes" in seen and "MTU of 1548" in do
        wait_for(noted, what="the note")
        assert clinic.doctor("l2/b1")[1]["l2/b1"][0][0] == "ok"


def test_a_backend_that_answers_no_pings_is_a_note(clinic):
    setting = "sysctl -q net.ipv4.icmp_echo_ignore_all="
    with clinic.broken("b1", setting + "1", setting + "0"):
        code, reported = clinic.doctor("ipip/b1")
        (verdict, seen, _), = reported["ipip/b1"]
        assert (code, verdict) == (0, "note")
        assert "answers no pings" in seen


def test_a_server_that_is_not_there(clinic):
    clinic.lab.run("stop", "b1")
    try:
        wait_for(lambda: clinic.lab.health("l2", "b1") == "down", what="the health check to fail")
        code, reported = clinic.doctor("l2/b1")
        assert code == 1
        assert [found[0] for found in reported["l2/b1"]] == ["ok", "problem"]
        assert "its health check fails: connection refused" in reported["l2/b1"][1][1]
    finally:
        clinic.lab.run("start", "b1")


def test_a_backend_that_is_not_there(clinic):
    with clinic.broken("router", "ip link set b1 down", "ip link set b1 up"):
        wait_for(lambda: all(clinic.lab.health(name, "b1") == "down" for name in SERVICES),
                 what="the health checks to fail")
        clinic.finds("", "", services=SERVICES)
        code, reported = clinic.doctor("ipip/b1")
        assert code == 1
        seen = reported["ipip/b1"][0][1]
        assert "no answer at all" in seen or "next hop unresolved" in seen


def test_nat_whose_gateway_is_another(clinic):
    with clinic.broken("b3", "ip route replace default via 192.0.2.1", "ip route replace default via 192.0.2.2"):
        clinic.finds("return via another router", "ip route replace default via 192.0.2.2",
                     services=["nat"], backend="b3")
    with clinic.broken("b3", "ip route del default", "ip route add default via 192.0.2.2"):
        clinic.finds("do not return via berth", "ip route replace default via 192.0.2.2",
                     services=["nat"], backend="b3")


@pytest.mark.parametrize("what", ["net.ipv4.ip_forward", "net.ipv4.conf.all.accept_local"])
def test_nat_whose_kernel_would_not_route_is_a_note(clinic, what):
    with clinic.broken("berth", f"sysctl -q {what}=0", f"sysctl -q {what}=1"):
        code, reported = clinic.doctor()
        (verdict, _, do), = reported["nat"]
        assert (code, verdict) == (0, "note") and f"{what}=1" in do


def test_what_would_be_forwarded_is_not_hurt(clinic):
    """Probes are no service's packets: nothing of them is in the tables, and nothing was dropped for them."""
    before = clinic.lab.show("stats")
    clinic.doctor()
    after = clinic.lab.show("stats")
    assert after["packets"]["dropped"] == before["packets"]["dropped"]
    assert after["tables"]["flows"]["entries"] <= before["tables"]["flows"]["entries"]
