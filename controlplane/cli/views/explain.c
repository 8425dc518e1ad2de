// SPDX-License-Identifier: BSD-3-Clause
/* A line for each step of a packet's way: what berth read, found, selected and did. */
#include <netinet/in.h>
#include <string.h>
#include <time.h>

#include "controlplane/api/plural.h"
#include "controlplane/cli/cli.h"

#define NUMBER "%" JSON_INTEGER_FORMAT

enum {
	LINE_BYTES = 64, /* of hexadecimal digits */
	NANOSECONDS = 1000000000,
};

static const char *protocol_name(json_int_t protocol, char text[BERTH_CELL_BYTES])
{
	switch (protocol) {
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return "icmp";
	default:
		break;
	}
	snprintf(text, BERTH_CELL_BYTES, "protocol " NUMBER, protocol);
	return text;
}

static void print_words(FILE *out, const json_t *words)
{
	size_t i;
	json_t *word;
	json_array_foreach(words, i, word) fprintf(out, ", %s", json_string_value(word));
}

static void print_end(FILE *out, const char *address, json_int_t port)
{
	const bool is6 = strchr(address, ':');
	fprintf(out, "%s%s%s", is6 && port ? "[" : "", address, is6 && port ? "]" : "");
	if (port)
		fprintf(out, ":" NUMBER, port);
}

void berth_cli_print_time(FILE *out, json_int_t time_ns)
{
	const time_t seconds = (time_t)(time_ns / NANOSECONDS);
	char text[32];
	struct tm parts;
	localtime_r(&seconds, &parts);
	strftime(text, sizeof(text), "%H:%M:%S", &parts);
	fprintf(out, "%s.%06d", text, (int)(time_ns % NANOSECONDS / 1000));
}

void berth_cli_print_packet(FILE *out, const json_t *packet)
{
	char text[BERTH_CELL_BYTES];
	if (!json_is_object(packet)) {
		fprintf(out, "not IP, or cut short");
		return;
	}
	fprintf(out, "%s ", protocol_name(berth_cli_number(packet, "protocol"), text));
	print_end(out, berth_cli_text(packet, "source"), berth_cli_number(packet, "source_port"));
	fprintf(out, " -> ");
	print_end(out, berth_cli_text(packet, "destination"), berth_cli_number(packet, "destination_port"));
	print_words(out, json_object_get(packet, "tcp_flags"));
	print_words(out, json_object_get(packet, "traits"));
	fprintf(out, ", " NUMBER " bytes", berth_cli_number(packet, "bytes"));
}

static void print_entry(FILE *out, const char *title, const json_t *entry)
{
	if (!json_is_object(entry)) {
		fprintf(out, "%s none\n", title);
		return;
	}
	fprintf(out, "%s on %s, %s, last packet " NUMBER " s ago%s%s\n", title, berth_cli_text(entry, "backend"),
		berth_cli_text(entry, "state"), berth_cli_number(entry, "idle_s"),
		json_is_true(json_object_get(entry, "expired")) ? ", expired" : "",
		json_is_true(json_object_get(entry, "former_table")) ? ", in the former table" : "");
}

static void print_row(FILE *out, const json_t *row)
{
	if (!json_is_object(row))
		return;
	fprintf(out, "row      " NUMBER " of " NUMBER ": %s, else %s\n", berth_cli_number(row, "row"),
		berth_cli_number(row, "rows"), berth_cli_text(row, "primary"), berth_cli_text(row, "alternate"));
	fprintf(out, "weights  %.6g and %.6g\n", json_number_value(json_object_get(row, "primary_weight")),
		json_number_value(json_object_get(row, "alternate_weight")));
	if (json_is_integer(json_object_get(row, "primary_load")))
		fprintf(out, "loads    " NUMBER " and " NUMBER "\n", berth_cli_number(row, "primary_load"),
			berth_cli_number(row, "alternate_load"));
	const json_t *primary = json_object_get(row, "primary_response");
	const json_t *alternate = json_object_get(row, "alternate_response");
	if (json_is_object(primary) && json_is_object(alternate))
		fprintf(out, "response %.1f ms (%s) and %.1f ms (%s)\n",
			(double)berth_cli_number(primary, "us") / 1000, berth_cli_text(primary, "from"),
			(double)berth_cli_number(alternate, "us") / 1000, berth_cli_text(alternate, "from"));
}

static void print_out(FILE *out, const json_t *leaves)
{
	const char *frame = berth_cli_text(leaves, "frame");
	fprintf(out, "out      by %s, " NUMBER " bytes:\n", berth_cli_text(leaves, "interface"),
		berth_cli_number(leaves, "bytes"));
	for (size_t length = strlen(frame); length;) {
		const size_t n = length < LINE_BYTES ? length : LINE_BYTES;
		fprintf(out, "         %.*s\n", (int)n, frame);
		frame += n;
		length -= n;
	}
}

static void print_one(FILE *out, const json_t *result)
{
	const char *rules = berth_cli_text(result, "rules");
	const json_t *service = json_object_get(result, "service"), *leaves = json_object_get(result, "out");
	fprintf(out, "packet   ");
	berth_cli_print_packet(out, json_object_get(result, "packet"));
	fputc('\n', out);
	if (json_is_string(service)) {
		fprintf(out, "service  %s\n", json_string_value(service));
		print_entry(out, "flow    ", json_object_get(result, "flow"));
	}
	if (json_is_true(json_object_get(result, "by_client")))
		print_entry(out, "session ", json_object_get(result, "session"));
	print_row(out, json_object_get(result, "row"));
	fprintf(out, "verdict  %s, %s: %s\n", berth_cli_text(result, "result"), berth_cli_text(result, "verdict"),
		berth_cli_text(result, "text"));
	if (rules[0])
		fprintf(out, "rules    %s of docs/packets.md\n", rules);
	if (json_is_string(json_object_get(result, "backend")))
		fprintf(out, "backend  %s\n", berth_cli_text(result, "backend"));
	if (json_is_object(leaves))
		print_out(out, leaves);
}

void berth_cli_print_explain(FILE *out, const json_t *result)
{
	const json_t *packets = json_object_get(result, "packets");
	size_t i;
	json_t *packet;
	if (!packets)
		print_one(out, result);
	json_array_foreach(packets, i, packet)
	{
		const json_int_t bytes = berth_cli_number(json_object_get(packet, "packet"), "bytes");
		const json_int_t captured = berth_cli_number(packet, "captured_bytes");
		fprintf(out, "%snumber   " NUMBER, i ? "\n" : "", berth_cli_number(packet, "number"));
		if (captured < bytes)
			fprintf(out, ": " NUMBER " of " NUMBER " bytes captured, the rest taken as zeros", captured,
				bytes);
		fputc('\n', out);
		print_one(out, packet);
	}
	const json_int_t sent = berth_cli_number(result, "sent_packets");
	if (sent)
		fprintf(out, "\nleft out: " NUMBER " packet%s sent, not received\n", sent, BERTH_PLURAL(sent));
}
