/* SPDX-License-Identifier: BSD-3-Clause */
/* Slots of an image's classifier, written by hand: exact ports, ranges of ports, prefixes. */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "tests/support/address.h"
#include "tests/support/frame.h"

/* Inserts a slot at its key's home or the next free slot; `service` 0 has no flow key. */
static inline struct berth_vip *fixture_insert_vip(struct berth_image *image, struct berth_vip vip)
{
	uint32_t home = berth_vip_home(&vip.addr,
				       berth_vip_word((enum berth_vip_kind)vip.kind, vip.port, vip.protocol));
	struct berth_vip *vips = &image->vips[image->geometry.vips];
	vip.flow_key = vip.service ? 0xf10 + vip.service : 0;
	for (uint32_t i = 0; i < image->geometry.vips; i++) {
		struct berth_vip *slot = &vips[(home + i) & (image->geometry.vips - 1)];
		if (slot->kind != BERTH_VIP_FREE)
			continue;
		*slot = vip;
		return slot;
	}
	abort();
}

/* One port of a whole address. */
static inline struct berth_vip *fixture_vip(struct berth_image *image, const char *address, uint8_t protocol,
					    uint16_t port, uint32_t service)
{
	return fixture_insert_vip(image, (struct berth_vip){.addr = fixture_addr(address),
							    .port = berth_to_be16(port),
							    .protocol = protocol,
							    .kind = BERTH_VIP_EXACT,
							    .service = service});
}

/* A slot of any other kind, with or without a range of ports. */
static inline struct berth_vip *fixture_vip_kind(struct berth_image *image, enum berth_vip_kind kind,
						 const char *address, uint8_t protocol, uint16_t first,
						 uint16_t last, uint32_t service)
{
	return fixture_insert_vip(image, (struct berth_vip){.addr = fixture_addr(address),
							    .protocol = protocol,
							    .kind = (uint8_t)kind,
							    .service = service,
							    .first = first,
							    .last = last});
}

/* A slot of a prefix, `bits` as its family counts them; its length is listed. (The address's bits past it are 0.)
 */
static inline struct berth_vip *fixture_prefix(struct berth_image *image, enum berth_vip_kind kind,
					       const char *address, uint32_t bits, uint8_t protocol, uint16_t first,
					       uint16_t last, uint32_t service)
{
	uint8_t *lengths = image->globals[1].prefix_bits;
	uint8_t length = (uint8_t)(strchr(address, ':') ? bits : bits + 96);
	uint32_t at = 0;
	while (at < BERTH_MAX_PREFIX_LENGTHS && lengths[at] > length)
		at++;
	if (at == BERTH_MAX_PREFIX_LENGTHS || (lengths[at] != length && lengths[BERTH_MAX_PREFIX_LENGTHS - 1]))
		abort();
	if (lengths[at] != length) {
		memmove(&lengths[at + 1], &lengths[at], BERTH_MAX_PREFIX_LENGTHS - at - 1);
		lengths[at] = length;
	}
	return fixture_insert_vip(image, (struct berth_vip){.addr = fixture_addr(address),
							    .port = berth_to_be16((uint16_t)(128 - length)),
							    .protocol = protocol,
							    .kind = (uint8_t)kind,
							    .service = service,
							    .first = first,
							    .last = last});
}
