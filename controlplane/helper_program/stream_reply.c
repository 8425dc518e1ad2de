// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/helper_program/stream_reply.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	FIELDS = 6, /* n NODE e RUN b RECORDS */
	NODE = 1,
	RUN = 3,
	RECORDS = 5,
};

const char *berth_stream_key(const char *cluster, uint64_t service, char key[BERTH_STREAM_KEY_BYTES])
{
	snprintf(key, BERTH_STREAM_KEY_BYTES, "berth:%s:x:%016" PRIx64, cluster, service);
	return key;
}

static bool parse_number(const char **text, uint64_t *number)
{
	char *end;
	if (**text < '0' || **text > '9')
		return false;
	errno = 0;
	*number = strtoull(*text, &end, 10);
	*text = end;
	return !errno;
}

bool berth_stream_parse_position(const redisReply *reply, struct berth_store_position *position)
{
	if (!reply || reply->type != REDIS_REPLY_STRING)
		return false;
	const char *text = reply->str;
	return parse_number(&text, &position->ms) && *text++ == '-' && parse_number(&text, &position->sequence) &&
	       text == reply->str + reply->len;
}

void berth_stream_copy_id(char id[BERTH_HELPER_STORE_ID_BYTES], const char *text, size_t bytes)
{
	size_t n = 0;
	for (; n < bytes && n < BERTH_HELPER_STORE_ID_BYTES - 1 && text[n] > ' ' && text[n] <= '~'; n++)
		id[n] = text[n];
	id[n] = 0;
}

void berth_stream_parse_run_id(const redisReply *reply, char id[BERTH_HELPER_STORE_ID_BYTES])
{
	static const char name[] = "run_id:";
	const char *at = reply->type == REDIS_REPLY_STRING ? memmem(reply->str, reply->len, name, strlen(name))
							   : NULL;
	if (at)
		berth_stream_copy_id(id, at + strlen(name), (size_t)(reply->str + reply->len - at) - strlen(name));
}

uint32_t berth_stream_age_s(struct berth_store_position position, uint64_t now_ms)
{
	const uint64_t age_s = now_ms > position.ms ? (now_ms - position.ms) / 1000 : 0;
	return age_s < UINT32_MAX ? (uint32_t)age_s : UINT32_MAX;
}

bool berth_stream_parse_time(const redisReply *reply, uint64_t *now_ms)
{
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
	    reply->element[0]->type != REDIS_REPLY_STRING)
		return false;
	*now_ms = 1000 * strtoull(reply->element[0]->str, NULL, 10);
	return true;
}

static bool is_text(const redisReply *reply, const char *text)
{
	return reply->type == REDIS_REPLY_STRING && reply->len == strlen(text) &&
	       memcmp(reply->str, text, reply->len) == 0;
}

static bool is_array(const redisReply *reply, size_t elements)
{
	return reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == elements;
}

/* Whether all of it has come. */
static bool is_whole(const redisReply *reply)
{
	if (!reply)
		return false;
	for (size_t i = 0; reply->type == REDIS_REPLY_ARRAY && i < reply->elements; i++)
		if (!reply->element[i])
			return false;
	return true;
}

static bool is_batch(const redisReply *fields)
{
	if (!is_array(fields, FIELDS) || !is_text(fields->element[NODE - 1], "n") ||
	    !is_text(fields->element[RUN - 1], "e") || !is_text(fields->element[RECORDS - 1], "b"))
		return false;
	const redisReply *records = fields->element[RECORDS];
	return fields->element[NODE]->type == REDIS_REPLY_STRING &&
	       fields->element[RUN]->type == REDIS_REPLY_STRING && records->type == REDIS_REPLY_STRING &&
	       records->len && records->len <= BERTH_HELPER_STORE_BATCH_BYTES;
}

static bool is_own(const struct berth_helper_store_round *round, const redisReply *fields)
{
	char run[17];
	snprintf(run, sizeof(run), "%016" PRIx64, round->run);
	return is_text(fields->element[NODE], round->node) && is_text(fields->element[RUN], run);
}

static bool is_before(struct berth_store_position a, struct berth_store_position b)
{
	return a.ms != b.ms ? a.ms < b.ms : a.sequence < b.sequence;
}

/* Returns what is wrong, or NULL. Ids that do not rise would be read for ever. */
static const char *take_entry(const struct berth_stream_reader *reader, uint32_t index, const redisReply *entry)
{
	struct berth_stream_result *result = &reader->results[index];
	struct berth_store_position at;
	if (!is_array(entry, 2) || !berth_stream_parse_position(entry->element[0], &at) ||
	    !is_before(result->after, at))
		return "it sent what does not answer the command";
	const redisReply *fields = entry->element[1];
	const bool is_valid = is_whole(fields) && is_batch(fields);
	result->after = at;
	result->entries++;
	result->refused += !is_valid;
	if (!is_valid)
		return NULL;
	const redisReply *records = fields->element[RECORDS];
	const struct berth_stream_entry batch = {.service = reader->round->page[index].service,
						 .at = at,
						 .is_own = is_own(reader->round, fields),
						 .records = records->str,
						 .bytes = records->len};
	return reader->batch(reader->arg, &batch) ? NULL : "out of memory";
}

/* The stream's index in the page; n: it is not there. */
static uint32_t index_of(const struct berth_stream_reader *reader, const redisReply *name)
{
	char key[BERTH_STREAM_KEY_BYTES];
	uint32_t i = 0;
	for (; i < reader->round->n; i++)
		if (is_text(name, berth_stream_key(reader->round->cluster, reader->round->page[i].service, key)))
			break;
	return i;
}

/* `is_cut`: what is missing has not come. */
static const char *take_stream(const struct berth_stream_reader *reader, const redisReply *stream, bool is_cut)
{
	const uint32_t index = is_array(stream, 2) && stream->element[0] ? index_of(reader, stream->element[0])
									 : reader->round->n;
	const redisReply *entries = index < reader->round->n ? stream->element[1] : NULL;
	const char *fault = NULL;
	if (!entries || entries->type != REDIS_REPLY_ARRAY)
		return is_cut && !entries ? NULL : "it sent what does not answer the command";
	for (size_t i = 0; !fault && i < entries->elements; i++) {
		const redisReply *entry = entries->element[i];
		if (is_cut && (!entry || (is_array(entry, 2) && !entry->element[0])))
			break;
		fault = take_entry(reader, index, entry);
	}
	return fault;
}

const char *berth_stream_read(const struct berth_stream_reader *reader, const redisReply *reply, bool is_cut)
{
	const char *fault = NULL;
	if (reply->type == REDIS_REPLY_NIL)
		return NULL;
	if (reply->type != REDIS_REPLY_ARRAY || reply->elements > reader->round->n)
		return "it sent what does not answer the command";
	for (size_t i = 0; !fault && i < reply->elements; i++) {
		if (is_cut && !reply->element[i])
			break;
		fault = take_stream(reader, reply->element[i], is_cut);
	}
	return fault;
}
