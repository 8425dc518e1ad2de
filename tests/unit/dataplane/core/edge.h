/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets parsed at the edge of what may be read: one byte past the frame ends the test. */
#pragma once

#include <sys/mman.h>

#include "tests/support/send.h"

enum {
	EDGE_PAGE = 4096,
};

/* The start of a page that may be read and written, followed by one that may not. */
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

/* Parses a frame of which only the first `there` of its bytes are in one piece, and lie at the edge. */
static inline enum berth_verdict parse_piece(const uint8_t *data, uint32_t there, uint32_t bytes,
					     struct berth_packet *packet)
{
	uint8_t *at = edge_page + EDGE_PAGE - there;
	memcpy(at, data, there);
	struct berth_frame frame = {.data = at, .end = edge_page + EDGE_PAGE, .handle = at};
	memset(packet, 0xff, sizeof(*packet)); /* parse leaves nothing as it was */
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
