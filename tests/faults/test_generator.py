# SPDX-License-Identifier: BSD-3-Clause
"""The generator of flows and the judge of what it reports, without a balancer: one responder after the other answers."""
import contextlib
import os
import pathlib
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e")]

import generated  # noqa: E402
from clients import STEADY, Clients  # noqa: E402
from lab import wait_for  # noqa: E402

NAME = "generated"
HOST = f"berth-{NAME}-client"
BACKENDS = f"berth-{NAME}-b1"
KINDS = {"generated flow", "generated session"}
LINK = "02:00:c0:00:02:01"


class Pipe:
    """Of the clients' process: what it tells."""

    def __init__(self):
        self.told = []

    def send(self, message):
        self.told.append(message)

    def kinds(self):
        return {message[0] for message in self.told}


@contextlib.contextmanager
def responder(backend):
    process = generated.inside(LAB, "b1", generated.PROGRAMS / "responder", "eth0", backend, LINK)
    try:
        assert process.stdout.readline() == "ready\n"
        yield
    finally:
        process.kill()
        process.wait()


LAB = SimpleNamespace(name=NAME)


@pytest.fixture(name="clients")
def fixture_clients():
    """Real clients' process with no real client, whose generator is at one end of a cable."""
    if os.geteuid() != 0:
        pytest.skip("needs root: network namespaces")
    for name in (HOST, BACKENDS):
        subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        ends = ["eth0", "netns", HOST, "type", "veth", "peer", "name", "eth0", "address", LINK, "netns", BACKENDS]
        subprocess.run(["ip", "link", "add", *ends], check=True)
        for name in (HOST, BACKENDS):
            subprocess.run(["ip", "-n", name, "link", "set", "eth0", "up"], check=True)
        clients = Clients(LAB, Pipe(), (), 0, 0)
        clients.generated = generated.Generated(clients, LAB, 2000, 1, router=LINK)
        clients.obeys("phase", STEADY)
        yield clients
        clients.generated.end()
    finally:
        for name in (HOST, BACKENDS):
            subprocess.run(["ip", "netns", "del", name], check=True)


def totals(clients):
    """What the generator counts, and the services without an answer since the mark."""
    clients.obeys("ask")
    _, _, waiting, _, counted = clients.pipe.told.pop()
    return counted, waiting


def all_answered(clients):
    """Waits until some flows or clients of each service were answered."""
    clients.obeys("mark")
    wait_for(lambda: (found := totals(clients)) and not found[1] and found[0].living > 300, 60, "answers for each service")


SILENT = "has no answer to 20 questions"


def but_silent(clients):
    """What it has told, without those that asked while no responder ran: the start of one may take long."""
    return [message for message in clients.pipe.told if SILENT not in str(message)]


def move(clients, *meanwhile):
    """Flows and clients of each service have their home on one backend; a command follows, and then another one answers."""
    with responder(1):
        all_answered(clients)
    assert not but_silent(clients)
    clients.obeys(*meanwhile)
    asking = clients.generated.process
    asking.send_signal(signal.SIGSTOP)  # else homes are forgotten while the responder starts
    with responder(2):
        asking.send_signal(signal.SIGCONT)
        wait_for(lambda: totals(clients) and min(clients.generated.moved[kind] for kind in KINDS) > 0, 60, "those that move")
    return but_silent(clients)


def test_a_flow_or_client_that_another_backend_answers_is_a_finding(clients):
    told = move(clients, "hold")
    assert {message[0] for message in told} == {"finding"}
    assert all(" of b1 " in text and "is answered by b2" in text for _, _, text in told)
    assert {" ".join(text.split()[:2]) for _, _, text in told} == KINDS


def test_one_whose_backend_is_excused_is_none(clients):
    assert not move(clients, "excuse", "b1")


def test_one_of_a_tolerated_phase_has_moved(clients):
    assert set(move(clients, "phase", "after", STEADY)) == {("moved", kind, STEADY) for kind in KINDS}


def test_phases_keep_their_names_however_many_there_were(clients):
    for _ in range(100):
        for name in ("during", "after", STEADY):
            clients.obeys("phase", name)
    assert set(move(clients, "phase", "after", STEADY)) == {("moved", kind, STEADY) for kind in KINDS}


def test_a_time_in_which_nobody_asked_is_none_without_an_answer():
    asking, resting = SimpleNamespace(since=5.0), SimpleNamespace(since=None)
    clients = Clients(LAB, Pipe(), (), 0, 0)
    clients.clients = [asking, resting]
    clients.waited_in_vain(3)
    assert (asking.since, resting.since) == (8.0, None)


def test_one_without_an_answer_is_a_finding(clients):
    with responder(1):
        all_answered(clients)

    def told():
        clients.obeys("ask")
        return [text for what, *more in clients.pipe.told if what == "finding" for text in more[1:]]
    assert SILENT in wait_for(told, 60, "a finding")[0]
