/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The services that golden packets and the differential fuzzer send to, and the images that hold them: laid out
 * by hand, as in the unit tests.
 */
#pragma once

#include "tests/diff/random.h"
#include "tests/unit/fixture.h"

enum {
	WORLD_SERVICES = 12, /* 1 to 11 */
	WORLD_BACKENDS_EACH = 4,
	WORLD_PORTS = 2,
	WORLD_LOOPBACK = 1, /* an interface's index in every namespace, and port 0's: what comes in there */
};

/* What one service is like. */
struct world_shape {
	const char *address;
	uint8_t protocol;
	uint16_t port; /* 0: any */
	enum berth_affinity affinity;
	enum berth_mode mode;
	uint8_t outer;	  /* family of its backends' addresses: 4 or 6; 0: it has no backends */
	uint8_t backends; /* up to WORLD_BACKENDS_EACH */
	bool unreachable; /* the next hop is not known */
	uint8_t prefix4;
	uint8_t prefix6;
};

/* The golden world: each mode, affinity and family, in and out; one backend each. */
extern const struct world_shape world_shapes[WORLD_SERVICES];

/* All but `workers`. The number of buckets is the most that an image may use. */
extern const struct berth_geometry world_geometry;

static inline uint32_t world_backend(uint32_t service, uint32_t i)
{
	return service * WORLD_BACKENDS_EACH + i;
}

/* Lays an image out anew, everything in it. Backends leave by ports 0 and 1 in turn. */
void world_lay_out(struct berth_image *image, const struct world_shape shapes[WORLD_SERVICES]);

/* Services at the same addresses, the rest at random. */
void world_draw(struct random *random, struct world_shape shapes[WORLD_SERVICES]);

/* What may happen to an image from outside while packets flow. */
struct world_event {
	uint32_t kind;
	uint32_t draw[3];
};

struct world_event world_draw_event(struct random *random);

/* The same event does the same to every image. */
void world_disturb(struct berth_image *image, const struct world_event *event);
