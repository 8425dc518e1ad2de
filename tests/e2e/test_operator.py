# SPDX-License-Identifier: BSD-3-Clause
"""docs/operator.md, from its first task to its last: each command is the document's, and says what the document has."""
import contextlib
import json
import os
import signal
import subprocess
import time

import pytest

import operator_guide
from conftest import PROCESS, lab_up
from lab import wait_for

CLIENT = "198.51.100.101"
OTHERS = ["198.51.100.102", "198.51.100.103", "198.51.100.104"]
TASKS = operator_guide.tasks()
# Their results as JSON have the fields that docs/commands.md explains.
READS = ("ready", "show", "explain", "events", "doctor", "config check", "config diff", "config history", "-w backend remove")


@pytest.fixture(scope="module", params=["xdp", "dpdk"])
def lab(request):
    config = operator_guide.CONFIG.replace("engine: xdp", f"engine: {request.param}")
    lab = lab_up(f"oper{request.param}{PROCESS}", request.param, config=config + "dpdk: {idle: adaptive, memory-mb: 64}\n")
    # The document's client is on b2.
    lab.ctl("backend", "disable", "web/b1")
    assert lab.backend_of("web", CLIENT) == "b2"
    lab.ctl("backend", "enable", "web/b1")
    lab.backends_by_client("web", OTHERS)
    yield lab
    lab.down()


@pytest.fixture(scope="module")
def terminal(lab, tmp_path_factory):
    """terminal(command): what it prints, in a directory of its own, where berthctl is the lab's."""
    folder = tmp_path_factory.mktemp("operator")
    (folder / "bin").mkdir()
    berthctl = folder / "bin/berthctl"
    berthctl.write_text(f'#!/bin/sh\nexec {lab.build}/controlplane/berthctl -s {lab.socket_path} "$@"\n')
    berthctl.chmod(0o755)

    def run(command):
        if command == "systemctl restart berthd":  # a lab has no systemd
            lab.end_berthd(signal.SIGTERM)
            lab.run("berthd")
            return ""
        done = subprocess.run(["bash", "-c", command], cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=20,
                              env={**os.environ, "PATH": f"{folder}/bin:{os.environ['PATH']}", "COLUMNS": "80"})
        return done.stdout.replace(str(lab.state / "berth.yaml"), "/etc/berth/berth.yaml").replace(
            f"{lab.instance}: {lab.engine}", "berth: xdp")

    run.folder = folder
    return run


@contextlib.contextmanager
def b2_stops(lab):
    lab.run("stop", "b2")
    wait_for(lambda: lab.health("web", "b2") == lab.health("dns", "s2") == "down", what="b2 to be down")
    try:
        yield
    finally:
        lab.run("start", "b2")
    wait_for(lambda: lab.health("web", "b2") == lab.health("dns", "s2") == "up", what="b2 to be up")


def ask_shop(lab):
    """One packet to the service that has no backend."""
    with contextlib.closing(lab.socket(CLIENT, timeout=0.1)) as sock, contextlib.suppress(OSError):
        sock.connect(("203.0.113.12", 443))
    wait_for(lambda: any(drop["samples"] for drop in lab.show("drops", "--service", "shop")["drops"]), what="the sample")


@contextlib.contextmanager
def b3_is_added(lab):
    yield
    wait_for(lambda: lab.health("web", "b3") == "up", what="b3 to be up")


HAPPENS = {"9. What is wrong?": b2_stops, "12. See the packets themselves": lambda lab: lab.clients_come("web", CLIENT),
           "18. Add a backend": b3_is_added}


def results(text):
    """One JSON document, or one in each line."""
    try:
        return [json.loads(text)]
    except json.JSONDecodeError:
        return [json.loads(line) for line in text.splitlines()]


def test_there_are_thirty_tasks():
    assert [int(task.title.split(".")[0]) for task in TASKS] == list(range(1, 31))


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.title)
def test_a_task_says_what_the_document_has(lab, terminal, task):
    for name, text in task.files.items():
        (terminal.folder / name).write_text(text)
    with HAPPENS.get(task.title, lambda _: contextlib.nullcontext())(lab):
        for command, expected in task.steps:
            if command.startswith("apt-get"):
                continue  # test_package.py
            if command == "berthctl show drops":
                ask_shop(lab)
            printed = terminal(command)
            missing = operator_guide.difference(command, expected, printed)
            assert missing is None, f"# {command}\n{printed}\nnot as in the document: {missing}"
            if command.removeprefix("berthctl ").startswith(READS) and "|" not in command:
                found = results(terminal(command.replace("berthctl", "berthctl -j", 1)))
                assert found and all(isinstance(result, dict) for result in found)
                assert operator_guide.undocumented(operator_guide.sections_of(command), found) == [], command
