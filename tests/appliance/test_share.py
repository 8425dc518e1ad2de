# SPDX-License-Identifier: BSD-3-Clause
"""
What scripts/test runs of the appliance: one machine with one NIC, which DPDK has from power-on, and XDP after an operator has given
it back to the kernel as docs/appliance.md says.
"""
import re

import pytest

from forwarding import *  # noqa: F401,F403
from guest import ROOT, running


def steps_back():
    """The commands of the guide by which the kernel gets its NIC again."""
    guide = (ROOT / "docs/appliance.md").read_text().partition("### Back to the kernel's driver")[2]
    return re.findall(r"^    (.*)$", guide.partition("\n##")[0], re.MULTILINE)


@pytest.fixture(scope="module")
def machine():
    with running("virtio-net-vfio") as guest:
        yield guest


@pytest.fixture(scope="module", params=["dpdk", "xdp"])
def guest(request, machine):
    if request.param != machine.device.engine:
        machine.use(request.param, steps_back())
    yield machine
