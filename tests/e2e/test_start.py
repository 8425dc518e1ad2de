# SPDX-License-Identifier: BSD-3-Clause
"""berthd that cannot start: one line, a documented exit status, nothing left."""
import pathlib
import subprocess

import pytest

from lab import BERTHD, BUILD, config_yaml

CONFIGURATION, PERMISSION, ENGINE = 3, 4, 5


@pytest.fixture
def berthd(bare_lab, tmp_path):
    """Runs berthd in the berth host: (exit code, its lines)."""
    def run(config, *before):
        path = tmp_path / "berth.yaml"
        path.write_text(config)
        done = subprocess.run(
            ["nsenter", f"--net=/run/netns/berth-{bare_lab.name}-berth", *before, BERTHD, "-c", path,
             "-i", "e2estart", "-r", tmp_path, "-d", tmp_path],
            capture_output=True, text=True, timeout=30)
        assert not pathlib.Path("/sys/fs/bpf/berth/e2estart").exists()
        assert not list(pathlib.Path("/dev/shm/berth").glob("e2estart*"))
        assert not (tmp_path / "e2estart.sock").exists()
        return done.returncode, [line for line in done.stderr.splitlines() if line]
    return run


@pytest.mark.parametrize("change, reported", [
    (("engine: xdp", "engin: xdp"), "engin"),
    (("interval: 200ms", "interval: 200"), "200"),
    (("name: b1, ", "name: b1, weight: 1000000000, "), "weight"),
    (("interfaces:\n", "interfaces: &here\n"), ""),
    (("    port: 80\n", ""), "port"),
    (("    mode: l2\n", ""), "mode"),
])
def test_an_invalid_configuration_exits_with_3_and_names_the_place(berthd, change, reported):
    good = config_yaml("xdp")
    assert good.replace(*change, 1) != good
    code, lines = berthd(good.replace(*change, 1))
    assert code == CONFIGURATION
    assert len(lines) == 1
    place = lines[0].split("berth.yaml:")[1].split(":")
    assert place[0].isdigit() and place[1].isdigit()
    assert reported in lines[0]


def test_a_missing_configuration_exits_with_3(bare_lab, tmp_path):
    done = subprocess.run([BERTHD, "-c", tmp_path / "none.yaml", "-r", tmp_path],
                          capture_output=True, text=True, timeout=10)
    assert done.returncode == CONFIGURATION
    assert "none.yaml" in done.stderr


@pytest.mark.parametrize("engine", ["xdp", "dpdk"])
def test_missing_permission_exits_with_4_and_is_named(berthd, engine):
    code, lines = berthd(config_yaml(engine), "setpriv", "--bounding-set=-all", "--inh-caps=-all")
    assert code == PERMISSION
    assert "root" in lines[-1] or "CAP_" in lines[-1]


def test_an_xdp_program_of_others_exits_with_5_and_leaves_no_pins(bare_lab, berthd):
    bare_lab.exec("berth", "ip", "link", "set", "eth0", "xdpdrv", "obj", BUILD / "bpf/berth_decap.bpf.o", "sec", "xdp")
    try:
        code, lines = berthd(config_yaml("xdp"))
    finally:
        bare_lab.exec("berth", "ip", "link", "set", "eth0", "xdpdrv", "off")
    assert code == ENGINE
    assert "another XDP program" in lines[-1]
