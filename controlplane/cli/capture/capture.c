// SPDX-License-Identifier: BSD-3-Clause
/* `capture`: reads a capture of berthd piece by piece, and prints lines, JSON or a summary, or writes pcapng. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "controlplane/api/plural.h"
#include "controlplane/cli/capture/pcapng.h"
#include "controlplane/cli/cli.h"

#define NUMBER "%" JSON_INTEGER_FORMAT

enum {
	DEFAULT_COUNT = 1000,
	MAX_COUNT = 1000000,
	DEFAULT_SECONDS = 10,
	MAX_SECONDS = 86400,
	PAUSE_MS = 100, /* between two reads of nothing */
	NANOSECONDS = 1000000000,
	FRAME_BYTES = 512, /* of a frame, at most */
	COMMENT_BYTES = 320,
};

struct capture {
	FILE *out;  /* of lines */
	FILE *file; /* pcapng; NULL: none */
	bool is_summary;
	json_t *all;	 /* packets for JSON; NULL: not kept */
	json_t *samples; /* of the summary: {verdict: {count, packet}} */
	unsigned long count, seconds, n;
	json_int_t missed;
	struct berth_pcapng pcapng;
	int file_error; /* errno of the first write that failed */
};

static volatile sig_atomic_t is_interrupted;

static void on_interrupt(int number)
{
	(void)number;
	is_interrupted = 1;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * NANOSECONDS + (uint64_t)now.tv_nsec;
}

/* --- a packet --- */

static uint32_t bytes_of(const char *hex, uint8_t bytes[FRAME_BYTES])
{
	uint32_t n = 0;
	unsigned int byte;
	for (; n < FRAME_BYTES && hex[2 * (size_t)n] && sscanf(hex + 2 * (size_t)n, "%2x", &byte) == 1; n++)
		bytes[n] = (uint8_t)byte;
	return n;
}

/* "dropped, no_backend; service web; backend web/b1" */
static void describe(const json_t *packet, char text[COMMENT_BYTES])
{
	const char *service = json_string_value(json_object_get(packet, "service"));
	const char *backend = json_string_value(json_object_get(packet, "backend"));
	snprintf(text, COMMENT_BYTES, "%s, %s%s%s%s%s", berth_cli_text(packet, "result"),
		 berth_cli_text(packet, "verdict"), service ? "; service " : "", service ? service : "",
		 backend ? "; backend " : "", backend ? backend : "");
}

/* A frame of the packet: `holder` has its bytes. */
static void write_frame(struct capture *capture, const json_t *packet, const json_t *holder, bool is_outbound)
{
	uint8_t bytes[FRAME_BYTES];
	char comment[COMMENT_BYTES];
	const char *interface = json_string_value(json_object_get(holder, "interface"));
	const json_t *action = json_object_get(packet, "xdp_action");
	describe(packet, comment);
	const struct berth_pcapng_packet frame = {
		.interface = interface ? interface : "unknown",
		.time_ns = (uint64_t)berth_cli_number(packet, "time_ns"),
		.bytes = bytes,
		.captured = bytes_of(berth_cli_text(holder, "frame"), bytes),
		.length = (uint32_t)berth_cli_number(holder, "bytes"),
		.id = capture->n,
		.is_outbound = is_outbound,
		.has_xdp_action = json_is_integer(action),
		.xdp_action = (uint64_t)json_integer_value(action),
		.comment = comment,
	};
	berth_pcapng_add(&capture->pcapng, &frame);
}

static void print_line(FILE *out, const json_t *packet)
{
	char comment[COMMENT_BYTES];
	describe(packet, comment);
	berth_cli_print_time(out, berth_cli_number(packet, "time_ns"));
	fprintf(out, " %s ", berth_cli_text(packet, "interface"));
	berth_cli_print_packet(out, json_object_get(packet, "packet"));
	fprintf(out, ": %s\n", comment);
}

/* Counts it under its verdict; the first one is the sample. */
static void add_sample(const struct capture *capture, json_t *packet)
{
	const char *verdict = berth_cli_text(packet, "verdict");
	json_t *sample = json_object_get(capture->samples, verdict);
	if (!sample) {
		json_object_set_new(capture->samples, verdict,
				    json_pack("{s:i, s:O}", "packets", 0, "sample", packet));
		sample = json_object_get(capture->samples, verdict);
	}
	json_object_set_new(sample, "packets", json_integer(berth_cli_number(sample, "packets") + 1));
}

static void add(struct capture *capture, json_t *packet)
{
	const json_t *out = json_object_get(packet, "out");
	capture->n++;
	if (capture->file) {
		write_frame(capture, packet, packet, false);
		if (json_is_object(out))
			write_frame(capture, packet, out, true);
	}
	if (capture->is_summary)
		add_sample(capture, packet);
	if (capture->all)
		json_array_append(capture->all, packet);
	else if (!capture->file && !capture->is_summary)
		print_line(capture->out, packet);
}

/* --- reading --- */

/* The packets of a reply. True: there may be more at once. */
static bool take(struct capture *capture, const json_t *result)
{
	size_t i;
	json_t *packet;
	const json_t *packets = json_object_get(result, "packets");
	capture->missed = berth_cli_number(result, "missed");
	json_array_foreach(packets, i, packet) if (capture->n < capture->count) add(capture, packet);
	fflush(capture->out);
	if (capture->file && fflush(capture->file))
		capture->file_error = errno;
	return json_array_size(packets) > 0;
}

/* Reads until the count, the time or an interrupt. OK with `reply`: berthd's error. */
static enum berth_cli_status read_all(struct capture *capture, const struct berth_connection *connection,
				      const struct berth_call *call, json_t **reply,
				      char error[BERTH_CLI_ERROR_BYTES])
{
	const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
	const uint64_t until = clock_ns(CLOCK_MONOTONIC) + capture->seconds * NANOSECONDS;
	bool is_over = false;
	while (!is_over && capture->n < capture->count && !ferror(capture->out) && !capture->file_error) {
		/* One more read after the end: what came before it. */
		is_over = is_interrupted || clock_ns(CLOCK_MONOTONIC) >= until;
		enum berth_cli_status status = berth_cli_request(connection, berth_commands[call->command].words,
								 call->arguments, reply, error);
		if (status || !json_is_true(json_object_get(*reply, "ok")))
			return status;
		const json_t *result = json_object_get(*reply, "result");
		const bool has_more = take(capture, result);
		json_object_set(call->arguments, "after", json_object_get(result, "next"));
		json_decref(*reply);
		*reply = NULL;
		if (!has_more && !is_over)
			nanosleep(&pause, NULL);
	}
	return BERTH_CLI_OK;
}

/* --- options and output --- */

static bool parse_number(const json_t *options, const char *name, unsigned long max, unsigned long *number,
			 char error[BERTH_CLI_ERROR_BYTES])
{
	const char *text = json_string_value(json_object_get(options, name));
	char *end;
	if (!text)
		return true;
	*number = strtoul(text, &end, 10);
	if (text[0] >= '0' && text[0] <= '9' && !*end && *number >= 1 && *number <= max)
		return true;
	snprintf(error, BERTH_CLI_ERROR_BYTES, "--%s needs a whole number, 1 to %lu", name, max);
	return false;
}

static enum berth_cli_status start(struct capture *capture, FILE *out, const struct berth_call *call,
				   char error[BERTH_CLI_ERROR_BYTES])
{
	const char *name = json_string_value(json_object_get(call->display, "write"));
	*capture = (struct capture){.out = out, .count = DEFAULT_COUNT, .seconds = DEFAULT_SECONDS};
	if (!parse_number(call->display, "count", MAX_COUNT, &capture->count, error) ||
	    !parse_number(call->display, "time", MAX_SECONDS, &capture->seconds, error))
		return BERTH_CLI_USAGE;
	capture->is_summary = json_is_true(json_object_get(call->display, "summary"));
	if (name && strcmp(name, "-") == 0 && (capture->is_summary || call->json)) {
		snprintf(error, BERTH_CLI_ERROR_BYTES, "-w - takes standard output; leave out --summary and -j");
		return BERTH_CLI_USAGE;
	}
	if (name)
		capture->file = strcmp(name, "-") == 0 ? out : fopen(name, "we");
	if (name && !capture->file) {
		snprintf(error, BERTH_CLI_ERROR_BYTES, "%s: %s", name, strerror(errno));
		return BERTH_CLI_FAILURE;
	}
	if (capture->file)
		berth_pcapng_start(&capture->pcapng, capture->file);
	capture->samples = json_object();
	capture->all = call->json && !capture->is_summary && !capture->file ? json_array() : NULL;
	return BERTH_CLI_OK;
}

static void print_summary(const struct capture *capture)
{
	const char *verdict;
	json_t *sample;
	json_object_foreach(capture->samples, verdict, sample)
	{
		fprintf(capture->out, "%-20s " NUMBER "\n    ", verdict, berth_cli_number(sample, "packets"));
		print_line(capture->out, json_object_get(sample, "sample"));
	}
}

/* What is printed at the end; of JSON the reply. */
static void finish(const struct capture *capture, bool is_json, json_t **reply)
{
	if (is_json) {
		json_t *result = json_pack("{s:I, s:I}", "captured", (json_int_t)capture->n, "missed",
					   capture->missed);
		if (capture->all)
			json_object_set(result, "packets", capture->all);
		if (capture->is_summary)
			json_object_set(result, "verdicts", capture->samples);
		*reply = json_pack("{s:b, s:o}", "ok", 1, "result", result);
	} else if (capture->is_summary) {
		print_summary(capture);
	}
	fprintf(stderr, "%lu packet%s captured, " NUMBER " missed\n", capture->n, BERTH_PLURAL(capture->n),
		capture->missed);
}

/* Ends the file, if there is one. */
static enum berth_cli_status end_file(struct capture *capture, char error[BERTH_CLI_ERROR_BYTES])
{
	if (!capture->file)
		return BERTH_CLI_OK;
	if (!capture->file_error)
		berth_pcapng_end(&capture->pcapng, clock_ns(CLOCK_REALTIME), capture->n, (uint64_t)capture->missed);
	if (ferror(capture->file) && !capture->file_error)
		capture->file_error = errno;
	if (capture->file != capture->out && fclose(capture->file) && !capture->file_error)
		capture->file_error = errno;
	if (!capture->file_error)
		return BERTH_CLI_OK;
	snprintf(error, BERTH_CLI_ERROR_BYTES, "cannot write: %s", strerror(capture->file_error));
	return BERTH_CLI_FAILURE;
}

enum berth_cli_status berth_cli_capture(FILE *out, const struct berth_connection *connection,
					const struct berth_call *call, json_t **reply,
					char error[BERTH_CLI_ERROR_BYTES])
{
	const struct sigaction interrupt = {.sa_handler = on_interrupt, .sa_flags = SA_RESTART};
	struct sigaction former;
	struct capture capture;
	enum berth_cli_status status = start(&capture, out, call, error);
	if (status)
		return status;
	is_interrupted = 0;
	sigaction(SIGINT, &interrupt, &former);
	status = read_all(&capture, connection, call, reply, error);
	sigaction(SIGINT, &former, NULL);
	const enum berth_cli_status written = end_file(&capture, error);
	if (!status && !*reply)
		status = written;
	if (!status && !*reply)
		finish(&capture, call->json, reply);
	json_decref(capture.all);
	json_decref(capture.samples);
	return status;
}
