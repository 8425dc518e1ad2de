# SPDX-License-Identifier: BSD-3-Clause
"""Processes that were away for days: the host's clock is that of a time namespace."""
import contextlib
import os
import signal
import subprocess
import time

import pytest

from lab import BERTHD, CLIENTS4, engine_processes, wait_for

AWAY_S = 36 * 3600  # a little less than the 36.4 hours after which the time of a table word begins anew


@contextlib.contextmanager
def berthd_after(lab, seconds):
    """A berthd of the lab with clocks that are ahead, and the path of its log."""
    log = lab.state / "berthd-ahead.log"
    with open(log, "w", encoding="utf-8") as out, subprocess.Popen(
            ["nsenter", f"--net=/run/netns/berth-{lab.name}-berth", "--", "unshare", "--time", f"--monotonic={seconds}",
             f"--boottime={seconds}", "--fork", "--kill-child", BERTHD, "-c",
             lab.state / "berth.yaml", "-i", f"berth-{lab.name}", "-r", lab.state, "-d", lab.state],
            stdout=out, stderr=out) as process:
        try:
            yield process, log
        finally:
            process.kill()


def kill_engine(lab):
    for pid in engine_processes(lab):
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not engine_processes(lab), what="the engine to end")


@pytest.fixture(autouse=True)
def berthd_runs(lab):
    yield
    kill_engine(lab)
    lab.run("berthd")


def entries(lab):
    tables = lab.show("stats")["tables"]
    return tables["flows"]["entries"] + tables["sessions"]["entries"]


def test_no_flow_or_session_is_alive_after_36_hours(lab):
    lab.backends_by_client("web", CLIENTS4)
    wait_for(lambda: entries(lab) > 0, what="flows")
    lab.kill_berthd()
    kill_engine(lab)
    with berthd_after(lab, AWAY_S) as (berthd, log):
        if lab.engine == "xdp":
            # The program in the kernel has the kernel's clock: berthd must have it, too.
            assert berthd.wait(10) and "berthd is in a time namespace" in log.read_text()
            return
        wait_for(lambda: "ready: " in log.read_text(), 15, what="berthd")
        # Before its first scan it counts none.
        for _ in range(20):
            time.sleep(0.1)
            assert entries(lab) == 0
        wait_for(lab.all_up, what="health checks")
        assert lab.http("web")[0] == 200
