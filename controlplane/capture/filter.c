// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/capture/filter.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/tables/counters.h"
#include "controlplane/util/address.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
	WORD_BYTES = 2 * BERTH_NAME_BYTES,
};

/* The filter under construction, and the text behind the words that are read. */
struct reader {
	struct berth_capture_filter *filter;
	const struct berth_model *model;
	const char *rest;
	char *error;
	uint64_t named; /* verdicts */
};

static int fail(const struct reader *reader, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int fail(const struct reader *reader, int err, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(reader->error, BERTH_ERROR_BYTES, format, args);
	va_end(args);
	return err;
}

/* The next word; "": none is left, or it is too long. */
static void next_word(struct reader *reader, char word[WORD_BYTES])
{
	reader->rest += strspn(reader->rest, " \t");
	const size_t n = strcspn(reader->rest, " \t");
	snprintf(word, WORD_BYTES, "%.*s", n < WORD_BYTES ? (int)n : 0, reader->rest);
	reader->rest += n < WORD_BYTES ? n : 0;
}

static int read_host(struct reader *reader, const char *word)
{
	if (berth_address_parse(word, &reader->filter->host))
		return fail(reader, -EINVAL, "invalid host \"%.64s\"; write an address, as 198.51.100.7", word);
	reader->filter->has_host = 1;
	return 0;
}

static int read_port(struct reader *reader, const char *word)
{
	char *end;
	const unsigned long port = strtoul(word, &end, 10);
	if (word[0] < '0' || word[0] > '9' || *end || port < 1 || port > UINT16_MAX)
		return fail(reader, -EINVAL, "invalid port \"%.32s\"; write a number, 1 to 65535", word);
	reader->filter->port = berth_to_be16((uint16_t)port);
	return 0;
}

static int read_service(struct reader *reader, const char *word)
{
	const struct berth_model_service *service = berth_model_service(reader->model, word);
	if (!service)
		return fail(reader, -ENOENT,
			    "service \"%.64s\" not found; `berthctl show services` lists all services", word);
	reader->filter->service = (uint16_t)service->number;
	return 0;
}

static int read_backend(struct reader *reader, const char *word)
{
	char name[WORD_BYTES];
	const char *slash = strchr(word, '/');
	snprintf(name, sizeof(name), "%.*s", slash ? (int)(slash - word) : 0, word);
	struct berth_model_service *service = berth_model_service(reader->model, name);
	const struct berth_model_backend *backend = service ? berth_model_backend(service, slash + 1) : NULL;
	if (!backend)
		return fail(reader, -ENOENT,
			    "backend \"%.64s\" not found; write SERVICE/BACKEND, as `berthctl show backends` lists "
			    "them",
			    word);
	reader->filter->backend = (uint16_t)backend->number;
	return 0;
}

static int read_verdict(struct reader *reader, const char *word)
{
	for (uint32_t i = BERTH_NO_VERDICT + 1; i < BERTH_VERDICT_COUNT; i++)
		if (strcmp(word, berth_verdict_name((enum berth_verdict)i)) == 0) {
			reader->named |= UINT64_C(1) << i;
			return 0;
		}
	return fail(reader, -EINVAL, "unknown verdict \"%.32s\"; `berthctl show stats` has those that occurred",
		    word);
}

static const struct {
	const char *word;
	int (*read)(struct reader *reader, const char *word);
} terms[] = {
	{"host", read_host},	   {"port", read_port},	      {"service", read_service},
	{"backend", read_backend}, {"verdict", read_verdict},
};

static const struct {
	const char *word;
	uint8_t number;
} protocols[] = {
	{"tcp", BERTH_PROTO_TCP},
	{"udp", BERTH_PROTO_UDP},
	{"icmp", BERTH_PROTO_ICMP},
	{"icmp6", BERTH_PROTO_ICMP6},
};

static int read_term(struct reader *reader, const char *word)
{
	char value[WORD_BYTES];
	for (size_t i = 0; i < COUNT(protocols); i++)
		if (strcmp(word, protocols[i].word) == 0) {
			reader->filter->protocol = protocols[i].number;
			return 0;
		}
	for (size_t i = 0; i < COUNT(terms); i++) {
		if (strcmp(word, terms[i].word) != 0)
			continue;
		next_word(reader, value);
		return value[0] ? terms[i].read(reader, value)
				: fail(reader, -EINVAL, "\"%s\" needs a value", word);
	}
	return fail(
		reader, -EINVAL,
		"unknown word \"%.32s\" in the filter; write tcp, udp, icmp, icmp6, host ADDRESS, port N, service "
		"NAME, backend SERVICE/BACKEND or verdict NAME",
		word);
}

static uint64_t verdicts_of(bool drops)
{
	uint64_t verdicts = 0;
	for (uint32_t i = BERTH_NO_VERDICT + 1; i < BERTH_VERDICT_COUNT; i++)
		if (!drops || BERTH_VERDICT_CLASS(i) == BERTH_CLASS_DROP)
			verdicts |= UINT64_C(1) << i;
	return verdicts;
}

int berth_capture_filter_parse(struct berth_capture_filter *filter, const struct berth_model *model,
			       const char *text, bool drops, char error[BERTH_ERROR_BYTES])
{
	struct reader reader = {.filter = filter, .model = model, .rest = text ? text : "", .error = error};
	char word[WORD_BYTES];
	int err = 0;
	*filter = (struct berth_capture_filter){0};
	for (next_word(&reader, word); word[0] && !err; next_word(&reader, word))
		err = read_term(&reader, word);
	if (err)
		return err;
	if (*reader.rest)
		return fail(&reader, -EINVAL, "a word of the filter is too long");
	filter->verdicts = verdicts_of(drops) & (reader.named ? reader.named : UINT64_MAX);
	if (!filter->verdicts)
		return fail(&reader, -EINVAL, "no verdict of the filter is a drop; leave out --drops");
	return 0;
}
