// SPDX-License-Identifier: BSD-3-Clause
/*
 * The part of berthd in benchmarks that run the DPDK engine without it:
 *
 *   image make IMAGE PCAP FLOWS   writes an image file for one worker, and a PCAP with one packet of 64 bytes on
 * the wire of each of FLOWS TCP flows image rate IMAGE SECONDS      prints JSON: packets per second that the engine
 * received meanwhile; and since its start, the shares of packets with a verdict and of those forwarded
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/support/bench.h"
#include "tests/bench/support/rig.h"
#include "tests/support/image_file.h"

enum {
	WIRE_BYTES = 60, /* the shortest Ethernet frame, without its checksum */
};

struct pcap_file_header {
	uint32_t magic;
	uint16_t major, minor;
	uint32_t zone, accuracy;
	uint32_t longest;
	uint32_t link_type;
};

struct pcap_packet_header {
	uint32_t seconds, microseconds;
	uint32_t stored, bytes;
};

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void write_packets(const struct rig *rig, const char *path)
{
	const struct pcap_file_header header = {
		.magic = 0xa1b2c3d4,
		.major = 2,
		.minor = 4,
		.longest = 65535,
		.link_type = 1,
	};
	const struct pcap_packet_header before = {.stored = WIRE_BYTES, .bytes = WIRE_BYTES};
	FILE *file = fopen(path, "we");
	if (!file)
		fail(path);
	fwrite(&header, sizeof(header), 1, file);
	for (uint32_t i = 0; i < rig->options.flows; i++) {
		uint8_t frame[RIG_FRAME_BYTES] = {0};
		rig_frame(rig, i, BERTH_TCP_ACK, frame);
		fwrite(&before, sizeof(before), 1, file);
		fwrite(frame, WIRE_BYTES, 1, file);
	}
	if (ferror(file) || fclose(file))
		fail(path);
}

static void make(const char *image, const char *pcap, uint32_t flows)
{
	struct rig rig = {.options = {.mode = "l2", .flows = flows}};
	struct berth_geometry geometry = rig_geometry(&rig.options, 1);
	image_file_open(&rig.image, image, O_CREAT | O_EXCL, &geometry);
	rig.service = rig_publish(&rig.options, &rig.image);
	write_packets(&rig, pcap);
}

static void rate(const char *path, double seconds)
{
	struct berth_image image;
	const struct berth_ctl *ctl = image_file_map(path, 0, sizeof(*ctl));
	image_file_open(&image, path, 0, &ctl->geometry);
	const struct berth_worker *worker = &image.workers[0];

	double start = bench_now_ns();
	uint64_t before = BERTH_LOAD(&worker->received);
	usleep((useconds_t)(seconds * 1e6));
	uint64_t received = BERTH_LOAD(&worker->received) - before;
	double ns = bench_now_ns() - start;

	uint64_t judged = 0, forwarded = 0;
	for (uint32_t v = BERTH_NO_VERDICT + 1; v < BERTH_VERDICT_COUNT; v++) {
		uint64_t n = BERTH_LOAD(&worker->verdict[v]);
		judged += n;
		forwarded += BERTH_VERDICT_CLASS(v) == BERTH_CLASS_FORWARD ? n : 0;
	}
	printf("{\"rate\": %.6g, \"judged\": %llu, \"forwarded\": %llu}\n", (double)received * 1e9 / ns,
	       (unsigned long long)judged, (unsigned long long)forwarded);
}

int main(int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[1], "make"))
		make(argv[2], argv[3], (uint32_t)strtoul(argv[4], NULL, 10));
	else if (argc == 4 && !strcmp(argv[1], "rate"))
		rate(argv[2], strtod(argv[3], NULL));
	else
		return 2;
	return 0;
}
