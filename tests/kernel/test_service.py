# SPDX-License-Identifier: BSD-3-Clause
"""
berthd.service as it is installed, in a virtual machine that boots Debian's systemd and kernel: its start waits for an
interface, it is ready when it forwards, the watchdog restarts it, and forwarding survives that on both engines.

       client --+
                +-- lan (bridge) -- eth1 ==cable== eth0 (virtio) berth
           b1 --+
"""
import re
import shutil

import pytest

import vm
from systemd_root import enable, make_systemd_root

MODULES = ["virtio_pci", "virtio_net", "veth", "bridge", "tun", "sch_ingress", "cls_bpf"]
CONFIG = """
engine: {engine}
interfaces: [{{name: eth0}}]
limits: {{flows: 1024, sessions: 1024, services: 4, backends: 60}}
dpdk: {{memory-mb: 32}}
services:
  - name: web
    address: 203.0.113.10
    protocol: tcp
    port: 80
    mode: l2
    table-size: 251
    health: {{type: none}}
    backends: [{{name: b1, address: 192.0.2.11}}]
"""
# A short time-out of the first start, which waits for longer; then a short watchdog.
START = "[Service]\nTimeoutStartSec=15\n"
TEST_UNIT = """[Service]
Type=oneshot
ExecStart=/test
StandardOutput=file:/dev/ttyS0
StandardError=file:/dev/ttyS0
"""

SCRIPT = """#!/bin/sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin
section() { echo; echo "@@ $*"; }
property() { systemctl show -P $1 berthd; }
# until_true SECONDS COMMAND...
until_true() {
	left=$(($1 * 5)); shift
	until "$@"; do left=$((left - 1)); [ $left -gt 0 ] || return 1; sleep 0.2; done
}
end() {
	section log
	systemctl status --no-pager -n 0 berthd
	journalctl --no-pager -o cat -u berthd -u 'berth-*@*'
	systemctl poweroff -ff
	exit
}
is_state() { [ "$(property ActiveState)" = $1 ]; }
is_another() { [ "$(property MainPID)" -gt 0 ] && [ "$(property MainPID)" != $1 ] && is_state active; }
is_other_engine() { [ -n "$(pidof berth-dpdk)" ] && [ "$(pidof berth-dpdk)" != $1 ]; }
units() { systemctl list-units --plain --no-legend --state=running 'berth-*@*' | sed 's/@.*//'; }
are_helpers_back() { [ "$(units | grep -c helper)" = 2 ]; }
have_units_ended() { [ -z "$(units)" ] && ! pidof berth-dpdk berth-helper >/dev/null; }
get() { in_host client curl -s -m 5 http://203.0.113.10/; }
# A connection that lasts some seconds; its end says how much arrived.
begin_connection() {
	in_host client curl -s -m 60 --limit-rate 40k -o /dev/null -w 'connection: %{size_download} bytes\\n' \\
		http://203.0.113.10/large & connection=$!
}
in_host() { netns=$1; shift; nsenter --net=/run/netns/$netns -- "$@"; }

section late
until_true 20 is_state activating
sleep 17
property ActiveState
property StatusText
property NRestarts

section ready
printf '[Service]\\nWatchdogSec=10\\n' >/etc/systemd/system/berthd.service.d/times.conf
systemctl daemon-reload
for module in sch_ingress cls_bpf tun veth bridge virtio_pci virtio_net; do modprobe $module; done
mkdir -p /run/netns /www
echo served >/www/index.html
head -c 400000 /dev/zero >/www/large
for host in client b1; do ip netns add $host; done
ip netns add lan
ip link set eth1 netns lan
in_host lan ip link add lan type bridge mcast_snooping 0
in_host lan ip link set eth1 master lan up
in_host lan ip link set lan up
for host in client b1; do
	in_host lan ip link add $host type veth peer name eth0 netns $host
	in_host lan ip link set $host master lan up
	in_host $host sysctl -q net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
	in_host $host ip link set lo up
	in_host $host ip link set eth0 up
done
ip addr add 192.0.2.2/24 dev eth0
ip link set eth0 up
in_host b1 ip addr add 192.0.2.11/24 dev eth0
in_host b1 ip addr add 203.0.113.10/32 dev lo
in_host client ip addr add 192.0.2.100/24 dev eth0
in_host client ip route add 203.0.113.10 via 192.0.2.2
in_host b1 httpd -p 203.0.113.10:80 -h /www
until_true 30 is_state active || end
property ActiveState
property StatusText
get

section restart
begin_connection
sleep 1
before=$(property MainPID)
systemctl restart berthd
is_another $before && echo "another process"
get
wait $connection

section watchdog
begin_connection
before=$(property MainPID)
kill -STOP $before
until_true 30 is_another $before && echo "another process"
property NRestarts
get
wait $connection

section security
for unit in berthd.service berth-dpdk@x.service berth-helper@x.service; do
	systemd-analyze security --no-pager $unit | tail -n 1
done

section stop
berthctl shutdown
sleep 3
property ActiveState
ip -o link show eth0 | grep -c xdp

section dpdk
sed -i 's/^engine:.*/engine: dpdk/' /etc/berth/berth.yaml
systemctl start berthd
property ActiveState
property StatusText
get
ls /dev/hugepages/berth

section dpdk restart
begin_connection
sleep 1
engine=$(pidof berth-dpdk)
systemctl restart berthd
[ "$(pidof berth-dpdk)" = $engine ] && echo "the same engine"
get
systemctl stop berthd
property ActiveState
get
wait $connection
systemctl start berthd
[ "$(pidof berth-dpdk)" = $engine ] && echo "the same engine"

section units
units
grep -H CapEff /proc/$engine/status | sed 's/.*:.//'

section dpdk killed
begin_connection
sleep 1
kill -KILL $engine $(pidof berth-helper)
until_true 30 is_other_engine $engine && echo "another engine"
until_true 30 are_helpers_back
wait $connection
get
units

section units stop
berthctl shutdown
until_true 30 is_state inactive
until_true 30 have_units_ended
units
pidof berth-dpdk berth-helper

end
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """{section: what was said in it}"""
    directory = tmp_path_factory.mktemp("vm")
    root = make_systemd_root(directory, map(shutil.which, ("ip", "curl", "mount", "nsenter")))
    vm.add_modules(root, MODULES)
    (root / "etc/berth").mkdir()
    (root / "etc/berth/berth.yaml").write_text(CONFIG.format(engine="xdp"))
    drop_in = root / "etc/systemd/system/berthd.service.d/times.conf"
    drop_in.parent.mkdir()
    drop_in.write_text(START)
    (root / "etc/systemd/system/berth-test.service").write_text(TEST_UNIT)
    enable(root, "/etc/systemd/system/berth-test.service", "multi-user.target")
    (root / "test").write_text(SCRIPT)
    (root / "test").chmod(0o755)
    nics = [word for name in ("eth0", "eth1") for word in (
        "-netdev", f"hubport,id={name},hubid=0", "-device", f"virtio-net-pci,netdev={name},romfile=")]
    console = vm.boot(root, seconds=480, options=["-smp", "2", "-nodefaults", "-serial", "stdio", *nics], memory_mb=1536,
                      kernel_options="hugepages=96 systemd.show_status=0")
    (directory / "console").write_text(console)
    parts = re.split(r"^@@ (.*)\n", console, flags=re.MULTILINE)
    return {"boot": parts[0], **dict(zip(parts[1::2], parts[2::2]))}


def lines(said, section):
    """What the script wrote there; the kernel and systemd write to the console, too."""
    return [line for line in said.get(section, "").splitlines() if line and not line.startswith("[ ")]


def test_a_start_waits_for_an_interface_and_says_so(said):
    assert lines(said, "late") == ["activating", "waiting for the interface eth0", "0"], said


def test_the_unit_is_ready_when_it_forwards(said):
    assert lines(said, "ready") == ["active", "forwarding: 1 service", "served"], said


def test_a_restart_keeps_connections_on_xdp(said):
    assert sorted(lines(said, "restart")) == ["another process", "connection: 400000 bytes", "served"], said


def test_the_watchdog_restarts_berthd_and_connections_stay(said):
    assert sorted(lines(said, "watchdog")) == ["1", "another process", "connection: 400000 bytes", "served"], said


def test_shutdown_ends_the_unit_and_the_engine(said):
    assert lines(said, "stop")[1:] == ["inactive", "0"], said


def test_the_sandboxes_are_as_tight_as_the_engines_allow(said):
    """docs/service.md says what each part of the rest is for."""
    levels = dict(re.findall(r"exposure level for ([a-z-]+)\S*: ([0-9.]+)", said["security"]))
    limits = {"berthd": 3.0, "berth-dpdk": 3.1, "berth-helper": 2.2}
    assert {unit: float(levels.get(unit, 10)) <= limits[unit] for unit in limits} == dict.fromkeys(limits, True), said


def test_the_dpdk_engine_forwards_from_hugepages(said):
    assert lines(said, "dpdk")[:3] == ["active", "forwarding: 1 service", "served"], said
    assert {"berth.image", "berth.image.flows-256"} <= set(said["dpdk"].split()), said
    assert "memory: hugepages" in said["log"], said


def test_the_dpdk_engine_goes_on_without_the_unit(said):
    assert sorted(lines(said, "dpdk restart")) == [
        "connection: 400000 bytes", "inactive", "served", "served", "the same engine", "the same engine"], said


def test_the_engine_and_the_helpers_have_units_of_their_own(said):
    # CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF
    assert lines(said, "units") == ["berth-dpdk", "berth-helper", "berth-helper", "0000008000003000"], said


def test_a_killed_engine_and_killed_helpers_are_started_again_in_their_units(said):
    assert sorted(lines(said, "dpdk killed")) == sorted([
        "another engine", "connection: 400000 bytes", "served", "berth-dpdk", "berth-helper", "berth-helper"]), said


def test_shutdown_ends_the_units_of_the_engine_and_the_helpers(said):
    assert lines(said, "units stop") == ["forwarding has stopped, berthd ends"], said
