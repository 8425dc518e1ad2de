/* SPDX-License-Identifier: BSD-3-Clause */
/* For tests of mode nat: services, backends and routes; and the expected packets, built with new checksums. */
#pragma once

#include "tests/support/icmp.h"
#include "tests/unit/dataplane/core/image.h"

#define RETURNED BERTH_VERDICT_RETURNED
#define RETURNED_PASS BERTH_VERDICT_RETURNED_PASS

/* A service, one backend of it, and a client's packet. Backends have the numbers of their services. */
struct way {
	struct fixture_packet to; /* from the client to the service */
	const char *backend;
	uint16_t port; /* port of the backend; 0: the packet's, of a service with a range */
};

static const struct way ways[] = {
	{{.src = "198.51.100.7", .dst = "203.0.113.10", .sport = 1025, .dport = 80, .protocol = 6},
	 "192.0.2.1",
	 8080},
	{{.src = "198.51.100.7", .dst = "203.0.113.20", .sport = 1026, .dport = 5353, .protocol = 17},
	 "192.0.2.2",
	 0},
	{{.src = "2001:db8:2::7", .dst = "2001:db8:1::10", .sport = 1025, .dport = 80, .protocol = 17},
	 "2001:db8:3::1",
	 8080},
	{{.src = "2001:db8:2::7", .dst = "2001:db8:1::20", .sport = 1026, .dport = 5353, .protocol = 6},
	 "2001:db8:3::2",
	 0},
};

enum {
	WAYS = COUNT(ways),
};

static bool is6(uint32_t way)
{
	return way >= 2;
}

static void add_route(uint32_t at, const char *prefix, uint8_t bits, enum berth_route_kind kind)
{
	image.globals[1].route[at] = (struct berth_route){
		.prefix = fixture_addr(prefix),
		.bits = (uint8_t)(strchr(prefix, ':') ? bits : bits + 96),
		.kind = (uint8_t)kind,
		.port = 1,
		.dst_mac = {2, 0, 0, 0, 3, (uint8_t)at},
		.src_mac = {2, 0, 0, 0, 1, 1},
		.mtu = 1400,
	};
}

static void add_way(uint32_t number, const struct way *way)
{
	const struct fixture_packet *to = &way->to;
	const uint16_t backends[] = {(uint16_t)number};
	struct berth_service *service;
	if (way->port) {
		service = fixture_service(&image, number, to->dst, to->protocol, to->dport, BERTH_AFFINITY_FLOW);
		service->port = berth_to_be16(to->dport);
		fixture_insert_vip(&image, (struct berth_vip){.addr = fixture_addr(way->backend),
							      .port = berth_to_be16(way->port),
							      .protocol = to->protocol,
							      .kind = BERTH_VIP_RETURN,
							      .service = number});
	} else {
		service = fixture_service(&image, number, to->dst, to->protocol, 0, BERTH_AFFINITY_FLOW);
		fixture_vip_kind(&image, BERTH_VIP_RETURN_RANGE, way->backend, to->protocol, 0, UINT16_MAX, number);
	}
	service->address = fixture_addr(to->dst);
	fixture_vip_kind(&image, BERTH_VIP_RETURN_ADDRESS, way->backend, 0, 0, 0, number);
	fixture_backend(&image, number, number, BERTH_MODE_NAT, way->backend)->dport = berth_to_be16(way->port);
	fixture_rows(&image, number, backends, 1);
}

static int set_up(void **state)
{
	set_up_image(state);
	for (uint32_t i = 0; i < WAYS; i++)
		add_way(i + 1, &ways[i]);
	image.globals[1].has_returns = 1;
	add_route(0, "2001:db8:2::", 48, BERTH_ROUTE_HOP);
	add_route(1, "198.51.100.0", 24, BERTH_ROUTE_HOP);
	return 0;
}

/* The ends of a packet on the backend's side: rewritten towards it, received from it. */
static struct fixture_packet inside(const struct way *way)
{
	struct fixture_packet packet = way->to;
	packet.dst = way->backend;
	packet.dport = way->port ? way->port : packet.dport;
	return packet;
}

/* A client's packet opens its flow. `client` NULL: the way's. */
__attribute__((unused)) static void open_flow(uint32_t way, const char *client)
{
	const struct berth_view view = fixture_view(&image, FIXTURE_NOW);
	struct fixture_packet to = ways[way].to;
	to.src = client ? client : to.src;
	assert_int_equal(BERTH_VERDICT_CLASS(fixture_send(&view, &to)), BERTH_CLASS_FORWARD);
}

__attribute__((unused)) static void open_flows(void)
{
	for (uint32_t way = 0; way < WAYS; way++)
		open_flow(way, NULL);
}

/* Sends a frame; `before` is a copy of it. */
__attribute__((unused)) static enum berth_verdict forward(struct fixture_frame *frame, uint8_t *before,
							  uint32_t *port)
{
	struct berth_view view = fixture_view(&image, FIXTURE_NOW);
	memcpy(before, frame->frame.data, frame->bytes);
	return berth_forward(&view, &frame->frame, &(struct berth_packet){0}, frame->bytes, port);
}

/* Applies the rewrite of a hop: 12 bytes of link addresses, TTL. */
__attribute__((unused)) static void hop(struct fixture_frame *frame, const uint8_t *macs)
{
	memcpy(frame->frame.data, macs, 12);
	fixture_decrement_ttl(frame->frame.data + frame->network);
}

__attribute__((unused)) static void check_leaves(const struct fixture_frame *frame,
						 const struct fixture_frame *expected)
{
	assert_int_equal(frame->frame.end - frame->frame.data, expected->bytes);
	assert_memory_equal(frame->frame.data, expected->frame.data, expected->bytes);
}

__attribute__((unused)) static const uint8_t *backend_macs(uint32_t way)
{
	return fixture_backend_at(&image, way + 1)->dst_mac;
}

__attribute__((unused)) static const uint8_t *route_macs(uint32_t way)
{
	return image.globals[1].route[is6(way) ? 0 : 1].dst_mac;
}

/* The same ends with tags, options, extension headers, lengths by `i`. */
__attribute__((unused)) static void shape(struct fixture_packet *packet, uint32_t i)
{
	static const uint8_t ext[] = {BERTH_PROTO_HOP_BY_HOP, BERTH_PROTO_DEST_OPTIONS, FIXTURE_EXT_END};
	packet->tags = (uint8_t)(i % 3);
	packet->options = (uint8_t)(i % 11);
	packet->tcp_options = (uint8_t)(i % 5);
	packet->ext = i % 2 ? ext : NULL;
	packet->payload = (uint16_t)(i * 7 % 200); /* odd lengths, too */
	packet->tcp_flags = BERTH_TCP_ACK;
	packet->trailer = (uint16_t)(i % 4);
	packet->traffic_class = (uint8_t)i;
}
