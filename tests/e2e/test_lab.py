# SPDX-License-Identifier: BSD-3-Clause
"""scripts/lab and scripts/demo themselves: labs run beside each other and leave nothing."""
import os
import pathlib
import signal
import subprocess
import time

import pytest

from conftest import lab_up, need
from lab import ROOT, Lab, config_yaml, wait_for

DEMO = "e2edemo"  # not "demo": that one may be the user's


def remains(name):
    """Everything that a lab of this name has left."""
    places = [
        ("/run/netns", f"berth-{name}-*"),
        ("/run/berth-lab", name),
        ("/sys/fs/bpf/berth", f"berth-{name}"),
        ("/sys/fs/bpf/berth", f"berth-{name}-*"),  # of other nodes
        ("/dev/shm/berth", f"berth-{name}*"),
        ("/dev/hugepages/berth", f"berth-{name}*"),
    ]
    found = [str(path) for place, pattern in places for path in pathlib.Path(place).glob(pattern)]
    for process in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = process.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if f"berth-{name}" in command or f"/run/berth-lab/{name}/" in command:
            found.append(command)
    return found


def test_two_labs_run_at_once():
    one, two = lab_up("e2eone", "xdp"), None
    try:
        two = lab_up("e2etwo", "dpdk")
        assert one.backend_of("web") and two.backend_of("web")
        one.down()
        assert remains("e2eone") == []
        assert two.backend_of("web")
    finally:
        one.down()
        if two:
            two.down()
    assert remains("e2etwo") == []


def test_a_name_is_up_once_only():
    lab = lab_up("e2eone", "none")
    try:
        done = lab.run("up", "--engine", "none", check=False)
        assert done.returncode == 1 and "already up" in done.stderr
        assert lab.exec("client", "true").returncode == 0
    finally:
        lab.down()


def test_a_lab_that_fails_to_start_reports_the_reason_and_leaves_nothing(tmp_path):
    need("xdp")
    bad = tmp_path / "bad.yaml"
    bad.write_text(config_yaml("xdp").replace("port: 80\n", "port: 80000\n", 1))
    lab = Lab("e2ebad", "xdp")
    done = lab.run("up", "--config", bad, check=False)
    assert done.returncode == 1
    assert "berth.yaml:" in done.stderr
    assert remains("e2ebad") == []


@pytest.mark.parametrize("engine", ["xdp", "dpdk"])
def test_down_also_removes_what_a_killed_berthd_left(engine):
    lab = lab_up("e2eone", engine)
    lab.kill_berthd()
    assert lab.answers("web")
    lab.down()
    assert remains("e2eone") == []


@pytest.mark.parametrize("options,reason", [
    (("--nodes", 5), "--nodes: from 1 to 4"),
    (("--nodes", 2, "--ports", 2), "several nodes have one port each"),
    (("--nodes", 2, "--engine", "xdp,dpdk,xdp"), "one for each of 2 nodes"),
    (("--nodes", 2, "--ecmp", "random"), "hash-threshold or resilient"),
])
def test_nodes_that_a_lab_cannot_have_are_refused(options, reason):
    done = Lab("e2ebad", "xdp").run("up", *options, check=False)
    assert done.returncode == 1 and reason in done.stderr
    assert remains("e2ebad") == []


def test_down_removes_an_incomplete_lab():
    lab = lab_up("e2eone", "xdp")
    for path in lab.state.glob("*.pid"):
        path.unlink()
    subprocess.run(["ip", "netns", "del", "berth-e2eone-router"], check=True)
    lab.down()
    assert remains("e2eone") == []


@pytest.mark.parametrize("engine,nodes", [("xdp", ()), ("dpdk", ()), ("xdp,dpdk,xdp", ("--nodes", "3"))])
def test_the_demo_tells_the_truth_in_under_two_minutes(engine, nodes):
    need(engine)
    Lab(DEMO, engine).down()  # left by an interrupted run
    begun = time.monotonic()
    done = subprocess.run([ROOT / "scripts/demo", "--name", DEMO, "--engine", engine, *nodes], capture_output=True, text=True,
                          timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAILED" not in done.stdout and done.stdout.count("\n   ok: ") >= 10
    assert max(len(line) for line in done.stdout.splitlines() if not line.startswith("building")) <= 80
    assert time.monotonic() - begun < 120
    assert remains(DEMO) == []


def test_a_demo_leaves_a_lab_of_its_name_alone():
    lab = lab_up(DEMO, "none")
    try:
        done = subprocess.run([ROOT / "scripts/demo", "--name", DEMO], capture_output=True, text=True, timeout=300)
        assert done.returncode == 1 and f"scripts/lab down --name {DEMO}" in done.stderr
        assert lab.exec("client", "true").returncode == 0
    finally:
        lab.down()


def heed_interrupts():
    """A shell's background job and its children ignore these signals, and bash does not trap an ignored signal."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("when", [f"lab '{DEMO}' is up", "logs in", "is killed"])
def test_an_interrupted_demo_cleans_up(when):
    need("xdp")
    Lab(DEMO, "xdp").down()  # left by an interrupted run
    demo = subprocess.Popen([ROOT / "scripts/demo", "--name", DEMO], stdout=subprocess.PIPE, text=True, start_new_session=True,
                            preexec_fn=heed_interrupts)
    with demo:
        for line in demo.stdout:
            if when in line:
                break
        # As Ctrl-C does: to all of the foreground at once.
        os.killpg(demo.pid, signal.SIGINT)
        demo.stdout.read()
        assert demo.wait(timeout=30) == 130
    wait_for(lambda: remains(DEMO) == [], 20, "nothing to be left")
