# SPDX-License-Identifier: BSD-3-Clause
"""Datagrams in fragments: real ones, and every order of arrival."""
import contextlib
import itertools
import os
import random

import pytest

from lab import CLIENTS4, CLIENTS6, SERVICES, UDP, ask, wait_for
from wire import datagram_to, fragments

BYTES = 4000  # three fragments on a link of 1500
BY_CLIENT = [name for name in UDP if SERVICES[name].affinity == "client"]
BY_FLOW = ["dns", "dns6", "dnstunnel", "dnsgue6", "dnsnat", "dnsnat6"]


@pytest.fixture
def lab(full_lab):
    return full_lab


class Question:
    """A datagram in three fragments from a real client's socket, for its answer to come back to."""

    def __init__(self, lab, service, source=None):
        self.payload = os.urandom(BYTES)
        self.sock = lab.udp(service, source)
        client, sport = self.sock.getsockname()[:2]
        self.fragments = fragments(datagram_to(service, sport, self.payload, client, ttl=9), 1480,
                                   random.randrange(1, 65535))
        assert len(self.fragments) == 3

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def answer(self):
        """Who answered, with all that was asked."""
        name, _, echo = self.sock.recv(65535).partition(b" ")
        assert echo == self.payload
        return name.decode()


@pytest.mark.parametrize("service", UDP)
def test_a_datagram_of_4000_bytes_is_echoed_whole(lab, service):
    payload = os.urandom(BYTES)
    before = lab.verdict("fragment") + lab.verdict("session")
    with contextlib.closing(lab.udp(service)) as sock:
        backend, echo = ask(sock, payload)
        assert echo == payload
        assert ask(sock) == (backend, b"hello"), "a fragmented datagram and a whole one are one flow"
    assert lab.verdict("fragment") + lab.verdict("session") >= before + 2


@pytest.mark.parametrize("order", itertools.permutations(range(3)), ids=lambda order: "".join(map(str, order)))
@pytest.mark.parametrize("service", BY_CLIENT)
def test_with_client_affinity_fragments_come_in_any_order(lab, cable, service, order):
    source = random.choice(CLIENTS6 if SERVICES[service].is6 else CLIENTS4)
    with Question(lab, service, source) as question:
        cable.send(*(question.fragments[i] for i in order))
        assert question.answer() == lab_home(lab, service, source)


def lab_home(lab, service, source):
    with contextlib.closing(lab.udp(service, source)) as sock:
        return ask(sock)[0]


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (0, 1, 0, 1, 2, 2)], ids=["straight", "last early", "doubled"])
@pytest.mark.parametrize("service", BY_FLOW)
def test_with_flow_affinity_fragments_follow_the_first(lab, cable, service, order):
    followed = lab.verdict("fragment")
    with Question(lab, service) as question:
        cable.send(*(question.fragments[i] for i in order))
        question.answer()
    assert lab.verdict("fragment") >= followed + 2


@pytest.mark.parametrize("order", [(1, 0, 2), (2, 1, 0)], ids=["first late", "backwards"])
@pytest.mark.parametrize("service", BY_FLOW)
def test_with_flow_affinity_a_fragment_before_its_first_waits_on_dpdk_and_has_its_verdict_on_xdp(
        lab, cable, service, order):
    early = order.index(0)
    before = lab.verdict("fragment_unknown")
    with Question(lab, service) as question:
        cable.send(*(question.fragments[i] for i in order))
        if lab.engine == "dpdk":
            question.answer()
            assert lab.verdict("fragment_unknown") == before
        else:
            wait_for(lambda: lab.verdict("fragment_unknown") >= before + early, what="the verdict")
            assert lab.verdict("fragment_unknown") == before + early


@pytest.mark.parametrize("service", ["dns", "dns6"])
def test_fragments_without_their_first_are_dropped_in_the_end_and_stop_nobody(lab, cable, service):
    before = lab.verdict("fragment_unknown")
    count = 0
    with contextlib.closing(lab.udp(service)) as sock:
        for _ in range(20):
            with Question(lab, service) as question:
                cable.send(*question.fragments[1:], count=5)
            count += 10
            assert ask(sock)[1] == b"hello"
    wait_for(lambda: lab.verdict("fragment_unknown") >= before + count, what="the verdict of all")
    assert lab.verdict("fragment_unknown") == before + count


def test_a_datagram_in_fragments_is_one_flow_however_often_it_comes(lab, cable):
    def added():
        return lab.show("stats")["events"]["flow_added"]

    before = added()
    with Question(lab, "dns") as question:
        cable.send(*question.fragments, count=5)
        question.answer()
    assert added() == before + 1
