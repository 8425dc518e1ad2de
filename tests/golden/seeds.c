// SPDX-License-Identifier: BSD-3-Clause
/*
 * golden_seeds DIRECTORY: writes the golden packets as seeds of the fuzzers. DIRECTORY/parse gets the frames;
 * DIRECTORY/forward gets sequences for tests/fuzz/fuzz_forward.c: a case's `before` packets and its packet.
 */
#include <errno.h>
#include <sys/stat.h>

#include "tests/golden/golden.h"

static FILE *create(const char *directory, const char *kind, uint32_t number)
{
	char path[4096];
	snprintf(path, sizeof(path), "%s/%s", directory, kind);
	if (mkdir(path, 0777) && errno != EEXIST) {
		perror(path);
		exit(1);
	}
	snprintf(path, sizeof(path), "%s/%s/golden-%03u", directory, kind, number);
	FILE *file = fopen(path, "wb");
	if (!file) {
		perror(path);
		exit(1);
	}
	return file;
}

static void put(FILE *file, const void *bytes, size_t n)
{
	if (fwrite(bytes, 1, n, file) != n) {
		perror("writing a seed");
		exit(1);
	}
}

static void finish(FILE *file)
{
	if (fclose(file)) {
		perror("writing a seed");
		exit(1);
	}
}

/* A record: the event before the frame, the frame's length, the frame. */
static void put_record(FILE *file, uint8_t event, const struct fixture_frame *frame)
{
	uint8_t header[3] = {event};
	fixture_put16(header + 1, frame->bytes);
	put(file, header, sizeof(header));
	put(file, frame->frame.data, frame->bytes);
}

static void write_case(const char *directory, uint32_t number, const struct golden_case *c)
{
	struct fixture_frame frame;
	FILE *file = create(directory, "forward", number);
	for (uint32_t i = 0; golden_build_before(&frame, c, i); i++)
		put_record(file, 0, &frame);
	golden_build(&frame, c);
	put_record(file, c->delay_s > 100 ? 100 : (uint8_t)c->delay_s, &frame);
	finish(file);
	file = create(directory, "parse", number);
	put(file, frame.frame.data, frame.bytes);
	finish(file);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: golden_seeds DIRECTORY\n");
		return 2;
	}
	for (uint32_t i = 0; i < golden_count(); i++)
		write_case(argv[1], i, golden_at(i, NULL));
	return 0;
}
