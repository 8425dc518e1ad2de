# SPDX-License-Identifier: BSD-3-Clause
"""
docs/operator.md, from its first task to its last: each command is the document's, and says what the document has. Then what these
tasks do not show: filters, JSON of changes, the terminal, mistakes.
"""
import contextlib
import json
import os
import pty
import shlex
import signal
import subprocess
import time

import pytest

import answers
import operator_guide
from conftest import PROCESS, lab_up
from lab import ask, wait_for

CLIENT = "198.51.100.101"
OTHERS = ["198.51.100.102", "198.51.100.103", "198.51.100.104"]
TASKS = operator_guide.tasks()
# Those that are asked a second time, for JSON; test_each_change_says_in_json_what_it_did has the others.
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
                answers.checked(shlex.split(command)[1:], terminal(command.replace("berthctl", "berthctl -j", 1)))


@pytest.mark.parametrize("words, found", [
    ("show services --service 'w*'", ["web"]),
    ("show services --host 192.0.2.12 --sort service", ["dns", "web"]),
    ("show services --sort -service", ["web", "dns"]),
    ("show services --down", []),
    ("show backends 'w*/b?'", ["b1", "b2"]),
    ("show backends --service dns --sort -backend", ["s2", "s1"]),
    ("show backends --host 192.0.2.11 --sort backend", ["b1", "s1"]),
    ("-w show backends web --down", []),
])
def test_a_filter_and_an_order_are_those_of_the_table_and_of_json(lab, words, found):
    words = shlex.split(words)
    kind = words[words.index("show") + 1]
    rows = [line.split() for line in lab.ctl(*words).stdout.splitlines()]
    column = rows[0].index("SERVICE" if kind == "services" else "BACKEND")
    assert [row[column] for row in rows[1:]] == found
    if "--sort" not in words:  # of the table alone
        shown = lab.result(*words)[kind]
        assert sorted(one["name"] for one in shown) == sorted(found)
        assert all(set(one["rates"]) == {"1s", "10s", "60s"} for one in shown)


def test_flows_are_filtered_in_the_table_and_in_json(lab):
    with contextlib.closing(lab.udp("dns", CLIENT)) as sock:
        backend = ask(sock)[0]
        words = ("show", "flows", "--service", "dns", "--protocol", "udp", "--state", "unconfirmed")
        flow = wait_for(lambda: lab.result(*words)["flows"], what="the flow")[0]
        assert flow["backend"] == backend.replace("b", "s") and flow["protocol"] == "udp"
        assert ["dns", flow["backend"], "udp", "unconfirmed"] in [line.split()[:4] for line in lab.ctl(*words).stdout.splitlines()]
    assert not lab.result(*words, "--idle", "1h")["flows"] and len(lab.ctl(*words, "--idle", "1h").stdout.splitlines()) == 1


@pytest.mark.parametrize("view, titles", [
    ("services", ["SERVICE", "ADDRESS"]), ("backends", ["SERVICE", "BACKEND"]), ("workers", ["WORKER", "PACKETS/S"]),
    ("drops", ["REASON", "PACKETS/S"]),
])
def test_top_has_a_page_for_each_view_and_names_the_commands_with_its_figures_as_json(lab, view, titles):
    lines = lab.ctl("top", "--once", view).stdout.splitlines()
    assert "packets/s" in lines[1] and titles in [line.split()[:2] for line in lines]
    refused = lab.ctl("-j", "top", view, check=False)
    assert refused.returncode == 2 and "show services, backends, stats and drops have it" in refused.stderr


# Each with some of what it says.
CHANGES = [
    ("backend add web/b3 192.0.2.13 weight 50", {"backends": 5, "in_force": True, "confirm_s": None}),
    ("backend set web/b3 weight 60 --plan", {"moved_flows": 0, "engine_change": "none"}),
    ("backend set web/b3 weight 60", {"backends": 5, "in_force": True}),
    ("backend remove web/b3", {"backends": 4, "in_force": True}),
    ("service add shop address 203.0.113.12 port 443 mode l2 health '{type: none}'", {"services": 3, "in_force": True}),
    ("service set shop scheduler least-conn", {"services": 3, "in_force": True}),
    ("service remove shop", {"services": 2, "in_force": True}),
    ("backend set web/b1 weight 50 --no-save", {"saved": None, "in_force": True}),
    ("config diff", {"same_text": False}),
    ("config save", {}),
    ("config diff", {"same_text": True, "changes": []}),
    ("config undo", {"backends": 4, "in_force": True}),
    ("backend set web/b1 weight 50 --confirm 60s", {"saved": None, "confirm_s": 60}),
    ("config confirm", {}),
    ("config undo", {"in_force": True}),
    ("config check FILE", {"services": 2, "warnings": []}),
    ("plan FILE", {"moved_sessions": 0}),
    ("config diff FILE FILE", {"same_text": True}),
    ("config apply FILE", {"services": 2, "in_force": True}),
    ("backend drain web/b2 --deadline 10m", {"in_force": True}),
    ("backend evict web/b2", {"in_force": True}),
    ("wait drained web/b2 --timeout 20s", {"drained": True}),
    ("backend enable web/b2", {"in_force": True}),
    ("backend disable dns/s2", {"in_force": True}),
    ("backend health dns/s2 down", {"in_force": True}),
    ("backend health dns/s2 auto", {"in_force": True}),
    ("host drain 192.0.2.12", {"address": "192.0.2.12"}),
    ("host disable 192.0.2.12", {"address": "192.0.2.12"}),
    ("host enable 192.0.2.12", {"address": "192.0.2.12"}),
    ("session pin 198.51.100.110 web/b1", {}),
    ("session unpin 198.51.100.110 web", {"cleared_sessions": 1}),
    ("session pin 198.51.100.110 web/b1", {}),
    ("session move 198.51.100.110 web/b2", {}),
    ("session clear --client 198.51.100.110/32", {"cleared_sessions": 1}),
    ("node drain", {}),
    ("wait withdrawn --timeout 20s", {"withdrawn": True, "routes": False}),
    ("node enable", {}),
    ("wait ready", {"ready": True}),
]


def test_each_change_says_in_json_what_it_did(lab, tmp_path):
    before = lab.result("config", "show")
    (tmp_path / "same.yaml").write_text(before["text"])
    for command, expected in CHANGES:
        result = lab.result(*shlex.split(command.replace("FILE", f"{tmp_path}/same.yaml")))
        assert {key: result[key] for key in expected} == expected, command
        if command in ("config save", "config confirm"):
            assert result["saved"] == str(lab.state / "berth.yaml")
    assert lab.result("config", "show")["text"] == before["text"]


def test_a_report_the_schema_and_an_import_are_json(lab, terminal):
    report, = answers.checked(["report"], lab.ctl("report", "-j").stdout)
    assert report["show services"]["services"] and report["host"]["kernel"] and report["doctor"]["checks"]
    assert "services" in json.loads(lab.ctl("schema").stdout)["properties"]
    (terminal.folder / "rules").write_text(next(task.files["rules"] for task in TASKS if task.files.get("rules")))
    imported = lab.result("config", "import", "ipvs", terminal.folder / "rules")
    assert imported["text"] == lab.ctl("config", "import", "ipvs", terminal.folder / "rules").stdout
    assert [note.split(": ", 1)[1].partition(":")[0] for note in imported["notes"]] == ["scheduler sh"]


def typed(lab, folder, lines):
    """What a terminal of 80 columns shows when these lines are typed into berthctl."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(lab.build / "controlplane/berthctl", ["berthctl", "-s", str(lab.socket_path)],
                  {"HOME": str(folder), "TERM": "vt100", "COLUMNS": "80"})
    os.write(terminal, "".join(f"{line}\n" for line in lines).encode())
    shown = b""
    with contextlib.suppress(OSError):  # the terminal has ended
        while part := os.read(terminal, 4096):
            shown += part
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode()


def test_a_terminal_takes_commands_until_quit(lab, tmp_path):
    status, shown = typed(lab, tmp_path, ["sh ba web", "show services -j", "shwo", "quit"])
    assert status == 0 and "192.0.2.12" in shown and '"protocol":"tcp"' in shown.replace(": ", ":") and "shwo" in shown
    assert (tmp_path / ".berthctl_history").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("words, status, code, says", [
    ("shwo backends", 2, "usage", "show"),
    ("show backends nowhere", 1, "not_found", "nowhere"),
    ("backend drain web/b9", 1, "not_found", "web/b9"),
    ("backend set web/b1 wieght 1", 3, "config", "weight"),
    ("config check /nonexistent", 3, "config", "/nonexistent"),
    ("-s /nonexistent/berth.sock show services", 4, "unreachable", "/nonexistent/berth.sock"),
    ("explain 'tcp nonsense'", 1, "invalid", "not a packet"),
    ("capture 'verdict nope'", 1, "invalid", "unknown verdict"),
])
def test_a_mistake_is_one_line_or_one_object(lab, words, status, code, says):
    before = lab.result("config", "show")["digest"]
    told = lab.ctl(*shlex.split(words), check=False)
    assert (told.returncode, told.stdout) == (status, "") and says in told.stderr and told.stderr.count("\n") == 1
    told = lab.ctl("-j", *shlex.split(words), check=False)
    error, = answers.checked(["ready"], told.stderr)  # what all commands share
    assert told.stdout == "" and (error["exit_status"], error["code"]) == (status, code) and says in error["error"]
    assert lab.result("config", "show")["digest"] == before
