// SPDX-License-Identifier: BSD-3-Clause
/* `explain -r`: the packets of a capture file. */
#include <byteswap.h>

#include "tests/unit/controlplane/cli/berthctl.h"

#include "controlplane/cli/capture/pcapng.h"

enum {
	SYN_BYTES = 54,
};

/* A TCP SYN to web, from port 4242. Link addresses are 0, as those of interface lo. */
static const uint8_t syn[SYN_BYTES] = {
	0,    0,    0, 0,  0, 0, 2,    0, 0,  0, 0, 0, 8,    0,				      /* link */
	0x45, 0,    0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0, 198,  51, 100,  7,    203, 0, 113, 10, /* IPv4 */
	0x10, 0x92, 0, 80, 0, 0, 0,    0, 0,  0, 0, 0, 0x50, 2,	 0xff, 0xff, 0,	  0, 0,	  0,  /* TCP */
};

static size_t put(uint8_t *file, size_t at, const void *bytes, size_t n)
{
	memcpy(file + at, bytes, n);
	return at + n;
}

/* A pcap file of this link type with two SYNs, the second cut short; of the file `bytes` are written. */
static void write_pcap(const char *path, uint32_t link, size_t bytes)
{
	const uint32_t header[] = {0xa1b2c3d4, 2 | 4 << 16, 0, 0, 65535, link};
	const uint32_t records[2][4] = {{1, 0, SYN_BYTES, SYN_BYTES}, {2, 0, SYN_BYTES, 1500}};
	uint8_t file[512];
	size_t n = put(file, 0, header, sizeof(header));
	for (int i = 0; i < 2; i++) {
		n = put(file, n, records[i], sizeof(records[i]));
		n = put(file, n, syn, records[i][2]);
	}
	assert_int_equal(berth_file_write(path, (const char *)file, bytes < n ? bytes : n, 0644), 0);
}

/* Of berthctl with `words`, in which %s is the file. */
static struct outcome explain(struct fixture *f, const char *path, const char *words)
{
	char line[512];
	snprintf(line, sizeof(line), "explain -r %s %s", path, words);
	return berthctl(f, line);
}

static void packets_of_a_file_are_explained(void **state)
{
	struct fixture *f = *state;
	char path[80];
	snprintf(path, sizeof(path), "%s/packets.pcap", f->berthd.dir);
	write_pcap(path, 1, SIZE_MAX);
	struct outcome outcome = explain(f, path, "");
	expect_outcome(&outcome, 0,
		       "number   1\npacket   tcp 198.51.100.7:4242 -> 203.0.113.10:80, syn, 54 bytes\n");
	expect_outcome(&outcome, 0, "\n\nnumber   2: 54 of 1500 bytes captured, the rest taken as zeros\n");
	outcome = explain(f, path, "--packet 2 -j");
	json_t *result = json_loads(outcome.out, JSON_REJECT_DUPLICATES, NULL);
	const json_t *packets = json_object_get(result, "packets"), *packet = json_array_get(packets, 0);
	assert_int_equal(json_array_size(packets), 1);
	assert_int_equal(json_integer_value(json_object_get(packet, "number")), 2);
	assert_int_equal(json_integer_value(json_object_get(packet, "captured_bytes")), SYN_BYTES);
	assert_string_equal(json_string_value(json_object_get(packet, "service")), "web");
	json_decref(result);
	outcome = explain(f, path, "--count 1");
	assert_null(strstr(outcome.out, "number   2"));
	unlink(path);
}

static void a_capture_file_that_cannot_be_read_is_told_in_a_line(void **state)
{
	struct fixture *f = *state;
	static const struct {
		uint32_t link;
		size_t bytes;
		const char *words;
		int status;
		const char *says;
	} cases[] = {
		{1, SIZE_MAX, "--packet 3", 3, ".pcap: no packet 3: it has 2"},
		{1, 24, "", 3, ".pcap: no packet 1: it has 0"},
		{1, 110, "", 3, ".pcap: packet 2: truncated dump file"},
		{1, 10, "", 3, ".pcap: not a pcap or pcapng file: truncated"},
		{113, SIZE_MAX, "", 3, ".pcap: its packets are Linux cooked v1; explain needs Ethernet frames"},
		{1, SIZE_MAX, "--packet 0", 2, "--packet needs a whole number, 1 to"},
		{1, SIZE_MAX, "--packet 1 --count 2", 2, "exclude each other"},
	};
	char path[80];
	snprintf(path, sizeof(path), "%s/packets.pcap", f->berthd.dir);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		write_pcap(path, cases[i].link, cases[i].bytes);
		struct outcome outcome = explain(f, path, cases[i].words);
		expect_outcome(&outcome, cases[i].status, cases[i].says);
		assert_ptr_equal(strchr(outcome.err, '\n'), outcome.err + strlen(outcome.err) - 1);
	}
	unlink(path);
	struct outcome outcome = explain(f, path, "");
	expect_outcome(&outcome, 3, "packets.pcap: No such file or directory");
	outcome = berthctl(f, "explain");
	expect_outcome(&outcome, 2, "`explain` needs PACKET or -r FILE");
	outcome = berthctl(f, "explain ffff --packet 1");
	expect_outcome(&outcome, 2, "for packets of a file: -r FILE");
}

/* A pcapng file: `sent` says of each packet whether it was sent. */
static void write_pcapng(const char *path, const bool *sent, size_t n)
{
	struct berth_pcapng file;
	FILE *out = fopen(path, "w");
	assert_non_null(out);
	berth_pcapng_start(&file, out);
	for (size_t i = 0; i < n; i++) {
		const struct berth_pcapng_packet packet = {.interface = "eth0",
							   .bytes = syn,
							   .captured = SYN_BYTES - (uint32_t)i,
							   .length = SYN_BYTES,
							   .is_outbound = sent[i],
							   .comment = "a comment"};
		berth_pcapng_add(&file, &packet);
	}
	berth_pcapng_end(&file, 0, n, 0);
	assert_int_equal(fclose(out), 0);
}

/* Numbers of the packets that are explained, as one number in decimal: 13 is 1 and 3. */
static int explained(struct fixture *f, const char *path, const char *words, int *sent)
{
	int numbers = 0;
	size_t i;
	json_t *packet;
	struct outcome outcome = explain(f, path, words);
	json_t *result = json_loads(outcome.out, JSON_REJECT_DUPLICATES, NULL);
	json_array_foreach(json_object_get(result, "packets"), i, packet)
		numbers = numbers * 10 + (int)json_integer_value(json_object_get(packet, "number"));
	*sent = (int)json_integer_value(json_object_get(result, "sent_packets"));
	json_decref(result);
	return numbers;
}

/* The blocks of a file in the other byte order, as another machine writes them: with one packet that was sent. */
static void write_swapped(const char *path)
{
	const uint32_t words[] = {0x0a0d0d0a,  28, 0x1a2b3c4d, 1 << 16, 0xffffffff, 0xffffffff, 28, /* section */
				  1,	       20, 1 << 16,    512,	20,			    /* interface */
				  6,	       48, 0,	       0,	0,	    4,		4,  0,
				  2 << 16 | 4, 2,  0,	       48, /* packet, its flags */
				  6,	       36, 0,	       0,	0,	    4,		4,  0,
				  36}; /* packet */
	uint32_t swapped[sizeof(words) / sizeof(words[0])];
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		swapped[i] = bswap_32(words[i]);
	assert_int_equal(berth_file_write(path, (const char *)swapped, sizeof(swapped), 0644), 0);
}

static void packets_that_were_sent_are_left_out(void **state)
{
	struct fixture *f = *state;
	char path[80];
	int sent;
	snprintf(path, sizeof(path), "%s/packets.pcapng", f->berthd.dir);
	write_pcapng(path, (const bool[]){false, true, false, true, false}, 5);
	assert_int_equal(explained(f, path, "-j", &sent), 135);
	assert_int_equal(sent, 2);
	assert_int_equal(explained(f, path, "-j --count 2", &sent), 13);
	assert_int_equal(sent, 1);
	assert_int_equal(explained(f, path, "-j --packet 3", &sent), 3);
	struct outcome outcome = explain(f, path, "");
	expect_outcome(&outcome, 0, "\nleft out: 2 packets sent, not received\n");
	outcome = explain(f, path, "--packet 2");
	expect_outcome(&outcome, 3, "packet 2 was sent; only those that arrived are explained");
	write_pcapng(path, (const bool[]){true}, 1);
	outcome = explain(f, path, "");
	expect_outcome(&outcome, 3, "no packet that arrived");
	write_swapped(path);
	assert_int_equal(explained(f, path, "-j", &sent), 2);
	assert_int_equal(sent, 1);
	unlink(path);
}

int main(int argc, char **argv)
{
	if (!find_berthctl(argc, argv))
		return 2;
#define SERVED(name) cmocka_unit_test_setup_teardown(name, set_up_daemon, tear_down)
	const struct CMUnitTest tests[] = {
		SERVED(packets_of_a_file_are_explained),
		SERVED(packets_that_were_sent_are_left_out),
		SERVED(a_capture_file_that_cannot_be_read_is_told_in_a_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
