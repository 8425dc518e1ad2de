# SPDX-License-Identifier: BSD-3-Clause
"""berth-dpdk on real interfaces. image_tool makes the image and reads the counters in place of berthd.

        client                          berth
   c0 198.51.100.2/24  ---- veth ---- b0 198.51.100.1/24     AF_XDP port, or af_packet
   c1                  ---- veth ---- b1                     second port

Needs root. BERTH_BUILD names the build directory (default: build/ in the repository).
"""
import contextlib
import ctypes
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

import pytest
from scapy.all import IP, TCP, Ether, IPv6, Raw, raw

ROOT = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("BERTH_BUILD", ROOT / "build"))
ENGINE = BUILD / "dataplane" / "berth-dpdk"
TOOL = BUILD / "tests/e2e/dpdk/image_tool"

VIP, VIP6 = "203.0.113.10", "2001:db8::10"
BERTH_MAC = "02:00:00:00:01:00"  # what image_tool's backends have as source
PORT_MAC = (BERTH_MAC, "02:00:00:00:01:01")  # of its ports
LIFETIME = 120  # seconds; an engine ends then even if its test does not end it
CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def run(*command, **more):
    return subprocess.run([str(c) for c in command], check=True, capture_output=True, text=True, **more).stdout


class Namespace:
    def __init__(self, name):
        self.name = f"bd{os.getpid()}{name}"
        self.path = f"/run/netns/{self.name}"
        run("ip", "netns", "add", self.name)

    def command(self, *command):
        return ["nsenter", f"--net={self.path}", *command]

    def run(self, *command):
        return run(*self.command(*command))

    @contextlib.contextmanager
    def entered(self):
        """Sockets opened inside belong to the namespace, also afterwards."""
        with open("/proc/self/ns/net", "rb") as before, open(self.path, "rb") as inside:
            assert libc.setns(inside.fileno(), CLONE_NEWNET) == 0
            try:
                yield
            finally:
                assert libc.setns(before.fileno(), CLONE_NEWNET) == 0

    def packets(self, interface):
        with self.entered():
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            sock.bind((interface, 0))
        sock.settimeout(0.2)
        return sock

    def delete(self):
        run("ip", "netns", "del", self.name)


class Lab:
    def __init__(self, directory):
        self.directory = directory
        self.client = Namespace("c")
        self.berth = Namespace("b")
        self.image = f"/dev/shm/{self.berth.name}.image"
        self.engines = []
        for i in range(2):
            run("ip", "link", "add", f"b{i}", "address", PORT_MAC[i], "netns", self.berth.name, "type", "veth",
                "peer", "name", f"c{i}", "netns", self.client.name)
            self.berth.run("ip", "link", "set", f"b{i}", "up")
            self.client.run("ip", "link", "set", f"c{i}", "up")
        for namespace, interface, host in ((self.berth, "b0", 1), (self.client, "c0", 2)):
            namespace.run("ip", "link", "set", "lo", "up")
            namespace.run("ip", "addr", "add", f"198.51.100.{host}/24", "dev", interface)
            namespace.run("ip", "addr", "add", f"2001:db8:1::{host}/64", "dev", interface, "nodad")
            # Locally sent packets reach AF_XDP over veth without a checksum unless the kernel computes it.
            namespace.run("ethtool", "-K", interface, "tx", "off")
        run(TOOL, "make", self.image)

    def command(self, *ports, options=(), instance="t"):
        command = [ENGINE, "--instance", instance, "--image", self.image, "--run-dir", self.directory, *options]
        for port in ports:
            command += ["--port", port]
        return self.berth.command(*(str(c) for c in command))

    def start(self, *ports, options=()):
        # A killed engine leaves its file.
        (self.directory / "t-dpdk.json").unlink(missing_ok=True)
        engine = Engine(self, self.command(*ports, options=["--idle", "adaptive", *options]))
        self.engines.append(engine)
        engine.wait()
        return engine

    def counters(self):
        return json.loads(run(TOOL, "show", self.image))

    def totals(self):
        workers = self.counters()["workers"]
        return {counter: sum(worker[counter] for worker in workers) for counter in workers[0]}

    def close(self):
        for engine in self.engines:
            engine.kill()
        self.client.delete()
        self.berth.delete()
        for path in pathlib.Path("/dev/shm").glob(f"{self.berth.name}.image*"):
            path.unlink()


class Engine:
    def __init__(self, lab, command):
        self.status_file = lab.directory / "t-dpdk.json"
        self.log = lab.directory / "log"
        self.status = None
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(["timeout", "-k", "5", str(LIFETIME), *command], stderr=log, stdout=log)

    def wait(self):
        deadline = time.monotonic() + 30
        while not self.status_file.exists():
            assert self.process.poll() is None and time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)
        self.status = json.loads(self.status_file.read_text())

    def signal(self, number):
        os.kill(self.status["pid"], number)

    def stop(self):
        self.signal(signal.SIGTERM)
        return self.process.wait(20)

    def kill(self):
        if self.process.poll() is None:
            if self.status:
                self.signal(signal.SIGKILL)
            else:
                self.process.terminate()
            self.process.wait(20)


@pytest.fixture(scope="module", autouse=True)
def hugepages():
    """Enough for an engine, also if earlier labs left too few."""
    run(ROOT / "scripts" / "hugepages", "reserve", "192", "berth-dpdk")
    yield
    run(ROOT / "scripts" / "hugepages", "release", "berth-dpdk")


@pytest.fixture
def lab(tmp_path):
    lab = Lab(tmp_path)
    yield lab
    lab.close()


def syn(dst=VIP, dport=80, sport=1024, flags="S", port=0):
    """A router's frame to a port of berth."""
    layer = IPv6(src="2001:db8:1::2", dst=dst) if ":" in dst else IP(src="198.51.100.2", dst=dst)
    return Ether(src="02:00:00:00:09:09", dst=PORT_MAC[port]) / layer / TCP(sport=sport, dport=dport, flags=flags)


def answers(sock, wanted, seconds=5):
    """Frames from berth: `wanted` of them, or fewer after `seconds`."""
    frames = []
    deadline = time.monotonic() + seconds
    while len(frames) < wanted and time.monotonic() < deadline:
        try:
            frame = Ether(sock.recv(4096))
        except TimeoutError:
            continue
        if frame.src == BERTH_MAC:
            frames.append(frame)
    return frames


def send(lab, *frames, out="c0", back="c0", wanted=None):
    sock, listener = lab.client.packets(out), lab.client.packets(back)
    with sock, listener:
        for frame in frames:
            sock.send(raw(frame))
        return answers(listener, len(frames) if wanted is None else wanted)


def assert_counted(lab, holds):
    """`holds` is true for the totals of one reading. A worker counts a burst shortly after it has sent it."""
    deadline = time.monotonic() + 2
    while True:
        total = lab.totals()
        if holds(total):
            return
        assert time.monotonic() < deadline, total
        time.sleep(0.02)


def assert_every_packet_has_one_verdict(lab):
    assert_counted(lab, lambda total: total["received"] == total["all_verdicts"])


MEMORY = pytest.mark.parametrize("options", [[], ["--no-hugepages"]], ids=["hugepages", "no-hugepages"])


def test_forwarding_goes_on_while_the_status_file_cannot_be_written(lab):
    blocked = lab.directory / "t-dpdk.json.new"
    blocked.mkdir()
    engine = Engine(lab, lab.command("b0", options=["--idle", "adaptive"]))
    lab.engines.append(engine)
    deadline = time.monotonic() + 20
    while "cannot be written" not in engine.log.read_text():
        assert engine.process.poll() is None and time.monotonic() < deadline, engine.log.read_text()
        time.sleep(0.05)
    assert len(send(lab, syn(), syn(dst=VIP6))) == 2
    time.sleep(2.5)
    assert engine.log.read_text().count("cannot be written") == 1
    blocked.rmdir()
    engine.wait()
    assert "written again" in engine.log.read_text()
    assert engine.stop() == 0


@MEMORY
def test_frames_come_back_rewritten_for_their_backends(lab, options):
    engine = lab.start("b0", options=options)
    assert engine.status["hugepages"] == (not options)
    assert engine.status["ports"][0]["driver"] == "net_af_xdp"

    [frame] = send(lab, syn())
    assert (frame.dst, frame[IP].src, frame[IP].dst) == ("02:00:00:00:02:01", "198.51.100.2", VIP)
    [frame] = send(lab, syn(dport=81))
    assert (frame.dst, frame[IP].dst, frame[IP].proto) == ("02:00:00:00:02:02", "192.0.2.12", 4)
    inner = syn(dport=81)
    inner[IP].ttl -= 1
    assert raw(frame[IP].payload) == raw(inner[IP])
    [frame] = send(lab, syn(dst=VIP6))
    assert (frame.dst, frame[IPv6].dst, frame[TCP].dport) == ("02:00:00:00:02:03", VIP6, 80)

    assert_counted(lab, lambda total: total["selected"] == 3)
    assert_every_packet_has_one_verdict(lab)


@MEMORY
def test_no_buffer_is_lost_over_many_rounds_of_the_pool(lab, options):
    """Four rounds of a pool of some 7,000 buffers. With gaps between the buffers, the AF_XDP driver of DPDK registers
    fewer than there are; the kernel rejects each of the others, and receiving ends."""
    lab.start("b0", options=["--memory", "16", *options])
    # Another core frees packets that pass to the kernel, so that the pool hands out all of its buffers.
    passing, coming_back = raw(syn(dst="203.0.113.99")), raw(syn())
    with lab.client.packets("c0") as sock, lab.client.packets("c0") as listener:
        for _ in range(28_000 // 100):
            for _ in range(99):
                sock.send(passing)
            sock.send(coming_back)
            assert len(answers(listener, 1)) == 1
    # A busy machine drops a few packets; lost buffers would stop it at 7,000.
    assert_counted(lab, lambda total: total["no_service"] >= 28_000 * 9 // 10)
    assert_every_packet_has_one_verdict(lab)


@MEMORY
def test_the_kernel_receives_and_sends_through_the_engine(lab, options):
    lab.start("b0", options=options)
    lab.client.run("ping", "-c", "3", "-i", "0.2", "-W", "2", "198.51.100.1")
    lab.client.run("ping", "-c", "3", "-i", "0.2", "-W", "2", "2001:db8:1::1")
    lab.berth.run("ip", "neigh", "flush", "all")
    lab.berth.run("ping", "-c", "3", "-i", "0.2", "-W", "2", "198.51.100.2")
    assert_counted(lab, lambda total: total["not_ip"] >= 1 and total["not_tcp_udp"] >= 9)  # ARP, ICMP

    with lab.berth.entered():
        server = socket.create_server(("198.51.100.1", 2222))
    with lab.client.entered():
        client = socket.create_connection(("198.51.100.1", 2222), timeout=5)
    with server, client:
        peer, _ = server.accept()
        with peer:
            peer.sendall(b"x" * 100_000)
        received = 0
        while chunk := client.recv(65536):
            received += len(chunk)
    assert received == 100_000
    assert_counted(lab, lambda total: total["no_service"] > 0)
    assert_every_packet_has_one_verdict(lab)


def test_a_packet_for_the_kernel_wakes_the_main_lcore_from_its_long_sleep(lab):
    """Without the doorbell it sleeps for a second."""
    lab.start("b0")
    lab.client.run("ping", "-c", "1", "-W", "2", "198.51.100.1")
    output = lab.client.run("ping", "-c", "7", "-i", "0.3", "-W", "2", "198.51.100.1")
    times = sorted(float(line.split("time=")[1].split()[0]) for line in output.splitlines() if "time=" in line)
    assert len(times) == 7 and times[3] < 50, times


def test_a_port_without_a_kernel_interface_gets_a_tap_with_its_name_and_mac(lab):
    """As on a PCI port: the addresses of the host are on the TAP."""
    mac = json.loads(lab.berth.run("ip", "-j", "link", "show", "b0"))[0]["address"]
    lab.berth.run("ip", "addr", "flush", "dev", "b0")
    engine = lab.start("ext0,device=net_af_xdp0,iface=b0,queues=1")
    assert engine.status["ports"][0]["tap"] == "ext0"
    link = json.loads(lab.berth.run("ip", "-j", "link", "show", "ext0"))[0]
    assert link["address"] == mac and "UP" in link["flags"]
    lab.berth.run("ip", "addr", "add", "198.51.100.1/24", "dev", "ext0")
    lab.client.run("ping", "-c", "3", "-i", "0.2", "-W", "2", "198.51.100.1")
    lab.client.run("ip", "neigh", "flush", "all")
    lab.berth.run("ping", "-c", "3", "-i", "0.2", "-W", "2", "198.51.100.2")
    [frame] = send(lab, syn())
    assert frame.dst == "02:00:00:00:02:01"
    assert lab.totals()["host_unsent"] == 0
    engine.stop()
    assert "ext0" not in lab.berth.run("ip", "link")
    lab.berth.run("ip", "tuntap", "add", "ext0", "mode", "tap", "multi_queue")
    engine = lab.start("ext0,device=net_af_xdp0,iface=b0,queues=1")
    assert engine.status["ports"][0]["tap"] == "ext0"


def test_a_pci_device_that_is_not_there_keeps_only_its_own_port_from_forwarding(lab):
    engine = lab.start("b0,device=net_af_packet0,iface=b0", "nic0,device=0000:ff:1f.7")
    assert [(port["absent"], port["had_fault"]) for port in engine.status["ports"]] == [(False, False), (True, True)]
    assert "nic0: no PCI device 0000:ff:1f.7 is there" in engine.log.read_text()
    assert "LOWER_UP" not in json.loads(lab.berth.run("ip", "-j", "link", "show", "nic0"))[0]["flags"]
    send(lab, syn(dport=82), wanted=0)
    [frame] = send(lab, syn())
    assert frame.dst == "02:00:00:00:02:01"
    assert_counted(lab, lambda total: total["tx_full"] == 1)
    assert "not ready port" not in engine.log.read_text()


def test_without_free_hugepages_it_names_the_command_and_forwards(lab, tmp_path):
    meminfo = tmp_path / "meminfo"
    meminfo.write_text(re.sub(r"(HugePages_\w+:\s+)\d+", r"\g<1>0", pathlib.Path("/proc/meminfo").read_text()))
    as_it_is_there = ["unshare", "-m", "sh", "-ec", 'mount --bind "$0" /proc/meminfo; exec "$@"', str(meminfo)]
    engine = Engine(lab, [*as_it_is_there, *lab.command("b0", options=["--idle", "adaptive", "--memory", "16"])])
    lab.engines.append(engine)
    engine.wait()
    assert "memory: small pages: 48 MiB of hugepages needed, 0 MiB free: berth-hugepages reserve" in engine.log.read_text()
    assert not engine.status["hugepages"]
    [frame] = send(lab, syn())
    assert frame.dst == "02:00:00:00:02:01"


@pytest.mark.parametrize("options", [[], ["--no-hugepages"]], ids=["hugepages", "small pages"])
def test_without_any_device_berth_dpdk_waits_and_says_why(lab, options):
    engine = lab.start("nic0,device=0000:ff:1f.7", "nic1,device=0000:ff:1f.6", options=options)
    assert [port["absent"] for port in engine.status["ports"]] == [True, True]
    for name, address in (("nic0", "0000:ff:1f.7"), ("nic1", "0000:ff:1f.6")):
        assert f"{name}: no PCI device {address} is there: lspci -D" in engine.log.read_text()


def test_the_carrier_of_a_tap_is_the_link_of_its_port_and_its_address_stays(lab):
    engine = lab.start("nic0,device=net_tap0,iface=wire0,mac=02:00:00:00:00:55")

    def tap():
        return json.loads(lab.berth.run("ip", "-j", "link", "show", "nic0"))[0]

    def wait(condition, what):
        end = time.monotonic() + 15
        while not condition():
            assert time.monotonic() < end, what
            time.sleep(0.02)

    wait(lambda: "LOWER_UP" in tap()["flags"], "a carrier")
    lab.berth.run("ip", "link", "set", "wire0", "down")
    wait(lambda: "LOWER_UP" not in tap()["flags"], "no carrier")
    wait(lambda: json.loads(engine.status_file.read_text())["ports"][0]["link"] == "down", "the link in the status")
    lab.berth.run("ip", "link", "set", "wire0", "up")
    wait(lambda: "LOWER_UP" in tap()["flags"], "a carrier again")
    lab.berth.run("ip", "link", "set", "nic0", "address", "02:00:00:00:00:77")
    wait(lambda: tap()["address"] == "02:00:00:00:00:55", "the address of the port")
    assert "ALARM: nic0: another program gave it another link address" in engine.log.read_text()


def test_a_port_and_its_tap_have_the_configured_mtu(lab):
    """net_tap gives it to its interface, as a driver of a card does to the card."""
    engine = lab.start("ext0,mtu=1400,device=net_tap0,iface=wire0")
    assert engine.status["ports"][0]["mtu"] == 1400
    for interface in ("ext0", "wire0"):
        assert json.loads(lab.berth.run("ip", "-j", "link", "show", interface))[0]["mtu"] == 1400


@pytest.mark.parametrize("port, reason", [
    ("n0,mtu=1400,device=net_ring0", "n0: its driver net_ring cannot set an MTU; remove mtu"),
    ("ext0,mtu=9000,device=net_tap0", "ext0: MTU 9000: its driver net_tap refuses it; lower mtu"),
    ("n0,mtu=9000,device=net_null0", "n0: its driver net_null, or the device, cannot send and receive packets in several buffers; "
     "lower the MTU from 9000 to at most 2022"),
])
def test_an_mtu_that_the_driver_refuses_is_named(lab, port, reason):
    done = subprocess.run(lab.command(port), capture_output=True, text=True, timeout=30)
    # Of the last line berthd makes its answer to `config apply`.
    assert done.returncode == 5 and reason in done.stderr.splitlines()[-1]


def test_a_packet_leaves_through_the_port_of_its_backend(lab):
    engine = lab.start("b0", "b1")
    assert [port["tap"] for port in engine.status["ports"]] == ["bt-b0", "bt-b1"]
    [frame] = send(lab, syn(dport=82), back="c1")
    assert frame.dst == "02:00:00:00:02:04"
    [frame] = send(lab, syn(port=1), out="c1", back="c0")
    assert frame.dst == "02:00:00:00:02:01"


@pytest.mark.parametrize("port", ["b0,queues=2,device=net_af_packet0,iface=b0,qpairs=2",
                                  "b0,device=net_af_packet0,iface=b0,qpairs=2,queues=2"])
def test_every_queue_has_a_worker_and_all_share_one_flow_table(lab, port):
    """af_packet spreads flows over the sockets of its two queues."""
    engine = lab.start(port)
    assert engine.status["workers"] == 2 and engine.status["ports"][0]["tap"] is None
    frames = [syn(sport=port) for port in range(2000, 2032)]
    assert len(send(lab, *frames)) == 32
    assert len(send(lab, *[syn(sport=port, flags="A") for port in range(2000, 2032)])) == 32
    assert_counted(lab, lambda total: (total["selected"], total["flow"]) == (32, 32))
    assert all(worker["selected"] > 0 for worker in lab.counters()["workers"])
    assert_every_packet_has_one_verdict(lab)


def test_a_flood_over_ports_and_queues_is_counted_completely(lab):
    """net_null receives endless packets with old bytes of its buffers, mostly zeros. They are not IP and pass to the
    kernel, until the rings to it are full."""
    engine = lab.start("n0,device=net_null0,queues=2", "n1,device=net_null1,queues=2")
    time.sleep(0.5)
    assert engine.stop() == 0
    workers = lab.counters()["workers"]
    for worker in workers:
        assert worker["received"] == worker["all_verdicts"]
        assert worker["received"] > 1000 and worker["pass_full"] > 0 and worker["not_ip"] > 0
        assert worker["busy_cycles"] > 0
    assert engine.status["cycles_per_second"] > 10**6


def test_a_worker_without_packets_is_not_busy(lab):
    """The other worker has what the kernel sends."""
    engine = lab.start("n0,device=net_null0,no-rx=1,queues=2")
    deadline = time.monotonic() + 30
    while not lab.counters()["workers"][1]["polls"]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert engine.stop() == 0
    assert lab.counters()["workers"][1]["busy_cycles"] == 0


def test_a_port_gets_no_more_queues_than_there_are_workers(lab):
    engine = lab.start("n0,device=net_null0,queues=2", options=["--workers", "1"])
    assert engine.status["workers"] == 1 and engine.status["ports"][0]["queues"] == 1


def test_a_port_may_have_any_name_that_berthd_accepts(lab):
    engine = lab.start("b+0~,device=net_null0")
    assert engine.status["ports"][0]["name"] == engine.status["ports"][0]["tap"] == "b+0~"


def test_workers_publish_the_generation_that_they_read(lab):
    lab.start("b0")

    def wait_for(generation):
        deadline = time.monotonic() + 2
        while lab.counters()["workers"][0]["seen"] != generation and time.monotonic() < deadline:
            time.sleep(0.01)
        return lab.counters()["workers"][0]

    assert wait_for(1)["running"] == 1
    run(TOOL, "publish", lab.image)
    assert wait_for(2)["seen"] == 2
    [frame] = send(lab, syn())
    assert frame.dst == "02:00:00:00:02:01"


def test_a_stopped_engine_leaves_nothing_behind(lab):
    engine = lab.start("b0")
    assert subprocess.run([TOOL, "locked", lab.image]).returncode == 0
    assert "bt-b0" in lab.berth.run("ip", "link") and "xdp" in lab.berth.run("ip", "link", "show", "b0")
    assert engine.stop() == 0
    assert subprocess.run([TOOL, "locked", lab.image]).returncode == 1
    assert not engine.status_file.exists()
    assert "bt-b0" not in lab.berth.run("ip", "link") and "xdp" not in lab.berth.run("ip", "link", "show", "b0")
    assert all(worker["running"] == 0 for worker in lab.counters()["workers"])
    assert not os.path.exists("/var/run/dpdk/t.dpdk")


def test_flows_survive_a_killed_engine(lab):
    engine = lab.start("b0")
    assert len(send(lab, syn())) == 1
    engine.kill()
    assert subprocess.run([TOOL, "locked", lab.image]).returncode == 1
    lab.start("b0")
    assert len(send(lab, syn(flags="A"))) == 1
    assert_counted(lab, lambda total: (total["selected"], total["flow"]) == (1, 1))
    lab.client.run("ping", "-c", "1", "-W", "2", "198.51.100.1")


@MEMORY
def test_the_engine_starts_without_memory_on_its_numa_node(lab, options):
    engine = lab.start("b0", options=["--node", "9", *options])
    assert len(send(lab, syn())) == 1
    assert "NUMA node 9 has no room" in engine.log.read_text()


def test_a_second_engine_on_one_image_is_refused(lab):
    lab.start("b0")
    second = subprocess.run(lab.command("b1", instance="u"), capture_output=True, text=True, timeout=30)
    assert second.returncode == 6 and "another berth-dpdk" in second.stderr
    assert len(send(lab, syn())) == 1


def test_the_engine_outlives_the_process_that_started_it(lab):
    reader, writer = os.pipe()
    parent = subprocess.Popen(["sh", "-c", '"$@" & wait', "sh", "timeout", str(LIFETIME), *lab.command("b0")],
                              stderr=writer, stdout=writer)
    os.close(writer)
    status_file = lab.directory / "t-dpdk.json"
    deadline = time.monotonic() + 30
    while not status_file.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    pid = json.loads(status_file.read_text())["pid"]
    try:
        parent.kill()
        parent.wait()
        os.close(reader)
        for ignored in (signal.SIGHUP, signal.SIGPIPE, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM):
            os.kill(pid, ignored)
        time.sleep(0.2)
        assert len(send(lab, syn())) == 1
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + 10
        while status_file.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not status_file.exists()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


REFUSALS = {
    "no port": ([], [], 2, "--port"),
    "port twice": (["b0", "b0"], [], 2, "given twice"),
    "bad port name": (["b/0"], [], 2, "does not begin with an interface name"),
    "quote in port name": (["b\"0"], [], 2, "does not begin with an interface name"),
    "bad port key": (["b0,speed=1"], [], 2, "is not NAME"),
    "queues twice": (["b0,queues=1,queues=2"], [], 2, "is not NAME"),
    "no queues": (["b0,queues=0"], [], 2, "not a number from 1"),
    "too many queues of a port": (["b0,queues=256"], [], 2, "not a number from 1 to 255"),
    "long name": (["b" * 16], [], 2, "longer than 15"),
    "long device": (["b0,device=net_null0," + "x" * 128], [], 2, "longer than 127"),
    "bad idle": (["b0"], ["--idle", "lazy"], 2, "use auto, poll or adaptive"),
    "bad memory": (["b0"], ["--memory", "-1"], 2, "not a number from 16"),
    "bad node": (["b0"], ["--node", "1024"], 2, "not a number from 0 to 1023"),
    "no such option": (["b0"], ["--fast"], 2, "unrecognized option"),
    "stray word": (["b0"], ["fast"], 2, "follow --"),
    "no interface": (["nosuch0"], [], 5, "interface not found"),
    "too many queues": (["b0,queues=2"], [], 5, "ethtool -l b0"),
    "no such driver": (["b0,device=net_nosuch0"], [], 5, "cannot open the device"),
    "taken name": (["b1,device=net_null0"], [], 5, "an interface of that name exists"),
    "no BPF object": (["b0"], ["--bpf-dir", "/nonexistent"], 5, "--bpf-dir"),
}


@pytest.mark.parametrize("ports, options, code, words", REFUSALS.values(), ids=REFUSALS.keys())
def test_an_invalid_start_is_refused_with_exit_code_and_reason(lab, ports, options, code, words):
    done = subprocess.run(lab.command(*ports, options=options), capture_output=True, text=True, timeout=30)
    assert done.returncode == code
    assert words in done.stderr
    assert not (lab.directory / "t-dpdk.json").exists()
    assert "bt-b0" not in lab.berth.run("ip", "link")


def patch(path, offset, data):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


DAMAGES = {
    "missing": (os.unlink, "No such file"),
    "empty": (lambda path: os.truncate(path, 0), "not an image of berth"),
    "truncated": (lambda path: os.truncate(path, 8192), "damaged: 8192 bytes"),
    "of another magic": (lambda path: patch(path, 0, b"x"), "not an image of berth"),
    "of another ABI": (lambda path: patch(path, 8, b"\x63"), "ABI version 99"),
    "of three flow buckets": (lambda path: patch(path, 16 + 16, b"\x03\0\0\0"), "damaged"),
    "with a selection table out of bounds": (lambda path: patch(path, 4096 + (8 + 1) * 128 + 12,  # half 1
                                                                         b"\xff\xff\xff\x7f"), "damaged: a service"),
    "of another user": (lambda path: os.chown(path, 65534, 65534), "belongs to another user"),
    "that others can write": (lambda path: os.chmod(path, 0o606), "other users can write it"),
    "behind a link": (lambda path: (os.rename(path, path + "x"), os.symlink(path + "x", path)), "is a symbolic link"),
}


@pytest.mark.parametrize("damage, words", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_file_that_is_not_a_valid_image_is_refused(lab, damage, words):
    damage(lab.image)
    done = subprocess.run(lab.command("b0"), capture_output=True, text=True, timeout=30)
    assert done.returncode == 5 and words in done.stderr
    assert done.stderr.count("\n") == 1
    pathlib.Path(lab.image).touch()
    pathlib.Path(lab.image + "x").unlink(missing_ok=True)


def test_a_missing_capability_is_reported(lab):
    command = lab.command("b0")
    drop = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    done = subprocess.run([*command[:2], *drop, *command[2:]], capture_output=True, text=True, timeout=30)
    assert done.returncode == 4 and "CAP_NET_ADMIN is missing; run as root" in done.stderr
