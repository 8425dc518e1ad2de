# SPDX-License-Identifier: BSD-3-Clause
"""
The outcomes that the rules allow for a packet, and the knowledge from real outcomes.

The hash is keyed, so that the core decides the selected backend and the hash bits in an outer header the first time,
and must repeat them afterwards. Rows holds the selections seen, Hashes the bits seen.
"""
import dataclasses

from .world import NEW

CLASSES = {"answered_too_big": "answer", "answered_ttl_expired": "answer", "answered_reset": "answer"}
CLASSES.update(dict.fromkeys(
    "flow session selected spilled reselected untracked second_hop table_full fragment icmp_error returned".split(), "forward"))
CLASSES.update(dict.fromkeys(
    "not_ip not_own_link no_service not_tcp_udp link_local routing_header no_flow returned_pass".split(), "pass"))


@dataclasses.dataclass
class Outcome:
    verdict: str
    port: int = 0
    # Builds the expected frame from the frame that left, which shows the unknown bits of the hash. None: unchanged.
    render: object = None
    way: object = None  # the steering decision behind the outcome
    bits: object = None  # bits of the hash in the frame
    budget: object = None  # of an ICMP error: kind and client

    @property
    def kind(self):
        return CLASSES.get(self.verdict, "drop")


class Hashes:
    """The bits of each flow's hash that have been seen."""

    def __init__(self):
        self.known = {}

    def field(self, key, shift, width, seen):
        """Bits `shift` to `shift + width` of a flow's hash: the known bits, else those of `seen`."""
        mask, value = self.known.get(key, (0, 0))
        mask, value, all_ones = mask >> shift, value >> shift, (1 << width) - 1
        return (value & mask | seen & ~mask) & all_ones

    def learn(self, key, shift, width, seen):
        mask, value = self.known.get(key, (0, 0))
        all_ones = (1 << width) - 1
        value = value & ~(all_ones << shift) | seen << shift
        self.known[key] = (mask | all_ones << shift, value)


class Rows:
    """The selections seen: primary and alternate of each hash, and the result for each set of backends."""

    def __init__(self):
        self.first = {}
        self.second = {}
        self.seen = {}

    def choose(self, key, service, remembered):
        """(the backends that may be selected for a hash, None for no backend; the set for learn(), or None if the hash
        alone does not decide)."""
        gladly = frozenset(one for one in service.backends if one.takes_gladly())
        pool = gladly or frozenset(one for one in service.backends if one.takes_beyond())
        if not remembered:
            pool = frozenset(one for one in service.backends if one.eligibility & NEW)
        elif service.scheduler == "round-robin" or (service.scheduler == "least-conn" and len(gladly) > 1):
            return self.of_several(key, service, gladly, pool) or [None], None
        return self.candidates(key, service.backends, pool), pool

    def of_row(self, key, service):
        """What the row of a hash may give new flows, as choose(); no other row is tried."""
        admitting = [one for one in service.backends if one.eligibility & NEW]
        if self.first.get(key) in admitting:
            return [self.first[key]]
        if key in self.first and self.second.get(key) in admitting:
            return [self.second[key]]
        return admitting + ([None] if not admitting or len(service.backends) - len(admitting) > 1 else [])

    def of_several(self, key, service, gladly, pool):
        """Selection by turns or loads; least-conn decides between the two backends of a row."""
        two = {self.first.get(key), self.second.get(key)}
        if service.scheduler == "least-conn" and two <= gladly:
            pool = two
        return sorted(pool, key=lambda backend: backend.number)

    def candidates(self, key, backends, admitting):
        if not admitting:
            return [None]
        if self.first.get(key) in admitting:
            return [self.first[key]]
        if key in self.first and self.second.get(key) in admitting:
            return [self.second[key]]
        if (key, admitting) in self.seen:
            return [self.seen[key, admitting]]
        none = [None] if len(backends) - len(admitting) > 1 else []
        return sorted(admitting, key=lambda backend: backend.number) + none

    def learn(self, key, backends, admitting, chosen):
        self.seen[key, admitting] = chosen
        if len(admitting) == len(backends):
            self.first[key] = chosen
        elif key in self.first and set(backends) - admitting == {self.first[key]}:
            self.second[key] = chosen
