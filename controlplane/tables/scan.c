// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/tables/scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/model/model.h"
#include "controlplane/tables/exception.h"
#include "controlplane/tables/former_words.h"
#include "controlplane/tables/sessions.h"
#include "dataplane/core/sweep.h"

enum {
	/* A look at a row costs five times as much as the rest. Of more words than this, exceptions are counted
	 * after a change and in one scan of some; the others keep the figures. */
	FEW_WORDS = 1 << 20,
	SCANS_PER_COUNT = 16,
};

/* Words of one table. */
struct word_counts {
	uint32_t (*by_backend)[BERTH_STATE_COUNT];
	uint32_t *exceptions; /* by backend */
	uint64_t total;
	uint64_t all_exceptions;
};

/* The highest age in seconds, by state, at which a word of a backend only needs counting. -1: it needs a check. */
struct age_limits {
	int32_t age[BERTH_STATE_COUNT];
};

/* Where selection puts the words of a backend: most of them are there, and need no closer look (exception.h). */
struct home {
	uint32_t row_line;
	uint32_t rows;	   /* 0: each word needs one */
	bool is_by_client; /* its flows follow sessions */
	bool has_returns;  /* its sessions may have returned to it */
};

struct berth_scan {
	const struct berth_image *image;
	enum berth_table table; /* being scanned */
	bool is_current;	/* the former one of that table (core/former.h) is scanned first */
	uint32_t bucket;	/* the next one */
	uint32_t buckets;	/* in what is scanned now */
	bool has_begun;
	uint32_t began;	    /* time of the tables */
	uint64_t former[2]; /* words of the former tables: so far, and in the last complete scan */
	uint64_t complete_former[2];
	/* By each backend number that a word can hold. The scan reads this for each word, so it is compact. */
	struct age_limits *limits;
	struct home *homes; /* likewise; of the same generation */
	bool counts_exceptions;
	bool shows_exceptions;	     /* also from the middle of a scan, when rows may have changed */
	bool has_counted_exceptions; /* in the last complete scan */
	berth_scan_exception_fn *on_exception;
	void *on_exception_arg;
	uint64_t counted_generation; /* when the last count of them began */
	uint32_t scans_without;	     /* a count, since then */
	uint64_t limits_generation;
	/* A session's client is in another cache line: its former backend is read once per generation. */
	bool checks_clients;
	uint64_t generation;		/* when the scan of the sessions began */
	uint64_t clients_generation;	/* the last one in which all clients were checked */
	struct word_counts counting[2]; /* by table */
	struct word_counts complete[2]; /* of the last complete scan, by table */
};

static int init_counts(struct word_counts *counts, uint32_t backends)
{
	counts->by_backend = calloc(backends, sizeof(*counts->by_backend));
	counts->exceptions = calloc(backends, sizeof(*counts->exceptions));
	return counts->by_backend && counts->exceptions ? 0 : -ENOMEM;
}

static void free_counts(struct word_counts *counts)
{
	free(counts->by_backend);
	free(counts->exceptions);
}

struct berth_scan *berth_scan_new(const struct berth_image *image)
{
	struct berth_scan *scan = calloc(1, sizeof(*scan));
	if (!scan)
		return NULL;
	scan->image = image;
	scan->limits_generation = UINT64_MAX;
	scan->limits = calloc(UINT16_MAX + 1, sizeof(*scan->limits));
	scan->homes = calloc(UINT16_MAX + 1, sizeof(*scan->homes));
	int err = scan->limits && scan->homes ? 0 : -ENOMEM;
	for (int i = 0; !err && i < 2; i++)
		err = init_counts(&scan->counting[i], image->geometry.backends) ||
		      init_counts(&scan->complete[i], image->geometry.backends);
	if (!err)
		return scan;
	berth_scan_free(scan);
	return NULL;
}

void berth_scan_free(struct berth_scan *scan)
{
	if (!scan)
		return;
	for (int i = 0; i < 2; i++) {
		free_counts(&scan->counting[i]);
		free_counts(&scan->complete[i]);
	}
	free(scan->limits);
	free(scan->homes);
	free(scan);
}

void berth_scan_inherit(struct berth_scan *scan, const struct berth_scan *former)
{
	const uint32_t had = former->image->geometry.backends, has = scan->image->geometry.backends;
	for (int i = 0; i < 2; i++) {
		struct word_counts *to = &scan->complete[i];
		const struct word_counts *from = &former->complete[i];
		memcpy(to->by_backend, from->by_backend, (had < has ? had : has) * sizeof(*to->by_backend));
		memcpy(to->exceptions, from->exceptions, (had < has ? had : has) * sizeof(*to->exceptions));
		to->total = from->total;
		to->all_exceptions = from->all_exceptions;
		scan->complete_former[i] = former->complete_former[i];
	}
	scan->on_exception = former->on_exception;
	scan->on_exception_arg = former->on_exception_arg;
}

void berth_scan_set_exception_fn(struct berth_scan *scan, berth_scan_exception_fn *fn, void *arg)
{
	scan->on_exception = fn;
	scan->on_exception_arg = arg;
}

const struct berth_image *berth_scan_image(const struct berth_scan *scan)
{
	return scan->image;
}

/* A session needs its backend's server evicted in all services of its group. */
static bool is_evicted(const struct berth_view *view, const struct berth_backend *backend, bool is_session)
{
	for (uint32_t i = 0; backend && backend->admin == BERTH_ADMIN_EVICTED; i++) {
		if (!is_session || !backend->sibling || i == BERTH_MAX_GROUP)
			return true;
		backend = berth_backend_of(view, backend->sibling);
	}
	return false;
}

/* What the word becomes: by the sweep (core/sweep.h); for a session of an evicted backend the same word with the
 * backup. `client`: the session's client; NULL: a flow. */
static uint64_t replacement(const struct berth_view *view, uint64_t word, const struct berth_client *client)
{
	const uint64_t swept = berth_sweep_word(view, word, client);
	const struct berth_backend *backend = berth_backend_of(view, berth_word_backend(word));
	if (swept != word || BERTH_LIKELY(!is_evicted(view, backend, client)))
		return swept;
	/* A pinned session stays until its next flow, which keeps the pin and fails over. */
	if (berth_pinned_backend(client, berth_word_tag(word)))
		return word;
	if (!client || !berth_accepts_session(view, backend->backup))
		return 0;
	const uint64_t mask = (uint64_t)UINT16_MAX << BERTH_BACKEND_SHIFT;
	return (word & ~mask) | (uint64_t)backend->backup << BERTH_BACKEND_SHIFT;
}

/* Records the failover of a session, as a worker does with the client's next flow. */
static void record_failover(struct berth_client *client, const struct berth_view *view, uint64_t word)
{
	if (!client || client->tag != berth_word_tag(word))
		return;
	client->since = view->now;
	client->flows = 0;
	client->from = (uint16_t)berth_word_backend(word);
	client->reason = BERTH_REASON_FAILED_OVER;
}

/* Other words need a closer look: of round-robin and least-conn, and of groups. */
static struct home home_of(const struct berth_view *view, const struct berth_backend *backend,
			   const struct berth_service *service)
{
	struct home home = {.is_by_client = service->affinity == BERTH_AFFINITY_CLIENT,
			    .has_returns = service->failback == BERTH_FAILBACK_RETURN};
	if (backend->sibling || !service->rows || service->scheduler != BERTH_SCHEDULER_MAGLEV)
		return home;
	const uint32_t last = service->row_line + (service->rows - 1) / BERTH_ROWS_PER_LINE;
	if (last < service->row_line || last >= view->row_lines)
		return home;
	home.row_line = service->row_line;
	home.rows = service->rows;
	return home;
}

/* Removed and evicted backends keep no words, and a claim stores its age in fewer bits: all of these words
 * need a check. */
static void update_limits(struct berth_scan *scan, const struct berth_view *view)
{
	memset(scan->limits, 0xff, (UINT16_MAX + 1) * sizeof(*scan->limits));
	memset(scan->homes, 0, (UINT16_MAX + 1) * sizeof(*scan->homes));
	scan->shows_exceptions = true;
	for (uint32_t n = 1; n < view->backends && n <= UINT16_MAX; n++) {
		const struct berth_backend *backend = berth_backend_of(view, n);
		if (!backend || !backend->id || backend->admin == BERTH_ADMIN_EVICTED)
			continue;
		const struct berth_service *service = berth_service_of(view, backend->service);
		if (service)
			scan->homes[n] = home_of(view, backend, service);
		for (uint32_t state = 0; service && state < BERTH_STATE_COUNT; state++)
			scan->limits[n].age[state] = state == BERTH_STATE_CLAIMED
							     ? -1
							     : (int32_t)service->timeout[state];
	}
}

/* Whether a word is where each node selects, by its row alone. */
static bool is_at_home(const struct berth_scan *scan, const struct berth_view *view, uint64_t word)
{
	const uint32_t number = berth_word_backend(word), eligibility = berth_eligibility(view, number);
	const struct home *home = &scan->homes[number];
	if (scan->table == BERTH_TABLE_FLOWS && home->is_by_client)
		return eligibility & BERTH_ELIGIBLE_SESSIONS;
	if (!home->rows || !(eligibility & BERTH_ELIGIBLE_NEW))
		return false;
	const struct berth_row *rows = berth_at_rows(view, home->row_line)->row;
	return rows[berth_row_of_tag(berth_word_tag(word), home->rows)].primary == number;
}

static void show(struct berth_scan *scan, const struct berth_view *view, uint64_t word, uint32_t place)
{
	if (!scan->on_exception)
		return;
	const struct berth_scan_exception exception = {
		.table = scan->table,
		.word = word,
		.at = scan->bucket * BERTH_BUCKET_WORDS + place,
		.buckets = scan->buckets,
		.is_former = !scan->is_current,
	};
	scan->on_exception(scan->on_exception_arg, view, &exception);
}

/* Counts a word that stays in a place of the bucket. `client`: of a session. */
static void count_word(struct berth_scan *scan, const struct berth_view *view, uint64_t word, uint32_t place,
		       const struct berth_client *client)
{
	struct word_counts *counts = &scan->counting[scan->table];
	const uint32_t number = berth_word_backend(word);
	counts->total++;
	scan->former[scan->table] += !scan->is_current;
	if (number >= view->backends)
		return;
	counts->by_backend[number][berth_word_state(word)]++;
	if (!scan->shows_exceptions)
		return;
	if (BERTH_UNLIKELY(!is_at_home(scan, view, word)) && berth_is_exception(view, scan->table, word)) {
		counts->exceptions[number]++;
		counts->all_exceptions++;
		show(scan, view, word, place);
	} else if (client && scan->homes[number].has_returns && berth_has_returned(view, client, word)) {
		show(scan, view, word, place);
	}
}

/* Replaces the word if needed, and counts what then is in its place. */
static void check_word(struct berth_scan *scan, const struct berth_view *view, struct berth_bucket *bucket,
		       uint32_t place, struct berth_client *client)
{
	uint64_t *at = &bucket->word[place], word = BERTH_LOAD(at);
	uint64_t next = replacement(view, word, client);
	/* If a worker used the word meanwhile, the swap fails and the word stays. */
	if (next != word && berth_swap(at, word, next)) {
		if (next && berth_word_backend(next) != berth_word_backend(word))
			record_failover(client, view, word);
		word = next;
	}
	if (word)
		count_word(scan, view, word, place, client);
}

/* `clients`: of the sessions in the bucket; NULL: a bucket of flows. */
static void scan_bucket(struct berth_scan *scan, const struct berth_view *view, struct berth_bucket *bucket,
			struct berth_client *clients)
{
	for (uint32_t i = 0; i < BERTH_BUCKET_WORDS; i++) {
		uint64_t word = BERTH_LOAD(&bucket->word[i]);
		if (word == 0)
			continue;
		if (clients && scan->checks_clients)
			berth_sessions_clear_removed(&clients[i], view);
		uint32_t number = berth_word_backend(word), state = berth_word_state(word);
		if (BERTH_LIKELY((int32_t)berth_word_age(word, view->now) <= scan->limits[number].age[state])) {
			count_word(scan, view, word, i, clients ? &clients[i] : NULL);
			continue;
		}
		check_word(scan, view, bucket, i, clients ? &clients[i] : NULL);
	}
}

/* What is scanned now. */
struct part {
	struct berth_bucket *buckets;
	struct berth_client *clients; /* NULL: flows */
	uint32_t n;
};

static struct part part_of(const struct berth_scan *scan, const struct berth_view *view)
{
	const struct berth_image *image = scan->image;
	const bool is_flows = scan->table == BERTH_TABLE_FLOWS;
	if (scan->is_current)
		return is_flows ? (struct part){image->flows, NULL, image->geometry.flow_buckets}
				: (struct part){image->sessions, image->clients, image->geometry.session_buckets};
	return is_flows ? (struct part){image->former_flows, NULL, berth_former_buckets(view->former_flow_bits)}
			: (struct part){image->former_sessions, image->former_clients,
					berth_former_buckets(view->former_session_bits)};
}

/* Scans a bucket of the part. Returns how many buckets it took as long as. */
static uint32_t scan_one(struct berth_scan *scan, const struct berth_view *view, const struct part *part)
{
	enum {
		MOVE = 16
	};
	struct berth_bucket *bucket = &part->buckets[scan->bucket];
	struct berth_client *clients = part->clients ? &part->clients[scan->bucket * BERTH_BUCKET_WORDS] : NULL;
	scan->buckets = part->n;
	const uint32_t moved = scan->is_current ? 0 : berth_former_words_move(view, scan->table, scan->bucket);
	scan_bucket(scan, view, bucket, clients);
	return 1 + moved * MOVE;
}

static void begin_scan(struct berth_scan *scan, uint32_t now)
{
	const uint64_t words = scan->complete[0].total + scan->complete[1].total;
	scan->has_begun = true;
	scan->began = now;
	scan->counts_exceptions = words < FEW_WORDS || scan->limits_generation != scan->counted_generation ||
				  ++scan->scans_without >= SCANS_PER_COUNT;
	scan->shows_exceptions = scan->counts_exceptions;
	if (!scan->counts_exceptions)
		return;
	scan->counted_generation = scan->limits_generation;
	scan->scans_without = 0;
}

/* A scan that has not counted exceptions keeps the former figures. */
static void keep_exceptions(struct word_counts *counted, struct word_counts *former)
{
	uint32_t *exceptions = counted->exceptions;
	counted->exceptions = former->exceptions;
	counted->all_exceptions = former->all_exceptions;
	former->exceptions = exceptions;
}

/* Completes the scan of one table and turns to the other. */
static void finish_table(struct berth_scan *scan)
{
	struct word_counts *counting = &scan->counting[scan->table];
	struct word_counts counted = *counting;
	*counting = scan->complete[scan->table];
	if (!scan->counts_exceptions)
		keep_exceptions(&counted, counting);
	scan->complete[scan->table] = counted;
	memset(counting->by_backend, 0, scan->image->geometry.backends * sizeof(*counting->by_backend));
	memset(counting->exceptions, 0, scan->image->geometry.backends * sizeof(*counting->exceptions));
	counting->total = 0;
	counting->all_exceptions = 0;
	scan->complete_former[scan->table] = scan->former[scan->table];
	scan->former[scan->table] = 0;
	if (scan->table == BERTH_TABLE_SESSIONS) {
		scan->clients_generation = scan->generation;
	} else {
		scan->generation = BERTH_LOAD(&scan->image->ctl->generation);
		scan->checks_clients = scan->generation != scan->clients_generation;
	}
	scan->table = scan->table == BERTH_TABLE_FLOWS ? BERTH_TABLE_SESSIONS : BERTH_TABLE_FLOWS;
}

/* Turns to what is scanned next. True: that completed a scan of both tables. */
static bool finish_part(struct berth_scan *scan)
{
	const bool was_last = scan->is_current && scan->table == BERTH_TABLE_SESSIONS;
	if (scan->is_current)
		finish_table(scan);
	scan->is_current = !scan->is_current;
	scan->bucket = 0;
	return was_last;
}

bool berth_scan_step(struct berth_scan *scan, uint32_t buckets, uint32_t now)
{
	const struct berth_view view = berth_sessions_view(scan->image, now);
	uint64_t generation = BERTH_LOAD(&scan->image->ctl->generation);
	if (scan->limits_generation != generation)
		update_limits(scan, &view);
	scan->limits_generation = generation;
	if (!scan->has_begun)
		begin_scan(scan, view.now);
	for (uint32_t done = 0; done < buckets;) {
		const struct part part = part_of(scan, &view);
		if (scan->bucket < part.n) {
			done += scan_one(scan, &view, &part);
			scan->bucket++;
		}
		if (scan->bucket >= part.n && finish_part(scan)) {
			scan->has_begun = false;
			scan->has_counted_exceptions = scan->counts_exceptions;
			berth_clock_swept(scan->image->ctl, scan->began);
			return true;
		}
	}
	return false;
}

void berth_scan_former(const struct berth_scan *scan, uint64_t *flows, uint64_t *sessions)
{
	*flows = scan->complete_former[BERTH_TABLE_FLOWS];
	*sessions = scan->complete_former[BERTH_TABLE_SESSIONS];
}

bool berth_scan_is_closing(uint32_t state)
{
	return state == BERTH_STATE_CLOSING || state == BERTH_STATE_CLOSED;
}

uint64_t berth_scan_closing(const struct berth_scan *scan, uint32_t backend)
{
	const uint32_t *by_state = scan->complete[BERTH_TABLE_FLOWS].by_backend[backend];
	return (uint64_t)by_state[BERTH_STATE_CLOSING] + by_state[BERTH_STATE_CLOSED];
}

uint64_t berth_scan_half_open(const struct berth_scan *scan, uint32_t backend)
{
	return scan->complete[BERTH_TABLE_FLOWS].by_backend[backend][BERTH_STATE_UNCONFIRMED];
}

uint64_t berth_scan_flows(const struct berth_scan *scan, uint32_t backend)
{
	const uint32_t *by_state = scan->complete[BERTH_TABLE_FLOWS].by_backend[backend];
	uint64_t flows = 0;
	/* The flow of a fragmented datagram has a word of its own beside the fragments' word. */
	for (uint32_t state = 0; state < BERTH_STATE_COUNT; state++)
		if (!berth_scan_is_closing(state) && state != BERTH_STATE_FRAGMENT)
			flows += by_state[state];
	return flows;
}

uint64_t berth_scan_sessions(const struct berth_scan *scan, uint32_t backend)
{
	return scan->complete[BERTH_TABLE_SESSIONS].by_backend[backend][BERTH_STATE_SESSION];
}

void berth_scan_totals(const struct berth_scan *scan, uint64_t *flows, uint64_t *sessions)
{
	*flows = scan->complete[BERTH_TABLE_FLOWS].total;
	*sessions = scan->complete[BERTH_TABLE_SESSIONS].total;
}

static uint64_t count_unconfirmed(const struct berth_scan *scan, enum berth_table table)
{
	uint64_t words = 0;
	for (uint32_t number = 0; number < scan->image->geometry.backends; number++)
		words += scan->complete[table].by_backend[number][BERTH_STATE_UNCONFIRMED];
	return words;
}

void berth_scan_unconfirmed(const struct berth_scan *scan, uint64_t *flows, uint64_t *sessions)
{
	*flows = count_unconfirmed(scan, BERTH_TABLE_FLOWS);
	*sessions = count_unconfirmed(scan, BERTH_TABLE_SESSIONS);
}

uint64_t berth_scan_exceptions(const struct berth_scan *scan, enum berth_table table, uint32_t backend)
{
	return scan->complete[table].exceptions[backend];
}

void berth_scan_count_exceptions(struct berth_scan *scan)
{
	scan->counted_generation = UINT64_MAX;
}

bool berth_scan_has_counted_exceptions(const struct berth_scan *scan)
{
	return scan->has_counted_exceptions;
}

void berth_scan_exception_totals(const struct berth_scan *scan, uint64_t *flows, uint64_t *sessions)
{
	*flows = scan->complete[BERTH_TABLE_FLOWS].all_exceptions;
	*sessions = scan->complete[BERTH_TABLE_SESSIONS].all_exceptions;
}
