# SPDX-License-Identifier: BSD-3-Clause
"""
What becomes of a packet, a second time: the rules of docs/packets.md in Python, sharing no code with
dataplane/core. The modules bear the names of the rules' steps: parse (1 to 4), classify (5), reference (6 and the order of
all), steer (7), emit (8 and 9), answer (10); world is the configuration that they read.

Flows, sessions and fragments are dictionaries under their whole keys. What the keyed hash decides is not computed: the
first time it may be anything that the rules allow, and from then on it is what it was (see outcome.py).
"""
