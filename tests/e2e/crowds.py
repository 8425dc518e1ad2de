# SPDX-License-Identifier: BSD-3-Clause
"""The clients of labs with several nodes. A file that takes the fixture has one named lab."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "faults"))

from clients import SERVICES as ALL, Crowd  # noqa: E402
from lab import SERVICES, wait_for  # noqa: E402

# A backend of mode nat answers through its gateway, which is one node.
DIRECT = {name for name in ALL if SERVICES[name].mode != "nat"}


@pytest.fixture(scope="module")
def crowd(lab):
    crowd = Crowd(lab, services=DIRECT)
    all_answered(crowd)
    yield crowd
    crowd.end()


def all_answered(crowd):
    """Every client is answered anew, no connection has broken, and no flow, session or connection has moved."""
    crowd.mark()
    wait_for(lambda: not crowd.state()[1], 20, "answers")
    assert not crowd.findings, "\n".join(map(str, crowd.findings))
