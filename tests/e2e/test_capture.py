# SPDX-License-Identifier: BSD-3-Clause
"""`berthctl capture` shows real packets with their verdicts, and writes a file that tshark reads."""
import contextlib
import json
import pathlib
import subprocess
import time

import pytest

import answers
import lab as labs
from lab import CLIENT4, wait_for
from wire import datagram_to

XDP_TX = 3  # it leaves where it came; of the DPDK engine likewise
FIELDS = ("frame.interface_name", "frame.packet_id", "frame.comment", "frame.verdict.ebpf_xdp", "ip.dst")


@pytest.fixture
def lab(full_lab):
    return full_lab


def tshark(path):
    command = ["tshark", "-r", str(path), "-T", "fields"]
    for field in FIELDS:
        command += ["-e", field]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return [dict(zip(FIELDS, line.split("\t"))) for line in lines]


def test_packets_are_shown_with_verdict_service_and_backend(lab):
    with lab.clients_come():
        done = lab.ctl("-j", "capture", "--count", "6", f"tcp host {CLIENT4} service web")
    packets = answers.checked(["capture"], done.stdout)[0]["packets"]
    assert len(packets) == 6
    for packet in packets:
        assert packet["service"] == "web" and packet["result"] == "forwarded" and packet["backend"].startswith("web/")
        assert CLIENT4 in (packet["packet"]["source"], packet["packet"]["destination"])
        assert len(packet["frame"]) // 2 == min(packet["bytes"], 512) and packet["out"]["bytes"]
        assert packet["interface"] == packet["out"]["interface"] == "eth0" and packet["xdp_action"] == XDP_TX
        assert abs(packet["time_ns"] / 1e9 - time.time()) < 60
    assert "6 packets captured, 0 missed" in done.stderr


def test_the_file_is_pcapng_with_linked_frames(lab, tmp_path):
    path = tmp_path / "web.pcapng"
    with lab.clients_come():
        lab.ctl("capture", "--count", "5", "-w", str(path), f"tcp host {CLIENT4} service web")
    frames = tshark(path)
    assert len(frames) == 10
    for came, left in zip(frames[::2], frames[1::2]):
        assert came["frame.packet_id"] == left["frame.packet_id"] and came["ip.dst"]
        assert came["frame.verdict.ebpf_xdp"] == left["frame.verdict.ebpf_xdp"] == str(XDP_TX)
        assert came["frame.comment"].startswith("forwarded, ") and "; service web; backend web/" in came["frame.comment"]
    assert len({frame["frame.packet_id"] for frame in frames}) == 5
    # Those that left are in the file, too, and have nothing to explain.
    explained = lab.result("explain", "-r", path)
    assert [packet["number"] for packet in explained["packets"]] == [1, 3, 5, 7, 9] and explained["sent_packets"] == 5
    assert lab.ctl("explain", "-r", path).stdout.count("\nservice  web\n") == 5


def test_a_summary_has_a_sample_of_each_verdict(lab):
    with lab.clients_come():
        done = lab.ctl("capture", "--summary", "--count", "20", "service web")
        verdicts = lab.result("capture", "--summary", "--count", "20", "service web")["verdicts"]
    assert "flow  " in done.stdout and "; service web; backend web/" in done.stdout
    assert verdicts["flow"]["packets"] > 1 and verdicts["flow"]["sample"]["service"] == "web"
    assert sum(verdict["packets"] for verdict in verdicts.values()) == 20
    again = lab.ctl("capture", "verdict nope", check=False)
    assert again.returncode == 1 and "unknown verdict" in again.stderr and again.stderr.count("\n") == 1


@contextlib.contextmanager
def capture_in_background(lab, *words, out=subprocess.DEVNULL):
    """A berthctl that captures; what forwards is that of a capture when it yields."""
    command = [labs.BUILD / "controlplane/berthctl", "-s", lab.socket_path, "capture", "--time", "60",
               *(words or ("--count", "1000000"))]
    with subprocess.Popen(command, stdout=out, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_for(lambda: is_capturing(lab), what="the capture")
            yield process
        finally:
            process.kill()


def xdp_program(lab):
    return json.loads(lab.exec("berth", "ip", "-j", "-d", "link", "show", "dev", "eth0").stdout)[0]["xdp"]["prog"]


def bpf_program_exists(number):
    return subprocess.run(["bpftool", "prog", "show", "id", str(number)], capture_output=True).returncode == 0


def is_capturing(lab):
    """By what is there for the time of a capture: another program, or the file of berth-dpdk."""
    if lab.engine == "dpdk":
        return pathlib.Path(f"/dev/shm/berth/{lab.instance}.capture").exists()
    return xdp_program(lab)["name"] == "berth_capture"


def test_only_drops_come_to_standard_output(lab, cable, tmp_path):
    path = tmp_path / "drops.pcapng"
    words = ("--drops", "-w", "-", "--count", "3")

    def has_ended():
        cable.send(datagram_to("dns", 4301, b"?", source="127.0.0.9"))
        return capture.poll() is not None

    with lab.clients_come(), path.open("wb") as out, capture_in_background(lab, *words, out=out) as capture:
        wait_for(has_ended, what="three drops")
    comments = [frame["frame.comment"] for frame in tshark(path)]
    assert len(comments) == 3 and all(comment.startswith("dropped, bad_source") for comment in comments), comments


def test_the_ordinary_packet_path_is_back_when_berthctl_dies(lab):
    with lab.clients_come(), capture_in_background(lab) as process:
        process.kill()
        wait_for(lambda: not is_capturing(lab), seconds=10, what="the ordinary packet path")
    assert lab.answers("web")


def test_of_two_captures_the_later_one_goes_on(lab):
    with lab.clients_come(), capture_in_background(lab) as first:
        second = lab.ctl("capture", "--count", "5", "service web")
        assert "5 packets captured" in second.stderr
        _, said = first.communicate(timeout=10)
        assert first.returncode == 1 and "has ended: another one was started" in said and said.count("\n") == 1
    wait_for(lambda: not is_capturing(lab), seconds=10, what="the ordinary packet path")


def test_a_killed_berthd_leaves_nothing_of_a_capture(lab):
    """The capture's program forwards until the next berthd puts its own in place."""
    with lab.clients_come(), capture_in_background(lab) as berthctl:
        program = xdp_program(lab)["id"] if lab.engine == "xdp" else None
        lab.kill_berthd()
        assert berthctl.wait(timeout=20) == 4
        wait_for(lambda: lab.answers("web"), what="an answer")
        lab.run("berthd")
        assert not is_capturing(lab)
    wait_for(lambda: lab.answers("web"), what="an answer")
    if program:
        wait_for(lambda: not bpf_program_exists(program), what="the end of the capture's program")


def test_a_full_disk_ends_the_capture_with_the_reason(lab):
    with lab.clients_come():
        start = time.monotonic()
        done = lab.ctl("capture", "-w", "/dev/full", "--time", "60", "service web", check=False)
    assert done.returncode == 1 and "No space left on device" in done.stderr and done.stderr.count("\n") == 1
    assert time.monotonic() - start < 30


def test_nonsense_captures_nothing(lab):
    wait_for(lambda: not is_capturing(lab), seconds=10, what="the end of the capture before")
    for words in ("tcp host", "port 99999", "service nowhere", "backend web", "verdict nope", "tcp; rm -rf /", "x" * 3000):
        done = lab.ctl("capture", words, check=False)
        assert done.returncode in (1, 2) and done.stderr.count("\n") == 1, (words, done)
        assert not is_capturing(lab)
