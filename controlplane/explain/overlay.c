// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/explain/overlay.h"

#include <stdlib.h>
#include <string.h>

#include "controlplane/util/clock.h"
#include "dataplane/core/image.h"

enum {
	SECTIONS = BERTH_OVERLAY_former_clients + 1,
	NANOSECONDS_PER_MS = 1000000,
	LINE = 64,
};

struct copy {
	struct copy *next;
	uint32_t section;
	uint32_t index;
	void *data; /* aligned to a memory line, as in the image */
};

struct section {
	const uint8_t *live; /* NULL: there is none */
	uint64_t elements;
	size_t bytes; /* of an element */
};

/* One packet asks for some dozens of elements: a list is enough. */
struct berth_overlay {
	const struct berth_image *image;
	struct section sections[SECTIONS];
	struct copy *copies;
};

/* Former tables have the sizes of the image, not of its geometry. */
static uint64_t former_elements(const struct berth_image *image, enum berth_overlay_section section)
{
	const uint64_t flows = berth_former_buckets(image->former_flow_bits);
	const uint64_t sessions = berth_former_buckets(image->former_session_bits);
	return section == BERTH_OVERLAY_former_flows	  ? flows
	       : section == BERTH_OVERLAY_former_sessions ? sessions
							  : sessions * BERTH_BUCKET_WORDS;
}

struct berth_overlay *berth_overlay_new(const struct berth_image *image)
{
	struct berth_overlay *overlay = calloc(1, sizeof(*overlay));
	const struct berth_geometry *const g = &image->geometry;
	if (!overlay)
		return NULL;
	overlay->image = image;
#define X(name, type, count)                                                                                       \
	overlay->sections[BERTH_OVERLAY_##name] = (struct section){(const void *)image->name, (count),             \
								   sizeof(type)};
	BERTH_SECTIONS(X)
#undef X
#define X(name, type, store)                                                                                       \
	overlay->sections[BERTH_OVERLAY_##name] = (struct section){                                                \
		(const void *)image->name, former_elements(image, BERTH_OVERLAY_##name), sizeof(type)};
	BERTH_FORMER_SECTIONS(X)
#undef X
	return overlay;
}

void berth_overlay_free(struct berth_overlay *overlay)
{
	struct copy *next;
	for (struct copy *copy = overlay ? overlay->copies : NULL; copy; copy = next) {
		next = copy->next;
		free(copy->data);
		free(copy);
	}
	free(overlay);
}

struct berth_view berth_overlay_view(struct berth_overlay *overlay, uint32_t port)
{
	const struct berth_image *image = overlay->image;
	struct berth_view view = berth_image_view(image, 0, berth_clock_s());
	berth_view_set_port(&view, image->ctl, port);
	view.now_ns = berth_clock_ms() * NANOSECONDS_PER_MS;
	view.image = (const struct berth_image *)overlay;
	return view;
}

static void *copy_element(struct berth_overlay *overlay, enum berth_overlay_section section, uint32_t index)
{
	const struct section *of = &overlay->sections[section];
	const size_t bytes = (of->bytes + LINE - 1) / LINE * LINE;
	struct copy *copy = calloc(1, sizeof(*copy));
	if (copy)
		copy->data = aligned_alloc(LINE, bytes);
	if (!copy || !copy->data) {
		free(copy);
		return NULL;
	}
	memcpy(copy->data, of->live + index * of->bytes, of->bytes);
	copy->section = section;
	copy->index = index;
	copy->next = overlay->copies;
	overlay->copies = copy;
	return copy->data;
}

void *berth_overlay_at(struct berth_overlay *overlay, enum berth_overlay_section section, uint32_t index)
{
	const struct section *of = &overlay->sections[section];
	if (!of->live || index >= of->elements)
		return NULL;
	for (const struct copy *copy = overlay->copies; copy; copy = copy->next)
		if (copy->section == section && copy->index == index)
			return copy->data;
	return copy_element(overlay, section, index);
}
