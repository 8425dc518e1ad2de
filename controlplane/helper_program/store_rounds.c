// SPDX-License-Identifier: BSD-3-Clause
/*
 * Rounds of records through the store of a cluster, on a connection of their own. In Redis:
 *
 *   berth:CLUSTER:epoch      random, set by whoever comes first: another one means other data
 *   berth:CLUSTER:x:SERVICE  a stream per service; an entry is a batch: n NODE e RUN b RECORDS
 *
 * A round is two round trips: which data and which server this is; then all batches are written and the page is
 * read. A stream keeps its horizon, as the server's clock counts it (MINID), and goes when nothing has been written
 * for so long. One entry that is too long to be read, or one key that is no stream, stops no other one.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "controlplane/helper_program/redis.h"
#include "controlplane/helper_program/round_message.h"
#include "controlplane/helper_program/serve.h"
#include "controlplane/helper_program/stream_reply.h"

enum {
	/* Of a reply: the entries that a round asks for are at most 256, and 20 KiB each. */
	MAX_BYTES = 6 << 20,
	NUMBER_BYTES = 24,
	ID_BYTES = 2 * NUMBER_BYTES,
	AHEAD_MS = 3600 * 1000,
};

enum step {
	IDLE,
	LOGGING_IN,
	IDENTIFYING,
	EXCHANGING, /* XADD and PEXPIRE for each batch, then XREAD */
	READING,    /* XREAD for each stream alone, since one of them is none */
	REPLACING,  /* DEL of streams, and another epoch */
};

enum identity {
	EPOCH_SET,
	EPOCH,
	INFO,
	TIME,
	IDENTIFIED,
};

struct berth_serve_rounds {
	struct event_base *base;
	struct berth_stream *stream;
	const struct berth_redis_tls *tls;
	struct berth_redis *redis;
	struct event timer; /* of the round */
	enum step step;
	size_t n_replies; /* in this step */
	struct berth_helper_store_round round;
	struct berth_helper_store_batch *tells[BERTH_HELPER_STORE_TELLS];
	size_t n_tells;
	char epoch[BERTH_HELPER_STORE_ID_BYTES], run_id[BERTH_HELPER_STORE_ID_BYTES];
	uint64_t now_ms; /* of the server */
	/* Of each batch: its key is no stream, or one with an id of the future, so that its entries would stay for
	 * ever, or with the last one. */
	bool is_spoilt[BERTH_HELPER_STORE_TELLS];
	size_t n_spoilt;
	bool is_epoch_spoilt; /* its key is of another type, so that no node would see that the data are others */
	struct berth_stream_result results[BERTH_HELPER_STORE_PAGE];
};

static void close_connection(struct berth_serve_rounds *rounds)
{
	berth_redis_free(rounds->redis);
	rounds->redis = NULL;
}

static void drop_tells(struct berth_serve_rounds *rounds)
{
	while (rounds->n_tells)
		free(rounds->tells[--rounds->n_tells]);
}

/* --- answers --- */

static void answer(struct berth_serve_rounds *rounds, uint16_t type, struct berth_helper_header *header,
		   size_t bytes)
{
	*header = (struct berth_helper_header){.type = type, .id = rounds->round.header.id};
	berth_stream_send(rounds->stream, header, bytes, NULL, 0);
}

static void finish(struct berth_serve_rounds *rounds, const char *reason)
{
	struct berth_helper_store_round_ended message = {.failed = reason != NULL};
	memcpy(message.epoch, rounds->epoch, sizeof(message.epoch));
	memcpy(message.run_id, rounds->run_id, sizeof(message.run_id));
	snprintf(message.reason, sizeof(message.reason), "%s", reason ? reason : "");
	evtimer_del(&rounds->timer);
	rounds->step = IDLE;
	drop_tells(rounds);
	answer(rounds, BERTH_HELPER_STORE_ROUND_ENDED, &message.header, sizeof(message));
}

/* After a fault the next round has a new connection. */
static void fail(struct berth_serve_rounds *rounds, const char *reason)
{
	char text[BERTH_HELPER_REASON_BYTES];
	berth_redis_describe(&rounds->round.server, "", reason, text);
	close_connection(rounds);
	if (rounds->step != IDLE)
		finish(rounds, text);
}

static bool send_batch(void *arg, const struct berth_stream_entry *entry)
{
	static struct berth_helper_store_batch message;
	const struct berth_serve_rounds *rounds = arg;
	message.header = (struct berth_helper_header){.type = BERTH_HELPER_STORE_BATCH,
						      .id = rounds->round.header.id};
	message.service = entry->service;
	message.at = entry->at;
	message.age_s = berth_stream_age_s(entry->at, rounds->now_ms);
	message.is_own = entry->is_own;
	message.bytes = (uint32_t)entry->bytes;
	memcpy(message.records, entry->records, entry->bytes);
	return berth_stream_send(rounds->stream, &message.header, berth_helper_store_batch_bytes(entry->bytes),
				 NULL, 0) == 0;
}

/* --- commands --- */

#define COMMAND(rounds, ...) check(rounds, !(rounds)->redis || BERTH_REDIS_COMMAND((rounds)->redis, __VA_ARGS__))

static void check(struct berth_serve_rounds *rounds, bool is_queued)
{
	if (!is_queued)
		fail(rounds, "out of memory");
}

static void enter(struct berth_serve_rounds *rounds, enum step step)
{
	rounds->step = step;
	rounds->n_replies = 0;
}

/* Nodes that see another epoch tell all again, and read all from the start. */
static void set_epoch(struct berth_serve_rounds *rounds, bool may_replace)
{
	char key[BERTH_STREAM_KEY_BYTES], epoch[NUMBER_BYTES];
	uint64_t random = 0;
	if (getrandom(&random, sizeof(random), 0) != sizeof(random)) {
		fail(rounds, "no random number");
		return;
	}
	snprintf(key, sizeof(key), "berth:%s:epoch", rounds->round.cluster);
	snprintf(epoch, sizeof(epoch), "%016" PRIx64, random);
	if (may_replace)
		COMMAND(rounds, "SET", key, epoch);
	else
		COMMAND(rounds, "SET", key, epoch, "NX");
}

static void identify(struct berth_serve_rounds *rounds)
{
	char key[BERTH_STREAM_KEY_BYTES], last[NUMBER_BYTES];
	snprintf(key, sizeof(key), "berth:%s:epoch", rounds->round.cluster);
	snprintf(last, sizeof(last), "%d", BERTH_HELPER_STORE_ID_BYTES - 2);
	enter(rounds, IDENTIFYING);
	set_epoch(rounds, false);
	COMMAND(rounds, "GETRANGE", key, "0", last);
	COMMAND(rounds, "INFO", "server");
	COMMAND(rounds, "TIME");
}

static void end_round(struct berth_serve_rounds *rounds)
{
	char key[BERTH_STREAM_KEY_BYTES];
	if ((!rounds->n_spoilt && !rounds->is_epoch_spoilt) || !rounds->redis) {
		finish(rounds, NULL);
		return;
	}
	enter(rounds, REPLACING);
	for (size_t i = 0; i < rounds->n_tells && rounds->redis; i++)
		if (rounds->is_spoilt[i])
			COMMAND(rounds, "DEL",
				berth_stream_key(rounds->round.cluster, rounds->tells[i]->service, key));
	set_epoch(rounds, true);
}

/* `is_cut`: all streams may have more. */
static void finish_reads(struct berth_serve_rounds *rounds, bool is_cut)
{
	for (uint32_t i = 0; i < rounds->round.n; i++) {
		const struct berth_stream_result *result = &rounds->results[i];
		struct berth_helper_store_read message = {
			.after = result->after,
			.index = i,
			.refused = result->refused + result->is_refused,
			.is_behind = is_cut || result->entries >= rounds->round.count,
		};
		if (is_cut || result->entries || result->is_refused)
			answer(rounds, BERTH_HELPER_STORE_READ, &message.header, sizeof(message));
	}
	end_round(rounds);
}

static void write_batch(struct berth_serve_rounds *rounds, const struct berth_helper_store_batch *batch)
{
	const uint64_t horizon_ms = 1000 * (uint64_t)batch->horizon_s;
	char key[BERTH_STREAM_KEY_BYTES], oldest[NUMBER_BYTES], run[NUMBER_BYTES], life[NUMBER_BYTES];
	berth_stream_key(rounds->round.cluster, batch->service, key);
	snprintf(oldest, sizeof(oldest), "%" PRIu64, rounds->now_ms > horizon_ms ? rounds->now_ms - horizon_ms : 0);
	snprintf(run, sizeof(run), "%016" PRIx64, rounds->round.run);
	snprintf(life, sizeof(life), "%" PRIu64, horizon_ms);
	const char *const words[] = {"XADD", key, "MINID", "~",
				     oldest, "*", "n",	   rounds->round.node,
				     "e",    run, "b",	   (const char *)batch->records};
	enum {
		N = sizeof(words) / sizeof(words[0]),
	};
	size_t lengths[N];
	for (size_t i = 0; i < N - 1; i++)
		lengths[i] = strlen(words[i]);
	lengths[N - 1] = batch->bytes;
	check(rounds, !rounds->redis || berth_redis_command(rounds->redis, N, words, lengths));
	COMMAND(rounds, "PEXPIRE", key, life);
}

/* Streams `first` to `first` + n - 1 of the page. */
static void read_streams(struct berth_serve_rounds *rounds, uint32_t first, uint32_t n)
{
	static char keys[BERTH_HELPER_STORE_PAGE][BERTH_STREAM_KEY_BYTES], ids[BERTH_HELPER_STORE_PAGE][ID_BYTES];
	static const char *words[BERTH_REDIS_MAX_WORDS] = {"XREAD", "COUNT", NULL, "STREAMS"};
	char count[NUMBER_BYTES];
	snprintf(count, sizeof(count), "%u", rounds->round.count);
	words[2] = count;
	for (uint32_t i = 0; i < n; i++) {
		const struct berth_helper_store_stream *stream = &rounds->round.page[first + i];
		snprintf(ids[i], ID_BYTES, "%" PRIu64 "-%" PRIu64, stream->after.ms, stream->after.sequence);
		words[4 + i] = berth_stream_key(rounds->round.cluster, stream->service, keys[i]);
		words[4 + n + i] = ids[i];
	}
	check(rounds, !rounds->redis || berth_redis_command(rounds->redis, 4 + 2 * n, words, NULL));
}

static void exchange(struct berth_serve_rounds *rounds)
{
	enter(rounds, EXCHANGING);
	rounds->n_spoilt = 0;
	for (uint32_t i = 0; i < rounds->round.n; i++)
		rounds->results[i] = (struct berth_stream_result){.after = rounds->round.page[i].after};
	for (size_t i = 0; i < rounds->n_tells && rounds->redis; i++)
		write_batch(rounds, rounds->tells[i]);
	if (rounds->round.n && rounds->redis)
		read_streams(rounds, 0, rounds->round.n);
	if (!rounds->round.n && !rounds->n_tells)
		end_round(rounds);
}

static void read_each(struct berth_serve_rounds *rounds)
{
	enter(rounds, READING);
	for (uint32_t i = 0; i < rounds->round.n && rounds->redis; i++)
		read_streams(rounds, i, 1);
}

/* --- replies --- */

static bool is_error(const redisReply *reply, const char *begin)
{
	return reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, begin, strlen(begin)) == 0;
}

/* INFO may be forbidden, and the epoch's key may be of another type: then they are not known, and the key is
 * replaced at the end of the round. */
static void on_identified(struct berth_serve_rounds *rounds, const redisReply *reply)
{
	const size_t at = rounds->n_replies++;
	char text[BERTH_REDIS_REASON_BYTES];
	if (at == EPOCH)
		rounds->is_epoch_spoilt = is_error(reply, "WRONGTYPE");
	const bool may_fail = at == INFO || (at == EPOCH && rounds->is_epoch_spoilt);
	if (reply->type == REDIS_REPLY_ERROR && !may_fail) {
		fail(rounds, berth_redis_text(reply, text));
		return;
	}
	if (at == EPOCH && reply->type == REDIS_REPLY_STRING)
		berth_stream_copy_id(rounds->epoch, reply->str, reply->len);
	else if (at == INFO)
		berth_stream_parse_run_id(reply, rounds->run_id);
	else if (at == TIME && !berth_stream_parse_time(reply, &rounds->now_ms))
		fail(rounds, "it sent what does not answer the command");
	else if (at == TIME)
		exchange(rounds);
}

/* What another attempt would not cure: the key is no stream, or one that takes no more. */
static bool is_refusal(const redisReply *reply)
{
	return is_error(reply, "WRONGTYPE") || is_error(reply, "ERR The stream has exhausted");
}

static void on_written(struct berth_serve_rounds *rounds, size_t at, const redisReply *reply)
{
	struct berth_helper_store_told message = {.refused = is_refusal(reply)};
	char text[BERTH_REDIS_REASON_BYTES];
	if (reply->type == REDIS_REPLY_ERROR && !message.refused)
		fail(rounds, berth_redis_text(reply, text));
	else if (!message.refused && !berth_stream_parse_position(reply, &message.at))
		fail(rounds, "it sent what does not answer the command");
	else
		answer(rounds, BERTH_HELPER_STORE_TOLD, &message.header, sizeof(message));
	rounds->is_spoilt[at] = message.refused || message.at.ms > rounds->now_ms + AHEAD_MS;
	rounds->n_spoilt += rounds->is_spoilt[at];
}

/* Returns what is wrong, or NULL. */
static const char *take_streams(struct berth_serve_rounds *rounds, const redisReply *reply, bool is_cut)
{
	const struct berth_stream_reader reader = {
		.round = &rounds->round, .results = rounds->results, .batch = send_batch, .arg = rounds};
	return berth_stream_read(&reader, reply, is_cut);
}

static void on_read(struct berth_serve_rounds *rounds, const redisReply *reply, bool is_last)
{
	char text[BERTH_REDIS_REASON_BYTES];
	const char *fault = reply->type == REDIS_REPLY_ERROR ? berth_redis_text(reply, text)
							     : take_streams(rounds, reply, false);
	if (fault)
		fail(rounds, fault);
	else if (is_last)
		finish_reads(rounds, false);
}

static void on_exchanged(struct berth_serve_rounds *rounds, const redisReply *reply)
{
	const size_t at = rounds->n_replies++, n_writes = 2 * rounds->n_tells;
	char text[BERTH_REDIS_REASON_BYTES];
	if (at >= n_writes && is_error(reply, "WRONGTYPE"))
		read_each(rounds);
	else if (at >= n_writes)
		on_read(rounds, reply, true);
	else if (at % 2 == 0)
		on_written(rounds, at / 2, reply);
	else if (reply->type == REDIS_REPLY_ERROR)
		fail(rounds, berth_redis_text(reply, text));
	else if (at + 1 == n_writes && !rounds->round.n)
		end_round(rounds);
}

static void on_read_alone(struct berth_serve_rounds *rounds, const redisReply *reply)
{
	const size_t at = rounds->n_replies++;
	const bool is_last = rounds->n_replies == rounds->round.n;
	rounds->results[at].is_refused = is_error(reply, "WRONGTYPE");
	if (!rounds->results[at].is_refused)
		on_read(rounds, reply, is_last);
	else if (is_last)
		finish_reads(rounds, false);
}

static void on_replied(void *arg, const redisReply *reply)
{
	struct berth_serve_rounds *rounds = arg;
	char text[BERTH_REDIS_REASON_BYTES];
	switch (rounds->step) {
	case IDLE:
		break;
	case LOGGING_IN:
		if (reply->type == REDIS_REPLY_ERROR)
			fail(rounds, berth_redis_text(reply, text));
		else
			identify(rounds);
		break;
	case IDENTIFYING:
		on_identified(rounds, reply);
		break;
	case EXCHANGING:
		on_exchanged(rounds, reply);
		break;
	case READING:
		on_read_alone(rounds, reply);
		break;
	case REPLACING:
		if (reply->type == REDIS_REPLY_ERROR)
			fail(rounds, berth_redis_text(reply, text));
		else if (++rounds->n_replies == rounds->n_spoilt + 1)
			finish(rounds, NULL);
	}
}

/* --- rounds --- */

/* Whether the streams were read until the entry that is too long, or too many of them. */
static bool has_moved(const struct berth_serve_rounds *rounds)
{
	for (uint32_t i = 0; i < rounds->round.n; i++)
		if (rounds->results[i].entries)
			return true;
	return false;
}

/* After a reply that is too long the round goes on behind what is too long. */
static void on_failed(void *arg, const char *reason)
{
	struct berth_serve_rounds *rounds = arg;
	const redisReply *unfinished = berth_redis_unfinished(rounds->redis);
	const bool is_reading = rounds->step == READING ||
				(rounds->step == EXCHANGING && rounds->n_replies >= 2 * rounds->n_tells);
	const char *fault = unfinished && is_reading ? take_streams(rounds, unfinished, true) : reason;
	if (!fault && !has_moved(rounds))
		fault = reason;
	if (fault) {
		fail(rounds, fault);
		return;
	}
	close_connection(rounds);
	finish_reads(rounds, true);
}

static void on_timeout(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct berth_serve_rounds *rounds = arg;
	char text[64];
	snprintf(text, sizeof(text), "no answer for %.1f s", rounds->round.timeout_ms / 1000.0);
	fail(rounds, text);
}

static void connect_to_store(struct berth_serve_rounds *rounds)
{
	const struct berth_redis_listener listener = {.replied = on_replied, .failed = on_failed, .arg = rounds};
	const struct berth_helper_store_round *round = &rounds->round;
	const struct berth_redis_options options = {
		.server = round->server, .max_bytes = MAX_BYTES, .tls = round->uses_tls ? rounds->tls : NULL};
	enter(rounds, LOGGING_IN);
	rounds->redis = berth_redis_new(rounds->base, &options, &listener);
	if (!rounds->redis)
		fail(rounds, berth_redis_new_fault(errno));
	else if (round->password[0])
		check(rounds, berth_redis_log_in(rounds->redis, round->username, round->password));
	else
		identify(rounds);
}

bool berth_serve_store_tell(struct berth_serve_rounds *rounds, const struct berth_helper_header *header)
{
	const struct berth_helper_store_batch *batch = (const struct berth_helper_store_batch *)header;
	if (header->bytes < berth_helper_store_batch_bytes(1) || batch->bytes > BERTH_HELPER_STORE_BATCH_BYTES ||
	    header->bytes != berth_helper_store_batch_bytes(batch->bytes) || rounds->step != IDLE)
		return false;
	if (rounds->n_tells && rounds->tells[0]->header.id != header->id)
		drop_tells(rounds); /* of a round that did not begin */
	struct berth_helper_store_batch *copy = rounds->n_tells < BERTH_HELPER_STORE_TELLS ? malloc(header->bytes)
											   : NULL;
	if (!copy)
		return false;
	memcpy(copy, batch, header->bytes);
	rounds->tells[rounds->n_tells++] = copy;
	return true;
}

bool berth_serve_store_round(struct berth_serve_rounds *rounds, const struct berth_helper_header *header)
{
	const struct berth_helper_store_round *round = (const struct berth_helper_store_round *)header;
	if (!berth_round_is_valid(round) || rounds->step != IDLE)
		return false;
	const bool is_connected = rounds->redis && berth_round_same_place(round, &rounds->round);
	const struct timeval wait = {.tv_sec = round->timeout_ms / 1000,
				     .tv_usec = round->timeout_ms % 1000 * 1000};
	memcpy(&rounds->round, round, header->bytes);
	if (rounds->n_tells && rounds->tells[0]->header.id != header->id)
		drop_tells(rounds);
	rounds->epoch[0] = rounds->run_id[0] = 0;
	evtimer_add(&rounds->timer, &wait);
	if (is_connected) {
		identify(rounds);
		return true;
	}
	close_connection(rounds);
	connect_to_store(rounds);
	return true;
}

struct berth_serve_rounds *berth_serve_rounds_new(struct event_base *base, const struct berth_redis_tls *tls)
{
	struct berth_serve_rounds *rounds = calloc(1, sizeof(*rounds));
	if (!rounds)
		return NULL;
	rounds->base = base;
	rounds->tls = tls;
	evtimer_assign(&rounds->timer, base, on_timeout, rounds);
	return rounds;
}

void berth_serve_rounds_set_stream(struct berth_serve_rounds *rounds, struct berth_stream *stream)
{
	rounds->stream = stream;
}
