# SPDX-License-Identifier: BSD-3-Clause
"""Memory and cores of the DPDK engine come from the NUMA node of its NIC. Tested in a virtual machine (QEMU, emulated;
Debian 12's kernel) with two nodes of a core with two threads each, and a NIC on each node.

berthd runs on all cores, and on the cores of the other node only: by default, memory would come from that node.
BERTH_BUILD names the build directory (default: build/ in the repository).
"""
import glob
import os
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("BERTH_BUILD", ROOT / "build"))
LIBRARIES = pathlib.Path("/usr/lib/x86_64-linux-gnu")
MODULES = ["drivers/virtio/virtio_ring.ko", "drivers/virtio/virtio.ko", "drivers/virtio/virtio_pci_legacy_dev.ko",
           "drivers/virtio/virtio_pci_modern_dev.ko", "drivers/virtio/virtio_pci.ko", "net/core/failover.ko",
           "drivers/net/net_failover.ko", "drivers/net/virtio_net.ko", "drivers/net/tun.ko",
           "net/sched/sch_ingress.ko", "net/sched/cls_bpf.ko"]
BUILT = ["controlplane/berthd", "controlplane/berth-helper", "controlplane/berthctl", "dataplane/berth-dpdk",
         "bpf/berth_inject.bpf.o"]
DRIVERS = ["bus_pci", "bus_vdev", "mempool_ring", "net_af_xdp", "net_null"]
PAGES = ["small", "huge"]
CASES = [(node, pages, cores) for pages in PAGES for node in (0, 1) for cores in ("any", "far")]

CONFIG = """\
engine: dpdk
interfaces: [{interface}]
dpdk: {{memory-mb: 16, idle: adaptive}}
limits: {{flows: 100000, sessions: 1024, services: 4, backends: 60}}
services: []
"""

INIT = """#!/bin/busybox sh
export PATH=/bin:/controlplane
/bin/busybox --install /bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev; mount -t tmpfs -o mode=755 run /run
mount -t bpf bpf /sys/fs/bpf
mkdir -p /var/run /dev/shm /dev/hugepages; mount -t tmpfs shm /dev/shm
for module in MODULES; do insmod /$module; done
# NICs are named after their nodes.
for nic in eth0 eth1; do ip link set $nic name was$nic; done
for nic in waseth0 waseth1; do ip link set $nic name nic$(cat /sys/class/net/$nic/device/../numa_node); done
try() { # NODE PAGES CORES LIST: CORES is any or far, LIST the core numbers
	echo; echo "begin $1 $2 $3"
	taskset -c $4 berthd -c /$1.yaml -i n$1 -r /run & daemon=$!
	while [ -d /proc/$daemon ] && [ ! -e /run/n$1-dpdk.json ]; do sleep 0.1; done
	engine=$(pidof berth-dpdk)
	cat /proc/$engine/numa_maps
	for thread in /proc/$engine/task/*; do echo "thread $(cat $thread/comm) $(grep _allowed_list $thread/status)"; done
	berthctl -s /run/n$1.sock doctor
	echo "end"
	berthctl -s /run/n$1.sock shutdown
	wait $daemon
}
for pages in small huge; do
	if [ $pages = huge ]; then
		mount -t hugetlbfs huge /dev/hugepages
		for node in 0 1; do echo 80 >/sys/devices/system/node/node$node/hugepages/hugepages-2048kB/nr_hugepages; done
	fi
	try 0 $pages any 0-3; try 0 $pages far 2-3
	try 1 $pages any 0-3; try 1 $pages far 0-1
done
try three huge any 0-3
poweroff -f
"""


def add(root, source, to=None):
    """Copies a file and the libraries that it needs."""
    needed = subprocess.run(["ldd", source], capture_output=True, text=True, check=False).stdout
    libraries = re.findall(r"(?:^\s+|=> )(/\S+)", needed, re.MULTILINE)
    for path, name in [(source, to or source), *zip(libraries, libraries)]:
        target = root / str(name).lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)


def fill(root, kernel):
    for folder in ("proc", "sys", "dev", "run"):
        (root / folder).mkdir()
    add(root, "/bin/busybox")
    for path in BUILT:
        add(root, BUILD / path, path)
    for name in DRIVERS:
        [driver] = LIBRARIES.glob(f"dpdk/pmds-*/librte_{name}.so")
        target = f"/lib/x86_64-linux-gnu/librte_{name}.so.23"
        add(root, driver, target)
        # A symbolic link: with two files the program would load the driver twice.
        plugin = root / str(driver).lstrip("/")
        plugin.parent.mkdir(parents=True, exist_ok=True)
        plugin.symlink_to(target)
    for path in LIBRARIES.glob("bpf/xsk_def_xdp_prog*.o"):
        add(root, path)
    for path in MODULES:
        shutil.copy(f"/lib/modules/{kernel}/kernel/{path}", root)
    for node in (0, 1):
        (root / f"{node}.yaml").write_text(CONFIG.format(interface=f"{{name: nic{node}}}"))
    (root / "three.yaml").write_text(CONFIG.format(interface='{name: null0, device: "net_null0,no-rx=1", queues: 3}'))
    init = root / "init"
    init.write_text(INIT.replace("MODULES", " ".join(pathlib.Path(m).name for m in MODULES)))
    init.chmod(0o755)


def nodes_and_nics():
    arguments = ["-m", "1536", "-smp", "4,sockets=2,cores=1,threads=2"]
    for node in (0, 1):
        arguments += ["-object", f"memory-backend-ram,id=m{node},size=768M",
                      "-numa", f"node,nodeid={node},memdev=m{node},cpus={2 * node}-{2 * node + 1}",
                      "-device", f"pxb,bus=pci.0,id=bus{node},bus_nr={64 * (node + 1)},numa_node={node}",
                      "-netdev", f"hubport,id=net{node},hubid={node}",
                      "-device", f"virtio-net-pci,bus=bus{node},addr=1,netdev=net{node},romfile="]
    return arguments


@pytest.fixture(scope="module")
def console(tmp_path_factory):
    """The console output of the virtual machine, which powers itself off."""
    root = tmp_path_factory.mktemp("root")
    kernel = sorted(glob.glob("/boot/vmlinuz-*-cloud-amd64"))[-1]
    fill(root, kernel.partition("-")[2])
    image = root.parent / "root.cpio"
    files = subprocess.run(["find", "."], cwd=root, capture_output=True, check=True).stdout
    with image.open("wb") as out:
        subprocess.run(["cpio", "--quiet", "-o", "-H", "newc"], cwd=root, input=files, stdout=out, check=True)
    # Without the vendor the processor has no threads.
    command = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "max,vendor=GenuineIntel", "-nographic", "-no-reboot",
               *nodes_and_nics(), "-kernel", kernel, "-initrd", str(image),
               "-append", "console=ttyS0 panic=-1 quiet"]
    run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
                         timeout=300, check=False)
    return (run.stderr + run.stdout).replace("\r", "")


def section_of(console, node, pages, cores):
    found = re.search(rf"^begin {node} {pages} {cores}\n(.*?)^end$", console, re.MULTILINE | re.DOTALL)
    assert found, console
    return found.group(1)


def pages_on(lines):
    """Number of pages on each node, of these lines of numa_maps."""
    return [sum(int(n) for n in re.findall(rf"\bN{node}=(\d+)", "\n".join(lines))) for node in (0, 1)]


@pytest.mark.parametrize("node, pages, cores", CASES)
def test_tables_are_on_the_node_of_the_nic(console, node, pages, cores):
    image = {"small": "/dev/shm", "huge": "/dev/hugepages"}[pages] + f"/berth/n{node}.image"
    lines = [line for line in section_of(console, node, pages, cores).splitlines() if f"file={image}" in line]
    assert len(lines) == 4, lines  # the image and its stores: flows, sessions, clients
    for line in lines:
        on = pages_on([line])
        assert on[node] > 0 and on[1 - node] == 0, line


@pytest.mark.parametrize("node, pages, cores", CASES)
def test_packet_buffers_are_on_the_node_of_the_nic(console, node, pages, cores):
    """Most of DPDK's memory: what it allocates before the pool is on the node of the main thread."""
    mark = {"small": "file=/memfd:nohuge", "huge": f"/n{node}.dpdkmap_"}[pages]
    lines = [line for line in section_of(console, node, pages, cores).splitlines() if mark in line]
    on = pages_on(lines)
    assert on[node] > on[1 - node], lines


@pytest.mark.parametrize("node", [0, 1])
@pytest.mark.parametrize("pages", PAGES)
def test_a_worker_is_on_a_core_of_the_nics_node(console, node, pages):
    [cores] = re.findall(r"thread rte-worker-1 Cpus_allowed_list:\s+(\S+)", section_of(console, node, pages, "any"))
    assert cores in {0: ("0", "1"), 1: ("2", "3")}[node]


@pytest.mark.parametrize("node, pages, cores", CASES)
def test_the_doctor_names_workers_that_are_far_from_the_tables(console, node, pages, cores):
    finding = f"of NUMA node {1 - node}, and the tables are in memory of node {node}: lookups are slower"
    assert (finding in section_of(console, node, pages, cores)) == (cores == "far")


def test_the_doctor_names_workers_that_share_a_core(console):
    """Three workers, on two cores of two threads."""
    assert section_of(console, "three", "huge", "any").count("two threads of one core: each is slower") == 1
    assert "workers 0 and 2 are on CPUs 3 and 2, two threads" in section_of(console, "three", "huge", "any")
    assert "two threads of one core" not in section_of(console, 0, "huge", "any")
