# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures: labs with each engine, and none.

A test that cannot run here is skipped with the reason; scripts/test counts a skip as a failure in CI.
"""
import os

import pytest

import lab as labs
from wire import Cable

# Labs that several files use have one for each of the processes that run tests side by side (pytest -n).
PROCESS = os.environ.get("PYTEST_XDIST_WORKER", "")


# These begin first: at the end no process then waits long for another one's file.
LONGEST = {"test_tables.py", "test_tables_adopted.py", "test_sessions.py", "test_sessions_nodes.py", "test_broken_labs.py",
           "test_engine_change.py", "test_lab.py", "test_service.py", "test_backends.py", "test_install.py"}


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name not in LONGEST)


def need(engine):
    if os.geteuid() != 0:
        pytest.skip("needs root: network namespaces and BPF")
    if "dpdk" in engine and not (labs.BUILD / "dataplane/berth-dpdk").exists():
        pytest.skip("built without berth-dpdk")


def lab_up(name, engine, **more):
    need(engine)
    lab = labs.Lab(name, engine)
    lab.down()  # left by an interrupted run
    lab.up(**more)
    return lab


@pytest.fixture(scope="module", params=["xdp", "dpdk"])
def lab(request):
    """A lab of the module's own, for each engine, with the services of lab.BASIC."""
    lab = lab_up(f"e2e{request.param}{PROCESS}", request.param, config=labs.config_yaml(request.param))
    yield lab
    lab.down()


@pytest.fixture(scope="session", params=["xdp", "dpdk"])
def full_lab(request):
    """A lab for each engine with all of lab.SERVICES: its tests leave no change."""
    config = labs.config_yaml(request.param, services=labs.SERVICES,
                              more=["tunnel: {source4: 192.0.2.240/28, source6: \"2001:db8:2::f000/116\"}"])
    lab = lab_up(f"e2efull{request.param}{PROCESS}", request.param, config=config)
    yield lab
    lab.down()


@pytest.fixture(scope="session")
def cable(full_lab):
    """The cable of that lab's berth."""
    return Cable(full_lab)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test's report ends with berthd's log."""
    report = (yield).get_result()
    lab = item.funcargs.get("lab") if hasattr(item, "funcargs") else None
    # The fixtures named lab of other files have a state directory only if they run berthd.
    log = lab and hasattr(lab, "state") and lab.state / "berthd.log"
    if report.failed and log and log.exists():
        report.sections.append(("berthd's log", log.read_text()[-3000:]))


@pytest.fixture(scope="module")
def bare_lab():
    """A lab without berthd: hosts, backends and their decapsulating program."""
    lab = lab_up(f"e2enone{PROCESS}", "none")
    yield lab
    lab.down()
