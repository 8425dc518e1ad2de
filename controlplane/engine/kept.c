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
			 "made them, or start this one with --discard: all flows and sessions are lost then",
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

/* A table of the record, and the size that it is to get. */
struct table {
	const char *what;
	uint32_t wanted;
	uint32_t has;
	uint32_t former; /* 0: none */
	uint64_t words;	 /* in both */
	bool is_empty;	 /* the former one */
};

static void list_tables(const struct berth_record *record, const struct berth_geometry *wanted,
			const bool is_empty[BERTH_KEPT_TABLES], struct table tables[BERTH_KEPT_TABLES])
{
	tables[BERTH_KEPT_FLOWS] = (struct table){
		.what = "flows",
		.wanted = wanted->flow_buckets,
		.has = record->flow_buckets,
		.former = record->former_flow_buckets,
		.words = record->flow_words,
		.is_empty = is_empty[BERTH_KEPT_FLOWS],
	};
	tables[BERTH_KEPT_SESSIONS] = (struct table){
		.what = "sessions",
		.wanted = wanted->session_buckets,
		.has = record->session_buckets,
		.former = record->former_session_buckets,
		.words = record->session_words,
		.is_empty = is_empty[BERTH_KEPT_SESSIONS],
	};
}

/* Why a table cannot get its size, while its words are in it; NULL: it can. To go back to the former size is to
 * exchange the two tables. */
static const char *fault_of(const struct table *table)
{
	if (table->wanted == table->has)
		return NULL;
	if (!has_room(table->wanted, table->words))
		return "its entries would not find room in the smaller one";
	if (table->former && table->former != table->wanted && !table->is_empty)
		return "entries still move from the table of the former size";
	return NULL;
}

/* Decides on a table. Returns the size of the former one that is read beside it; 0: none. */
static uint32_t choose_size(const struct table *table, uint32_t *size)
{
	const char *fault = fault_of(table);
	const uint32_t former = table->is_empty ? 0 : table->former;
	*size = table->has;
	if (fault)
		berth_log("limits.%s: the table keeps its size: %s", table->what, fault);
	if (fault || table->wanted == table->has)
		return former;
	*size = table->wanted;
	berth_log("the %s move from a table of %u to one of %u buckets", table->what, table->has, *size);
	return table->has;
}

/* The head of the new record. The engine and the sizes change one after the other. */
static struct berth_record make_head(const struct berth_record *former, const struct berth_engine_paths *paths,
				     enum berth_record_engine kind, struct berth_geometry *g)
{
	struct berth_record head = {
		.engine = kind,
		.n_services = berth_record_services_for(g->services),
		.n_backends = g->backends,
		.is_sealed = 1,
	};
	struct table tables[BERTH_KEPT_TABLES];
	if (former && former->engine != kind) {
		if (g->flow_buckets != former->flow_buckets || g->session_buckets != former->session_buckets)
			berth_log("limits: the tables keep their size at this start: the engine changes");
		g->flow_buckets = former->flow_buckets;
		g->session_buckets = former->session_buckets;
		head.engine = former->engine;
		head.former_flow_buckets = former->former_flow_buckets;
		head.former_session_buckets = former->former_session_buckets;
	} else if (former) {
		list_tables(former, g, paths->is_former_empty, tables);
		head.former_flow_buckets = choose_size(&tables[BERTH_KEPT_FLOWS], &g->flow_buckets);
		head.former_session_buckets = choose_size(&tables[BERTH_KEPT_SESSIONS], &g->session_buckets);
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
	       record->former_session_buckets == head->former_session_buckets &&
	       record->is_sealed == head->is_sealed;
}

/* Words can be moved out of a former table that is not smaller. Out of a smaller one only by packets: then the
 * table is turned back to that size first, and all words must find room there. */
static bool can_empty(const struct table *table)
{
	return table->former >= table->has || has_room(table->former, table->words);
}

int berth_kept_check(const struct berth_record *record, enum berth_record_engine kind,
		     const struct berth_geometry *wanted, char error[BERTH_ERROR_BYTES])
{
	static const bool are_empty[BERTH_KEPT_TABLES] = {true, true};
	struct table tables[BERTH_KEPT_TABLES];
	list_tables(record, wanted, are_empty, tables);
	for (int i = 0; i < BERTH_KEPT_TABLES; i++) {
		const struct table *table = &tables[i];
		const char *fault = fault_of(table);
		if (table->wanted == table->has)
			continue;
		if (record->engine != kind)
			fault = "it cannot change together with `engine`: apply one after the other";
		else if (!fault && i == BERTH_KEPT_FLOWS && table->former && !can_empty(table))
			fault = "entries still move from the table of the former size, where not all find room; "
				"try again when the log says that they have left it";
		if (!fault)
			continue;
		snprintf(error, BERTH_ERROR_BYTES,
			 "limits.%s: the table of %llu entries cannot change its size: %s", table->what,
			 (unsigned long long)table->words, fault);
		return -ENOSPC;
	}
	return 0;
}

int berth_kept_open(struct berth_kept *kept, const struct berth_engine_paths *paths, enum berth_record_engine kind,
		    struct berth_geometry *geometry, char error[BERTH_ERROR_BYTES])
{
	*kept = (struct berth_kept){0};
	int err = find(kept, paths, error);
	if (err)
		return err;
	const struct berth_record *former = kept->former.record;
	if (former && paths->is_turned_back)
		geometry->flow_buckets = former->former_flow_buckets;
	if (former) {
		raise_to(&geometry->services, count_services(former), "services");
		raise_to(&geometry->backends, count_backends(former), "backends");
	}
	const struct berth_record head = make_head(former, paths, kind, geometry);
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
