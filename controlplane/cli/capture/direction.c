// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/cli/capture/direction.h"

#include <byteswap.h>
#include <string.h>

enum {
	SECTION = 0x0a0d0d0a,
	PACKET = 6,
	OTHER_ORDER = 0x4d3c2b1a,
	HEAD_BYTES = 12,   /* type, length, and of a section its byte order */
	PACKET_BYTES = 28, /* before the frame */
	PACKET_CAPTURED_AT = 20,
	TAIL_BYTES = 4,
	FLAGS = 2, /* an option of a packet */
	DIRECTION_BITS = 3,
	OUTBOUND = 2,
};

static uint32_t get32(const struct berth_direction *direction, uint32_t at)
{
	uint32_t value;
	memcpy(&value, direction->block + at, sizeof(value));
	return direction->is_swapped ? bswap_32(value) : value;
}

static uint16_t get16(const struct berth_direction *direction, uint32_t at)
{
	uint16_t value;
	memcpy(&value, direction->block + at, sizeof(value));
	return direction->is_swapped ? bswap_16(value) : value;
}

/* Of a whole block. */
static bool is_sent(const struct berth_direction *direction)
{
	if (get32(direction, 0) != PACKET || direction->length > BERTH_DIRECTION_BLOCK ||
	    direction->length < PACKET_BYTES + TAIL_BYTES)
		return false;
	const uint32_t end = direction->length - TAIL_BYTES, captured = get32(direction, PACKET_CAPTURED_AT);
	if (captured > end - PACKET_BYTES)
		return false;
	for (uint32_t at = PACKET_BYTES + ((captured + 3) & ~3U); at + 4 <= end;) {
		const uint32_t bytes = get16(direction, at + 2);
		if (get16(direction, at) == FLAGS && bytes == 4 && at + 8 <= end)
			return (get32(direction, at + 4) & DIRECTION_BITS) == OUTBOUND;
		at += 4 + ((bytes + 3) & ~3U);
	}
	return false;
}

/* The first bytes of a block are there. */
static void begin(struct berth_direction *direction)
{
	uint32_t type, order;
	memcpy(&type, direction->block, sizeof(type));
	memcpy(&order, direction->block + 8, sizeof(order));
	if (type == SECTION)
		direction->is_swapped = order == OTHER_ORDER;
	direction->has_section |= type == SECTION;
	direction->length = get32(direction, 4);
	/* A file of another format; or libpcap refuses it here. */
	direction->is_pcapng = direction->has_section && direction->length >= HEAD_BYTES &&
			       direction->length % 4 == 0;
}

/* Takes at most what belongs to the current block, or to its head. Returns the number of bytes. */
static size_t take(struct berth_direction *direction, const char *bytes, size_t size)
{
	const uint32_t left = (direction->length ? direction->length : HEAD_BYTES) - direction->n;
	const uint32_t part = size < left ? (uint32_t)size : left;
	for (uint32_t i = 0; i < part && direction->n + i < BERTH_DIRECTION_BLOCK; i++)
		direction->block[direction->n + i] = (uint8_t)bytes[i];
	direction->n += part;
	if (!direction->length && direction->n == HEAD_BYTES)
		begin(direction);
	if (direction->length && direction->n == direction->length) {
		direction->is_sent = is_sent(direction);
		direction->n = direction->length = 0;
	}
	return part;
}

static ssize_t on_read(void *arg, char *bytes, size_t size)
{
	struct berth_direction *direction = arg;
	const size_t n = fread(bytes, 1, size, direction->in);
	for (size_t at = 0; at < n && direction->is_pcapng;)
		at += take(direction, bytes + at, n - at);
	return n == 0 && ferror(direction->in) ? -1 : (ssize_t)n;
}

static int on_close(void *arg)
{
	struct berth_direction *direction = arg;
	return direction->in == stdin ? 0 : fclose(direction->in);
}

FILE *berth_direction_open(struct berth_direction *direction, FILE *in)
{
	*direction = (struct berth_direction){.in = in, .is_pcapng = true};
	FILE *stream = fopencookie(direction, "r", (cookie_io_functions_t){.read = on_read, .close = on_close});
	if (stream)
		setvbuf(stream, NULL, _IONBF, 0);
	return stream;
}
