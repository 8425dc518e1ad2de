# SPDX-License-Identifier: BSD-3-Clause
"""Metrics, read by a real Prometheus: its own check of the text, its scrapes, and the alert rules of packaging/."""
import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import urllib.parse

import pytest

import answers
from conftest import lab_up
from lab import BUILD, CLIENTS4, ROOT, config_yaml, wait_for

SCRAPED, PROMETHEUS = "127.0.0.1:9427", "127.0.0.1:9090"
LISTEN = f"metrics: {{listen: {SCRAPED}, page: true}}"
DOCUMENT = ROOT / "docs/metrics.md"


def with_panic(config):
    """The service web stays in use when more than half of its backends are down."""
    return config.replace("  - name: web\n", "  - name: web\n    panic-threshold: 50%\n")


@pytest.fixture(scope="module", params=["xdp", "dpdk"])
def lab(request):
    config = with_panic(config_yaml(request.param, more=[LISTEN]))
    lab = lab_up(f"metrics{request.param}", request.param, config=config)
    wait_for(lab.all_up, what="all backends to be up")
    yield lab
    lab.down()


def get(lab, url):
    return lab.exec("berth", "curl", "-sf", "-m", 5, url).stdout


def scrape(lab):
    """{series as written: value}"""
    lines = get(lab, f"http://{SCRAPED}/metrics").splitlines()
    return {series: float(value) for series, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}


def block(starts):
    """The document's block that starts with this line."""
    return re.search(rf"^```\n({starts}:\n.*?)^```$", DOCUMENT.read_text(), re.S | re.M)[1]


class Prometheus:
    def __init__(self, lab, state):
        self.lab, self.state = lab, state
        # As the files have them, but once a second.
        (state / "rules.yml").write_text((ROOT / "packaging/berth.rules.yml").read_text())
        (state / "prometheus.yml").write_text(
            "global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [rules.yml]\n" + block("scrape_configs"))
        subprocess.run(["promtool", "check", "config", state / "prometheus.yml"], check=True, capture_output=True)
        self.process = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/berth-{lab.name}-berth", "--", "prometheus",
             f"--config.file={state}/prometheus.yml", f"--storage.tsdb.path={state}/data",
             f"--web.listen-address={PROMETHEUS}"], stderr=open(state / "log", "w"))

    def ask(self, query):
        """[(labels, value)]; None: it does not answer yet."""
        with contextlib.suppress(AssertionError):
            url = f"http://{PROMETHEUS}/api/v1/query?query={urllib.parse.quote(query)}"
            return [(sample["metric"], float(sample["value"][1]))
                    for sample in json.loads(get(self.lab, url))["data"]["result"]]
        return None

    def firing(self):
        return {(labels["alertname"], labels.get("service")) for labels, _ in self.ask('ALERTS{alertstate="firing"}')}

    def end(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def prometheus(lab, tmp_path):
    prometheus = Prometheus(lab, pathlib.Path(tmp_path))
    yield prometheus
    prometheus.end()


def test_promtool_accepts_the_text(lab):
    text = get(lab, f"http://{SCRAPED}/metrics")
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    # The same by the socket; what counts goes on counting.
    names = [line.rsplit(" ", 1)[0] for line in text.splitlines()]
    assert [line.rsplit(" ", 1)[0] for line in lab.ctl("show", "metrics").stdout.splitlines()] == names
    assert [line.rsplit(" ", 1)[0] for line in lab.show("metrics")["metrics"].splitlines()] == names


def test_the_page_is_served_with_figures_that_are_those_of_the_commands(lab):
    assert get(lab, f"http://{SCRAPED}/").startswith("<!doctype html>")
    for what in ("services", "backends"):
        shown, = answers.checked(["show", what], get(lab, f"http://{SCRAPED}/show/{what}"))
        assert [one["name"] for one in shown[what]] == [one["name"] for one in lab.show(what)[what]]


def test_the_engine_runs_and_its_packets_are_counted(lab):
    before = scrape(lab)
    assert before["berth_engine_running"] == 1
    assert before[f'berth_engine_info{{engine="{lab.engine}",instance="berth-{lab.name}"}}'] == 1
    lab.backends_by_client("web", CLIENTS4[:5])
    after = scrape(lab)

    def more(series):
        return after[series] - before[series]
    assert more('berth_packets_total{verdict="selected",class="forward"}') > 0
    flows = sum(more(f'berth_backend_new_flows_total{{service="web",backend="b{i}"}}') for i in (1, 2, 3))
    assert flows == 5
    packets = sum(more(f'berth_backend_packets_total{{service="web",backend="b{i}"}}') for i in (1, 2, 3))
    assert packets >= 5 * 4
    assert packets == sum(lab.packets("web").values()) - sum(
        before[f'berth_backend_packets_total{{service="web",backend="b{i}"}}'] for i in (1, 2, 3))


def test_frames_that_a_port_loses_are_counted(lab):
    """The XDP program passes frames of an unknown protocol to the kernel, which drops them; those of DPDK pass by a TAP."""
    series = 'berth_port_errors_total{port="eth0",kind="rx_dropped"}'
    before = scrape(lab)[series]
    address = json.loads(lab.exec("berth", "ip", "-j", "link", "show", "eth0").stdout)[0]["address"]
    frame = bytes.fromhex(address.replace(":", "")) + b"\x02\0\0\0\0\x01" + b"\x88\xb5" + bytes(50)
    with lab.inside("router"), contextlib.closing(socket.socket(socket.AF_PACKET, socket.SOCK_RAW)) as cable:
        cable.bind(("berth", 0))
        for _ in range(5):
            cable.send(frame)
    if lab.engine == "xdp":
        wait_for(lambda: scrape(lab)[series] >= before + 5, what="the kernel to count them")


def test_the_busy_share_of_dpdk_workers_is_known(lab):
    def of_workers(what):
        return [value for series, value in scrape(lab).items() if series.startswith(f"berth_worker_{what}{{")]
    if lab.engine == "dpdk":
        lab.backend_of("web")
        assert 0 < sum(of_workers("bursts_total")) < sum(of_workers("polls_total"))
        assert sum(of_workers("busy_cycles_total")) > 0 and min(of_workers("cycles_per_second")) > 10**6
        assert "% " in lab.ctl("top", "workers").stdout
    else:
        for what in ("bursts_total", "polls_total", "busy_cycles_total", "cycles_per_second"):
            assert of_workers(what) == []


def test_a_services_counters_never_fall(lab, tmp_path):
    def carried():
        return {what: scrape(lab)[f'berth_service_{what}_total{{service="web"}}']
                for what in ("packets", "bytes", "new_flows")}

    def goes_on(before):
        after = carried()
        assert all(after[what] >= before[what] > 0 for what in before), (before, after)
        return after
    lab.backends_by_client("web", CLIENTS4[:10])
    before = carried()
    fewer = tmp_path / "fewer.yaml"
    fewer.write_text(with_panic(config_yaml(lab.engine, backends=(1, 2), more=[LISTEN])))
    lab.ctl("config", "apply", fewer)
    before = goes_on(before)
    lab.end_berthd(signal.SIGTERM)
    lab.run("berthd")
    before = goes_on(before)
    wait_for(lambda: lab.all_up(2), what="all backends to be up")
    lab.backends_by_client("web", CLIENTS4[:1])
    before = goes_on(before)
    all_again = tmp_path / "all.yaml"
    all_again.write_text(lab.config)
    lab.ctl("config", "apply", all_again)
    goes_on(before)
    assert scrape(lab)['berth_backend_packets_total{service="web",backend="b3"}'] == 0
    wait_for(lab.all_up, what="all backends to be up")


def test_a_panic_is_an_alert_of_prometheus(lab, prometheus):
    wait_for(lambda: prometheus.ask("up == 1"), 15, "the first scrape")
    assert prometheus.ask("berth_service_panic == 1") == []
    assert ("BerthPanic", "web") not in prometheus.firing()
    for backend in ("b1", "b2"):
        lab.run("stop", backend)
    wait_for(lambda: ("BerthPanic", "web") in prometheus.firing(), 15, "the alert")
    [(labels, since)] = prometheus.ask("time() - berth_service_panic_start_time_seconds")
    assert labels["service"] == "web" and 0 <= since < 15
    assert lab.log().count("ALARM: web: ") == 1
    [alarm] = [s["alarm"] for s in lab.show("services")["services"] if s["name"] == "web"]
    assert alarm == "panic: 2 of 3 backends are down"
    for backend in ("b1", "b2"):
        lab.run("start", backend)
    wait_for(lambda: ("BerthPanic", "web") not in prometheus.firing(), 15, "the end of the alert")
    assert lab.log().count("alarm over: web: ") == 1
    assert lab.log().count("ALARM: web: ") == 1


# berthd starts berth-dpdk again at once.
@pytest.mark.parametrize("lab", ["xdp"], indirect=True)
def test_a_killed_engine_is_reported_as_not_running(lab):
    os.kill(lab.pid("berthd"), signal.SIGSTOP)
    lab.exec("berth", "rm", f"/sys/fs/bpf/berth/berth-{lab.name}/link-eth0")
    # Else berthd would attach its own again at once.
    other = ("obj", BUILD / "bpf/berth_decap.bpf.o", "sec", "xdp")
    wait_for(lambda: lab.exec("berth", "ip", "link", "set", "eth0", "xdp", *other, check=False).returncode == 0,
             what="the other program")
    os.kill(lab.pid("berthd"), signal.SIGCONT)
    wait_for(lambda: scrape(lab)["berth_engine_running"] == 0, 20, "it to be noticed")
    assert "another XDP program is attached" in lab.ctl("doctor", check=False).stdout
    lab.exec("berth", "ip", "link", "set", "eth0", "xdp", "off")
    wait_for(lambda: scrape(lab)["berth_engine_running"] == 1, 20, "it to forward again")
