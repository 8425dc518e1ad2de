/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * An image in memory: where its sections are, and the accessors that the stages use on it. For the DPDK
 * engine, berthd and host tests; BPF has its own accessors in bpf/maps.h.
 */
#pragma once

#include "abi.h"
#include "atomic.h"

#define BERTH_HAVE_ACCESSORS 1

struct berth_image {
	struct berth_geometry geometry; /* a copy, so that bounds do not depend on shared memory */
#define X(name, type, count) type *name;
	BERTH_SECTIONS(X)
#undef X
};

/* Unchecked: every index in the stages is masked, checked by its caller against the view, or read from what the
 * control plane published. (In BPF the lookup checks anyway, and gives NULL.) */
#define X(name, type, count)                                                                                       \
	BERTH_INLINE type *berth_at_##name(const struct berth_view *view, uint32_t index)                          \
	{                                                                                                          \
		type *at = &view->image->name[index];                                                              \
		if (!at)                                                                                           \
			__builtin_unreachable();                                                                   \
		return at;                                                                                         \
	}
BERTH_SECTIONS(X)
#undef X

/* Every section starts on a boundary of this many bytes, so that each can be a mapping of its own. */
#define BERTH_SECTION_ALIGN ((uint64_t)4096)

/* Bytes of an image of geometry `g` with its sections one behind the other. */
BERTH_INLINE uint64_t berth_image_bytes(const struct berth_geometry *g)
{
	uint64_t at = 0;
#define X(name, type, count)                                                                                       \
	at += (sizeof(type) * (uint64_t)(count) + BERTH_SECTION_ALIGN - 1) & ~(BERTH_SECTION_ALIGN - 1);
	BERTH_SECTIONS(X)
#undef X
	return at;
}

/* Points `image` into `memory`, which holds berth_image_bytes(g) bytes. */
BERTH_INLINE void berth_image_place(struct berth_image *image, const struct berth_geometry *g, void *memory)
{
	uint8_t *at = memory;
	image->geometry = *g;
#define X(section, type, count)                                                                                    \
	image->section = (type *)(void *)at;                                                                       \
	at += (sizeof(type) * (uint64_t)(count) + BERTH_SECTION_ALIGN - 1) & ~(BERTH_SECTION_ALIGN - 1);
	BERTH_SECTIONS(X)
#undef X
}

/* A view of the current generation. `now` in seconds of CLOCK_MONOTONIC. */
BERTH_INLINE struct berth_view berth_image_view(const struct berth_image *image, uint32_t worker, uint32_t now)
{
	return berth_view_make(image, &image->geometry, BERTH_LOAD(&image->ctl->generation), worker, now);
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
