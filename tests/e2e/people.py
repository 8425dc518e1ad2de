# SPDX-License-Identifier: BSD-3-Clause
"""Users of session servers (tomcat.py) behind a berth service: each has an address, logs in, and counts in a session."""
import contextlib
import http.client
import urllib.parse

from lab import SERVICE4, wait_for


class Person:
    """A client with an address of its own, a cookie and an expected count."""

    def __init__(self, lab, port, path, source):
        self.lab = lab
        self.target = (SERVICE4, port)
        self.path = f"/{path}/"
        self.source = source
        self.cookie = None
        self.counted = 0

    def connect(self):
        """A socket, or None: nobody listens."""
        sock = self.lab.socket(self.source, timeout=10)
        try:
            sock.connect(self.target)
        except ConnectionRefusedError:
            sock.close()
            return None
        return sock

    def ask(self, method, body=None):
        """(status, node, text). Waits for a node that listens, as berth needs a moment to see that one is dead; but
        asks once: a count that nobody answers is a count lost."""
        headers = {"Cookie": self.cookie} if self.cookie else {}
        if body:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        with contextlib.closing(http.client.HTTPConnection(*self.target)) as connection:
            connection.sock = wait_for(self.connect, what="a node that listens")
            connection.request(method, self.path, body, headers)
            answer = connection.getresponse()
            if "Set-Cookie" in answer.headers:
                self.cookie = answer.headers["Set-Cookie"].split(";")[0]
            return answer.status, answer.headers["Berth-Backend"], answer.read().decode()

    def log_in(self):
        """Where."""
        status, node, _ = self.ask("POST", urllib.parse.urlencode({"user": self.source}))
        assert status == 200 and self.cookie
        return node

    def count(self):
        """Where, or None: the session is lost, log in. The count itself is never wrong."""
        status, node, text = self.ask("GET")
        if status == 401:
            return None
        self.counted += 1
        assert (status, text) == (200, f"{self.source} {self.counted}")
        return node


def count_all(people):
    """{source: node, or None where the session is lost}"""
    return {person.source: person.count() for person in people}


def log_in_all(lab, port, path, sources):
    """(users, {source: node}): each user has counted on the node of its login only."""
    people = [Person(lab, port, path, source) for source in sources]
    backends_by_client = {person.source: person.log_in() for person in people}
    for _ in range(3):
        assert count_all(people) == backends_by_client
    return people, backends_by_client
