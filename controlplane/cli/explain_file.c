// SPDX-License-Identifier: BSD-3-Clause
/* `explain -r FILE`: the packets of a capture file that arrived, each as a request. libpcap reads pcap and pcapng.
 */
#include <pcap/pcap.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/cli/capture/direction.h"
#include "controlplane/cli/cli.h"

enum {
	DEFAULT_COUNT = 10,
	MAX_COUNT = 1000,
	MAX_FRAME = 9018, /* longest frame that berthd explains */
};

struct file {
	const char *name;
	pcap_t *pcap;
	struct berth_direction direction;
	/* The packets that are asked for: at most `count` from the number `first` on. */
	unsigned long first, count;
	bool is_one;
	unsigned long read; /* packets */
	unsigned long sent; /* of these, those that are left out */
};

static enum berth_cli_status fail(char error[BERTH_CLI_ERROR_BYTES], enum berth_cli_status status,
				  const char *format, ...) __attribute__((format(printf, 3, 4)));

static enum berth_cli_status fail(char error[BERTH_CLI_ERROR_BYTES], enum berth_cli_status status,
				  const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(error, BERTH_CLI_ERROR_BYTES, format, args);
	va_end(args);
	return status;
}

/* Absent: `number` stays. */
static enum berth_cli_status parse_number(const json_t *options, const char *name, unsigned long max,
					  unsigned long *number, char error[BERTH_CLI_ERROR_BYTES])
{
	const char *text = json_string_value(json_object_get(options, name));
	if (!text)
		return BERTH_CLI_OK;
	char *end;
	errno = 0;
	*number = strtoul(text, &end, 10);
	if (text[0] >= '0' && text[0] <= '9' && !*end && !errno && *number >= 1 && *number <= max)
		return BERTH_CLI_OK;
	return fail(error, BERTH_CLI_USAGE, "--%s needs a whole number, 1 to %lu", name, max);
}

static enum berth_cli_status parse_range(const json_t *options, struct file *file,
					 char error[BERTH_CLI_ERROR_BYTES])
{
	file->first = 1;
	file->count = DEFAULT_COUNT;
	file->is_one = json_object_get(options, "packet") != NULL;
	if (file->is_one && json_object_get(options, "count"))
		return fail(error, BERTH_CLI_USAGE, "--packet and --count exclude each other");
	enum berth_cli_status status = parse_number(options, "count", MAX_COUNT, &file->count, error);
	if (status || !file->is_one)
		return status;
	file->count = 1;
	return parse_number(options, "packet", UINT32_MAX, &file->first, error);
}

/* What is missing of a packet that was cut short is written as zeros: no rule reads a payload. */
static char *hex_of(const struct pcap_pkthdr *header, const u_char *bytes)
{
	static const char digits[] = "0123456789abcdef";
	char *text = malloc(2 * (size_t)header->len + 1);
	if (!text)
		return NULL;
	for (size_t i = 0; i < header->len; i++) {
		const u_char byte = i < header->caplen ? bytes[i] : 0;
		text[2 * i] = digits[byte >> 4];
		text[2 * i + 1] = digits[byte & 15];
	}
	text[2 * (size_t)header->len] = '\0';
	return text;
}

/* Requests the explanation of a packet; `reply` has it, or berthd's error. */
static enum berth_cli_status explain(const struct berth_connection *connection, const struct berth_call *call,
				     const struct pcap_pkthdr *header, const u_char *bytes, json_t **reply,
				     char error[BERTH_CLI_ERROR_BYTES])
{
	char *text = hex_of(header, bytes);
	if (!text)
		return fail(error, BERTH_CLI_FAILURE, "out of memory");
	json_object_set_new(call->arguments, "packet", json_string(text));
	free(text);
	return berth_cli_request(connection, berth_commands[call->command].words, call->arguments, reply, error);
}

/* Appends a reply to those of the packets before it. False: it is an error. */
static bool add(json_t *packets, json_t *reply, unsigned long number, const struct pcap_pkthdr *header)
{
	json_t *result = json_object_get(reply, "result");
	if (!json_is_true(json_object_get(reply, "ok")) || !json_is_object(result))
		return false;
	json_object_set_new(result, "number", json_integer((json_int_t)number));
	json_object_set_new(result, "captured_bytes", json_integer(header->caplen));
	json_array_append(packets, result);
	return true;
}

/* The next packet, if it can be explained. `*header` is NULL behind the last one. */
static enum berth_cli_status read_packet(struct file *file, struct pcap_pkthdr **header, const u_char **bytes,
					 char error[BERTH_CLI_ERROR_BYTES])
{
	const int found = pcap_next_ex(file->pcap, header, bytes);
	if (found == PCAP_ERROR_BREAK) {
		*header = NULL;
		return BERTH_CLI_OK;
	}
	const unsigned long number = ++file->read;
	if (found != 1)
		return fail(error, BERTH_CLI_CONFIG, "%s: packet %lu: %s", file->name, number,
			    pcap_geterr(file->pcap));
	if ((*header)->len == 0 || (*header)->len > MAX_FRAME || (*header)->caplen > (*header)->len)
		return fail(error, BERTH_CLI_CONFIG, "%s: packet %lu: its length, %u bytes, is not that of a frame",
			    file->name, number, (*header)->len);
	return BERTH_CLI_OK;
}

/* The next packet that is asked for, as read_packet(). */
static enum berth_cli_status next_packet(struct file *file, struct pcap_pkthdr **header, const u_char **bytes,
					 char error[BERTH_CLI_ERROR_BYTES])
{
	for (;;) {
		const enum berth_cli_status status = read_packet(file, header, bytes, error);
		if (status || !*header)
			return status;
		if (file->read < file->first)
			continue;
		if (!file->direction.is_sent)
			return BERTH_CLI_OK;
		if (file->is_one)
			return fail(error, BERTH_CLI_CONFIG,
				    "%s: packet %lu was sent; only those that arrived are explained", file->name,
				    file->read);
		file->sent++;
	}
}

static enum berth_cli_status nothing_found(const struct file *file, char error[BERTH_CLI_ERROR_BYTES])
{
	if (file->sent)
		return fail(error, BERTH_CLI_CONFIG,
			    "%s: no packet that arrived; only those are explained, and its %lu were sent",
			    file->name, file->sent);
	return fail(error, BERTH_CLI_CONFIG, "%s: no packet %lu: it has %lu", file->name, file->first, file->read);
}

static enum berth_cli_status explain_all(const struct berth_connection *connection, const struct berth_call *call,
					 struct file *file, json_t **reply, char error[BERTH_CLI_ERROR_BYTES])
{
	struct pcap_pkthdr *header = NULL;
	const u_char *bytes;
	json_t *packets = json_array();
	enum berth_cli_status status = BERTH_CLI_OK;
	while (json_array_size(packets) < file->count) {
		status = next_packet(file, &header, &bytes, error);
		if (status || !header)
			break;
		status = explain(connection, call, header, bytes, reply, error);
		if (status || !add(packets, *reply, file->read, header))
			goto out;
		json_decref(*reply);
		*reply = NULL;
	}
	if (!status && json_array_size(packets) == 0)
		status = nothing_found(file, error);
	if (!status)
		*reply = json_pack("{s:b, s:{s:O, s:I}}", "ok", 1, "result", "packets", packets, "sent_packets",
				   (json_int_t)file->sent);
out:
	json_decref(packets);
	return status;
}

/* A stream that file->direction follows. NULL with one line in `error`. */
static FILE *open_stream(struct file *file, char error[BERTH_CLI_ERROR_BYTES])
{
	FILE *in = strcmp(file->name, "-") == 0 ? stdin : fopen(file->name, "re");
	FILE *stream = in ? berth_direction_open(&file->direction, in) : NULL;
	if (!stream)
		fail(error, BERTH_CLI_CONFIG, "%s: %s", file->name, strerror(errno));
	if (in && !stream && in != stdin)
		fclose(in);
	return stream;
}

static enum berth_cli_status open_file(struct file *file, char error[BERTH_CLI_ERROR_BYTES])
{
	char reason[PCAP_ERRBUF_SIZE];
	FILE *stream = open_stream(file, error);
	if (!stream)
		return BERTH_CLI_CONFIG;
	file->pcap = pcap_fopen_offline(stream, reason);
	if (!file->pcap) {
		fclose(stream);
		return fail(error, BERTH_CLI_CONFIG, "%s: not a pcap or pcapng file: %s", file->name, reason);
	}
	if (pcap_datalink(file->pcap) == DLT_EN10MB)
		return BERTH_CLI_OK;
	fail(error, BERTH_CLI_CONFIG,
	     "%s: its packets are %s; explain needs Ethernet frames, as `tcpdump -i INTERFACE -w FILE` writes them",
	     file->name, pcap_datalink_val_to_description_or_dlt(pcap_datalink(file->pcap)));
	pcap_close(file->pcap);
	return BERTH_CLI_CONFIG;
}

enum berth_cli_status berth_cli_explain_file(const struct berth_connection *connection,
					     const struct berth_call *call, json_t **reply,
					     char error[BERTH_CLI_ERROR_BYTES])
{
	struct file file = {.name = json_string_value(json_object_get(call->display, "read"))};
	enum berth_cli_status status = parse_range(call->display, &file, error);
	if (!status)
		status = open_file(&file, error);
	if (status)
		return status;
	status = explain_all(connection, call, &file, reply, error);
	pcap_close(file.pcap);
	return status;
}
