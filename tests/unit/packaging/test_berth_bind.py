# SPDX-License-Identifier: BSD-3-Clause
"""berth-bind on trees of files like sysfs, with the real `berthd --devices`; of the kernel there is what KERNEL does."""
import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
BERTHD = pathlib.Path(os.environ["BERTH_BUILD"]) / "controlplane/berthd"
NIC, SECOND, OTHER = "0000:af:00.0", "0000:af:00.1", "0000:af:00.2"

# berth-bind asks for a device's driver after it wrote to drivers_probe.
KERNEL = """
probe={root}/sys/bus/pci/drivers_probe
if [ -s "$probe" ]; then
	device={root}/sys/bus/pci/devices/$(cat "$probe")
	: >"$probe"
	ln -sfn "{root}/sys/bus/pci/drivers/$(cat "$device/driver_override")" "$device/driver"
fi
exec /usr/bin/readlink "$@"
"""
PROGRAMS = {
    "readlink": KERNEL,
    "modprobe": 'mkdir -p "{root}/sys/bus/pci/drivers/$1"\n',
    "ip": '[ ! -e "{root}/addresses/$5" ] || echo address\n',
    "systemctl": 'echo "$@" >>{root}/systemctl\n[ "$1" != show ] || cat {root}/pid\n',
}


class Host:
    def __init__(self, root):
        self.root = root
        self.devices = root / "sys/bus/pci/devices"
        for folder in ("bin", "addresses", "run/systemd/system", "sys/bus/pci/devices", "sys/bus/pci/drivers"):
            (root / folder).mkdir(parents=True)
        for name, text in PROGRAMS.items():
            self.program(name, "#!/bin/sh\n" + text.format(root=root))
        (root / "pid").write_text("0\n")
        text = re.sub("/(sys|run)/", rf"{root}/\1/", (ROOT / "packaging/berth-bind.in").read_text())
        self.program("berth-bind", text.replace("@sbindir@", str(BERTHD.parent)))

    def program(self, name, text):
        path = self.root / "bin" / name
        path.write_text(text)
        path.chmod(0o755)

    def device(self, address, driver, group=None):
        path = self.devices / address
        path.mkdir()
        if driver:
            (self.root / "sys/bus/pci/drivers" / driver).mkdir(exist_ok=True)
            (path / "driver").symlink_to(self.root / "sys/bus/pci/drivers" / driver)
        if group:
            groups = self.root / "sys/kernel/iommu_groups" / group / "devices"
            groups.mkdir(parents=True, exist_ok=True)
            (groups / address).touch()
            (path / "iommu_group").symlink_to(groups.parent)

    def interface(self, address, name):
        path = self.devices / address / "virtio0/net" / name
        path.mkdir(parents=True)
        return path

    def driver(self, address):
        return os.path.basename(os.readlink(self.devices / address / "driver"))

    def bind(self, *ports, status=0):
        """berth-bind's lines; each port has a `device`."""
        file = self.root / "berth.yaml"
        rows = "".join(f'  - {{name: p{i}, device: "{device}"}}\n' for i, device in enumerate(ports))
        file.write_text(f"engine: dpdk\ninterfaces:\n{rows}services: []\n")
        return self.run(file, status)

    def run(self, file, status=0):
        path = f"{self.root}/bin:{os.environ['PATH']}"
        done = subprocess.run([self.root / "bin/berth-bind", file], env={**os.environ, "PATH": path}, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert done.returncode == status, done.stdout
        return done.stdout

    def has_run(self):
        """What 60-berth-bind.rules asks."""
        return (self.root / "run/berth-bind").exists()

    def allows_uio(self):
        files = [self.root / f"run/systemd/system/{unit}.d/50-berth-uio.conf"
                 for unit in ("berthd.service", "berth-dpdk@.service")]
        assert files[0].exists() == files[1].exists()
        return files[0].exists()


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


def drivers_of(array):
    """The words of an array in pci_fault.c."""
    text = (ROOT / "dataplane/interface/pci_fault.c").read_text()
    words = re.search(rf"{array}\[\] = \{{(.*?)NULL\}};", text, re.DOTALL).group(1)
    return re.findall(r'"(.*?)"', words)


@pytest.mark.parametrize("device", ["0000:af:00.0", "0000:AF:00.0", "AF:00.0", "af:0.0", "00000000:af:00.0,iommu=1"])
def test_each_form_of_an_address_that_berth_accepts_is_bound(host, device):
    host.device(NIC, "ixgbe", "7")
    assert host.bind(device) == f"p0: {NIC} is bound to vfio-pci (IOMMU group 7); before: ixgbe\n"
    assert host.driver(NIC) == "vfio-pci"
    assert not host.allows_uio() and host.has_run()
    assert host.bind(device) == f"p0: {NIC} is bound to vfio-pci (IOMMU group 7)\n"


def test_devices_that_are_not_of_pci_are_left_to_dpdk(host):
    assert host.bind("net_tap0") == ""


def test_two_ports_of_one_group_are_both_bound(host):
    host.device(NIC, "ixgbe", "7")
    host.device(SECOND, "ixgbe", "7")
    host.bind(NIC, SECOND)
    assert host.driver(NIC) == host.driver(SECOND) == "vfio-pci"


@pytest.mark.parametrize("driver", ["ahci", *drivers_of("harmless")])
def test_another_device_of_the_group_is_judged_as_by_berthd(host, driver):
    host.device(NIC, None, "7")
    host.device(OTHER, driver, "7")
    if driver == "ahci":
        assert f"{OTHER} is in the same IOMMU group, and ahci has it" in host.bind(NIC, status=1)
    else:
        assert "is bound to vfio-pci" in host.bind(NIC)


@pytest.mark.parametrize("driver", ["mlx5_core", "virtio-pci"])
def test_a_port_that_is_not_taken_itself_blocks_its_group(host, driver):
    host.device(NIC, "ixgbe", "7")
    host.device(SECOND, driver, "7")
    host.interface(SECOND, "eth1")
    (host.root / "addresses/eth1").touch()
    assert f"{SECOND} is in the same IOMMU group, and {driver} has it" in host.bind(NIC, SECOND, status=1)
    assert host.driver(NIC) == "ixgbe"


@pytest.mark.parametrize("driver", [name for name in drivers_of("usable") if "uio" not in name])
def test_a_driver_that_dpdk_works_beside_stays(host, driver):
    host.device(NIC, driver)
    assert host.bind(NIC) == f"p0: {NIC} stays bound to {driver}: DPDK uses it beside this driver\n"
    assert host.driver(NIC) == driver and not host.allows_uio()


@pytest.mark.parametrize("use, said", [
    ("address", "its interface eth1 has an address"),
    ("master", "its interface eth1 is part of br0 (a bridge, bond or VLAN)"),
    ("upper_br0", "its interface eth1 is part of br0 (a bridge, bond or VLAN)"),
])
def test_a_device_that_the_host_uses_stays(host, use, said):
    host.device(NIC, "virtio-pci", "7")
    path = host.interface(NIC, "eth1")
    if use == "address":
        (host.root / "addresses/eth1").touch()
    else:
        (host.root / "br0").mkdir()
        (path / use).symlink_to(host.root / "br0")
    assert host.bind(NIC, status=1) == (
        f"p0: {NIC} is in use by this host: {said}; end that, then systemctl restart berth-bind\n")
    assert host.driver(NIC) == "virtio-pci"


def test_an_interface_that_nothing_uses_is_taken(host):
    host.device(NIC, "virtio-pci", "7")
    host.interface(NIC, "eth1")
    assert "is bound to vfio-pci" in host.bind(NIC)


@pytest.mark.parametrize("group, driver", [("7", "vfio-pci"), (None, "uio_pci_generic")])
def test_a_kernel_without_the_driver_is_said_with_what_to_do(host, group, driver):
    host.device(NIC, "ixgbe", group)
    host.device(SECOND, driver, "8")
    host.program("modprobe", "#!/bin/sh\nexit 1\n")
    said = host.bind(NIC, SECOND, status=1).splitlines()
    assert f"p0: this kernel has no driver {driver} for {NIC}; install a kernel that has it, or use engine: xdp" in said
    assert host.driver(NIC) == "ixgbe"


def test_a_driver_that_refuses_a_device_is_said_and_others_are_bound(host):
    host.device(NIC, "ixgbe", "7")
    host.device(SECOND, "ixgbe", "8")
    # As if the driver did not take it: the link stays away.
    host.program("readlink", "#!/bin/sh\n" + KERNEL.format(root=host.root).replace("ln -sfn", f'[ "${{device##*/}}" = {NIC} ] || ln -sfn'))
    said = host.bind(NIC, SECOND, status=1)
    assert f"p0: vfio-pci does not take {NIC}; the kernel's log (dmesg) says more\n" in said
    assert f"p1: {SECOND} is bound to vfio-pci (IOMMU group 8); before: ixgbe\n" in said


def test_sandboxes_allow_uio_also_for_a_device_that_is_absent(host):
    assert f"there is no PCI device {NIC}" in host.bind(NIC, status=1)
    assert host.allows_uio() and host.has_run()
    host.device(NIC, "ixgbe")
    assert "is bound to uio_pci_generic" in host.bind(NIC)
    assert host.allows_uio()
    assert (host.root / "systemctl").read_text().count("daemon-reload") == 1


def test_with_an_iommu_an_absent_device_changes_no_sandbox(host):
    host.device(OTHER, None, "7")
    host.bind(NIC, status=1)
    assert not host.allows_uio()


def test_a_berthd_that_runs_needs_a_restart_after_its_sandbox_changed(host):
    host.device(NIC, "ixgbe")
    (host.root / "pid").write_text("42\n")
    assert "systemctl restart berthd, then systemctl stop 'berth-dpdk@*'" in host.bind(NIC)
    assert "restart berthd" not in host.bind(NIC)
    assert "systemctl restart berthd" in host.bind("net_tap0")
    assert not host.allows_uio()


def test_an_invalid_configuration_changes_nothing_and_later_nics_are_noticed(host):
    file = host.root / "bad.yaml"
    file.write_text("nonsense: 1\n")
    assert "nonsense" in host.run(file)
    assert host.has_run() and not (host.root / "systemctl").exists()
