/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A small image written by hand, against abi.h alone: it uses nothing of the control plane, so that a test of the
 * core does not depend on the compiler.
 */
#pragma once

#include "tests/support/classifier.h"

/* Generation 1 uses the second half, so that a missing offset reads the wrong half. */
enum {
	FIXTURE_GENERATION = 1,
	FIXTURE_NOW = 1000000,
	FIXTURE_ROWS = 16, /* of every service: one line each */
	FIXTURE_GUE_PORT = 6080,
};

static const struct berth_geometry fixture_geometry = {
	.services = 8,
	.backends = 64,
	.vips = 64,
	.row_lines = 8,
	.flow_buckets = 16,
	.session_buckets = 16,
	.workers = 2,
};

/* Writes the header, the secret and two ports into a zeroed image. */
static inline void fixture_write_header(struct berth_image *image)
{
	struct berth_ctl *ctl = image->ctl;
	ctl->magic = BERTH_MAGIC;
	ctl->abi = BERTH_ABI_VERSION;
	ctl->geometry = image->geometry;
	ctl->generation = FIXTURE_GENERATION;
	for (uint32_t i = 0; i < BERTH_SECRET_BYTES; i++)
		ctl->secret[i] = (uint8_t)(i * 37 + 11);
	/* In both halves: tests publish further generations with the same ports. Each has a macvlan. */
	for (uint32_t i = 0; i < 4; i++) {
		const uint8_t port = i % 2;
		struct berth_link *links = &ctl->links[i / 2][port * 2u];
		ctl->ports[i / 2][port] = (struct berth_port){
			.ifindex = port + 1u, .mac = {2, 0, 0, 0, 1, port}, .mtu = 1500};
		links[0] = (struct berth_link){.mac = {2, 0, 0, 0, 1, port}, .port = port, .is_used = 1};
		links[1] = (struct berth_link){
			.mac = {2, 0, 0, 0, 1, (uint8_t)(0x80 + port)}, .port = port, .is_used = 1};
	}
}

static inline void fixture_new(struct berth_image *image, const struct berth_geometry *geometry)
{
	uint64_t bytes = berth_image_bytes(geometry);
	void *memory = aligned_alloc(BERTH_SECTION_ALIGN, bytes);
	if (!memory)
		abort();
	memset(memory, 0, bytes);
	berth_image_place(image, geometry, memory);
	fixture_write_header(image);
}

static inline void fixture_free(struct berth_image *image)
{
	free(image->ctl); /* the first section is where the memory begins */
}

static inline struct berth_view fixture_view(const struct berth_image *image, uint32_t now)
{
	return berth_image_view(image, 1, now);
}

static inline struct berth_service *fixture_service_at(struct berth_image *image, uint32_t number)
{
	return &image->services[image->geometry.services + number];
}

static inline struct berth_backend *fixture_backend_at(struct berth_image *image, uint32_t number)
{
	return &image->backends[image->geometry.backends + number];
}

static inline void fixture_set_eligibility(struct berth_image *image, uint32_t backend, uint8_t eligibility)
{
	image->eligibility[backend / BERTH_ELIGIBILITY_PER_LINE].backend[backend % BERTH_ELIGIBILITY_PER_LINE] =
		eligibility;
}

/* A service without an address or backends. */
static inline struct berth_service *fixture_service_entry(struct berth_image *image, uint32_t number,
							  uint8_t protocol, enum berth_affinity affinity)
{
	const uint32_t confirmed = protocol == BERTH_PROTO_UDP ? 180 : 3600;
	struct berth_service *service = fixture_service_at(image, number);
	*service = (struct berth_service){
		.id = 0x5e0000 + number,
		.session_key = 0x5e5 + number,
		.session_service = (uint16_t)number,
		.row_line = number,
		.affinity = (uint8_t)affinity,
		.prefix4 = 32,
		.prefix6 = 64,
		.timeout =
			{
				[BERTH_STATE_CLAIMED] = 2,
				[BERTH_STATE_UNCONFIRMED] = 10,
				[BERTH_STATE_CONFIRMED] = confirmed,
				[BERTH_STATE_PROVEN] = confirmed,
				[BERTH_STATE_CLOSING] = 240,
				[BERTH_STATE_CLOSED] = 30,
				[BERTH_STATE_SESSION] = 10800,
				[BERTH_STATE_FRAGMENT] = 30,
			},
	};
	return service;
}

/* Computes the least timeouts of a half's services. */
static inline void fixture_least_timeouts(struct berth_image *image, uint64_t half)
{
	const struct berth_geometry *g = &image->geometry;
	for (uint32_t state = 0; state < BERTH_STATE_COUNT; state++) {
		uint32_t least = BERTH_MAX_TIMEOUT;
		for (uint32_t i = 0; i < g->services; i++) {
			const struct berth_service *service = &image->services[half * g->services + i];
			if (service->id && service->timeout[state] < least)
				least = service->timeout[state];
		}
		image->globals[half].least_timeout[state] = least;
	}
}

/* A service on `address`, `protocol` and `port` (0: any), without backends. */
static inline struct berth_service *fixture_service(struct berth_image *image, uint32_t number, const char *address,
						    uint8_t protocol, uint16_t port, enum berth_affinity affinity)
{
	struct berth_service *service = fixture_service_entry(image, number, protocol, affinity);
	if (port)
		fixture_vip(image, address, protocol, port, number);
	else
		fixture_vip_kind(image, BERTH_VIP_RANGE, address, protocol, 0, UINT16_MAX, number);
	fixture_vip_kind(image, BERTH_VIP_ADDRESS, address, 0, 0, 0, 0);
	return service;
}

/* A backend on port 0, eligible for all traffic. */
static inline struct berth_backend *fixture_backend(struct berth_image *image, uint32_t number, uint32_t service,
						    enum berth_mode mode, const char *address)
{
	struct berth_backend *backend = fixture_backend_at(image, number);
	bool is4 = !strchr(address, ':');
	*backend = (struct berth_backend){
		.id = 0xbac0000 + number,
		.service = (uint16_t)service,
		.mode = (uint8_t)mode,
		.flags = BERTH_BACKEND_NEXT_HOP,
		.dst_mac = {2, 0, 0, 0, 2, (uint8_t)number},
		.src_mac = {2, 0, 0, 0, 1, 0},
		.mtu = 1500,
		.dport = berth_to_be16(mode == BERTH_MODE_GUE ? FIXTURE_GUE_PORT : 0),
		.address = fixture_addr(address),
		.outer_src = fixture_addr(is4 ? "192.0.2.254" : "2001:db8:3::fe"),
	};
	const uint32_t bit = berth_backend_filter_bit(&backend->address);
	image->globals[FIXTURE_GENERATION].backend_filter[bit / 64] |= UINT64_C(1) << bit % 64;
	fixture_set_eligibility(image, number, BERTH_ELIGIBLE_ALL);
	return backend;
}

/* The selection table of a service: its backends in turn as primary, the next one as alternate. */
/* Moves the service's selection table to `line`, with former primaries in the next line: these in turn. */
static inline void fixture_former_rows(struct berth_image *image, uint32_t service, uint32_t line,
				       const uint16_t *primaries, uint32_t n)
{
	struct berth_service *at = fixture_service_at(image, service);
	image->rows[line] = image->rows[at->row_line];
	at->row_line = line;
	at->flags |= BERTH_SERVICE_FORMER_ROWS;
	for (uint32_t i = 0; i < FIXTURE_ROWS; i++)
		image->rows[line + 1].row[i] = (struct berth_row){primaries[i % n], 0};
}

static inline void fixture_rows(struct berth_image *image, uint32_t service, const uint16_t *backends, uint32_t n)
{
	fixture_service_at(image, service)->rows = n ? FIXTURE_ROWS : 0;
	for (uint32_t i = 0; i < FIXTURE_ROWS && n; i++)
		image->rows[service].row[i] = (struct berth_row){backends[i % n],
								 n > 1 ? backends[(i + 1) % n] : 0};
}
