# SPDX-License-Identifier: BSD-3-Clause
"""What each process may do, as the kernel says: /proc/PID/status of every thread, while everything works."""
import contextlib
import os
import pathlib
import re
import signal

from lab import ROOT, processes, request, wait_for

CAPABILITIES = {name: int(number) for name, number in re.findall(
    r"#define (CAP_[A-Z_]+)\s+(\d+)\n", pathlib.Path("/usr/include/linux/capability.h").read_text())}


def allowed(process):
    """The mask of the capabilities in the table of docs/security.md."""
    text = (ROOT / "docs/security.md").read_text()
    section = text.split("## Capabilities")[1].split("\n## ")[0]
    names = [row.split("|")[1].strip(" `") for row in section.splitlines()
             if row.startswith("| `CAP_") and process in row.split("|")[2]]
    assert names
    return sum(1 << CAPABILITIES[name] for name in names)


def threads(pid):
    for path in pathlib.Path(f"/proc/{pid}/task").glob("*/status"):
        yield dict(line.split(":\t", 1) for line in path.read_text().splitlines() if ":\t" in line)


def mask_of_this_machine():
    status = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(r"CapBnd:\t(\w+)", status)[1], 16)


def is_confined(pid, mask):
    mask &= mask_of_this_machine()
    for status in threads(pid):
        assert {key: int(status[key], 16) for key in ("CapPrm", "CapEff", "CapBnd")} == \
            {"CapPrm": mask, "CapEff": mask, "CapBnd": mask}
        assert int(status["CapInh"], 16) == int(status["CapAmb"], 16) == 0
        assert (status["NoNewPrivs"].strip(), status["Seccomp"].strip()) == ("1", "2")


def test_berthd_and_the_engine_keep_only_what_the_document_says(lab):
    wait_for(lab.all_up, seconds=10)
    is_confined(lab.pid("berthd"), allowed("berthd"))
    if lab.engine == "dpdk":
        engine, = processes(lab, "berth-dpdk")
        is_confined(engine, allowed("berth-dpdk"))
    assert lab.backend_of("web")


def test_after_a_change_of_the_engine_the_next_one_is_confined_too(lab):
    if lab.engine != "dpdk":
        return  # XDP has no process
    before = processes(lab, "berth-dpdk")
    path = lab.state / "idle.yaml"
    path.write_text(lab.config.replace("idle: adaptive", "idle: poll"))
    answer = lab.ctl("config", "apply", path, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    wait_for(lambda: (now := processes(lab, "berth-dpdk")) and now != before, seconds=10, what="a new berth-dpdk")
    wait_for(lambda: lab.answers("web") is not None, seconds=15, what="an answer")
    is_confined(processes(lab, "berth-dpdk")[0], allowed("berth-dpdk"))


def helpers(lab):
    """{name: pid}. One that has ended has no command line; one that has just begun is still berthd's."""
    found = {}
    for pid in processes(lab, "berth-helper"):
        words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
        if len(words) > 2:
            found[words[1]] = pid
    return found


def test_helpers_have_no_privilege_and_an_empty_root(lab):
    both = helpers(lab)
    assert set(helpers(lab)) == {"probes", "dns"}
    for pid in helpers(lab).values():
        is_confined(pid, 0)
        assert {status["Uid"].split()[0] for status in threads(pid)} == {"61180"}
        assert list(pathlib.Path(f"/proc/{pid}/root/").iterdir()) == []


def test_killed_helpers_cost_no_packet_and_no_verdict(lab):
    wait_for(lab.all_up, seconds=10)
    backend = lab.backend_of("web")
    changes = lab.log().count(" is down")
    with contextlib.closing(lab.connect("web")) as sock:
        for _ in range(5):
            before = helpers(lab)
            for pid in before.values():
                os.kill(pid, signal.SIGKILL)
            assert request(sock)[:2] == (200, backend)
            wait_for(lambda: (now := helpers(lab)).keys() == before.keys() and not now.items() & before.items(),
                     seconds=10, what="new helpers")
            assert lab.all_up()
        # Not a line for each of 30 backends.
        assert 20 >= lab.log().count("cannot run") >= 1
        assert request(sock)[:2] == (200, backend)
    wait_for(lambda: all(b["health_error"] is None for b in lab.show("backends")["backends"]), seconds=10)
    assert lab.log().count(" is down") == changes
    assert "the helper for probes ended (killed by signal 9)" in lab.log()
    doctor = lab.ctl("doctor", check=False).stdout
    assert "the helper for probes was restarted" in doctor
    metrics = lab.ctl("show", "metrics").stdout
    assert int(re.search(r'berth_helper_restarts_total\{helper="probes"\} (\d+)', metrics)[1]) >= 5
    assert 'berth_helper_running{helper="probes"} 1' in metrics
