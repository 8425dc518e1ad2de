/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The services of golden packets and of the differential fuzzer, and the images that hold them. The images are
 * written by hand, from abi.h alone, as in the unit tests.
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
	WORLD_ROW_LINES = 3 * WORLD_SERVICES, /* a line for each service; two for one with former rows */
	WORLD_LOOPBACK = 1, /* ifindex of lo in every namespace, and of port 0: the ingress interface */
	WORLD_MTU = 1500,
};

/* One service. */
struct world_shape {
	const char *address;
	uint8_t protocol;
	uint16_t port; /* 0: any */
	enum berth_affinity affinity;
	enum berth_mode mode;
	uint8_t outer;	  /* family of the backends' addresses: 4 or 6; 0: no backends */
	uint8_t backends; /* up to WORLD_BACKENDS_EACH */
	bool unreachable; /* the next hop is unresolved */
	uint8_t prefix4;
	uint8_t prefix6;
	uint8_t scheduler;
	uint8_t down;
	uint8_t overload;
	uint8_t bits;	     /* prefix length of `address` in its family; 0: a whole address */
	uint16_t last;	     /* last port of a range that begins at `port`; 0: no range */
	uint16_t dport;	     /* gue, nat: the backends' port; 0: FIXTURE_GUE_PORT in gue, unchanged in nat */
	uint8_t source_bits; /* gue, ipip: bits of the outer source that vary by flow */
	uint16_t mtu;	     /* path MTU to the backends; 0: WORLD_MTU */
	uint8_t limit;	     /* new flows per second; 0: no limit */
	uint8_t source_limit;
	bool rows_changed; /* the rows had other primaries before */
};

/* The golden world: each mode, affinity, inner and outer family; one backend each. */
extern const struct world_shape world_shapes[WORLD_SERVICES];

/* A route to some clients. */
struct world_route {
	const char *prefix;
	uint8_t bits; /* prefix length in its family */
	enum berth_route_kind kind;
	uint8_t port;
	uint16_t mtu;
};

/* Longest prefix first, IPv4 counted from 96. */
extern const struct world_route world_routes[WORLD_ROUTES];

/* Without `workers`. The numbers of buckets are the maxima of an image. */
extern const struct berth_geometry world_geometry;

static inline uint32_t world_backend(uint32_t service, uint32_t i)
{
	return service * WORLD_BACKENDS_EACH + i;
}

/* Where the selection table of a service with former rows is. */
static inline uint32_t world_former_line(uint32_t service)
{
	return WORLD_SERVICES + 2 * service;
}

static inline bool world_is6(const struct world_shape *shape)
{
	return strchr(shape->address, ':') != NULL;
}

/* Whether a service has more than one port. */
static inline bool world_is_ranged(const struct world_shape *shape)
{
	return shape->port == 0 || shape->last != 0;
}

/* A backend's own address. */
static inline void world_backend_address(char text[INET6_ADDRSTRLEN], uint32_t number, uint8_t family)
{
	snprintf(text, INET6_ADDRSTRLEN, family == 6 ? "2001:db8:3::%x" : "192.0.2.%u", number);
}

/* Writes a whole image. Backends use ports 0 and 1 in turn. */
void world_write_image(struct berth_image *image, const struct world_shape shapes[WORLD_SERVICES]);

/* Draws services: fixed addresses, everything else random. */
void world_draw(struct random *random, struct world_shape shapes[WORLD_SERVICES]);

/* A change of an image by another process while packets flow. */
struct world_event {
	uint32_t kind;
	uint32_t draw[3];
};

struct world_event world_draw_event(struct random *random);

/* Applies an event; the same event has the same effect on every image. */
void world_apply_event(struct berth_image *image, const struct world_event *event);
