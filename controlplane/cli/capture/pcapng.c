// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/cli/capture/pcapng.h"

#include <string.h>

enum {
	SECTION = 0x0a0d0d0a,
	INTERFACE = 1,
	STATISTICS = 5,
	PACKET = 6,
	BYTE_ORDER = 0x1a2b3c4d,
	LINK_ETHERNET = 1,
	SNAP = 512,
	/* Options; their numbers begin anew with each type of block. */
	COMMENT = 1,
	IF_NAME = 2,
	IF_TIME_RESOLUTION = 9,
	EPB_FLAGS = 2,
	EPB_PACKET_ID = 5,
	EPB_VERDICT = 7,
	ISB_RECEIVED = 4,
	ISB_DROPPED = 5,
	NANOSECONDS = 9, /* a negative power of 10 */
	INBOUND = 1,
	OUTBOUND = 2,
	VERDICT_XDP = 2,
	BLOCK_BYTES = 2048, /* at most: a packet with a comment */
	OPTION_BYTES = 512, /* of a value, at most */
};

/* A block under construction. */
struct block {
	uint8_t bytes[BLOCK_BYTES];
	uint32_t n;
};

static void put(struct block *block, const void *bytes, uint32_t n)
{
	static const uint8_t zeros[4] = {0};
	const uint32_t pad = -n & 3;
	if (block->n + n + pad > BLOCK_BYTES)
		return;
	memcpy(block->bytes + block->n, bytes, n);
	memcpy(block->bytes + block->n + n, zeros, pad);
	block->n += n + pad;
}

static void put32(struct block *block, uint32_t value)
{
	put(block, &value, sizeof(value));
}

static void put_time(struct block *block, uint64_t time_ns)
{
	put32(block, (uint32_t)(time_ns >> 32));
	put32(block, (uint32_t)time_ns);
}

static void put_option(struct block *block, uint16_t code, const void *value, size_t bytes)
{
	const uint16_t n = bytes < OPTION_BYTES ? (uint16_t)bytes : OPTION_BYTES;
	const uint16_t head[] = {code, n};
	put(block, head, sizeof(head));
	put(block, value, n);
}

/* A block of this type; its length, which is written twice, follows at the end. */
static void begin(struct block *block, uint32_t type)
{
	block->n = 0;
	put32(block, type);
	put32(block, 0);
}

static void end(struct block *block, FILE *out)
{
	put32(block, 0); /* end of options */
	const uint32_t length = block->n + (uint32_t)sizeof(length);
	memcpy(block->bytes + sizeof(length), &length, sizeof(length));
	put32(block, length);
	fwrite(block->bytes, 1, block->n, out);
}

void berth_pcapng_start(struct berth_pcapng *file, FILE *out)
{
	const uint16_t version[] = {1, 0};
	const int64_t unknown = -1; /* length of the section */
	struct block block;
	*file = (struct berth_pcapng){.out = out};
	begin(&block, SECTION);
	put32(&block, BYTE_ORDER);
	put(&block, version, sizeof(version));
	put(&block, &unknown, sizeof(unknown));
	end(&block, out);
}

/* The number of an interface, which is written before its first packet. */
static uint32_t interface_of(struct berth_pcapng *file, const char *name)
{
	const uint16_t link[] = {LINK_ETHERNET, 0};
	const uint8_t resolution = NANOSECONDS;
	struct block block;
	for (uint32_t i = 0; i < file->n; i++)
		if (strncmp(file->names[i], name, BERTH_PCAPNG_NAME_BYTES - 1) == 0)
			return i;
	if (file->n == BERTH_PCAPNG_INTERFACES)
		return file->n - 1;
	snprintf(file->names[file->n], BERTH_PCAPNG_NAME_BYTES, "%s", name);
	begin(&block, INTERFACE);
	put(&block, link, sizeof(link));
	put32(&block, SNAP);
	put_option(&block, IF_NAME, name, strlen(name));
	put_option(&block, IF_TIME_RESOLUTION, &resolution, sizeof(resolution));
	end(&block, file->out);
	return file->n++;
}

void berth_pcapng_add(struct berth_pcapng *file, const struct berth_pcapng_packet *packet)
{
	const uint32_t interface = interface_of(file, packet->interface);
	const uint32_t captured = packet->captured < SNAP ? packet->captured : SNAP;
	const uint32_t flags = packet->is_outbound ? OUTBOUND : INBOUND;
	uint8_t verdict[1 + sizeof(packet->xdp_action)] = {VERDICT_XDP};
	struct block block;
	begin(&block, PACKET);
	put32(&block, interface);
	put_time(&block, packet->time_ns);
	put32(&block, captured);
	put32(&block, packet->length);
	put(&block, packet->bytes, captured);
	put_option(&block, EPB_FLAGS, &flags, sizeof(flags));
	put_option(&block, EPB_PACKET_ID, &packet->id, sizeof(packet->id));
	memcpy(verdict + 1, &packet->xdp_action, sizeof(packet->xdp_action));
	if (packet->has_xdp_action)
		put_option(&block, EPB_VERDICT, verdict, sizeof(verdict));
	put_option(&block, COMMENT, packet->comment, strlen(packet->comment));
	end(&block, file->out);
}

void berth_pcapng_end(struct berth_pcapng *file, uint64_t time_ns, uint64_t written, uint64_t missed)
{
	const uint64_t received = written + missed;
	struct block block;
	if (file->n) {
		begin(&block, STATISTICS);
		put32(&block, 0);
		put_time(&block, time_ns);
		put_option(&block, ISB_RECEIVED, &received, sizeof(received));
		put_option(&block, ISB_DROPPED, &missed, sizeof(missed));
		end(&block, file->out);
	}
	fflush(file->out);
}
