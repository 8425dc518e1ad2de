// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/cluster/sender.h"

#include <stdlib.h>
#include <string.h>

#include "controlplane/cluster/answers.h"
#include "controlplane/tables/sessions.h"
#include "controlplane/util/address.h"

enum {
	/* That wait to be told. */
	ROOM = 16384,
	/* Each whole scan looks at this part of the set, so that it has been around once per 64 scans. */
	SWEEPS = 64,
	/* Of three times this a third is the least time between two answers for one entry. */
	ANSWER_S = 10,
	/* With a flush, of each kind: with one in each tick twice as many as the store is told in a second. */
	ANSWERS = 8192,
};

struct news {
	struct berth_cluster_record record;
	struct berth_exception_key key;
	uint32_t at;
	enum berth_sender_reason reason;
};

struct berth_sender {
	struct berth_sender_options options;
	struct berth_exceptions *set;
	struct news *news;
	uint32_t n;
	struct berth_cluster_answers answers; /* to tell with the next flush */
	struct berth_cluster_answers late;
	bool is_full; /* nothing more is told before the next flush */
	bool has_time;
	uint32_t zero_unix_s; /* when the time of the tables was 0 */
	uint64_t sequence;
	uint64_t configuration;
	struct berth_sender_counts counts;
	uint8_t batch[BERTH_SENDER_BATCH_BYTES];
};

struct berth_sender *berth_sender_new(const struct berth_sender_options *options)
{
	struct berth_sender *sender = calloc(1, sizeof(*sender));
	if (!sender)
		return NULL;
	sender->options = *options;
	sender->set = berth_exceptions_new(options->most);
	sender->news = calloc(ROOM, sizeof(*sender->news));
	berth_cluster_answers_init(&sender->answers, options->most);
	berth_cluster_answers_init(&sender->late, options->most);
	if (sender->set && sender->news)
		return sender;
	berth_sender_free(sender);
	return NULL;
}

void berth_sender_free(struct berth_sender *sender)
{
	if (!sender)
		return;
	berth_exceptions_free(sender->set);
	free(sender->news);
	berth_cluster_answers_clear(&sender->answers);
	berth_cluster_answers_clear(&sender->late);
	free(sender);
}

/* --- time --- */

/* Both times are rounded, so their difference changes by a second now and then. It stays as it is then: nodes have
 * to agree when a session began, and less on whether that is the right time. */
void berth_sender_set_time(struct berth_sender *sender, uint32_t unix_s, uint32_t now)
{
	const uint32_t zero_unix_s = unix_s - now;
	const int32_t off_s = (int32_t)(zero_unix_s - sender->zero_unix_s);
	if (sender->has_time && off_s >= -1 && off_s <= 1)
		return;
	sender->has_time = true;
	sender->zero_unix_s = zero_unix_s;
}

int32_t berth_sender_held_s(const struct berth_sender *sender, const struct berth_view *view, uint32_t began_unix_s)
{
	return (int32_t)(view->now + sender->zero_unix_s - began_unix_s);
}

/* --- what the scan shows --- */

/* A pin is told as a session that was moved: pins are of the node on which an operator set them. False: a worker
 * has not written the client yet, or it is of a former length of prefixes. */
static bool read_session(const struct berth_sender *sender, const struct berth_view *view,
			 const struct berth_scan_exception *exception, const struct berth_service *service,
			 struct berth_cluster_record *record)
{
	struct berth_session session = {.word = exception->word, .at = exception->at};
	berth_sessions_read_client(view, &session);
	if (!session.has_client)
		return false;
	record->table = BERTH_CLUSTER_SESSION;
	record->low_bits = BERTH_CLUSTER_RECORD_LOW_BITS;
	record->low = sender->zero_unix_s + session.client.since;
	record->reason = session.client.reason < BERTH_REASON_PINNED ? session.client.reason : BERTH_REASON_MOVED;
	record->client = session.client.addr;
	record->client_bits = berth_sessions_prefix_bits(service, &session.client.addr);
	const union berth_addr prefix = berth_prefix_of(&record->client, record->client_bits);
	return berth_addr_equal(&prefix, &record->client);
}

/* False: it cannot be told. Sessions of a former table move within a scan. */
static bool read_record(const struct berth_sender *sender, const struct berth_view *view,
			const struct berth_scan_exception *exception, const struct berth_exception_key *key,
			struct berth_cluster_record *record)
{
	const struct berth_backend *backend = berth_backend_of(view, berth_word_backend(exception->word));
	const struct berth_service *service = backend ? berth_service_of(view, backend->service) : NULL;
	if (!service)
		return false;
	*record = (struct berth_cluster_record){
		.table = BERTH_CLUSTER_FLOW,
		.state = (uint8_t)berth_word_state(exception->word),
		.low_bits = (uint8_t)__builtin_popcount(exception->buckets - 1),
		.age_s = berth_word_age(exception->word, view->now),
		.tag = key->tag,
		.low = key->low,
		.service = service->id,
		.backend = backend->id,
	};
	if (exception->table == BERTH_TABLE_FLOWS)
		return true;
	return !exception->is_former && read_session(sender, view, exception, service, record);
}

static uint32_t timeout_of(const struct berth_view *view, uint64_t word)
{
	const struct berth_backend *backend = berth_backend_of(view, berth_word_backend(word));
	const struct berth_service *service = backend ? berth_service_of(view, backend->service) : NULL;
	return service ? service->timeout[berth_word_state(word)] : 0;
}

static enum berth_sender_reason reason_of(enum berth_exception_news news)
{
	if (news == BERTH_EXCEPTION_CHANGED)
		return BERTH_SENDER_CHANGED;
	return news == BERTH_EXCEPTION_REFRESHED ? BERTH_SENDER_REFRESHED : BERTH_SENDER_NEW;
}

/* --- what is told --- */

/* The scan shows an exception again, and no answer: beyond the room the other node's next record asks again. */
static void keep_answer(struct berth_sender *sender, const struct berth_cluster_answer *answer)
{
	struct berth_cluster_answers *queue = answer->is_late ? &sender->late : &sender->answers;
	const bool has_room = sender->answers.n + sender->late.n < sender->options.most;
	if (!berth_exceptions_want(sender->set, &answer->key) ||
	    (has_room && berth_cluster_answers_push(queue, answer)))
		return;
	berth_exceptions_take_want(sender->set, &answer->key);
	sender->counts.deferred++;
}

static void defer(struct berth_sender *sender, const struct news *news)
{
	berth_exceptions_defer(sender->set, &news->key);
	sender->counts.deferred++;
	if (news->reason == BERTH_SENDER_ANSWERED && sender->is_full)
		keep_answer(sender, &(struct berth_cluster_answer){.key = news->key, .at = news->at});
}

static int by_service(const void *a, const void *b)
{
	const struct berth_cluster_record *x = &((const struct news *)a)->record;
	const struct berth_cluster_record *y = &((const struct news *)b)->record;
	if (x->service != y->service)
		return x->service < y->service ? -1 : 1;
	return x->sequence < y->sequence ? -1 : 1;
}

/* How many of the `n` news are one batch. */
static uint32_t batch_of(const struct news *news, uint32_t n)
{
	uint32_t size = 1;
	while (size < n && size < BERTH_SENDER_BATCH && news[size].record.service == news[0].record.service)
		size++;
	return size;
}

static void tell_batch(struct berth_sender *sender, struct news *news, uint32_t n)
{
	size_t bytes = 0;
	for (uint32_t i = 0; i < n; i++)
		bytes += berth_cluster_record_encode(&news[i].record, sender->batch + bytes);
	sender->is_full = sender->is_full ||
			  !sender->options.tell(sender->options.arg, news[0].record.service, sender->batch, bytes);
	for (uint32_t i = 0; i < n; i++) {
		if (sender->is_full)
			defer(sender, &news[i]);
		else
			sender->counts.told[news[i].reason]++;
	}
	if (sender->is_full)
		return;
	sender->counts.batches++;
	sender->counts.bytes += bytes;
}

static void tell_all(struct berth_sender *sender)
{
	qsort(sender->news, sender->n, sizeof(*sender->news), by_service);
	for (uint32_t i = 0, n; i < sender->n; i += n) {
		n = batch_of(&sender->news[i], sender->n - i);
		tell_batch(sender, &sender->news[i], n);
	}
	sender->n = 0;
}

static void sign(struct berth_sender *sender, struct berth_cluster_record *record)
{
	record->node = sender->options.node;
	record->epoch = sender->options.epoch;
	record->sequence = ++sender->sequence;
	record->configuration = sender->configuration;
}

static void take_news(struct berth_sender *sender, const struct berth_view *view,
		      const struct berth_scan_exception *entry, const struct berth_exception_key *key,
		      enum berth_sender_reason reason)
{
	if (sender->n == ROOM)
		tell_all(sender);
	struct news *next = &sender->news[sender->n];
	next->key = *key;
	next->at = entry->at;
	next->reason = reason;
	if (sender->is_full || !read_record(sender, view, entry, key, &next->record)) {
		defer(sender, next);
		return;
	}
	sign(sender, &next->record);
	sender->n++;
}

static uint32_t seen_s(const struct berth_view *view, uint64_t word)
{
	return view->now - berth_word_age(word, view->now);
}

/* Tells the set when the session began: after a clear the client may have a new one on the same backend, which no
 * node was told of. A session that was moved here and has had no packet since was told as a move. */
static void show_beginning(struct berth_sender *sender, const struct berth_view *view,
			   const struct berth_scan_exception *exception, const struct berth_exception_key *key)
{
	struct berth_session session = {.word = exception->word, .at = exception->at};
	if (exception->table != BERTH_TABLE_SESSIONS || exception->is_former)
		return;
	berth_sessions_read_client(view, &session);
	if (session.has_client && (int32_t)(seen_s(view, exception->word) - session.client.since) >= 0)
		berth_exceptions_begin(sender->set, key, session.client.since);
}

void berth_sender_show(void *arg, const struct berth_view *view, const struct berth_scan_exception *exception)
{
	struct berth_sender *sender = arg;
	const uint64_t word = exception->word;
	const struct berth_exception_key key = berth_exceptions_key(
		exception->table, word, exception->at / BERTH_BUCKET_WORDS, exception->buckets);
	show_beginning(sender, view, exception, &key);
	const enum berth_exception_news news = berth_exceptions_show(
		sender->set, &key, (uint16_t)berth_word_backend(word), seen_s(view, word), timeout_of(view, word));
	if (news != BERTH_EXCEPTION_KNOWN && news != BERTH_EXCEPTION_LOST)
		take_news(sender, view, exception, &key, reason_of(news));
}

/* --- answers --- */

static uint32_t buckets_of(const struct berth_view *view, enum berth_table table)
{
	return (table == BERTH_TABLE_FLOWS ? view->flow_mask : view->session_mask) + 1;
}

void berth_sender_answer(struct berth_sender *sender, const struct berth_view *view, enum berth_table table,
			 const struct berth_entry *entry)
{
	const struct berth_exception_key key = berth_exceptions_key(
		table, entry->value, entry->at / BERTH_BUCKET_WORDS, buckets_of(view, table));
	keep_answer(sender, &(struct berth_cluster_answer){.key = key, .at = entry->at});
}

/* The other node may have read what was told a moment ago before it had its own entry. */
static void answer_later(struct berth_sender *sender, const struct berth_view *view,
			 const struct berth_cluster_answer *answer)
{
	keep_answer(sender,
		    &(struct berth_cluster_answer){
			    .key = answer->key, .at = answer->at, .is_late = true, .due_s = view->now + ANSWER_S});
}

bool berth_sender_has_answers(const struct berth_sender *sender)
{
	return sender->answers.n || sender->late.n;
}

void berth_sender_heard(struct berth_sender *sender, const struct berth_view *view, enum berth_table table,
			const struct berth_entry *entry)
{
	const struct berth_exception_key key = berth_exceptions_key(
		table, entry->value, entry->at / BERTH_BUCKET_WORDS, buckets_of(view, table));
	berth_exceptions_heard(sender->set, &key, (uint16_t)berth_word_backend(entry->value));
}

/* As it is now: it may have ended, or moved to another place, or a second packet has not come yet. */
static void tell_answer(struct berth_sender *sender, const struct berth_view *view,
			const struct berth_cluster_answer *answer)
{
	const enum berth_table table = answer->key.table;
	struct berth_scan_exception entry = {.table = table, .at = answer->at, .buckets = buckets_of(view, table)};
	const uint32_t bucket = answer->at / BERTH_BUCKET_WORDS, place = answer->at % BERTH_BUCKET_WORDS;
	/* The table may have become smaller since. */
	if (!berth_exceptions_take_want(sender->set, &answer->key) || bucket >= entry.buckets)
		return;
	const struct berth_bucket *at = table == BERTH_TABLE_FLOWS ? berth_at_flows(view, bucket)
								   : berth_at_sessions(view, bucket);
	entry.word = at ? BERTH_LOAD(&at->word[place]) : 0;
	if (berth_word_tag(entry.word) != answer->key.tag || !berth_is_proven_entry(entry.word))
		return;
	if (answer->is_late && !berth_exceptions_renew(sender->set, &answer->key, seen_s(view, entry.word)))
		return;
	const enum berth_exception_news news = berth_exceptions_show(sender->set, &answer->key,
								     (uint16_t)berth_word_backend(entry.word),
								     seen_s(view, entry.word), 3 * ANSWER_S);
	if (news == BERTH_EXCEPTION_KNOWN)
		answer_later(sender, view, answer);
	else if (news != BERTH_EXCEPTION_LOST)
		take_news(sender, view, &entry, &answer->key, BERTH_SENDER_ANSWERED);
}

static bool is_due(const struct berth_view *view, const struct berth_cluster_answer *answer)
{
	return !answer->is_late || (int32_t)(view->now - answer->due_s) >= 0;
}

/* What cannot be told comes behind, so no more than there are now. */
static void tell_answers(struct berth_sender *sender, const struct berth_view *view,
			 struct berth_cluster_answers *queue)
{
	uint32_t left = queue->n < ANSWERS ? queue->n : ANSWERS;
	for (; left && !sender->is_full && is_due(view, berth_cluster_answers_first(queue)); left--) {
		const struct berth_cluster_answer answer = berth_cluster_answers_pop(queue);
		tell_answer(sender, view, &answer);
	}
}

void berth_sender_flush(struct berth_sender *sender, const struct berth_view *view)
{
	tell_answers(sender, view, &sender->answers);
	tell_answers(sender, view, &sender->late);
	tell_all(sender);
	sender->is_full = false;
}

bool berth_sender_command(struct berth_sender *sender, const struct berth_cluster_record *command)
{
	struct berth_cluster_record record = *command;
	uint8_t bytes[BERTH_CLUSTER_RECORD_MAX_BYTES];
	record.state = BERTH_STATE_SESSION;
	record.reason = record.table == BERTH_CLUSTER_MOVE ? BERTH_REASON_MOVED : BERTH_REASON_NONE;
	sign(sender, &record);
	/* In order with what was found before. */
	tell_all(sender);
	const size_t size = berth_cluster_record_encode(&record, bytes);
	const bool is_told = size && sender->options.tell(sender->options.arg, record.service, bytes, size);
	sender->counts.commands += is_told;
	return is_told;
}

/* --- the set --- */

void berth_sender_set_configuration(struct berth_sender *sender, uint64_t digest)
{
	sender->configuration = digest;
}

/* That an exception has ended is not told: others' entries expire, or follow later traffic. */
static void ignore_gone(void *arg, const struct berth_exception_key *key, uint16_t backend)
{
	(void)arg;
	(void)key;
	(void)backend;
}

void berth_sender_scan_ended(struct berth_sender *sender)
{
	berth_exceptions_scan_ended(sender->set);
	berth_exceptions_sweep(sender->set, (berth_exceptions_slots(sender->set) + SWEEPS - 1) / SWEEPS,
			       ignore_gone, NULL);
}

void berth_sender_tell_again(struct berth_sender *sender)
{
	berth_exceptions_tell_again(sender->set);
}

void berth_sender_receive(struct berth_sender *sender, const struct berth_view *view, enum berth_table table,
			  const struct berth_entry *entry, uint32_t idle_s)
{
	const struct berth_exception_key key = berth_exceptions_key(
		table, entry->value, entry->at / BERTH_BUCKET_WORDS, buckets_of(view, table));
	berth_exceptions_receive(sender->set, &key, (uint16_t)berth_word_backend(entry->value), view->now - idle_s);
}

uint64_t berth_sender_sequence(const struct berth_sender *sender)
{
	return sender->sequence;
}

bool berth_sender_is_own(const struct berth_sender *sender, const struct berth_cluster_record *record)
{
	return record->node == sender->options.node && record->epoch == sender->options.epoch;
}

const char *berth_sender_reason_name(enum berth_sender_reason reason)
{
	static const char *const names[] = {
#define BERTH_X(symbol, name) [BERTH_SENDER_##symbol] = (name),
		BERTH_SENDER_REASONS(BERTH_X)
#undef BERTH_X
	};
	return names[reason];
}

const struct berth_sender_counts *berth_sender_counts(const struct berth_sender *sender)
{
	return &sender->counts;
}

const struct berth_exceptions *berth_sender_exceptions(const struct berth_sender *sender)
{
	return sender->set;
}
