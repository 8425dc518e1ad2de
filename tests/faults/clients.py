# SPDX-License-Identifier: BSD-3-Clause
"""Clients of a lab in a process of their own, and the oracle that judges what they see.

Backends may also change as a whole (phases): then a client of a tolerated phase may move, which is counted.

Three kinds: a connection with a request every PERIOD, a UDP flow, and a client that connects anew (its session). Each has
a home, the backend that answered it first. An answer of another backend, a reset, or GIVE_UP seconds without an answer is
a finding, unless its home was excused: then the client starts afresh.
"""
import collections
import contextlib
import errno
import multiprocessing
import os
import random
import select
import selectors
import socket
import time

import lab as labs
from generated import Generated

PERIOD = 0.05
SESSION_PERIOD = 0.3
GIVE_UP = 10.0  # a retransmission of TCP may wait for 6.4 s when two came before it
STALL = 1.0  # seconds between two rounds of all clients
REPEAT = 0.5  # of a datagram without an answer

CONNECTIONS = {"web": 6, "web6": 6, "tunnel": 6, "mixed": 6, "gue": 6, "nat": 6, "nat6": 6}
FLOWS = {"dns": 20, "dnstunnel6": 20, "dnsgue": 10}
SESSIONS = {"web": labs.CLIENTS4, "tunnel6": labs.CLIENTS6, "nat": labs.CLIENTS4}
STEADY = "before the change"  # the first phase
SERVICES = {*CONNECTIONS, *FLOWS, *SESSIONS}


class Client:
    """What all kinds have in common. `since`: when the question without an answer was put; None: no question."""
    kind = None

    def __init__(self, clients, service, source):
        self.clients = clients
        self.service = service
        self.source = source
        self.home = None
        self.before = None  # the home before
        self.homed = None  # the phase in which it got its home
        self.sock = None
        self.since = None
        self.next = time.monotonic()
        self.answers = 0

    @property
    def name(self):
        return f"{self.kind} {self.service} {self.source}"

    def port(self):
        return self.sock.getsockname()[1] if self.sock else 0

    def close(self):
        if self.sock:
            with contextlib.suppress(KeyError):
                self.clients.selector.unregister(self.sock)
            self.sock.close()
            self.sock = None
        self.since = None

    def opened(self, kind):
        with self.clients.lab.inside("client"):
            self.sock = socket.socket(labs.family_of(self.source), kind)
        self.clients.flows += 1
        self.sock.setblocking(False)
        self.sock.bind((self.source, 0))
        self.sock.connect_ex(labs.SERVICES[self.service].target)

    def wait(self, event):
        with contextlib.suppress(KeyError):
            self.clients.selector.unregister(self.sock)
        self.clients.selector.register(self.sock, event, self)

    def answered(self, backend):
        self.since = None
        self.answers += 1
        if self.home is None:
            self.home = backend
            self.homed = self.clients.phase
        elif backend != self.home:
            self.fails(f"is answered by {backend}")

    def fails(self, what):
        """Starts afresh; a finding if nothing excuses it."""
        self.clients.judge(self.kind, self.service, self.home, self.homed,
                           f"{self.name} of {self.home}, before of {self.before}, from port {self.port()}: {what}")
        self.starts_afresh()

    def starts_afresh(self):
        self.before = self.home or self.before
        self.home = None
        self.close()
        self.next = time.monotonic() + REPEAT

    def tick(self, now):
        if self.since is not None and now - self.since > GIVE_UP:
            self.fails(f"has no answer for {GIVE_UP:.0f} s")
        elif self.since is None and now >= self.next:
            self.next = now + self.period
            self.asks(now)


class Connection(Client):
    kind = "connection"
    period = PERIOD

    def asks(self, now):
        self.since = now
        self.data = b""
        if self.sock is None:
            self.opened(socket.SOCK_STREAM)
            self.wait(selectors.EVENT_WRITE)
        else:
            self.sends()

    def sends(self):
        try:
            self.sock.send(b"GET / HTTP/1.1\r\nHost: berth\r\n\r\n")
            self.wait(selectors.EVENT_READ)
        except OSError as error:
            self.fails(os.strerror(error.errno))

    def ready(self, event):
        if event == selectors.EVENT_WRITE:
            error = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            self.fails(os.strerror(error)) if error else self.sends()
            return
        try:
            data = self.sock.recv(65536)
        except OSError as error:
            self.fails(os.strerror(error.errno))
            return
        if not data:
            self.fails("is closed by the server")
            return
        self.data += data
        head, end, body = self.data.partition(b"\r\n\r\n")
        if end and len(body) >= 3:  # the body is the backend's name and a line end
            self.complete(head)

    def complete(self, head):
        name = next(line for line in head.split(b"\r\n") if line.startswith(b"Berth-Backend: "))
        self.answered(name.partition(b": ")[2].decode())


class Session(Connection):
    """A new connection for each request: sticky by the client's address.

    berth sees no RST of a server: the entry of a connection that one ended stays on its backend, and so does the client's
    next connection from that port, wherever its session is (docs/affinity.md#how-long-an-entry-lives)."""
    kind = "session"
    period = SESSION_PERIOD

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.reset = {}  # port: the client's home when a server reset its connection from there

    def fails(self, what):
        if self.sock and what == os.strerror(errno.ECONNRESET):
            self.reset[self.port()] = self.home
        super().fails(what)

    def answered(self, backend):
        if self.reset.pop(self.port(), None) == backend != self.home:
            self.since = None
            self.answers += 1
        else:
            super().answered(backend)

    def complete(self, head):
        super().complete(head)
        self.close()


class Flow(Client):
    kind = "flow"
    period = PERIOD

    def asks(self, now):
        if self.sock is None:
            self.opened(socket.SOCK_DGRAM)
            self.wait(selectors.EVENT_READ)
        self.since = now
        self.sent = now
        self.send()

    def send(self):
        with contextlib.suppress(OSError):  # an ICMP error of before
            self.sock.send(b"hello")

    def tick(self, now):
        super().tick(now)
        if self.since is not None and now - self.sent > REPEAT:
            self.sent = now
            self.send()

    def ready(self, _event):
        with contextlib.suppress(OSError):
            while True:
                name = self.sock.recv(2048).partition(b" ")[0].decode()
                self.answered(name)
                if self.sock is None:
                    return


class Clients:
    """In the clients' process."""

    def __init__(self, lab, pipe, services, first_source, rate):
        self.lab = lab
        self.pipe = pipe
        self.untold = collections.deque()  # messages; the other end reads them when it has time
        self.selector = selectors.DefaultSelector()
        self.excused = set()
        self.phase = STEADY
        self.tolerated = set()
        self.silent = False
        self.clients = []
        for kind, numbers in ((Connection, CONNECTIONS), (Flow, FLOWS)):
            for service, number in ((name, numbers[name]) for name in numbers if name in services):
                sources = labs.CLIENTS6 if labs.SERVICES[service].is6 else labs.CLIENTS4
                self.clients += [kind(self, service, sources[(first_source + i) % len(sources)]) for i in range(number)]
        for service in (name for name in SESSIONS if name in services):
            self.clients += [Session(self, service, source) for source in SESSIONS[service]]
        self.marks = [0 for _ in self.clients]
        self.flows = 0  # connections among them
        self.generated = Generated(self, lab, rate, random.getrandbits(63)) if rate else None
        if self.generated:
            self.generated.phase(STEADY, False)
            self.selector.register(self.generated, selectors.EVENT_READ, self.generated)

    def is_excused(self, service, home):
        """By its backend, or its service; a client without a home may be asking an excused backend."""
        return bool(self.excused & {home, service}) or (home is None and bool(self.excused - SERVICES))

    def judge(self, kind, service, home, homed, text):
        """A client has moved, or it has no answer."""
        if self.is_excused(service, home):
            return
        if home and homed in self.tolerated:
            self.untold.append(("moved", kind, homed))
        else:
            self.finding(text)

    def finding(self, text):
        self.untold.append(("finding", time.monotonic(), text))

    def run(self):
        now = time.monotonic()
        while True:
            before, now = now, time.monotonic()
            if now - before > STALL:
                self.waited_in_vain(now - before)
            for client in () if self.silent else self.clients:
                client.tick(now)
            for key, event in self.selector.select(0.005):
                if key.data is self.generated:
                    self.generated.read()
                elif key.data.sock is key.fileobj:
                    key.data.ready(event)
            while self.untold and select.select((), (self.pipe,), (), 0)[1]:
                self.pipe.send(self.untold.popleft())
            while self.pipe.poll():
                if self.obeys(*self.pipe.recv()) == "end":
                    self.tell_all()
                    return

    def tell_all(self):
        """To the other end, which waits for it."""
        while self.untold:
            self.pipe.send(self.untold.popleft())

    def generates(self, command, *arguments):
        """The generator obeys too; what it has seen so far is judged as of before."""
        if command == "phase":
            self.generated.phase(arguments[0], bool(arguments[1:]))
        elif command == "end":
            self.generated.end()
        elif command in ("excuse", "hold"):
            self.generated.command("ask")
        else:
            return self.generated.command(command, *arguments)
        return None

    def waited_in_vain(self, seconds):
        """Nobody asked in this time, as the machine had none for this process, and perhaps none for others."""
        for client in self.clients:
            if client.since is not None:
                client.since += seconds

    def obeys(self, command, *arguments):
        totals = self.generates(command, *arguments) if self.generated else None
        if command == "excuse":
            self.excused.update(arguments)
        elif command == "hold":
            self.excused.difference_update(arguments)
        elif command == "phase":
            self.phase, *tolerated = arguments
            self.tolerated = set(tolerated)
        elif command == "silent":
            self.silent, = arguments
            for client in self.clients:
                client.starts_afresh()
        elif command == "mark":
            self.marks = [client.answers for client in self.clients]
        elif command == "ask":
            waiting = [c.name for c, mark in zip(self.clients, self.marks) if c.home is None or c.answers < mark + 2]
            if totals:
                waiting += self.generated.waiting(totals, bool(self.tolerated))
            self.tell_all()
            self.pipe.send(("state", sum(c.answers for c in self.clients), waiting, self.flows, totals))
        return command


def main(lab, pipe, services, first_source, rate):
    Clients(lab, pipe, services, first_source, rate).run()


class Crowd:
    """The clients' process, for the one that makes faults. `rate`: generated flows a second, at most."""

    def __init__(self, lab, first_source=0, services=SERVICES, rate=0):
        self.pipe, theirs = multiprocessing.Pipe()
        self.findings = []
        self.moved = collections.Counter()  # (kind of client, phase in which it got its home)
        self.start = time.monotonic()
        self.process = multiprocessing.Process(target=main, args=(lab, theirs, services, first_source, rate), daemon=True)
        self.process.start()

    def collect(self):
        with contextlib.suppress(EOFError):  # it has ended
            while self.pipe.poll():
                self.take(self.pipe.recv())

    def take(self, message):
        if message[0] == "finding":
            self.findings.append(message[1:])
        elif message[0] == "moved":
            self.moved[message[1:]] += 1
        return message

    def excuse(self, *names):
        """What happens to clients of these backends and services is no finding, from when this returns."""
        self.pipe.send(("excuse", *names))
        self.state()

    def hold(self, *names):
        self.pipe.send(("hold", *names))

    def phase(self, name, *tolerated):
        """From when this returns clients get their homes in this phase, and those of tolerated phases may move."""
        self.pipe.send(("phase", name, *tolerated))
        self.state()

    @contextlib.contextmanager
    def silence(self):
        """Nobody asks, and all clients start afresh."""
        self.pipe.send(("silent", True))
        self.state()
        yield
        self.pipe.send(("silent", False))

    def meet(self, numbers):
        """The generated clients try to meet these nodes, and no new ones come until the change that follows is over."""
        self.pipe.send(("meet", sum(1 << (number - 1) for number in numbers)))

    def retire(self):
        """Generated clients that have not met all of the nodes do not come again."""
        self.pipe.send(("retire",))

    def mark(self):
        self.pipe.send(("mark",))

    def state(self):
        """(answers so far, names of the clients that were not answered anew since the mark, flows so far, generated.Totals or None)"""
        self.pipe.send(("ask",))
        while True:
            message = self.take(self.pipe.recv())
            if message[0] == "state":
                return message[1:]

    def end(self):
        self.pipe.send(("end",))
        self.process.join(5)
        self.collect()
