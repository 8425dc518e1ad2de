# SPDX-License-Identifier: BSD-3-Clause
"""Changes under traffic: backends die and return, are drained and disabled; configurations are applied."""
import contextlib
import socket
import subprocess
import threading
import time

import pytest

from lab import CLIENTS4, CLIENTS6, HEALTH_SECONDS, SERVICES, ask, config_yaml, request, wait_for


@pytest.fixture(autouse=True)
def all_backends_up(lab):
    """Each test leaves all backends enabled and up."""
    yield
    for backend in ("b1", "b2", "b3"):
        for service in ("web", "tunnel6", "dns", "dnstunnel6"):
            lab.ctl("backend", "enable", f"{service}/{backend}")
        if not lab.serves(backend):
            lab.run("start", backend)
    wait_for(lab.all_up, what="all backends to be up")


def split(backends_by_client, backend):
    """(clients of the backend, the others)"""
    placed = backends_by_client.items()
    return [c for c, b in placed if b == backend], [c for c, b in placed if b != backend]


@pytest.mark.parametrize("service, clients", [("web", CLIENTS4), ("web6", CLIENTS6), ("tunnel", CLIENTS4)])
def test_a_killed_backends_clients_move_in_time_and_no_other_clients_move(lab, service, clients):
    backends_by_client = lab.backends_by_client(service, clients)
    victim = backends_by_client[clients[0]]
    lost, others = split(backends_by_client, victim)
    begun = time.monotonic()
    lab.run("stop", victim)
    wait_for(lambda: lab.answers(service, clients[0]) not in (None, victim), what="another backend")
    assert time.monotonic() - begun < HEALTH_SECONDS
    assert lab.backends_by_client(service, others) == {client: backends_by_client[client] for client in others}
    moved = lab.backends_by_client(service, lost)
    assert victim not in moved.values()
    assert lab.backends_by_client(service, lost) == moved

    lab.run("start", victim)
    wait_for(lambda: lab.health(service, victim) == "up", what=f"{victim} to be up")
    assert lab.backends_by_client(service, lost) == moved, "a session moves only when it must"
    assert lab.backends_by_client(service, others) == {client: backends_by_client[client] for client in others}


def test_an_attempt_to_a_dead_backend_does_not_move_a_client_back_to_it(lab):
    """Its half-open entry would be the next connection's that has the same source port."""
    client, port = CLIENTS4[3], 40001
    victim = lab.backend_of("web", client)
    lab.run("stop", victim)
    with contextlib.closing(lab.socket(client, timeout=0.2, port=port)) as sock, contextlib.suppress(OSError):
        sock.connect(SERVICES["web"].target)
    wait_for(lambda: lab.answers("web", client) not in (None, victim), what="another backend")
    moved = lab.backend_of("web", client)
    lab.run("start", victim)
    wait_for(lambda: lab.health("web", victim) == "up", what=f"{victim} to be up")
    with contextlib.closing(lab.socket(client, port=port)) as sock:
        sock.connect(SERVICES["web"].target)
        assert request(sock)[1] == moved


def test_an_open_connection_survives_the_death_of_another_backend(lab):
    with contextlib.closing(lab.connect("web")) as sock:
        home = request(sock)[1]
        victim = next(b for b in ("b1", "b2", "b3") if b != home)
        lab.run("stop", victim)
        wait_for(lambda: lab.health("web", victim) == "down", what=f"{victim} to be down")
        assert request(sock)[:2] == (200, home)


def test_a_backend_that_came_back_gets_new_clients(lab):
    victim = "b2"
    lab.run("stop", victim)
    wait_for(lambda: lab.health("mixed", victim) == "down", what=f"{victim} to be down")
    assert victim not in {lab.backend_of("mixed") for _ in range(20)}
    lab.run("start", victim)
    wait_for(lambda: lab.health("mixed", victim) == "up", what=f"{victim} to be up")
    wait_for(lambda: lab.backend_of("mixed") == victim, what=f"a flow to {victim}")


def test_a_drained_backend_keeps_its_clients_and_gets_no_new_ones(lab):
    old, new = CLIENTS6[:6], CLIENTS6[6:]
    backends_by_client = lab.backends_by_client("tunnel6", old)
    drained = backends_by_client[old[0]]
    with contextlib.closing(lab.connect("tunnel6", old[0])) as sock:
        assert request(sock)[1] == drained
        lab.ctl("backend", "drain", f"tunnel6/{drained}")
        assert lab.backend("tunnel6", drained)["admin"] == "draining"
        assert request(sock)[1] == drained
    assert lab.backends_by_client("tunnel6", old) == backends_by_client
    assert drained not in lab.backends_by_client("tunnel6", new).values()


@pytest.mark.parametrize("service", ["dns", "dnstunnel6"])
def test_a_drained_backend_keeps_its_flows_and_gets_no_new_ones(lab, service):
    with contextlib.ExitStack() as stack:
        def flows(count):
            return [stack.enter_context(contextlib.closing(lab.udp(service))) for _ in range(count)]

        old = flows(30)
        before = [ask(flow)[0] for flow in old]
        assert "b1" in before
        lab.ctl("backend", "drain", f"{service}/b1")
        assert [ask(flow)[0] for flow in old] == before
        assert "b1" not in {ask(flow)[0] for flow in flows(30)}
        assert [ask(flow)[0] for flow in old] == before


def test_flows_that_moved_stay_when_their_backend_is_up_again(lab):
    with contextlib.ExitStack() as stack:
        flows = [stack.enter_context(contextlib.closing(lab.udp("dns"))) for _ in range(30)]
        before = [ask(flow)[0] for flow in flows]
        assert "b1" in before
        lab.run("stop", "b1")
        wait_for(lambda: lab.health("dns", "b1") == "down", what="b1 to be down")
        moved = [ask(flow)[0] for flow in flows]
        assert "b1" not in moved
        assert all(now == then for now, then in zip(moved, before) if then != "b1")
        lab.run("start", "b1")
        wait_for(lambda: lab.health("dns", "b1") == "up", what="b1 to be up")
        assert [ask(flow)[0] for flow in flows] == moved


def test_a_disabled_backends_clients_move_at_once_and_new_ones_come_after_enable(lab):
    backends_by_client = lab.backends_by_client("web", CLIENTS4)
    disabled = backends_by_client[CLIENTS4[0]]
    lost, others = split(backends_by_client, disabled)
    lab.ctl("backend", "disable", f"web/{disabled}")
    assert disabled not in lab.backends_by_client("web", lost).values()
    assert lab.backends_by_client("web", others) == {client: backends_by_client[client] for client in others}
    lab.ctl("backend", "enable", f"web/{disabled}")
    assert lab.backend("web", disabled)["admin"] == "enabled"


def test_an_unknown_backend_is_refused_with_one_line(lab):
    done = lab.ctl("backend", "drain", "web/b9", check=False)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1 and "b9" in done.stderr


@pytest.mark.parametrize("change, reported", [
    (("port: 80\n", "port: 80000\n"), "port"),
    (("    mode: l2\n", "    mode: l2\n    colour: red\n"), "colour"),
    (('address: "203.0.113.10"', 'address: "203.0.113.300"'), "203.0.113.300"),
    (("- name: web6\n", "- name: web\n"), "web"),
    (("{name: b2, ", "{name: b1, "), "b1"),
    (("services:\n", "services: [\n"), ""),
])
def test_an_invalid_configuration_is_refused_with_its_place_and_changes_nothing(lab, tmp_path, change, reported):
    backends_by_client = lab.backends_by_client("web", CLIENTS4[:5])
    generation = lab.show("engine")["generation"]
    good = config_yaml(lab.engine)
    bad = tmp_path / "bad.yaml"
    bad.write_text(good.replace(*change, 1))
    assert bad.read_text() != good
    for command in ("check", "apply"):
        done = lab.ctl("config", command, bad, check=False)
        assert done.returncode == 3, done.stderr
        place = done.stderr.split("bad.yaml:")[1].split(":")
        assert place[0].isdigit() and place[1].isdigit()
        assert reported in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert lab.show("engine")["generation"] == generation
    assert lab.backends_by_client("web", CLIENTS4[:5]) == backends_by_client


def test_a_new_configuration_moves_only_the_clients_of_the_backend_it_removes(lab, tmp_path):
    backends_by_client = lab.backends_by_client("web", CLIENTS4)
    lost, others = split(backends_by_client, "b3")
    fewer = tmp_path / "fewer.yaml"
    fewer.write_text(config_yaml(lab.engine, backends=(1, 2)))
    lab.ctl("config", "apply", fewer, "--no-save")
    wait_for(lambda: lab.all_up(2), what="two backends")
    try:
        assert lab.backends_by_client("web", others) == {client: backends_by_client[client] for client in others}
        moved = lab.backends_by_client("web", lost)
        assert "b3" not in moved.values()
        assert lab.backends_by_client("web", lost) == moved
    finally:
        again = tmp_path / "again.yaml"
        again.write_text(config_yaml(lab.engine))
        lab.ctl("config", "apply", again, "--no-save")
    wait_for(lab.all_up, what="three backends")
    assert lab.backends_by_client("web", others) == {client: backends_by_client[client] for client in others}


RUBBISH = {
    "bytes": b"\x00\xff\xfe garbage \n",
    "half a message": b'{"command": "show ser',
    "depth": b"[" * 1000 + b"\n",
    "no command": b"{}\n" * 3,
    "a megabyte": b"x" * 1_000_000,
}


@pytest.mark.parametrize("what", RUBBISH)
def test_invalid_requests_on_the_socket_do_not_disturb_other_clients(lab, what):
    with socket.socket(socket.AF_UNIX) as good, socket.socket(socket.AF_UNIX) as bad:
        for sock in (good, bad):
            sock.settimeout(5)
            sock.connect(str(lab.socket_path))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            bad.sendall(RUBBISH[what])
            bad.shutdown(socket.SHUT_WR)
        good.sendall(b'{"command": "show engine"}\n')
        assert b'"ok": true' in good.recv(65536).replace(b'"ok":true', b'"ok": true')
    assert lab.backend_of("web")


def test_the_socket_is_for_its_owner_and_group_only(lab):
    assert lab.socket_path.stat().st_mode & 0o777 == 0o660


class Server:
    """A server of a backend, in this process; each connection has a thread."""

    def __init__(self, listener):
        self.listener = listener
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                threading.Thread(target=self.answer, args=(self.listener.accept()[0],), daemon=True).start()
            except OSError:
                return

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)  # wakes the thread in accept()
        self.listener.close()


class Application(Server):
    """What an nginx asks; its answer takes `pause` seconds."""
    FAST, SLOW = 0.02, 0.2
    pause = FAST
    answers = 0

    def __init__(self, path):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen(16)
        super().__init__(listener)

    def answer(self, connection):
        with contextlib.suppress(OSError), connection:
            connection.settimeout(5)
            connection.recv(4096)
            time.sleep(self.pause)
            connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n")
            self.answers += 1


NGINX = """
daemon off;
master_process off;
pid {dir}/nginx.pid;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
    server {{
        listen [::]:{port} ipv6only=on;
        location / {{ proxy_pass http://unix:{dir}/application; }}
    }}
}}
"""


@contextlib.contextmanager
def nginx_with_a_delay(lab, host, port, path):
    """An nginx in the host; gives its application."""
    path.mkdir()
    config = path / "nginx.conf"
    config.write_text(NGINX.format(dir=path, port=port))
    with contextlib.closing(Application(path / "application")) as application:
        with lab.inside(host):
            nginx = subprocess.Popen(["nginx", "-e", path / "error.log", "-c", config])
        try:
            wait_for(lambda: (path / "nginx.pid").exists() or nginx.poll() is not None, seconds=60, what=f"nginx of {host}")
            assert nginx.poll() is None, (path / "error.log").read_text()
            yield application
        finally:
            nginx.kill()
            nginx.wait()


class Agent(Server):
    """Says `line` to everyone."""
    PORT = 7777
    line = b"100% up ready\n"

    def __init__(self, lab, host, address):
        with lab.inside(host):
            listener = socket.create_server((address, self.PORT), family=socket.AF_INET6)
        super().__init__(listener)

    def answer(self, connection):
        with contextlib.suppress(OSError), connection:
            connection.sendall(self.line)


def test_a_server_that_becomes_slow_gets_a_fifth_of_its_share_and_then_its_share_again(lab, tmp_path):
    port, interval = 9180, "100ms"
    with contextlib.ExitStack() as stack:
        application = [stack.enter_context(nginx_with_a_delay(lab, f"b{i}", port, tmp_path / f"b{i}")) for i in (1, 2, 3)][2]
        stack.callback(lab.ctl, "config", "undo", "--no-save")
        lab.ctl("service", "set", "mixed", "scheduler", "response-time", "health.type", "http", "health.port", port,
                "health.timeout", "3s", "health.interval", interval, "--no-save")

        def each(key):
            return {b["name"]: b[key] for b in lab.show("backends", "mixed")["backends"]}

        def gets(least, most):
            """Of 36 connections that stay open b3 gets so many. One third would be 12."""
            before = each("new_flows")
            for _ in range(36):
                stack.enter_context(contextlib.closing(lab.connect("mixed")))
            return least <= each("new_flows")["b3"] - before["b3"] <= most

        def is_as_fast_as_the_others():
            took = each("response_us")
            return all(took.values()) and took["b3"] < 2 * max(took["b1"], took["b2"])

        def gets_its_share_again():
            application.pause = Application.FAST
            wait_for(is_as_fast_as_the_others, seconds=60, what="a fast b3")
            wait_for(lambda: gets(6, 36), seconds=60, what="the share of b3")

        def gets_a_fifth_after_ten_checks():
            application.pause = Application.SLOW
            last = application.answers + 10
            wait_for(lambda: application.answers >= last, seconds=60, what="ten checks")
            return gets(0, 2)

        gets_its_share_again()
        # Twice more: on a machine that pauses, the others' checks take as long as those of b3.
        for _ in range(3):
            if gets_a_fifth_after_ten_checks():
                break
            gets_its_share_again()
        else:
            pytest.fail("b3 has more than a fifth of its share after ten checks")
        gets_its_share_again()


def test_what_an_agent_says_decides_about_new_clients_and_what_means_nothing_does_not(lab):
    with contextlib.ExitStack() as stack:
        agent = stack.enter_context(contextlib.closing(Agent(lab, "b3", SERVICES["mixed"].backend(3))))
        stack.callback(lab.ctl, "config", "undo")
        lab.ctl("service", "set", "mixed", "health.agent", f"{{port: {Agent.PORT}, interval: 100ms}}")

        def b3():
            return lab.backend("mixed", "b3")

        def hears(line, what):
            agent.line = line
            wait_for(lambda: what(b3()), seconds=60, what=f"the effect of {line}")

        def open_flows():
            """So many of 36 connections, which stay open, are those of b3."""
            before = b3()["new_flows"]
            connections = [stack.enter_context(contextlib.closing(lab.connect("mixed"))) for _ in range(36)]
            assert len(connections) == 36
            return b3()["new_flows"] - before

        wait_for(lambda: b3()["agent"]["says"] == "100%, ready, up", seconds=60, what="its first line")
        assert open_flows() > 0
        hears(b"90% # busy \xe2\x98\x83\n", lambda b: b["effective_weight"] == 90)
        assert b3()["agent"]["line"] == "90% # busy ???" and b3()["weight"] == 100
        hears(b"drain\n", lambda b: "by-agent" in b["state"])
        assert open_flows() == 0
        wait_for(lambda: b3()["flows"] > 0, seconds=60, what="its flows to be counted")
        for line, reason in ((b"10000%\n", "is more than"), (b"\x1b]0;\x07\n", "control characters"), (b"up down\n", "contradicts"),
                             (b"u" * 5000, "longer than 127"), (b"", "closed without")):
            hears(line, lambda b, reason=reason: reason in b["agent"]["last_read"])
        assert b3()["agent"]["says"] == "90%, drain, up"
        findings = [check for check in lab.result("doctor", "mixed", check=False)["checks"] if "its agent" in check["finding"]]
        assert {subject for finding in findings for subject in finding["subjects"]} == {"mixed/b1", "mixed/b2", "mixed/b3"}
        lab.kill_berthd()
        lab.run("berthd")
        assert (b3()["effective_weight"], b3()["agent"]["says"], "by-agent" in b3()["state"]) == (90, "90%, drain, up", True)
        hears(b"ready 100%\n", lambda b: "new" in b["eligibility"] and b["effective_weight"] == 100)
        assert open_flows() > 0


def test_an_edit_that_nobody_confirms_is_undone_although_berthd_is_killed(lab):
    """Clients of the backend that it removes are served by the others meanwhile."""
    history = lab.result("config", "history")["configurations"]
    lab.ctl("backend", "remove", "web/b1", "--confirm", "4s")
    assert set(lab.backends_by_client("web").values()) == {"b2", "b3"}
    lab.kill_berthd()
    lab.run("berthd")
    names = [backend["name"] for backend in lab.show("backends", "web")["backends"]]
    assert names == ["b2", "b3"], "the deadline is not over"
    wait_for(lambda: lab.show("backends", "web")["backends"][0]["name"] == "b1", seconds=8, what="the end of the wait")
    after = lab.result("config", "history")["configurations"]
    assert len(after) == min(len(history) + 2, 20) and after[0]["digest"] == history[0]["digest"]
    wait_for(lab.all_up, what="b1 to be up")

    lab.ctl("backend", "set", "web/b1", "weight", "1", "--no-save")
    lab.ctl("config", "undo", "--no-save")
    assert lab.backend("web", "b1")["weight"] == 100
