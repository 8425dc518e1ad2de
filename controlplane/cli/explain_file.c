// SPDX-License-Identifier: BSD-3-Clause
/* `explain -r FILE`: the packets of a capture file, each as a request. libpcap reads pcap and pcapng. */
#include <pcap/pcap.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/cli/cli.h"

enum {
	DEFAULT_COUNT = 10,
	MAX_COUNT = 1000,
	MAX_FRAME = 9018, /* longest frame that berthd explains */
};

/* The packets that are asked for. */
struct range {
	unsigned long first, last; /* numbers, from 1 on */
	bool is_one;
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

static enum berth_cli_status parse_range(const json_t *options, struct range *range,
					 char error[BERTH_CLI_ERROR_BYTES])
{
	*range = (struct range){1, DEFAULT_COUNT, json_object_get(options, "packet") != NULL};
	if (range->is_one && json_object_get(options, "count"))
		return fail(error, BERTH_CLI_USAGE, "--packet and --count exclude each other");
	enum berth_cli_status status = parse_number(options, "count", MAX_COUNT, &range->last, error);
	if (status || !range->is_one)
		return status;
	status = parse_number(options, "packet", UINT32_MAX, &range->first, error);
	range->last = range->first;
	return status;
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
static enum berth_cli_status read_packet(pcap_t *pcap, const char *name, unsigned long number,
					 struct pcap_pkthdr **header, const u_char **bytes,
					 char error[BERTH_CLI_ERROR_BYTES])
{
	const int found = pcap_next_ex(pcap, header, bytes);
	if (found == PCAP_ERROR_BREAK) {
		*header = NULL;
		return BERTH_CLI_OK;
	}
	if (found != 1)
		return fail(error, BERTH_CLI_CONFIG, "%s: packet %lu: %s", name, number, pcap_geterr(pcap));
	if ((*header)->len == 0 || (*header)->len > MAX_FRAME || (*header)->caplen > (*header)->len)
		return fail(error, BERTH_CLI_CONFIG, "%s: packet %lu: its length, %u bytes, is not that of a frame",
			    name, number, (*header)->len);
	return BERTH_CLI_OK;
}

static enum berth_cli_status explain_all(const struct berth_connection *connection, const struct berth_call *call,
					 pcap_t *pcap, const struct range *range, json_t **reply,
					 char error[BERTH_CLI_ERROR_BYTES])
{
	const char *name = json_string_value(json_object_get(call->display, "read"));
	struct pcap_pkthdr *header = NULL;
	const u_char *bytes;
	unsigned long number;
	json_t *packets = json_array();
	enum berth_cli_status status = BERTH_CLI_OK;
	for (number = 1; number <= range->last; number++) {
		status = read_packet(pcap, name, number, &header, &bytes, error);
		if (status || !header)
			break;
		if (number < range->first)
			continue;
		status = explain(connection, call, header, bytes, reply, error);
		if (status || !add(packets, *reply, number, header))
			goto out;
		json_decref(*reply);
		*reply = NULL;
	}
	if (!status && json_array_size(packets) == 0)
		status = fail(error, BERTH_CLI_CONFIG, "%s: no packet %lu: it has %lu", name, range->first,
			      number - 1);
	if (!status)
		*reply = json_pack("{s:b, s:{s:O}}", "ok", 1, "result", "packets", packets);
out:
	json_decref(packets);
	return status;
}

static pcap_t *open_file(const char *name, char error[BERTH_CLI_ERROR_BYTES])
{
	char reason[PCAP_ERRBUF_SIZE];
	FILE *file = strcmp(name, "-") == 0 ? stdin : fopen(name, "re");
	if (!file) {
		fail(error, BERTH_CLI_CONFIG, "%s: %s", name, strerror(errno));
		return NULL;
	}
	pcap_t *pcap = pcap_fopen_offline(file, reason);
	if (!pcap) {
		fail(error, BERTH_CLI_CONFIG, "%s: not a pcap or pcapng file: %s", name, reason);
		if (file != stdin)
			fclose(file);
		return NULL;
	}
	if (pcap_datalink(pcap) == DLT_EN10MB)
		return pcap;
	fail(error, BERTH_CLI_CONFIG,
	     "%s: its packets are %s; explain needs Ethernet frames, as `tcpdump -i INTERFACE -w FILE` writes them",
	     name, pcap_datalink_val_to_description_or_dlt(pcap_datalink(pcap)));
	pcap_close(pcap);
	return NULL;
}

enum berth_cli_status berth_cli_explain_file(const struct berth_connection *connection,
					     const struct berth_call *call, json_t **reply,
					     char error[BERTH_CLI_ERROR_BYTES])
{
	struct range range;
	enum berth_cli_status status = parse_range(call->display, &range, error);
	if (status)
		return status;
	pcap_t *pcap = open_file(json_string_value(json_object_get(call->display, "read")), error);
	if (!pcap)
		return BERTH_CLI_CONFIG;
	status = explain_all(connection, call, pcap, &range, reply, error);
	pcap_close(pcap);
	return status;
}
