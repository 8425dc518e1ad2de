# SPDX-License-Identifier: BSD-3-Clause
"""The page for people: a real berthd serves it, a real browser shows it."""
import json
import os
import pathlib
import re
import subprocess
import time
import urllib.error
import urllib.request

import pytest

BUILD = pathlib.Path(os.environ["BERTH_BUILD"])
PORT = 20000 + os.getpid() % 20000
URL = f"http://127.0.0.1:{PORT}"
CONFIGURATION = """
engine: "null"
interfaces: [{name: lo}]
limits: {flows: 1024, sessions: 1024, services: 4, backends: 60}
metrics: {listen: "127.0.0.1:%d", page: %s}
services:
- {name: web, address: 203.0.113.10, protocol: tcp, port: 80, mode: ipip, table-size: 251, health: {type: none},
   backends: [{name: b1, address: 192.0.2.11}, {name: b2, address: 192.0.2.12}]}
- {name: shop, address: "2001:db8::80", protocol: tcp, port: 443, mode: ipip, table-size: 251, health: {type: none},
   backends: [{name: s1, address: "2001:db8::11"}]}
"""
FIGURES = {"show services": "/show/services", "show backends web": "/show/backends?service=we%62", "show drops": "/show/drops",
           "show engine": "/show/engine", "show ports": "/show/ports",
           "show node": "/show/node", "show cluster": "/show/cluster"}


class Berthd:
    def __init__(self, path):
        self.path = path
        self.write("true")
        self.process = subprocess.Popen([BUILD / "controlplane/berthd", "-c", path / "berth.yaml", "-r", path, "-d", path / "state"])
        end = time.monotonic() + 20
        while self.ctl("show", "names", "hosts", check=False).returncode != 0:
            assert time.monotonic() < end and self.process.poll() is None
            time.sleep(0.05)

    def write(self, page):
        (self.path / "berth.yaml").write_text(CONFIGURATION % (PORT, page))

    def ctl(self, *words, check=True):
        return subprocess.run([BUILD / "controlplane/berthctl", "-r", self.path, *words], capture_output=True, text=True, check=check)


@pytest.fixture(scope="module")
def berthd(tmp_path_factory):
    berthd = Berthd(tmp_path_factory.mktemp("page"))
    yield berthd
    berthd.process.terminate()
    berthd.process.wait()


def get(path, method="GET"):
    return urllib.request.urlopen(urllib.request.Request(URL + path, method=method), timeout=10)


def without(value, *keys):
    if isinstance(value, dict):
        return {key: without(one, *keys) for key, one in value.items() if key not in keys}
    return [without(one, *keys) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize("command", FIGURES)
def test_figures_are_those_of_the_command_without_digests(berthd, command):
    said = json.loads(berthd.ctl("-j", *command.split()).stdout)
    shown = json.load(get(FIGURES[command]))
    times = ("rates", "health_age_s", "rx_errors", "rx_missed", "tx_errors")
    assert without(shown, *times) == without(said, "secret_digest", "config_digest", "secret_file", *times)
    assert "digest" not in json.dumps(shown)


@pytest.mark.parametrize("path", ["/index.html", "/show/metrics", "/show/backends?x=1", "/show/backends?service", "/show/",
                                  "/show/drops?after=1", "/show/services?after=" + "9" * 300, "/" + "x" * 600,
                                  "/show/shutdown", "/show/services?after=%00"])
def test_nothing_else_is_there(berthd, path):
    with pytest.raises(urllib.error.HTTPError) as error:
        get(path)
    assert error.value.code == 404


def test_an_argument_that_is_wrong_is_an_error_with_its_reason(berthd):
    assert "not found" in json.load(get("/show/backends?service=nothing"))["error"]
    assert json.load(get("/show/services?after=x"))["error"]


def test_it_is_read_only_and_nothing_from_elsewhere_runs_in_it(berthd):
    answer = get("/")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and answer.headers["X-Frame-Options"] == "DENY"
    text = answer.read().decode()
    assert not re.search(r"(src|href)=|https?://(?!node)|@import|url\(", text)
    for method in ("POST", "PUT", "DELETE"):
        with pytest.raises(urllib.error.HTTPError) as error:
            get("/show/services", method)
        assert error.value.code == 405


def browse(tmp_path, *options, anchor=""):
    return subprocess.run(["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/profile",
                           "--virtual-time-budget=4000", *options, f"{URL}/{anchor}"],
                          capture_output=True, text=True, timeout=90, check=True, env=os.environ | {"HOME": str(tmp_path)}).stdout


def test_a_browser_shows_services_backends_and_the_state_of_the_node(berthd, tmp_path):
    shown = re.sub(r"<[^>]*>", " ", re.sub(r"<(script|style)>.*?</\1>", "", browse(tmp_path, "--dump-dom", anchor="#web"), flags=re.S))
    for text in ("not ready: waiting for the null engine", "0 of 2", "tcp 203.0.113.10:80", "tcp [2001:db8::80]:443",
                 "no eligible backend: 2 without a next hop", "b2", "192.0.2.12", "packets/s", "Dropped packets", "Ports",
                 "rx missed", "lo  up", "Workers", "cycles/packet"):
        assert text in shown, shown
    assert "s1" not in shown.split() and "No answer" not in shown


@pytest.mark.parametrize("options", [("--window-size=1200,900",), ("--window-size=400,800", "--force-dark-mode")])
def test_a_browser_paints_it(berthd, tmp_path, options):
    browse(tmp_path, f"--screenshot={tmp_path}/page.png", *options, anchor="#web")
    assert (tmp_path / "page.png").stat().st_size > 20000  # an empty page has less than 10000


def test_without_the_key_there_is_no_page(berthd):
    berthd.write("false")
    berthd.ctl("config", "apply", "--no-save", berthd.path / "berth.yaml")
    for path in ("/", "/show/services"):
        with pytest.raises(urllib.error.HTTPError) as error:
            get(path)
        assert error.value.code == 404
    assert b"berth_build_info" in get("/metrics").read()
    berthd.write("true")
    berthd.ctl("config", "apply", "--no-save", berthd.path / "berth.yaml")
    assert get("/").status == 200
