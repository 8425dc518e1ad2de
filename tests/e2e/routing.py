# SPDX-License-Identifier: BSD-3-Clause
"""The recipes of docs/announce.md, run with the real programs in the hosts of a lab."""
import contextlib
import os
import re
import subprocess

from lab import ROOT, wait_for

BIRD_TIMERS = "passive off; connect delay time 1; connect retry time 1; error wait time 1,1; hold time 3;"
FRR_TIMERS = " neighbor 192.0.2.1 timers 1 3\n neighbor 192.0.2.1 timers connect 1\n"
FRR = "/usr/lib/frr"


def recipe(language):
    text = (ROOT / "docs/announce.md").read_text(encoding="utf-8")
    return re.search(rf"```{language}\n(.*?)```", text, re.S)[1]


def graceful_shutdown(daemon):
    """What the table says for the daemon: a command for FRR, the filter of exports for BIRD."""
    text = (ROOT / "docs/announce.md").read_text(encoding="utf-8")
    table = text[text.index("| daemon | GRACEFUL_SHUTDOWN"):]
    return re.search(rf"(?m)^\| {daemon} \| [^`]*`([^`]*)`", table)[1]


def end(pid_path):
    """Ends the daemon that wrote the file."""
    with contextlib.suppress(OSError, ValueError):
        pid = int(pid_path.read_text(encoding="utf-8").split()[0])
        os.kill(pid, 15)
        wait_for(lambda: not os.path.exists(f"/proc/{pid}"), what="a daemon to end")


@contextlib.contextmanager
def bird(lab, folder, host, text):
    """BIRD in a host."""
    config = folder / f"{host}.conf"
    config.write_text(text, encoding="utf-8")
    pid = folder / f"{host}.pid"
    lab.exec(host, "bird", "-c", config, "-s", folder / f"{host}.ctl", "-P", pid)
    try:
        yield
    finally:
        end(pid)


def frr(lab, host, text):
    """zebra and bgpd of FRR in a host, until the context ends. They run as user frr, in a directory of the lab."""
    folder = lab.state / f"{host}-frr"
    folder.mkdir(exist_ok=True)
    (folder / "frr.conf").write_text(text, encoding="utf-8")
    subprocess.run(["chown", "-R", "frr:frr", folder], check=True)
    stack = contextlib.ExitStack()
    for name in ("zebra", "bgpd"):
        pid = folder / f"{name}.pid"
        stack.callback(end, pid)
        lab.exec(host, f"{FRR}/{name}", "-d", "-f", folder / "frr.conf", "-z", folder / "zserv.api", "--vty_socket", folder,
                 "-A", "127.0.0.1", "-i", pid)
    return stack


@contextlib.contextmanager
def keepalived(lab, folder, own, peer):
    """keepalived on the node `lab`, by the recipe, with addresses of its own."""
    text = recipe("keepalived").replace("192.0.2.3", "PEER").replace("192.0.2.2", own).replace("PEER", peer)
    config = folder / f"{lab.host}.conf"
    config.write_text(text.replace("/usr/bin/berthctl", f"{lab.build}/controlplane/berthctl -s {lab.socket_path}"),
                      encoding="utf-8")
    with open(folder / f"{lab.host}.log", "w", encoding="utf-8") as log:
        with subprocess.Popen(["nsenter", f"--net=/run/netns/berth-{lab.name}-{lab.host}", "--", "keepalived", "-n", "-l",
                               "-D", "-f", config, "-p", folder / f"{lab.host}.pid", "-r", folder / f"{lab.host}.vrrp.pid"],
                              stdout=log, stderr=log) as process:
            try:
                yield
            finally:
                process.terminate()
                process.wait(5)
