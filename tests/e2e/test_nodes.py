# SPDX-License-Identifier: BSD-3-Clause
"""Three nodes with mixed engines behind a router with ECMP, and no store: real clients notice neither the loss of a node,
nor its return, nor that the router sends their flows to another node. The nodes share configuration and secret, and agree
because each computes the same backend."""
import contextlib
import pathlib
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "faults"))

from conftest import PROCESS, lab_up  # noqa: E402
from crowds import DIRECT, all_answered, crowd  # noqa: E402,F401
from faults import Settings  # noqa: E402
from lab import CLIENTS4, ask  # noqa: E402

ENGINES = "dpdk,dpdk,xdp"
DETECTED = 0.3  # seconds until the router withdraws the routes of a node that failed


@pytest.fixture(scope="module")
def lab():
    lab = lab_up(f"e2enodes{PROCESS}", ENGINES, config=Settings("xdp", DIRECT).yaml(), nodes=3)
    yield lab
    lab.down()


def forwarded(lab):
    return [lab.node(number).totals()["forwarded"] for number in (1, 2, 3)]


@contextlib.contextmanager
def without(lab, number, how):
    """The node fails, the router withdraws its routes; at the end it returns, and so do its routes."""
    others = [n for n in (1, 2, 3) if n != number]
    lab.node(number).fail(how)
    time.sleep(DETECTED)
    lab.route(*others)
    yield
    lab.node(number).returns()
    lab.route(1, 2, 3)


def test_every_node_forwards_with_its_own_engine(lab, crowd):
    before = forwarded(lab)
    all_answered(crowd)
    assert all(after > was + 50 for was, after in zip(before, forwarded(lab)))
    assert [lab.node(number).show("engine")["engine"] for number in (1, 2, 3)] == ENGINES.split(",")


def test_the_same_client_has_one_backend_on_every_node(lab):
    """By the client's address: a connection to each node alone. By the flow: one socket through each node."""
    with contextlib.ExitStack() as stack:
        flows = [stack.enter_context(contextlib.closing(lab.udp("dnsgue"))) for _ in range(30)]
        seen = []
        for number in (1, 2, 3):
            lab.route(number)
            before = forwarded(lab)
            seen.append((lab.backends_by_client("tunnel", CLIENTS4), [ask(flow)[0] for flow in flows]))
            grown = [after - was for was, after in zip(before, forwarded(lab))]
            assert grown[number - 1] > len(CLIENTS4) + len(flows)
    lab.route(1, 2, 3)
    assert seen[0] == seen[1] == seen[2]
    assert set(seen[0][0].values()) == set(seen[0][1]) == {"b1", "b2", "b3"}


@pytest.mark.parametrize("number,how,ecmp", [(1, "silent", "resilient"), (2, "kill", "hash-threshold"), (3, "link", "resilient")])
def test_a_lost_node_breaks_and_moves_nothing_and_neither_does_its_return(lab, crowd, number, how, ecmp):
    lab.route(1, 2, 3, ecmp=ecmp)
    all_answered(crowd)
    with without(lab, number, how):
        all_answered(crowd)
    all_answered(crowd)


def test_a_rehash_of_the_router_breaks_and_moves_nothing(lab, crowd):
    for ecmp in ("hash-threshold", "resilient"):
        for hops in ((3, 1, 2), (2, "1=9"), ("2=5", 3, 1)):
            lab.route(*hops, ecmp=ecmp)
            all_answered(crowd)
