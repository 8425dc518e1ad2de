/* SPDX-License-Identifier: BSD-3-Clause */
/* Parses packets at the end of readable memory: a read behind the frame ends the test. */
#pragma once

#include <sys/mman.h>

#include "tests/support/send.h"

enum {
	EDGE_PAGE = 4096,
};

/* A readable and writable page, followed by one without access. */
static uint8_t *edge_page;

static inline int map_pages(void **state)
{
	(void)state;
	edge_page = mmap(NULL, 2 * EDGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return edge_page == MAP_FAILED || mprotect(edge_page + EDGE_PAGE, EDGE_PAGE, PROT_NONE);
}

static inline int unmap_pages(void **state)
{
	(void)state;
	return munmap(edge_page, 2 * EDGE_PAGE);
}

/* Parses a frame of which only the first `there` bytes are contiguous, at the end of the page. */
static inline enum berth_verdict parse_piece(const uint8_t *data, uint32_t there, uint32_t bytes,
					     struct berth_packet *packet)
{
	uint8_t *at = edge_page + EDGE_PAGE - there;
	memcpy(at, data, there);
	struct berth_frame frame = {.data = at, .end = edge_page + EDGE_PAGE, .handle = at};
	memset(packet, 0xff, sizeof(*packet)); /* parse must set all of it */
	return berth_parse(&frame, packet, bytes);
}

static inline enum berth_verdict parse_at_edge(const uint8_t *data, uint32_t bytes, struct berth_packet *packet)
{
	return parse_piece(data, bytes, bytes, packet);
}

static inline enum berth_verdict parse(const struct fixture_packet *from, struct berth_packet *packet)
{
	struct fixture_frame frame;
	fixture_build(&frame, from);
	return parse_at_edge(frame.frame.data, frame.bytes, packet);
}

static inline void check_verdict(const char *name, enum berth_verdict got, enum berth_verdict expected)
{
	if (got != expected)
		fail_msg("%s: %s, not %s", name, fixture_verdict_name(got), fixture_verdict_name(expected));
}
