# SPDX-License-Identifier: BSD-3-Clause
"""
Backends with a kernel that has tunnels: berth (XDP) and a backend with Debian 12's own kernel, in network namespaces of a
virtual machine. `berthctl doctor` says what is missing there, what it says is typed as it stands, and then real
requests come through ipip, sit, ip6tnl and fou devices.
"""
import re
import shutil

import pytest

from vm import BUILD, add_modules, make_root, run

# name: outer and inner IP version
SERVICES = {"ipip44": (4, 4), "ipip64": (4, 6), "ipip66": (6, 6), "ipip46": (6, 4),
            "gue44": (4, 4), "gue64": (4, 6), "gue66": (6, 6), "gue46": (6, 4)}
SERVICE = {4: "203.0.113.10", 6: "2001:db8:f::10"}
BACKEND = {4: "192.0.2.11", 6: "2001:db8:2::11"}
MODULES = ["veth", "bridge", "ipip", "sit", "ip6_tunnel", "fou", "fou6"]

NETWORK = """
for applet in modprobe sysctl sleep httpd mkdir grep sed head tail cat; do
	busybox ln -s /bin/busybox /bin/$applet
done
busybox ln -s /bin/dash /bin/sh
modprobe veth
modprobe bridge
in_host() { host=$1; shift; nsenter --net=/run/netns/$host -- "$@"; }
ip link add lan type bridge mcast_snooping 0
ip link set lan mtu 1600 up
for host in berth b1 client; do
	ip netns add $host
	ip link add $host mtu 1600 type veth peer name eth0 mtu 1600 netns $host
	ip link set $host master lan up
	in_host $host sysctl -q net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.accept_dad=0
	in_host $host sysctl -q net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
	in_host $host ip link set lo up
	in_host $host ip link set eth0 up
done
in_host berth ip addr add 192.0.2.2/24 dev eth0
in_host berth ip addr add 2001:db8:2::2/64 dev eth0 nodad
in_host b1 ip addr add 192.0.2.11/24 dev eth0
in_host b1 ip addr add 2001:db8:2::11/64 dev eth0 nodad
in_host client ip addr add 192.0.2.100/24 dev eth0
in_host client ip addr add 2001:db8:2::100/64 dev eth0 nodad
in_host client ip route add 203.0.113.10 via 192.0.2.2
in_host client ip -6 route add 2001:db8:f::10 via 2001:db8:2::2
# As in scripts/lab: what XDP sees on veth must be whole packets with their checksums.
in_host client ethtool -K eth0 tx off tso off
ethtool -K berth tx off tso off
berth-decap attach berth --address 192.0.2.254
mkdir -p /www
echo served > /www/index.html
"""

DOCTOR = """
doctor() { in_host berth berthctl -r /run doctor $1/b1; }
advice() { doctor $1 | sed -n 's/.* -> on the backend: //p' | sed 's/; or, .*//; s/; and .*//' | head -n 1; }
get() { in_host client curl -s -g -m 5 "$1"; }
# follow NAME: does as the doctor says, up to four times.
follow() {
	for i in 1 2 3 4; do
		doctor $1 && return
		command=$(advice $1)
		echo "typing: $command"
		in_host b1 sh -c "$command"
	done
}
in_host berth berthd -c /berth.yaml -r /run 2>/run/berthd.log &
i=0
until [ $i -gt 100 ] || in_host berth berthctl -r /run show backends >/dev/null 2>&1; do sleep 0.2; i=$((i + 1)); done
sleep 2
"""


def url(name, ports):
    inner = SERVICES[name][1]
    return f"http://{SERVICE[4]}:{ports[name]}/" if inner == 4 else f"http://[{SERVICE[6]}]:{ports[name]}/"


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    """{what: what was said about it}"""
    programs = [*(BUILD / "controlplane" / name for name in ("berthd", "berth-helper", "berthctl")),
                BUILD / "bpf/berth-decap", *map(shutil.which, ("ip", "ethtool", "nsenter", "curl"))]
    root = make_root(tmp_path_factory.mktemp("vm"), programs,
                     ["berth_xdp", "berth_trace", "berth_decap", "berth_inject"])
    add_modules(root, MODULES)
    ports = {name: 8000 + i for i, name in enumerate(SERVICES)}
    lines = ["engine: xdp", "interfaces: [{name: eth0}]",
             "limits: {flows: 1024, sessions: 1024, services: 16, backends: 64}", "services:"]
    for name, (outer, inner) in SERVICES.items():
        lines.append(
            f'  - {{name: {name}, address: "{SERVICE[inner]}", protocol: tcp, port: {ports[name]}, '
            f"mode: {name[:-2]}, table-size: 251, health: {{type: none}}, "
            f'backends: [{{name: b1, address: "{BACKEND[outer]}"}}]}}')
    (root / "berth.yaml").write_text("\n".join(lines) + "\n")
    script = [NETWORK, *(f"in_host b1 httpd -p {port} -h /www" for port in ports.values()), DOCTOR]
    for name in SERVICES:
        script += [f"echo '@@ nothing {name}'", f"doctor {name}"]
    for name in SERVICES:
        script += [f"echo '@@ follow {name}'", f"follow {name}", f"echo '@@ get {name}'", f"get '{url(name, ports)}'"]
    script += ["echo '@@ strict'", "in_host b1 sysctl -q net.ipv4.conf.tunl0.rp_filter=1", "doctor ipip44",
               "echo '@@ strict follow'", "follow ipip44", "echo '@@ log'", "cat /run/berthd.log"]
    console = run(root, "\n".join(script), seconds=240)
    parts = re.split(r"^@@ (.*)\n", console, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))


@pytest.mark.parametrize("name", SERVICES)
def test_a_kernel_without_the_device_is_recognised(reported, name):
    assert "nothing on it decapsulates" in reported[f"nothing {name}"], reported


@pytest.mark.parametrize("name", SERVICES)
def test_the_doctors_remedy_makes_the_kernels_own_device_work(reported, name):
    assert "answers packets of up to 1500 bytes" in reported[f"follow {name}"], reported


@pytest.mark.parametrize("name", SERVICES)
def test_a_real_request_passes_the_kernels_own_device(reported, name):
    assert "served" in reported[f"get {name}"].split(), reported


def test_a_strict_rp_filter_is_reported_and_fixed(reported):
    assert "rp_filter on the tunnel device" in reported["strict"], reported
    assert "answers packets of up to 1500 bytes" in reported["strict follow"], reported
