# SPDX-License-Identifier: BSD-3-Clause
"""
The packages, on a clean Debian that boots with systemd in the place of the lab's hosts: docs/install.md leads to an answered
request, an upgrade keeps sessions, a removal ends forwarding, and a purge leaves nothing.
"""
import re
import subprocess

import pytest

import machine
import operator_guide
from lab import ROOT, request, wait_for

GUIDE = (ROOT / "docs/install.md").read_text()


def built():
    """{name: path}"""
    done = subprocess.run([ROOT / "scripts/package"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return {path.name.partition("_")[0]: path for path in map(machine.pathlib.Path, done.stdout.splitlines()[-4:])}


def next_version(package, folder):
    """The same package with a higher version, and another build of its programs."""
    tree = folder / package.stem
    subprocess.run(["dpkg-deb", "-R", package, tree], check=True)
    control = tree / "DEBIAN/control"
    control.write_text(re.sub(r"^Version: (.*)$", r"Version: \1+next", control.read_text(), flags=re.MULTILINE))
    target = folder / (package.name.replace("_amd64", "+next_amd64"))
    subprocess.run(["dpkg-deb", "-b", "-Znone", tree, target], check=True, capture_output=True)
    return target


@pytest.fixture(scope="module")
def packages():
    return built()


@pytest.fixture(scope="module")
def hosts(bare_lab, packages):
    """{name: Machine}: berth, and the backend b2 without its service address."""
    root = machine.make_root()
    bare_lab.exec("b2", "ip", "address", "delete", "203.0.113.10/32", "dev", "lo")
    running = {}
    try:
        for name in ("berth", "b2"):
            state = machine.pathlib.Path(f"/run/berth-lab-machine-{bare_lab.name}-{name}")
            running[name] = machine.Machine(name, root, state, f"/run/netns/berth-{bare_lab.name}-{name}")
            for package in packages.values():
                running[name].copy(package)
        yield running
    finally:
        for host in running.values():
            host.end()


def guide_steps():
    """("file", path, text) and (host, command) of the guide, in its order."""
    found = re.finditer(r"^    (\w+)# ([^\n]*)$|^`(/[^`\n]*)`:\n\n```yaml\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    return [("file", step[3], step[4]) if step[3] else (step[1], step[2]) for step in found]


@pytest.fixture(scope="module")
def said(bare_lab, hosts):
    """{command: what it said}, for all commands of the guide."""
    outputs = {}
    for host, *step in guide_steps():
        if host == "file":
            hosts["berth"].write(*step)
        elif host == "client":
            outputs[step[0]] = wait_for(lambda: bare_lab.exec("client", "sh", "-c", step[0], check=False).stdout, 10,
                                        "an answer")
        else:
            outputs[step[0]] = hosts[host].run(step[0])
    return outputs


def test_the_guide_leads_to_an_answered_request(said):
    assert re.search(r"b[12]", said["curl -s http://203.0.113.10/"]), said
    assert "valid: 1 service," in said["berthd --check"]
    assert "no problems found" in said["berthctl doctor"], said


def test_the_guide_has_six_lines_of_configuration():
    assert [len(step[2].splitlines()) for step in guide_steps() if step[0] == "file"] == [6]


def test_the_backend_answers_no_arp_for_the_address_that_its_unit_gave(bare_lab, said, hosts):
    assert "inet 203.0.113.10/32" in bare_lab.exec("b2", "ip", "address", "show", "dev", "lo").stdout
    assert bare_lab.exec("b2", "sysctl", "-n", "net.ipv4.conf.all.arp_ignore").stdout == "1\n"
    hosts["b2"].run("sed -i 's/^INTERFACES=.*/INTERFACES=eth0/' /etc/berth/backend.conf; systemctl restart berth-backend")
    assert "address 192.0.2.12" in hosts["b2"].run("berth-decap show eth0")
    hosts["b2"].run("apt-get purge -y berth-backend")
    assert "203.0.113.10" not in bare_lab.exec("b2", "ip", "address", "show", "dev", "lo").stdout
    assert "prog/xdp" not in bare_lab.exec("b2", "ip", "link", "show", "eth0").stdout
    bare_lab.exec("b2", "ip", "address", "add", "203.0.113.10/32", "dev", "lo")


def berth_files(host):
    return host.run("ls -d /etc/berth/* /var/lib/berth /run/berth /usr/lib/berth /sys/fs/bpf/berth/* /dev/shm/berth/* 2>/dev/null",
                    check=False).split()


def test_an_upgrade_keeps_connections_and_sessions(bare_lab, said, hosts, packages, tmp_path):
    host = hosts["berth"]
    host.write("/etc/berth/berth.yaml", guide_steps()[1][2].replace("mode: l2", "mode: l2, affinity: {by: client}"))
    host.run("berthctl config apply /etc/berth/berth.yaml")
    backend = bare_lab.backend_of()
    before = host.run("systemctl show -P MainPID berthd; dpkg-query -W -f '${Version}' berth").split()
    sessions = host.run("berthctl show sessions").splitlines()
    assert len(sessions) > 1
    host.copy(next_version(packages["berth"], tmp_path))
    connection = bare_lab.connect()
    upgrade = operator_guide.tasks()[-1].steps[-1][0]
    assert upgrade == "apt-get install -y ./berth_NEW.deb"
    host.run(upgrade.replace("NEW", "*+next_amd64"))
    after = host.run("systemctl show -P MainPID berthd; dpkg-query -W -f '${Version}' berth").split()
    assert after[0] != before[0] and after[1] == f"{before[1]}+next"
    assert request(connection)[1] == backend
    connection.close()
    host.run("berthctl wait ready")
    assert [line.split()[:3] for line in host.run("berthctl show sessions").splitlines()] == [
        line.split()[:3] for line in sessions]
    assert bare_lab.answered_by_one_backend() == backend


def test_members_of_the_group_have_its_role(said, hosts):
    """The example's `access` names the group that the package makes."""
    host = hosts["berth"]
    host.run("berthd --check -c /usr/share/doc/berth/examples/berth.yaml && "
             "berthctl config apply /usr/share/doc/berth/examples/berth.yaml")
    as_member = "setpriv --reuid 65534 --clear-groups --regid berth "
    assert "b1" in host.run(f"{as_member} berthctl show backends")
    assert host.run(f"{as_member} timeout 10 berthctl shutdown 2>&1", check=False).count("admin") == 1


def test_a_removal_ends_forwarding_and_a_purge_leaves_nothing(bare_lab, said, hosts):
    host = hosts["berth"]
    host.run("apt-get remove -y berth")
    assert "prog/xdp" not in bare_lab.exec("berth", "ip", "link", "show", "eth0").stdout
    left = berth_files(host)
    assert "/etc/berth/berth.yaml" in left and "/var/lib/berth" in left and "/usr/lib/berth" not in left
    assert not [path for path in left if path.startswith(("/sys", "/dev"))]
    host.run("apt-get purge -y berth")
    assert berth_files(host) == []
    assert host.run("systemctl list-unit-files --no-legend 'berth*'", check=False) == ""


def test_documents_are_in_their_package_with_working_links(packages, tmp_path):
    subprocess.run(["dpkg-deb", "-x", packages["berth-doc"], tmp_path], check=True)
    done = subprocess.run([ROOT / "scripts/check-links", tmp_path / "usr/share/doc/berth"], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stdout
