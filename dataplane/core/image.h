/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * An image in memory: the addresses of its sections, and the accessors that the stages use. For the DPDK engine,
 * berthd and host tests; the accessors of BPF are in bpf/maps.h.
 */
#pragma once

#include "abi.h"
#include "atomic.h"
#include "clock.h"

#define BERTH_HAVE_ACCESSORS 1

struct berth_image {
	struct berth_geometry geometry; /* a copy: bounds do not depend on shared memory */
#define X(name, type, count) type *name;
	BERTH_SECTIONS(X)
#undef X
#define X(name, type, store) type *name;
	BERTH_FORMER_SECTIONS(X) /* NULL: there is none */
#undef X
	uint8_t former_flow_bits; /* of what is mapped, as in ctl */
	uint8_t former_session_bits;
};

/* Unchecked: the stages mask each index, check it against the view, or read it from published configuration. (In
 * BPF the map lookup checks it and gives NULL.) */
#define X(name, type, count)                                                                                       \
	BERTH_INLINE type *berth_at_##name(const struct berth_view *view, uint32_t index)                          \
	{                                                                                                          \
		type *at = &view->image->name[index];                                                              \
		if (!at)                                                                                           \
			__builtin_unreachable();                                                                   \
		return at;                                                                                         \
	}
BERTH_SECTIONS(X)
BERTH_FORMER_SECTIONS(X)
#undef X

/* The time for limits of new flows: CLOCK_MONOTONIC in nanoseconds, at most 100 ms late. */
BERTH_INLINE uint64_t berth_now_ns(const struct berth_view *view)
{
	return view->now_ns;
}

/* The same without delay, but for that of a burst; for few packets, since it costs a call in BPF. */
BERTH_INLINE uint64_t berth_precise_ns(const struct berth_view *view)
{
	return view->now_ns;
}

/* Sections start on page boundaries, so that each can be mapped by itself. */
#define BERTH_SECTION_ALIGN ((uint64_t)4096)

#define BERTH_SECTION_BYTES(type, count)                                                                           \
	((sizeof(type) * (uint64_t)(count) + BERTH_SECTION_ALIGN - 1) & ~(BERTH_SECTION_ALIGN - 1))

/* Bytes of the own sections of an image of geometry `g`. */
BERTH_INLINE uint64_t berth_image_own_bytes(const struct berth_geometry *g)
{
	uint64_t bytes = 0;
#define X(name, type, count) bytes += BERTH_SECTION_BYTES(type, count);
	BERTH_OWN_SECTIONS(X)
#undef X
	return bytes;
}

/* Bytes of a contiguous image, with its stores. */
BERTH_INLINE uint64_t berth_image_bytes(const struct berth_geometry *g)
{
	uint64_t bytes = berth_image_own_bytes(g);
#define X(name, type, count) bytes += BERTH_SECTION_BYTES(type, count);
	BERTH_STORE_SECTIONS(X)
#undef X
	return bytes;
}

/* Sets the addresses of the own sections for `memory` of berth_image_own_bytes(g) bytes; the image has no stores
 * yet. */
BERTH_INLINE void berth_image_place_own(struct berth_image *image, const struct berth_geometry *g, void *memory)
{
	uint8_t *at = memory;
	*image = (struct berth_image){.geometry = *g};
#define X(section, type, count)                                                                                    \
	image->section = (type *)(void *)at;                                                                       \
	at += BERTH_SECTION_BYTES(type, count);
	BERTH_OWN_SECTIONS(X)
#undef X
}

/* Sets all addresses for `memory` of berth_image_bytes(g) bytes; there are no former tables. */
BERTH_INLINE void berth_image_place(struct berth_image *image, const struct berth_geometry *g, void *memory)
{
	uint8_t *at = (uint8_t *)memory + berth_image_own_bytes(g);
	berth_image_place_own(image, g, memory);
#define X(section, type, count)                                                                                    \
	image->section = (type *)(void *)at;                                                                       \
	at += BERTH_SECTION_BYTES(type, count);
	BERTH_STORE_SECTIONS(X)
#undef X
}

/* Buckets of a former table of this size. */
BERTH_INLINE uint32_t berth_former_buckets(uint8_t bits)
{
	return bits ? 1u << ((bits - 1) & 31) : 0;
}

/* Sets the sizes of the former tables in a view: those that are mapped and still read. */
BERTH_INLINE void berth_view_set_former(struct berth_view *view, const struct berth_image *image)
{
	view->former_flow_bits = BERTH_LOAD(&image->ctl->former_flow_bits) ? image->former_flow_bits : 0;
	view->former_session_bits = BERTH_LOAD(&image->ctl->former_session_bits) ? image->former_session_bits : 0;
}

/* A view of the current generation, for packets of port 0. `monotonic`: seconds of CLOCK_MONOTONIC. */
BERTH_INLINE struct berth_view berth_image_view(const struct berth_image *image, uint32_t worker,
						uint32_t monotonic)
{
	struct berth_view view = berth_view_make(image, &image->geometry, BERTH_LOAD(&image->ctl->generation),
						 worker, berth_clock_now(image->ctl, monotonic));
	berth_view_set_former(&view, image);
	berth_view_set_port(&view, image->ctl, 0);
	return view;
}

/* The doubled sections of one generation: services and backends by number, the hash table of vips, the globals. */
struct berth_image_half {
	struct berth_service *services;
	struct berth_backend *backends;
	struct berth_vip *vips;
	struct berth_globals *globals;
};

BERTH_INLINE struct berth_image_half berth_image_half(const struct berth_image *image, uint64_t generation)
{
	const struct berth_view view = berth_view_make(image, &image->geometry, generation, 0, 0);
	return (struct berth_image_half){
		.services = image->services + view.first_service,
		.backends = image->backends + view.first_backend,
		.vips = image->vips + view.first_vip,
		.globals = image->globals + view.global,
	};
}

/* The current generation's. Valid until the next but one is written. */
BERTH_INLINE struct berth_image_half berth_image_current(const struct berth_image *image)
{
	return berth_image_half(image, BERTH_LOAD(&image->ctl->generation));
}
