# SPDX-License-Identifier: BSD-3-Clause
"""
The image of scripts/appliance, from power-on: it finds its configuration, gives its port to a driver, and forwards through each
NIC; then events.py happens to it. scripts/appliance test chooses the devices; scripts/test runs test_share.py instead.
"""
import os

import pytest

from devices import DEVICES
from forwarding import *  # noqa: F401,F403
from events import *  # noqa: F401,F403  (after them)
from guest import running


@pytest.fixture(scope="module", params=os.environ.get("BERTH_DEVICES", " ".join(DEVICES)).split())
def guest(request):
    with running(request.param) as guest:
        yield guest
