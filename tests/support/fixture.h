/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the tests of the core stand on: a small image laid out by hand, and packets built by hand. Written
 * against abi.h and the RFCs alone: nothing here uses the control plane or the core's own packet code.
 */
#pragma once

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/core/image.h"
#include "dataplane/core/packet.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A frame's handle is the first byte of its buffer. */
static inline bool berth_frame_push(struct berth_frame *frame, uint32_t bytes)
{
	if (frame->data - (uint8_t *)frame->handle < (ptrdiff_t)bytes)
		return false;
	frame->data -= bytes;
	return true;
}

static inline bool berth_frame_trim(struct berth_frame *frame, uint32_t bytes)
{
	if (frame->end - frame->data < (ptrdiff_t)bytes)
		return false;
	frame->end = frame->data + bytes;
	return true;
}

#include "dataplane/core/stages.h"

/* Odd, so that the half in use is not the one that a forgotten offset would read. */
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

static inline union berth_addr fixture_addr(const char *text)
{
	union berth_addr addr;
	struct berth_be32 v4;
	if (inet_pton(AF_INET, text, &v4) == 1) {
		memset(&addr, 0, 10);
		memset(&addr.byte[10], 0xff, 2);
		memcpy(&addr.byte[12], &v4, 4);
	} else if (inet_pton(AF_INET6, text, &addr) != 1) {
		fprintf(stderr, "fixture: no address: %s\n", text);
		abort();
	}
	return addr;
}

/* Writes the header, the secret and two ports of an image whose sections are zero. */
static inline void fixture_found(struct berth_image *image)
{
	struct berth_ctl *ctl = image->ctl;
	ctl->magic = BERTH_MAGIC;
	ctl->abi = BERTH_ABI_VERSION;
	ctl->geometry = image->geometry;
	ctl->generation = FIXTURE_GENERATION;
	for (uint32_t i = 0; i < BERTH_SECRET_BYTES; i++)
		ctl->secret[i] = (uint8_t)(i * 37 + 11);
	for (uint32_t i = 0; i < 2; i++)
		ctl->ports[i] = (struct berth_port){
			.ifindex = i + 1, .mac = {2, 0, 0, 0, 1, (uint8_t)i}, .mtu = 1500};
}

static inline void fixture_new(struct berth_image *image, const struct berth_geometry *geometry)
{
	uint64_t bytes = berth_image_bytes(geometry);
	void *memory = aligned_alloc(BERTH_SECTION_ALIGN, bytes);
	if (!memory)
		abort();
	memset(memory, 0, bytes);
	berth_image_place(image, geometry, memory);
	fixture_found(image);
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

static inline void fixture_admit(struct berth_image *image, uint32_t backend, uint8_t eligibility)
{
	image->eligibility[backend / BERTH_ELIGIBILITY_PER_LINE].backend[backend % BERTH_ELIGIBILITY_PER_LINE] =
		eligibility;
}

/* A slot of the classifier, in the first free one from its key's home on; `service` 0 has no flow key. */
static inline struct berth_vip *fixture_slot(struct berth_image *image, struct berth_vip vip)
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
	return fixture_slot(image, (struct berth_vip){.addr = fixture_addr(address),
						      .port = berth_to_be16(port),
						      .protocol = protocol,
						      .kind = BERTH_VIP_EXACT,
						      .service = service});
}

/* Any other kind of slot, with a range of ports or without. */
static inline struct berth_vip *fixture_vip_kind(struct berth_image *image, enum berth_vip_kind kind,
						 const char *address, uint8_t protocol, uint16_t first,
						 uint16_t last, uint32_t service)
{
	return fixture_slot(image, (struct berth_vip){.addr = fixture_addr(address),
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
	return fixture_slot(image, (struct berth_vip){.addr = fixture_addr(address),
						      .port = berth_to_be16((uint16_t)(128 - length)),
						      .protocol = protocol,
						      .kind = (uint8_t)kind,
						      .service = service,
						      .first = first,
						      .last = last});
}

/* A service without an address or backends. */
static inline struct berth_service *fixture_describe(struct berth_image *image, uint32_t number,
						     enum berth_affinity affinity)
{
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
				[BERTH_STATE_HALF_OPEN] = 10,
				[BERTH_STATE_ESTABLISHED] = 3600,
				[BERTH_STATE_CLOSING] = 30,
				[BERTH_STATE_UNREPLIED] = 10,
				[BERTH_STATE_ASSURED] = 180,
				[BERTH_STATE_SESSION] = 10800,
				[BERTH_STATE_FRAGMENT] = 30,
			},
	};
	return service;
}

/* What a half's services have in common, worked out anew. */
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

/* A service that is reached on `address`, `protocol` and `port` (0: any); with no backends yet. */
static inline struct berth_service *fixture_service(struct berth_image *image, uint32_t number, const char *address,
						    uint8_t protocol, uint16_t port, enum berth_affinity affinity)
{
	struct berth_service *service = fixture_describe(image, number, affinity);
	if (port)
		fixture_vip(image, address, protocol, port, number);
	else
		fixture_vip_kind(image, BERTH_VIP_RANGE, address, protocol, 0, UINT16_MAX, number);
	fixture_vip_kind(image, BERTH_VIP_ADDRESS, address, 0, 0, 0, 0);
	return service;
}

/* A backend that eligibility everything, on port 0. */
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
	fixture_admit(image, number, BERTH_ELIGIBLE_ALL);
	return backend;
}

/* The selection table of a service: its backends in turn, the next one as second choice. */
static inline void fixture_rows(struct berth_image *image, uint32_t service, const uint16_t *backends, uint32_t n)
{
	fixture_service_at(image, service)->rows = n ? FIXTURE_ROWS : 0;
	for (uint32_t i = 0; i < FIXTURE_ROWS && n; i++)
		image->rows[service].row[i] = (struct berth_row){backends[i % n],
								 n > 1 ? backends[(i + 1) % n] : 0};
}

/* What a packet looks like; what is left out is 0 or, for the lengths, right. */
struct fixture_packet {
	const char *src;
	const char *dst;
	uint16_t sport;
	uint16_t dport;
	uint8_t protocol;
	uint8_t tcp_flags;
	uint8_t tags;	       /* VLAN tags: 0 to 3 */
	uint8_t traffic_class; /* or TOS */
	uint16_t payload;      /* bytes behind the transport header */
	uint16_t trailer;      /* bytes behind the packet: Ethernet's padding */
	uint8_t options;       /* IPv4: in 4 bytes */
	uint8_t tcp_options;   /* in 4 bytes */
	uint16_t fragment;     /* IPv4: flags and offset */
	const uint8_t *ext;    /* IPv6: extension headers' protocols, up to a 0xff */
	uint16_t ext_fragment; /* IPv6: offset and flags of a fragment header */
	uint8_t ext_length;    /* IPv6: of the other extension headers, in 8 bytes past the first 8 */
};

enum {
	FIXTURE_HEADROOM = 64,
	FIXTURE_ROOM = 4096,
	FIXTURE_EXT_END = 0xff,
};

struct fixture_frame {
	uint8_t room[FIXTURE_ROOM];
	struct berth_frame frame;
	uint32_t network; /* offsets */
	uint32_t transport;
	uint32_t bytes;
};

static inline uint8_t *fixture_put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
	return at + 2;
}

/* RFC 1071, a byte at a time: not how the core does it. */
static inline uint16_t fixture_checksum(const uint8_t *bytes, size_t n)
{
	uint32_t sum = 0;
	for (size_t i = 0; i < n; i++)
		sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static inline uint8_t *fixture_put_link(uint8_t *at, const struct fixture_packet *packet, bool is6)
{
	static const uint8_t macs[12] = {2, 0, 0, 0, 1, 0, 2, 0, 0, 0, 9, 9};
	memcpy(at, macs, sizeof(macs));
	at += sizeof(macs);
	for (uint32_t i = 0; i < packet->tags; i++) {
		at = fixture_put16(at, i + 1 < packet->tags ? BERTH_ETHERTYPE_QINQ : BERTH_ETHERTYPE_VLAN);
		at = fixture_put16(at, 0x2064 + i); /* priority 1, VLAN 100 and up */
	}
	return fixture_put16(at, is6 ? BERTH_ETHERTYPE_IP6 : BERTH_ETHERTYPE_IP4);
}

static inline uint8_t *fixture_put_ip4(uint8_t *at, const struct fixture_packet *packet, uint32_t l4)
{
	uint32_t header = 20 + packet->options * 4u;
	union berth_addr src = fixture_addr(packet->src), dst = fixture_addr(packet->dst);
	memset(at, 1, header); /* options: no operation */
	at[0] = (uint8_t)(0x40 | header / 4);
	at[1] = packet->traffic_class;
	fixture_put16(at + 2, header + l4);
	fixture_put16(at + 4, 0x1234);
	fixture_put16(at + 6, packet->fragment);
	at[8] = 63;
	at[9] = packet->protocol;
	fixture_put16(at + 10, 0);
	memcpy(at + 12, &src.byte[12], 4);
	memcpy(at + 16, &dst.byte[12], 4);
	fixture_put16(at + 10, fixture_checksum(at, header));
	return at + header;
}

static inline uint8_t *fixture_put_ip6(uint8_t *at, const struct fixture_packet *packet, uint32_t l4)
{
	static const uint8_t none[] = {FIXTURE_EXT_END};
	union berth_addr src = fixture_addr(packet->src), dst = fixture_addr(packet->dst);
	const uint8_t *ext = packet->ext ? packet->ext : none;
	uint8_t *ip = at;
	ip[0] = (uint8_t)(0x60 | packet->traffic_class >> 4);
	ip[1] = (uint8_t)(packet->traffic_class << 4 | 3);
	fixture_put16(ip + 2, 0x4567);
	ip[6] = ext[0] != FIXTURE_EXT_END ? ext[0] : packet->protocol;
	ip[7] = 63;
	memcpy(ip + 8, &src, 16);
	memcpy(ip + 24, &dst, 16);
	at += 40;
	for (; *ext != FIXTURE_EXT_END; ext++) {
		uint32_t more = *ext == BERTH_PROTO_FRAGMENT ? 0 : packet->ext_length;
		memset(at, 0, 8 + more * 8);
		at[0] = ext[1] != FIXTURE_EXT_END ? ext[1] : packet->protocol;
		at[1] = (uint8_t)more;
		if (*ext == BERTH_PROTO_FRAGMENT)
			fixture_put16(at + 2, packet->ext_fragment);
		at += 8 + more * 8;
	}
	fixture_put16(ip + 4, (uint32_t)(at - ip) - 40 + l4);
	return at;
}

/* Bytes of the transport header that a packet gets. */
static inline uint32_t fixture_transport_bytes(const struct fixture_packet *packet)
{
	if (packet->protocol == BERTH_PROTO_TCP)
		return 20 + packet->tcp_options * 4u;
	return packet->protocol == BERTH_PROTO_UDP ? 8 : 0;
}

static inline uint8_t *fixture_put_transport(uint8_t *at, const struct fixture_packet *packet)
{
	uint32_t header = fixture_transport_bytes(packet);
	if (header == 0)
		return at;
	memset(at, 0, header);
	fixture_put16(at, packet->sport);
	fixture_put16(at + 2, packet->dport);
	if (packet->protocol == BERTH_PROTO_TCP) {
		at[12] = (uint8_t)(header / 4 << 4);
		at[13] = packet->tcp_flags;
	} else {
		fixture_put16(at + 4, header + packet->payload);
	}
	return at + header;
}

/* At most what a packet takes in its room: the headroom, and all headers as if it had each. */
static inline uint32_t fixture_room_of(const struct fixture_packet *packet)
{
	uint32_t bytes = FIXTURE_HEADROOM + 14 + packet->tags * 4u + 40 + packet->options * 4u + packet->payload +
			 fixture_transport_bytes(packet) + packet->trailer;
	for (const uint8_t *ext = packet->ext; ext && *ext != FIXTURE_EXT_END; ext++)
		bytes += 8 + packet->ext_length * 8u;
	return bytes;
}

/* Builds the packet behind FIXTURE_HEADROOM bytes; transport checksums are left 0, the core looks at none. */
static inline void fixture_build(struct fixture_frame *to, const struct fixture_packet *packet)
{
	bool is6 = strchr(packet->dst, ':') != NULL;
	uint32_t l4 = fixture_transport_bytes(packet) + packet->payload;
	if (fixture_room_of(packet) > FIXTURE_ROOM)
		abort();
	uint8_t *start = to->room + FIXTURE_HEADROOM;
	uint8_t *at = fixture_put_link(start, packet, is6);
	to->network = (uint32_t)(at - start);
	at = is6 ? fixture_put_ip6(at, packet, l4) : fixture_put_ip4(at, packet, l4);
	to->transport = (uint32_t)(at - start);
	at = fixture_put_transport(at, packet);
	for (uint32_t i = 0; i < packet->payload; i++)
		*at++ = (uint8_t)i;
	memset(at, 0xee, packet->trailer);
	at += packet->trailer;
	to->bytes = (uint32_t)(at - start);
	to->frame = (struct berth_frame){.data = start, .end = at, .handle = to->room};
}

/* Builds a packet and sends it the whole way. */
static inline enum berth_verdict fixture_send(const struct berth_view *view, const struct fixture_packet *packet)
{
	struct fixture_frame frame;
	uint32_t port = 0;
	fixture_build(&frame, packet);
	return berth_forward(view, &frame.frame, frame.bytes, &port);
}

static inline const char *fixture_verdict_name(enum berth_verdict verdict)
{
	static const char *const names[] = {
		[BERTH_NO_VERDICT] = "none",
#define X(symbol, name, class, help) [BERTH_VERDICT_##symbol] = name,
		BERTH_VERDICTS(X)
#undef X
	};
	return verdict < BERTH_VERDICT_COUNT ? names[verdict] : "?";
}

/* What a router on the way would have made of the packet whose IP header is at `ip`. */
static inline void fixture_hop(uint8_t *ip)
{
	if (ip[0] >> 4 == 6) {
		ip[7]--;
		return;
	}
	ip[8]--;
	fixture_put16(ip + 10, 0);
	fixture_put16(ip + 10, fixture_checksum(ip, (ip[0] & 15u) * 4));
}
