# SPDX-License-Identifier: BSD-3-Clause
"""berth-hugepages with the real `berthd --hugepages`. What it writes is in folders of the test's own mount namespace."""
import os
import pathlib
import re
import subprocess

import pytest

BUILD = pathlib.Path(os.environ["BERTH_BUILD"])
DPDK = "engine: dpdk\ninterfaces: [{name: p0, device: '0000:af:00.0'}]\ndpdk: {memory-mb: 64}\nservices: []\n"
XDP = "engine: xdp\ninterfaces: [{name: eth0}]\nservices: []\n"


class Host:
    """`configuration` is in the place of /etc/berth/berth.yaml, and /etc/sysctl.d is empty."""

    def __init__(self, root, configuration):
        self.sysctls = root / "sysctl.d"
        self.sysctls.mkdir()
        (root / "sbin").mkdir()
        (root / "berth.yaml").write_text(configuration)
        (root / "sbin/berthd").write_text(f'#!/bin/sh\nexec {BUILD}/controlplane/berthd "$@" -c {root}/berth.yaml\n')
        (root / "sbin/berth-hugepages").write_bytes((BUILD / "packaging/berth-hugepages").read_bytes())
        for program in (root / "sbin").iterdir():
            program.chmod(0o755)
        self.program = root / "sbin/berth-hugepages"

    def run(self, *arguments, status=0):
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/sysctl.d && exec "$@"', self.sysctls, self.program,
             *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == status, done.stdout
        return done.stdout

    def tables_mb(self):
        said = subprocess.run([self.program.parent / "berthd", "--hugepages"], capture_output=True, text=True, check=True).stdout
        return int(re.match(r"tables (\d+)\npacket-buffers 64\ndpdk 32\n\Z", said)[1])

    def pages(self):
        return int(re.search(r"^vm.nr_hugepages = (\d+)$", (self.sysctls / "60-berth.conf").read_text(), re.MULTILINE)[1])


@pytest.fixture
def host(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("needs root: a mount namespace")
    if "Hugepagesize:       2048 kB" not in pathlib.Path("/proc/meminfo").read_text():
        pytest.skip("needs huge pages of 2 MiB")
    return lambda configuration=DPDK: Host(tmp_path, configuration)


def test_at_boot_there_are_as_many_as_the_configuration_needs(host):
    host = host()
    said = host.run("boot")
    mb = host.tables_mb() + 64 + 32
    assert host.pages() == mb // 2
    assert f"({mb} MB)" in said
    # A number for others, too, is not lowered.
    other = host.sysctls / "10-vm.conf"
    other.write_text("vm.nr_hugepages = 2048\n")
    assert host.run("boot", status=1) == f"berth-hugepages: /etc/sysctl.d/10-vm.conf sets vm.nr_hugepages already: add {mb // 2} there\n"
    other.unlink()
    # Another number takes the place of the former one; a half page is a whole one.
    host.run("boot", "301")
    assert host.pages() == 151


@pytest.mark.parametrize("configuration, words, line", [
    (XDP, ["boot"], "berth-hugepages: the engine of /etc/berth/berth.yaml is not DPDK, and needs none; write a number of megabytes"),
    ("x: 1\n", ["boot"], "berth-hugepages: berthd cannot say how many are needed; correct the configuration, or write a number of "
                         "megabytes"),
    (DPDK, ["boot", "0"], "berth-hugepages: '0' is no number of megabytes"),
    (DPDK, ["reserve", "2G"], "berth-hugepages: '2G' is no number of megabytes"),
    (DPDK, ["reserve", "2", "../x"], "berth-hugepages: '../x' is no name of a user: letters, digits, - and _"),
])
def test_a_mistake_writes_nothing_and_says_what_to_do(host, configuration, words, line):
    host = host(configuration)
    assert host.run(*words, status=1).splitlines()[-1] == line
    assert not list(host.sysctls.iterdir())


def test_an_unknown_command_is_a_mistake_of_usage(host):
    assert host().run("take", status=2).startswith("usage: berth-hugepages reserve [MB [USER]]")
