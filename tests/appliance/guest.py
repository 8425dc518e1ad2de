# SPDX-License-Identifier: BSD-3-Clause
"""The image of scripts/appliance in a virtual machine (QEMU, emulated), in the place of the host `berth` of a lab.

    clients -- router -- eth0 bridge tap -- NIC of the machine: berth's port
                                     lo -- management NIC: SSH (QEMU's own network)
"""
import contextlib
import json
import os
import pathlib
import re
import shlex
import shutil
import socket
import subprocess
import sys

import pytest

from devices import DEVICES

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import lab  # noqa: E402
from lab import ROOT, SERVICES, Lab, config_yaml, wait_for  # noqa: E402

USED = ["web", "web6", "tunnel", "tunnel6", "gue", "gue6", "nat", "nat6", "dns", "dnsnat6"]
MANAGEMENT_MAC, PORT_MAC = "52:54:00:00:00:99", "52:54:00:00:00:01"
# An emulated machine on a busy host.
BOOT_SECONDS, ANSWER_SECONDS = 600, 300
MANAGEMENT = f"[Match]\nMACAddress={MANAGEMENT_MAC}\n[Network]\nAddress=10.0.2.15/24\nLinkLocalAddressing=no\n"
# docs/appliance.md has the same file.
PORT = """[Match]
Name={name}

[Link]
MTUBytes={mtu}

[Network]
Address=192.0.2.2/24
Address=2001:db8:2::2/64
Gateway=192.0.2.1
Gateway=2001:db8:2::1
IPv6AcceptRA=no
LinkLocalAddressing=ipv6
IgnoreCarrierLoss=yes
"""
SYSCTL = """net.ipv4.ip_forward=1
net.ipv6.conf.all.forwarding=1
net.ipv4.conf.all.accept_local=1
net.ipv4.conf.all.send_redirects=0
net.ipv4.conf.default.send_redirects=0
"""


def build_image(device):
    option = [] if device.needs_all_drivers else ["--cloud"]
    done = subprocess.run([ROOT / "scripts/appliance", "build", *option], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return pathlib.Path(done.stdout.split()[-1])


class Guest(Lab):
    """A lab whose berthd runs in a virtual machine."""

    def __init__(self, name, device, image, mtu=1600):
        super().__init__(name, "none")
        self.device, self.image, self.used, self.mtu = device, image, USED, mtu
        self.files = pathlib.Path(f"/run/berth-appliance-{name}")
        self.machine = None

    # --- the machine ---

    def port(self):
        """The name of berth's interface."""
        return "berth0" if self.device.engine == "dpdk" else "enp1s0" if self.device.is_pcie else "enp0s6"

    def pci_address(self):
        return "0000:01:00.0" if self.device.is_pcie else "0000:00:06.0"

    def interfaces(self):
        if self.device.engine == "xdp":
            return f"  - name: {self.port()}"
        return f'  - {{name: {self.port()}, device: "{self.pci_address()}", queues: {self.device.queues}, mtu: {self.mtu}}}'

    def berth_yaml(self):
        text = config_yaml(self.device.engine, services=self.used, more=['sessions: {save: 5s}'])
        # A slow machine answers checks late.
        text = re.sub(r"interval: \w+, timeout: \w+, rise: \d, fall: 2", "interval: 2s, timeout: 2s, rise: 1, fall: 3", text)
        return text.replace("  - name: eth0", self.interfaces())

    def network(self):
        return PORT.format(name=self.port(), mtu=self.mtu)

    def configuration_disk(self):
        """A small file system with the label BERTH, as an operator makes it."""
        key, disk = self.files / "key", self.files / "config.fat"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        tree = self.files / "config"
        (tree / "network").mkdir(parents=True)
        (tree / "sysctl.d").mkdir()
        (tree / "berth.yaml").write_text(self.berth_yaml())
        (tree / "authorized_keys").write_text(pathlib.Path(f"{key}.pub").read_text())
        (tree / "hostname").write_text("lb1\n")
        (tree / "network/10-management.network").write_text(MANAGEMENT)
        (tree / "network/20-berth.network").write_text(self.network())
        (tree / "sysctl.d/60-nat.conf").write_text(SYSCTL)
        # Not for the appliance: a test installs it.
        subprocess.run(["apt-get", "-q", "download", "ifupdown"], cwd=tree, capture_output=True, check=True)
        subprocess.run(["mkfs.vfat", "-C", "-n", "BERTH", disk, "2048"], check=True, capture_output=True)
        subprocess.run(["mcopy", "-s", "-i", disk, *sorted(tree.iterdir()), "::/"], check=True)
        return disk

    def cable(self):
        """The lab's cable ends at the machine's NIC, and the lab's host has no addresses."""
        queues = "multi_queue" if self.device.queues > 1 else ""
        script = f"""
            nft flush ruleset
            ip address flush dev eth0; ip address flush dev lo scope global
            ip link add bridge0 address 02:00:00:00:00:01 type bridge mcast_snooping 0
            ip tuntap add dev tap0 mode tap {queues} vnet_hdr
            for link in eth0 tap0; do ip link set $link mtu {self.mtu} master bridge0 up; done
            sysctl -qw net.ipv6.conf.bridge0.disable_ipv6=1 net.ipv6.conf.tap0.disable_ipv6=1 net.ipv6.conf.eth0.disable_ipv6=1
            ip link set bridge0 mtu {self.mtu} up
        """
        self.exec("berth", "sh", "-ec", script)

    def nic(self):
        bus = "bus=port0" if self.device.is_pcie else "bus=pcie.0,addr=0x6"
        return f"{self.device.model},id=nic0,netdev=lan0,mac={PORT_MAC},{bus}"

    def unplug(self):
        """Returns when the machine has given the NIC back."""
        self.qmp("device_del", id="nic0")
        wait_for(lambda: not any(device["name"] == "nic0" for device in self.qmp("qom-list", path="/machine/peripheral")),
                 ANSWER_SECONDS, "the machine to give its NIC back")

    def plug(self):
        model, *options = self.nic().split(",")
        self.qmp("device_add", driver=model, **dict(option.split("=") for option in options))

    def qemu(self):
        queues = f",queues={self.device.queues}" if self.device.queues > 1 else ""
        iommu = ["-device", "intel-iommu,intremap=on,caching-mode=on"] if self.device.has_iommu else []
        return ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1024", "-machine", "q35",
                *iommu, "-nodefaults", "-display", "none", "-serial", f"file:{self.files}/console",
                "-qmp", f"unix:{self.files}/qmp,server=on,wait=off",
                "-drive", f"file={self.image},if=none,id=disk,format=raw,snapshot=on,cache=unsafe",
                "-device", "virtio-blk-pci,drive=disk,addr=0x2,disable-legacy=on",
                "-drive", f"file={self.configuration_disk()},if=none,id=config,format=raw,readonly=on",
                "-device", "virtio-blk-pci,drive=config,addr=0x3,disable-legacy=on",
                "-netdev", "user,id=management,restrict=on,hostfwd=tcp:127.0.0.1:2222-10.0.2.15:22",
                "-device", f"virtio-net-pci,netdev=management,mac={MANAGEMENT_MAC},addr=0x4,romfile=",
                "-device", "pcie-root-port,id=port0,chassis=1,addr=0x5",
                "-netdev", f"tap,id=lan0,ifname=tap0,script=no,downscript=no{queues}", "-device", self.nic()]

    def boot(self):
        shutil.rmtree(self.files, ignore_errors=True)
        self.files.mkdir()
        self.cable()
        self.machine = subprocess.Popen(["nsenter", f"--net=/run/netns/berth-{self.name}-berth", "--", *map(str, self.qemu())],
                                        stdin=subprocess.DEVNULL, stdout=(self.files / "qemu.log").open("w"),
                                        stderr=subprocess.STDOUT, start_new_session=True)
        self.wait_until_it_answers()

    def switch_on(self):
        """In a new lab; all backends are up."""
        self.down()
        self.run("up", "--engine", "none", "--lan-mtu", self.mtu, "--backends", 3)
        self.boot()
        self.wait_until_all_are_up(BOOT_SECONDS)

    def wait_until_it_answers(self):
        wait_for(self.is_up, BOOT_SECONDS, f"the machine to boot; {self.console()[-2000:]}")

    def is_up(self):
        assert self.machine.poll() is None, (self.files / "qemu.log").read_text()
        return self.shell("true", check=False, timeout=30).returncode == 0

    def console(self):
        path = self.files / "console"
        return path.read_text(errors="replace") if path.exists() else ""

    def end(self):
        if self.machine:
            self.disconnect()
            self.machine.terminate()
            self.machine.wait(30)
        shutil.rmtree(self.files, ignore_errors=True)

    # --- commands in it ---

    def ssh(self, *arguments, check=True, timeout=120):
        command = ["nsenter", f"--net=/run/netns/berth-{self.name}-berth", "--", "ssh", "-F", "none", "-q", "-i",
                   self.files / "key", "-p", "2222", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                   "-o", "ControlMaster=auto", "-o", "ControlPersist=yes", "-o", f"ControlPath={self.files}/ssh",
                   "-o", "ConnectTimeout=20", "-o", "ServerAliveInterval=10", "-o", "ServerAliveCountMax=6",
                   "root@127.0.0.1", *arguments]
        try:
            done = subprocess.run([*map(str, command)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                  timeout=timeout, check=False)
        except subprocess.TimeoutExpired:
            assert not check, f"{arguments}: no answer in {timeout} s"
            done = subprocess.CompletedProcess(command, 255, "", "")
        assert not check or done.returncode == 0, f"{arguments}: {done.returncode}: {done.stdout}{done.stderr}"
        return done

    def disconnect(self):
        self.ssh("-O", "exit", check=False)

    def shell(self, command, check=True, timeout=120):
        return self.ssh(command, check=check, timeout=timeout)

    def says(self, command):
        return self.shell(command).stdout

    def ctl(self, *arguments, check=True):
        return self.shell(shlex.join(["berthctl", "-t", "30", *map(str, arguments)]), check=check)

    def log(self):
        return self.says("journalctl --no-pager -o cat -u berthd -u berth-bind -u 'berth-dpdk@*'")

    def qmp(self, command, **arguments):
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as sock:
            sock.settimeout(60)
            sock.connect(f"{self.files}/qmp")
            stream = sock.makefile("rw")
            stream.readline()
            for name, values in (("qmp_capabilities", {}), (command, arguments)):
                stream.write(json.dumps({"execute": name, "arguments": values}) + "\n")
                stream.flush()
                answer = json.loads(stream.readline())
                while "event" in answer:
                    answer = json.loads(stream.readline())
                assert "return" in answer, answer
        return answer["return"]

    def set_network_mtu(self, mtu):
        """Of all links outside the machine, and of the backends' routes to clients. The XDP programs of the lab take no long frames:
        with more than its own MTU there are no tunnels."""
        ends = [("router", "berth", "--address", "192.0.2.1"), *((host, "eth0") for host in ("b1", "b2", "b3"))]
        for host, link, *_ in ends if mtu > self.mtu else ():
            self.exec(host, lab.BERTH_DECAP, "detach", link)
        for link in ("lan", "ext", "berth", "client", "b1", "b2", "b3"):
            self.exec("router", "ip", "link", "set", link, "mtu", mtu)
        for link in ("eth0", "tap0", "bridge0"):
            self.exec("berth", "ip", "link", "set", link, "mtu", mtu)
        for host in ("client", "b1", "b2", "b3"):
            self.exec(host, "ip", "link", "set", "eth0", "mtu", mtu)
        for host in ("b1", "b2", "b3"):
            for gateway, table in (("192.0.2.1", "main"), ("192.0.2.2", "100")):
                self.exec(host, "ip", "route", "change", "default", "via", gateway, "mtu", mtu if mtu > self.mtu else 1500, "table", table)
        for host, link, *addresses in ends if mtu <= self.mtu else ():
            self.exec(host, lab.BERTH_DECAP, "attach", link, *addresses)

    def set_mtu(self, mtu):
        """Of the port, as docs/interfaces.md says. The answer of the command."""
        if self.device.engine == "xdp":
            return self.shell(f"ip link set {self.port()} mtu {mtu}", check=False)
        return self.apply(f"s/ mtu: [0-9]*/ mtu: {mtu}/", check=False)

    def apply(self, edit, check=True):
        """A change of the configuration, in the language of sed."""
        return self.shell(f"sed '{edit}' /etc/berth/berth.yaml >/tmp/edited.yaml; berthctl -t 60 config apply /tmp/edited.yaml", check=check)

    def use(self, engine, commands):
        """Another engine with the same NIC: its files, as an operator writes them, then his commands."""
        self.device = self.device._replace(engine=engine)
        for path, text in (("/etc/berth/berth.yaml", self.berth_yaml()), ("/etc/systemd/network/20-berth.network", self.network())):
            self.shell(f"cat >{path} <<'END'\n{text}\nEND")
        for command in commands:
            self.shell(command, timeout=BOOT_SECONDS)
        self.wait_until_all_are_up(BOOT_SECONDS)

    @contextlib.contextmanager
    def generic(self):
        """With a generic XDP program: docs/interfaces.md says what a native one keeps a driver from."""
        is_native = " xdp " in self.says(f"ip link show {self.port()}")
        if is_native:
            self.apply(f"s/^  - name: {self.port()}$/&\\n    xdp: generic/")
        try:
            yield
        finally:
            if is_native:
                self.apply("/^    xdp: generic$/d")

    def shown_port(self):
        with contextlib.suppress(AssertionError, ValueError, KeyError, IndexError):
            answer = json.loads(self.ctl("-j", "show", "ports").stdout)
            return answer.get("result", answer)["ports"][0]
        return {}

    def forwards(self, service="web"):
        """The backend that answers, or None; an emulated machine needs its time."""
        with contextlib.suppress(OSError, TypeError, KeyError):
            return self.http(service, timeout=5)[1]
        return None

    def wait_until_it_forwards(self):
        wait_for(lambda: all(self.forwards(name) for name in self.used if self.is_tcp(name)), ANSWER_SECONDS, "answers")

    def wait_until_all_are_up(self, seconds=ANSWER_SECONDS):
        wait_for(self.knows_all_up, seconds, "all backends to be up")

    def knows_all_up(self):
        done = self.ctl("-j", "show", "backends", check=False)
        if done.returncode:
            return False
        answer = json.loads(done.stdout)
        backends = answer.get("result", answer)["backends"]
        return len(backends) == 3 * len(self.used) and all(b["health"] == "up" for b in backends)

    @staticmethod
    def is_tcp(name):
        return SERVICES[name].protocol == "tcp"


@contextlib.contextmanager
def running(device):
    """A machine of a lab of its own."""
    if os.geteuid() != 0:
        pytest.skip("needs root: network namespaces")
    guest = Guest("app" + device.replace("-", ""), DEVICES[device], build_image(DEVICES[device]))
    try:
        # A busy host once took all time from a machine that booted.
        try:
            guest.switch_on()
        except AssertionError:
            guest.end()
            guest.switch_on()
        yield guest
    finally:
        guest.end()
        guest.down()
