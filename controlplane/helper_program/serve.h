/* SPDX-License-Identifier: BSD-3-Clause */
/* What berth-helper does for berthd: probes, DNS lookups, visits to a cluster's store and rounds of records, on one
 * event loop. */
#pragma once

#include "controlplane/health/probe.h"
#include "controlplane/helper/stream.h"
#include "controlplane/helper_program/redis_tls.h"

struct berth_serve_probes;
struct berth_serve_lookups;
struct berth_serve_store;
struct berth_serve_rounds;

/* Before the process is confined: it reads a limit. NULL: out of memory or descriptors. */
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

/* NULL: out of memory. */
struct berth_serve_store *berth_serve_store_new(struct event_base *base, struct berth_redis_tls *tls);
void berth_serve_store_set_stream(struct berth_serve_store *store, struct berth_stream *stream);
/* One visit at a time. Owns the descriptors. Returns false if the message is invalid. */
bool berth_serve_store_visit(struct berth_serve_store *store, const struct berth_helper_header *message,
			     const int *fds, size_t n_fds);
/* No effect if the visit has ended. */
void berth_serve_store_cancel(struct berth_serve_store *store, uint64_t id);

/* NULL: out of memory. */
struct berth_serve_rounds *berth_serve_rounds_new(struct event_base *base, const struct berth_redis_tls *tls);
void berth_serve_rounds_set_stream(struct berth_serve_rounds *rounds, struct berth_stream *stream);
/* A batch to be written in the next round. Returns false if the message is invalid, or memory is short. */
bool berth_serve_store_tell(struct berth_serve_rounds *rounds, const struct berth_helper_header *message);
/* One round at a time. Returns false if the message is invalid. */
bool berth_serve_store_round(struct berth_serve_rounds *rounds, const struct berth_helper_header *message);
