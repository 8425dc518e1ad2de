/* SPDX-License-Identifier: BSD-3-Clause */
/* What berth-helper does for berthd: probes and DNS lookups, on one event loop. */
#pragma once

#include "controlplane/health/probe.h"
#include "controlplane/helper/stream.h"

struct berth_serve_probes;
struct berth_serve_lookups;

/* NULL: out of memory. */
struct berth_serve_probes *berth_serve_probes_new(struct event_base *base);
/* Where answers go; before the first message. */
void berth_serve_probes_set_stream(struct berth_serve_probes *probes, struct berth_stream *stream);
/* Owns the descriptors. Returns false if the message is invalid. */
bool berth_serve_probe(struct berth_serve_probes *probes, const struct berth_helper_header *message, const int *fds,
		       size_t n_fds);
/* No effect if the probe has ended. */
void berth_serve_probes_cancel(struct berth_serve_probes *probes, uint64_t id);

/* NULL: out of memory. */
struct berth_serve_lookups *berth_serve_lookups_new(struct event_base *base);
void berth_serve_lookups_set_stream(struct berth_serve_lookups *lookups, struct berth_stream *stream);
/* Returns false if the message is invalid. */
bool berth_serve_lookup(struct berth_serve_lookups *lookups, const struct berth_helper_header *message);
void berth_serve_lookups_cancel(struct berth_serve_lookups *lookups, uint64_t id);
