// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/engine/kept.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/util/log.h"

/* Finds the record. 0 with `kept->former` set or not, or -ENOTSUP. */
static int find(struct berth_kept *kept, const struct berth_engine_paths *paths, char error[BERTH_ERROR_BYTES])
{
	char reason[BERTH_ERROR_BYTES] = "";
	int err = berth_record_file_open(&kept->former, paths->instance, reason);
	if (err == -ENOTSUP && !paths->discard) {
		snprintf(error, BERTH_ERROR_BYTES,
			 "the tables of instance %s cannot be kept: %s; nothing is changed; run the berthd that "
			 "made "
			 "them, or start this one with --discard: all flows and sessions are lost then",
			 paths->instance, reason);
		return err;
	}
	if (!err && paths->secret &&
	    memcmp(kept->former.record->secret, paths->secret, sizeof(kept->former.record->secret)) != 0) {
		snprintf(reason, sizeof(reason), "the secret is another one");
		berth_record_file_close(&kept->former);
	}
	if (reason[0] && err != -ENOENT)
		berth_log("the existing tables cannot be adopted (%s): flows and sessions are lost", reason);
	return 0;
}

/* The first number behind the last one in use. */
static uint32_t count_services(const struct berth_record *record)
{
	uint32_t n = record->n_services;
	while (n > 1 && !berth_record_services(record)[n - 1])
		n--;
	return n;
}

static uint32_t count_backends(const struct berth_record *record)
{
	uint32_t n = record->n_backends;
	while (n > 1 && !berth_record_backends(record)[n - 1].id)
		n--;
	return n + BERTH_ELIGIBILITY_PER_LINE - 1 - (n - 1) % BERTH_ELIGIBILITY_PER_LINE;
}

static void raise_to(uint32_t *limit, uint32_t least, const char *what)
{
	if (*limit >= least)
		return;
	berth_log("limits.%s: the tables have room for %u: a number in use is as large", what, least - 1);
	*limit = least;
}

/* At three quarters of its words a table is full (compile/generation.c). */
static bool has_room(uint32_t buckets, uint64_t words)
{
	return words <= (uint64_t)buckets * BERTH_BUCKET_WORDS * 3 / 4;
}

/* Decides on a table: `size` is the wanted one, and becomes that of the table. `former`: of the record's table, if
 * that is read beside the new one. */
static void choose_size(uint32_t *size, uint32_t *former, uint32_t existing, uint64_t words, const char *what)
{
	if (*size == existing)
		return;
	if (!has_room(*size, words)) {
		berth_log(
			"limits.%s: the table keeps its size: %llu entries would not find room in the smaller one",
			what, (unsigned long long)words);
		*size = existing;
		return;
	}
	berth_log("the %s move from a table of %u to one of %u buckets", what, existing, *size);
	*former = existing;
}

/* Tables change one thing at a time: the engine, or their sizes, and these only when no former table is left. */
static bool keeps_sizes(const struct berth_record *former, enum berth_record_engine kind)
{
	return former->engine != kind || former->former_flow_buckets || former->former_session_buckets;
}

/* The head of the new record. */
static struct berth_record make_head(const struct berth_record *former, enum berth_record_engine kind,
				     struct berth_geometry *g)
{
	struct berth_record head = {.engine = kind, .n_services = g->services, .n_backends = g->backends};
	if (former && keeps_sizes(former, kind)) {
		if (g->flow_buckets != former->flow_buckets || g->session_buckets != former->session_buckets)
			berth_log("limits: the tables keep their size at this start: %s",
				  former->engine != kind ? "the engine changes"
							 : "entries still move from tables of the former size");
		g->flow_buckets = former->flow_buckets;
		g->session_buckets = former->session_buckets;
		head.engine = former->engine;
		head.former_flow_buckets = former->former_flow_buckets;
		head.former_session_buckets = former->former_session_buckets;
	} else if (former) {
		choose_size(&g->flow_buckets, &head.former_flow_buckets, former->flow_buckets, former->flow_words,
			    "flows");
		choose_size(&g->session_buckets, &head.former_session_buckets, former->session_buckets,
			    former->session_words, "sessions");
	}
	if (former) {
		head.flow_words = former->flow_words;
		head.session_words = former->session_words;
		memcpy(head.secret, former->secret, sizeof(head.secret));
	}
	head.flow_buckets = g->flow_buckets;
	head.session_buckets = g->session_buckets;
	return head;
}

static bool is_same_size(const struct berth_record *record, const struct berth_record *head)
{
	return record->n_services == head->n_services && record->n_backends == head->n_backends &&
	       record->flow_buckets == head->flow_buckets && record->session_buckets == head->session_buckets &&
	       record->former_flow_buckets == head->former_flow_buckets &&
	       record->former_session_buckets == head->former_session_buckets;
}

int berth_kept_check(const struct berth_record *record, enum berth_record_engine kind,
		     const struct berth_geometry *wanted, char error[BERTH_ERROR_BYTES])
{
	const bool same_flows = wanted->flow_buckets == record->flow_buckets;
	const bool same_sessions = wanted->session_buckets == record->session_buckets;
	if (same_flows && same_sessions)
		return 0;
	if (record->engine != kind)
		snprintf(error, BERTH_ERROR_BYTES,
			 "limits.flows and limits.sessions cannot change together with `engine`: apply one change "
			 "after the other");
	else if (keeps_sizes(record, kind))
		snprintf(error, BERTH_ERROR_BYTES,
			 "limits: flows or sessions still move from tables of the former size; try again when the "
			 "log says that all have left them");
	else if (!has_room(wanted->flow_buckets, record->flow_words))
		snprintf(error, BERTH_ERROR_BYTES,
			 "limits.flows: %llu flows would not find room; try again when there are less, or raise it",
			 (unsigned long long)record->flow_words);
	else if (!has_room(wanted->session_buckets, record->session_words))
		snprintf(error, BERTH_ERROR_BYTES,
			 "limits.sessions: %llu sessions would not find room; try again when there are less, or "
			 "raise it",
			 (unsigned long long)record->session_words);
	else
		return 0;
	return -ENOSPC;
}

int berth_kept_open(struct berth_kept *kept, const struct berth_engine_paths *paths, enum berth_record_engine kind,
		    struct berth_geometry *geometry, char error[BERTH_ERROR_BYTES])
{
	*kept = (struct berth_kept){0};
	int err = find(kept, paths, error);
	if (err)
		return err;
	const struct berth_record *former = kept->former.record;
	if (former) {
		raise_to(&geometry->services, count_services(former), "services");
		raise_to(&geometry->backends, count_backends(former), "backends");
	}
	const struct berth_record head = make_head(former, kind, geometry);
	if (former && !paths->is_beside && is_same_size(former, &head)) {
		kept->current = kept->former;
		return 0;
	}
	err = berth_record_file_create(&kept->current, paths->instance, &head, former, error);
	if (err)
		berth_kept_close(kept);
	return err;
}

void berth_kept_close(struct berth_kept *kept)
{
	if (kept->former.record != kept->current.record)
		berth_record_file_close(&kept->former);
}

void berth_kept_copy(const struct berth_image *to, const struct berth_image *from,
		     const struct berth_store_sizes *sizes)
{
	struct berth_image copies[2] = {*to, *from};
	struct berth_store stores[2][BERTH_STORES];
	for (int i = 0; i < 2; i++)
		berth_stores_list(&copies[i], sizes, stores[i]);
	for (int i = 0; i < BERTH_STORES; i++)
		if (stores[0][i].count)
			memcpy(*stores[0][i].memory, *stores[1][i].memory, berth_store_bytes(&stores[0][i]));
}
