# SPDX-License-Identifier: BSD-3-Clause
"""Compares the reference with the core, packet by packet."""
import collections
import os
import random as randoms

from scapy.layers.l2 import Ether

from . import draw
from .bridge import Actual
from .reference import Reference
from .traffic import Traffic
from .world import text

BEGIN = 1000000  # seconds
PACKETS_A_WORLD = 500
LOOK_BACK = int(os.environ.get("BERTH_REFERENCE_HISTORY", "30"))  # packets to print before a difference


class Difference(AssertionError):
    pass


class Run:
    """A world (drawn from the seed if not given) and random packets for it, from the same seed."""

    def __init__(self, bridge, seed, world=None):
        self.bridge = bridge
        self.seed = seed
        self.random = randoms.Random(seed)
        self.world = world or draw.draw_world(self.random)
        self.reference = Reference(self.world)
        self.traffic = Traffic(self.random, self.world)
        self.now = BEGIN
        self.number = 0
        self.verdicts = collections.Counter()
        self.history = []  # (second, outcome or action, frame or None)
        bridge.lay_out(self.world)

    def packets(self, n):
        for _ in range(n):
            self.pass_time()
            self.send(self.traffic.frame())

    def pass_time(self):
        if self.random.randrange(20) == 0:
            self.now += self.random.randrange(600) if self.random.randrange(20) == 0 else self.random.randrange(4)
        if self.random.randrange(25) == 0:
            backend = draw.disturb(self.random, self.world)
            if backend:
                self.bridge.change(self.world.service_of(backend), backend)
                self.history.append((self.now, f"backend {backend.number}: eligibility {backend.eligibility}, "
                                     f"known {backend.known}, mtu {backend.mtu}", None))

        if self.random.randrange(40) == 0:
            words = draw.draw_words(self.random, self.world, self.traffic.connections)
            if words:
                self.operate(*words)

    def operate(self, verb, service, client, backend):
        done = self.bridge.operate(verb, service, client, backend, self.now)
        what = (f"session {verb} {text(client)} in {service.number} to {backend.number if backend else '-'}: "
                f"{'done' if done else 'none'}")
        self.history.append((self.now, what, None))
        if not self.reference.tables.operate(verb, service, client, backend, self.now, done):
            raise Difference(self.explain([], Actual("none", "none", 0, b""), b""))
        self.verdicts[verb] += done

    def send(self, frame):
        """Sends one packet: fails if the reference does not allow the core's outcome, else returns the outcome."""
        outcomes = self.reference.process(frame, 0, self.now)
        actual = self.bridge.send(frame, self.now)
        self.number += 1
        self.history.append((self.now, f"{actual.verdict:16} {actual.port}", frame))
        if actual.verdict == "cannot":  # the engine does not accept such a frame
            return actual
        true = [outcome for outcome in outcomes if is_same(outcome, actual, frame)]
        if not true:
            raise Difference(self.explain(outcomes, actual, frame))
        self.reference.adopt(true, self.now)
        self.verdicts[actual.verdict] += 1
        return actual

    def explain(self, outcomes, actual, frame):
        lines = [f"seed {self.seed}, packet {self.number}, second {self.now}: the reference and the core differ"]
        lines += draw.summary(self.world)
        lines += ["what came before:"]
        lines += [f"{now} {what} {describe(old) if old else ''}" for now, what, old in self.history[-LOOK_BACK:]]
        lines += ["the packet: " + describe(frame), "  " + frame.hex()]
        lines += [f"the core: {actual.verdict} ({actual.kind}), port {actual.port}", "  " + actual.frame.hex()]
        for outcome in outcomes:
            lines += [f"the reference: {outcome.verdict} ({outcome.kind}), port {outcome.port}{backend_of(outcome)}",
                      "  " + (expected(outcome, actual, frame) or b"").hex()]
        return "\n".join(lines)


def backend_of(outcome):
    return f", backend {outcome.way.backend.number}" if outcome.way and outcome.way.backend else ""


def expected(outcome, actual, frame):
    """The bytes that leave with an outcome; None: no frame leaves."""
    if outcome.kind == "drop":
        return None
    return outcome.render(actual.frame) if outcome.render else frame


def is_same(outcome, actual, frame):
    if (outcome.verdict, outcome.kind) != (actual.verdict, actual.kind):
        return False
    if outcome.kind == "drop":
        return True
    if outcome.kind != "pass" and outcome.port != actual.port:
        return False
    return expected(outcome, actual, frame) == actual.frame


def describe(frame):
    """One line about a frame, also where scapy cannot parse it."""
    try:
        return Ether(frame).summary() if len(frame) >= 14 else frame.hex()
    except Exception as error:  # pylint: disable=broad-except
        return f"{frame[:80].hex()} ({error})"
