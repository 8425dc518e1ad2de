# SPDX-License-Identifier: BSD-3-Clause
"""
The rules of docs/packets.md, written a second time in Python, without any code of dataplane/core. The modules have the
names of the rules' steps: parse (1 to 4), classify (5), reference (6 and the order of the steps), steer (7), emit (8
and 9), answer (10). world is the configuration that they read.

Flows, sessions and fragments are dictionaries with whole keys. Results of the keyed hash are not computed: the first
result may be any that the rules allow, and later ones must equal it (see outcome.py).
"""
