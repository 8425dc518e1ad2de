/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The services that golden packets and the differential fuzzer send to, and the images that hold them: laid out
 * by hand, as in the unit tests and as abi.h says.
 */
#pragma once

#include "tests/diff/random.h"
#include "tests/support/count.h"
#include "tests/support/image.h"

enum {
	WORLD_SERVICES = 35, /* 1 to 34 */
	WORLD_BACKENDS_EACH = 4,
	WORLD_BACKENDS = 192, /* a multiple of BERTH_ELIGIBILITY_PER_LINE */
	WORLD_FLOW_BUCKETS = 64,
	WORLD_SESSION_BUCKETS = 16,
	WORLD_PORTS = 2,
	WORLD_ROUTES = 7,
	WORLD_LOOPBACK = 1, /* an interface's index in every namespace, and port 0's: what comes in there */
	WORLD_MTU = 1500,
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
	uint8_t scheduler;
	uint8_t down;
	uint8_t overload;
	uint8_t bits;	     /* of the prefix that `address` begins, as its family counts; 0: a whole address */
	uint16_t last;	     /* of a range of ports that begins at `port`; 0: no range */
	uint16_t dport;	     /* gue, nat: the backends' port; 0: FIXTURE_GUE_PORT, the port asked for */
	uint8_t source_bits; /* gue, ipip: of the outer source, that vary by flow */
	uint16_t mtu;	     /* of the way to its backends; 0: WORLD_MTU */
};

/* The golden world: each mode, affinity and family, in and out; one backend each. */
extern const struct world_shape world_shapes[WORLD_SERVICES];

/* The way to some clients. */
struct world_route {
	const char *prefix;
	uint8_t bits; /* as its family counts */
	enum berth_route_kind kind;
	uint8_t port;
	uint16_t mtu;
};

/* Longest prefix first, IPv4 counted from 96. */
extern const struct world_route world_routes[WORLD_ROUTES];

/* All but `workers`. The number of buckets is the most that an image may use. */
extern const struct berth_geometry world_geometry;

static inline uint32_t world_backend(uint32_t service, uint32_t i)
{
	return service * WORLD_BACKENDS_EACH + i;
}

static inline bool world_is6(const struct world_shape *shape)
{
	return strchr(shape->address, ':') != NULL;
}

/* Whether a service has more ports than one. */
static inline bool world_is_ranged(const struct world_shape *shape)
{
	return shape->port == 0 || shape->last != 0;
}

/* A backend's own address. */
static inline void world_backend_address(char text[INET6_ADDRSTRLEN], uint32_t number, uint8_t family)
{
	snprintf(text, INET6_ADDRSTRLEN, family == 6 ? "2001:db8:3::%x" : "192.0.2.%u", number);
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
