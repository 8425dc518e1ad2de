#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""ipvs.py: the same packets through IPVS and through berth (XDP), both in a virtual machine with Debian 12's kernel. Prints what
each does with each packet, and where connections are after a change, as the tables of docs/ipvs.md. It takes some minutes, needs
a build, and fetches the package ipvsadm by apt-get, without installing it."""
import collections
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

import yaml
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import Ether

import packets
from machine import Machine, vm
from packets import BACKENDS, DNS, EMPTY, GUE, LINKS, OWN, OWN6, TUNNEL, VIP, VIP6, WEB, frame, link, tcp

FLOWS = 40
SERVICES = [(name, VIP6 if is6 else VIP, port, mode, is6)
            for is6 in (False, True)
            for name, port, mode in (("web", WEB, "l2"), ("tunnel", TUNNEL, "ipip"), ("gue", GUE, "gue"), ("dns", DNS, "l2"))]
IPVS_MODES = {"l2": "-g", "ipip": "-i", "gue": "-i --tun-type gue --tun-port 6080 --tun-nocsum"}
NETWORK = f"""
modprobe virtio_pci; modprobe virtio_net
sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 net.ipv4.conf.all.rp_filter=0 net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0
ip link set lo up; ip link set eth0 up
ip addr add {OWN}/24 dev eth0; ip addr add {OWN6}/64 dev eth0 nodad
ip addr add {VIP}/32 dev lo; ip addr add {VIP6}/128 dev lo nodad
ip neigh replace {packets.ROUTER} lladdr {link("r")} dev eth0 nud permanent
ip neigh replace {packets.ROUTER6} lladdr {link("r")} dev eth0 nud permanent
ip route add default via {packets.ROUTER}; ip -6 route add default via {packets.ROUTER6}
""" + "".join(f"ip neigh replace {address} lladdr {link(name)} dev eth0 nud permanent\n"
              for name, addresses in BACKENDS.items() for address in addresses)


def ipvsadm(directory):
    """The program of Debian's package."""
    subprocess.run(["apt-get", "download", "-q", "ipvsadm"], cwd=directory, check=True, capture_output=True)
    (package,) = pathlib.Path(directory).glob("ipvsadm_*.deb")
    subprocess.run(["dpkg-deb", "-x", package, directory], check=True)
    return pathlib.Path(directory) / "sbin/ipvsadm"


class Balancer:
    def __init__(self, machine):
        self.machine = machine

    def through(self, packet):
        """The frames that the machine sends for one packet."""
        self.machine.send(frame(packet))
        self.machine.send(frame(IP(src=packets.CLIENT, dst=OWN) / ICMP(id=0xfeed)))
        return [Ether(one) for one in self.machine.receive(is_mark) if is_of_interest(Ether(one))]

    def verdicts(self):
        """Counters of packets by verdict, if it has any."""
        return {}


class Ipvs(Balancer):
    name = "IPVS"

    def start(self):
        for module in ("ip_vs", "ip_vs_mh", "ip_tunnel", "ip6_tunnel", "fou", "fou6"):
            self.machine.do(f"modprobe {module}", check=False)
        for _, address, port, mode, is6 in SERVICES:
            at = self.at(address, port)
            self.machine.do(f"ipvsadm -A {at} -s mh -b mh-fallback,mh-port")
            for name in ("b1", "b2"):
                self.add(name, address, port, mode, is6)
        self.machine.do(f"ipvsadm -A {self.at(VIP, EMPTY)} -s mh")

    @staticmethod
    def at(address, port):
        return f"-{'u' if port == DNS else 't'} " + (f"[{address}]:{port}" if ":" in address else f"{address}:{port}")

    def real(self, name, port, is6):
        address = BACKENDS[name][is6]
        return f"-r [{address}]:{port}" if is6 else f"-r {address}:{port}"

    def add(self, name, address, port, mode, is6):
        self.machine.do(f"ipvsadm -a {self.at(address, port)} {self.real(name, port, is6)} {IPVS_MODES[mode]}")

    def add_b3(self):
        for _, *service in SERVICES:
            self.add("b3", *service)

    def drain_b1(self):
        for _, address, port, mode, is6 in SERVICES:
            self.machine.do(f"ipvsadm -e {self.at(address, port)} {self.real('b1', port, is6)} {IPVS_MODES[mode]} -w 0")

    def remove_b1(self):
        for _, address, port, _, is6 in SERVICES:
            self.machine.do(f"ipvsadm -d {self.at(address, port)} {self.real('b1', port, is6)}")

    def reload(self):
        self.machine.do("ipvsadm -S -n >/run/rules; ipvsadm -C; ipvsadm -R </run/rules")

    def kill(self):
        """Nothing of it can be killed."""

    def restart(self):
        self.machine.do("ipvsadm -S -n >/run/rules; ipvsadm -C; rmmod ip_vs_mh; rmmod ip_vs; modprobe ip_vs_mh; ipvsadm -R </run/rules")

    def stop(self):
        self.machine.do("ipvsadm -C")


class Berth(Balancer):
    name = "berth"

    def __init__(self, machine):
        super().__init__(machine)
        self.used = ["b1", "b2"]

    def configuration(self):
        services = [{"name": f"{name}{'6' if is6 else ''}", "address": address, "port": port, "mode": mode,
                     "protocol": "udp" if port == DNS else "tcp", "affinity": {"by": "flow"}, "health": {"type": "none"},
                     "backends": [{"name": one, "address": BACKENDS[one][is6]} for one in self.used]}
                    for name, address, port, mode, is6 in SERVICES]
        services.append({"name": "empty", "address": VIP, "port": EMPTY, "mode": "l2", "protocol": "tcp", "health": {"type": "none"},
                         "announce": False})
        return yaml.safe_dump({"engine": "xdp", "interfaces": [{"name": "eth0"}], "services": services,
                               "limits": {"flows": 4096, "sessions": 1024, "services": 16, "backends": 64}}, sort_keys=False)

    def write(self):
        lines = self.configuration().replace("'", "'\\''").splitlines()
        self.machine.do("rm -f /berth.yaml; " + "; ".join(f"echo '{line}' >>/berth.yaml" for line in lines))

    def ctl(self, command):
        return self.machine.do(f"berthctl -t 120 -r /run {command}")

    def launch(self):
        self.machine.do("berthd -c /berth.yaml -r /run >>/run/berthd.log 2>&1 &")
        self.machine.do("i=0; until berthctl -r /run ready >/dev/null 2>&1; do sleep 0.5; i=$((i + 1)); [ $i -lt 600 ] || break; done")

    def start(self):
        self.write()
        self.launch()

    def apply(self):
        self.write()
        self.ctl("config apply /berth.yaml")

    def add_b3(self):
        self.used.append("b3")
        self.apply()

    def drain_b1(self):
        for name, _, _, _, is6 in SERVICES:
            self.ctl(f"backend drain {name}{'6' if is6 else ''}/b1")

    def remove_b1(self):
        self.used.remove("b1")
        self.apply()

    def reload(self):
        self.apply()

    def kill(self):
        self.machine.do("kill -KILL $(pidof berthd)")
        self.launch()

    def restart(self):
        """berthd alone: the tables are the kernel's, as those of IPVS are the module's."""
        self.machine.do("kill $(pidof berthd); while pidof berthd >/dev/null; do sleep 0.2; done")
        self.launch()

    def stop(self):
        self.ctl("shutdown")

    def verdicts(self):
        return {name: int(count) for name, count in re.findall(r"^(\w+) +(?:forward|answer|pass|drop) +(\d+)$", self.ctl("show stats"),
                                                               re.MULTILINE)}


def is_mark(data):
    packet = Ether(data)
    return ICMP in packet and packet[ICMP].type == 0 and packet[ICMP].id == 0xfeed


def is_of_interest(packet):
    return packet.dst in LINKS


def words(packet, sent):
    """What a frame is, as the answer to a packet that was sent."""
    if LINKS[packet.dst] != "r":
        return f"to {LINKS[packet.dst]}, {packets.change(packet.payload, sent)}"
    return f"answer: {packets.answer_words(packet.payload)}"


def try_packets(balancer):
    """[what each packet became]"""
    results, was = [], balancer.verdicts()
    for _, before, reported in packets.cases():
        for packet in before:
            balancer.through(packet)
        said = []
        for packet in reported:
            out = balancer.through(packet)
            said.append(" and ".join(words(one, packet) for one in out) or "nothing")
        now = balancer.verdicts()
        # Each packet is followed by a ping; those before it are a SYN and the second packet of its flow.
        others = collections.Counter(not_tcp_udp=len(before + reported), selected=1 if before else 0, flow=1 if before else 0)
        verdicts = [name for name in now for _ in range(now[name] - was[name] - others[name])]
        was = now
        results.append("; then ".join(said) + (f" (`{'`, `'.join(verdicts)}`)" if verdicts else ""))
    return results


CHANGES = [("a backend is added", "add_b3"), ("a backend gets no new clients", "drain_b1"), ("the same rules are loaded again", "reload"),
           ("its daemon is killed", "kill"), ("that backend is removed", "remove_b1"), ("it is ended and started", "restart")]


def place(balancer, packet):
    """Where a packet goes: a backend, "reset" or "dropped"."""
    frames = balancer.through(packet)
    names = [LINKS[one.dst] for one in frames if LINKS[one.dst] != "r"]
    return names[0] if names else "reset" if frames else "dropped"


def try_changes(balancer):
    """[where connections are then]"""
    results, ports = [], range(30000, 30000 + FLOWS)
    for port in ports:
        place(balancer, tcp(port))
    where = {port: place(balancer, tcp(port, flags="A")) for port in ports}
    for _, change in CHANGES:
        on_b1 = sum(name == "b1" for name in where.values())
        getattr(balancer, change)()
        now = {port: place(balancer, tcp(port, flags="PA", data=b"d")) for port in ports}
        counts = collections.Counter("stay" if now[port] == where[port] in BACKENDS else
                                     "go elsewhere" if now[port] in BACKENDS else f"are {now[port]}" for port in ports)
        results.append(", ".join(f"{n} {what}" for what, n in sorted(counts.items())) + (f" ({on_b1} were on it)" if "b1" in change else ""))
        where = now
    return results


def table(head, names, columns):
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for row in zip(names, *columns):
        print(f"| {' | '.join(row)} |")
    print()


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory() as directory:
        build = vm.BUILD
        programs = [ipvsadm(directory), *(build / "controlplane" / name for name in ("berthd", "berth-helper", "berthctl")),
                    *map(shutil.which, ("ip", "sysctl"))]
        modules = ["ip_vs", "ip_vs_mh", "ipip", "ip_tunnel", "ip6_tunnel", "fou", "fou6"]
        files = pathlib.Path(directory) / "machine"
        files.mkdir()
        with Machine(files, programs, ["berth_xdp", "berth_trace", "berth_inject"], modules) as machine:
            for line in NETWORK.strip().splitlines():
                machine.do(line, check="modprobe" not in line)
            print(machine.do("cat /proc/version"), file=sys.stderr)
            results = []
            for kind in (Ipvs, Berth):
                balancer = kind(machine)
                balancer.start()
                done = [try_packets(balancer), try_changes(balancer)]
                balancer.stop()
                results.append(done)
    head = [kind.name for kind in (Ipvs, Berth)]
    table(["packet", *head], [case[0] for case in packets.cases()], [result[0] for result in results])
    table(["change", *head], [change[0] for change in CHANGES], [result[1] for result in results])


if __name__ == "__main__":
    main()
