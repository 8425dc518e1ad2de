# SPDX-License-Identifier: BSD-3-Clause
"""`berthctl explain` says where a packet will go, before and after it went there; every service, both engines."""
import contextlib

import pytest

import lab as labs
from lab import SERVICES, TCP, UDP, ask, request


@pytest.fixture
def lab(full_lab):
    return full_lab


def end(address, port):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def explain(lab, protocol, sock, service, *words):
    text = " ".join([protocol, end(*sock.getsockname()[:2]), "->", end(*SERVICES[service].target), *words])
    return lab.result("explain", text)


@pytest.mark.parametrize("service", TCP)
def test_it_names_the_backend_that_then_answers(lab, service):
    with contextlib.closing(lab.socket(lab.source_for(service), timeout=3)) as sock:
        before = explain(lab, "tcp", sock, service)
        sock.connect(SERVICES[service].target)
        backend = request(sock)[1]
        after = explain(lab, "tcp", sock, service)
    assert before["service"] == after["service"] == service
    assert before["result"] == after["result"] == "forwarded"
    assert before["backend"] == after["backend"] == f"{service}/{backend}"
    assert before["packet"]["tcp_flags"] == ["syn"] and not before["flow"]
    assert after["verdict"] == "flow" and after["flow"]["backend"] == f"{service}/{backend}"


@pytest.mark.parametrize("service", UDP)
def test_it_names_the_backend_of_a_datagram(lab, service):
    with contextlib.closing(lab.udp(service)) as sock:
        before = explain(lab, "udp", sock, service)
        backend = ask(sock)[0]
        after = explain(lab, "udp", sock, service)
    assert before["backend"] == after["backend"] == f"{service}/{backend}"
    assert after["verdict"] == "flow"


def test_it_prints_each_step(lab):
    done = lab.ctl("explain", f"tcp {labs.CLIENT4}:4242 -> {labs.SERVICE4}:80 syn")
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if not line.startswith(" ")}
    assert list(lines) == ["packet", "service", "flow", "session", "row", "weights", "verdict", "rules", "backend", "out"]
    assert lines["packet"] == f"packet   tcp {labs.CLIENT4}:4242 -> {labs.SERVICE4}:80, syn, 54 bytes"
    assert lines["service"] == "service  web"
    assert lines["verdict"].startswith("verdict  forwarded, ")
    assert "verdict  passed, no_service: " in lab.ctl("explain", f"tcp {labs.CLIENT4}:1 -> {labs.SERVICE4}:1").stdout


def test_it_changes_nothing(lab):
    def amounts():
        stats = lab.show("stats")
        return stats["verdicts"]["selected"], stats["events"]

    before = amounts()
    for port in range(2000, 2050):
        lab.ctl("explain", f"tcp {labs.CLIENT4}:{port} -> {labs.SERVICE4}:80 syn")
    assert amounts() == before


@pytest.mark.parametrize("arguments, says", [
    (["tcp"], "not a packet: write protocol, source, ->, destination"),
    (["0x45"], "not a packet"),
    (["tcp 198.51.100.7:1 -> 203.0.113.10:80", "--interface", "eth9"], "no interface eth9"),
])
def test_a_mistake_is_told_in_a_line(lab, arguments, says):
    done = lab.ctl("explain", *arguments, check=False)
    assert done.returncode == 1 and says in done.stderr and done.stderr.count("\n") == 1
