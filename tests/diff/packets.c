// SPDX-License-Identifier: BSD-3-Clause
#include "tests/diff/packets.h"

#include "tests/golden/golden.h"

enum {
	CLIENTS = 6,
	LONGEST = 2500,
	DATAGRAMS = 64, /* fragmented datagrams, each of one client and service */
};

/* Addresses of a packet and of the packet that it quotes. */
struct texts {
	char src[INET6_ADDRSTRLEN];
	char dst[INET6_ADDRSTRLEN];
	char inner_src[INET6_ADDRSTRLEN];
	char inner_dst[INET6_ADDRSTRLEN];
};

static void put_client(char text[INET6_ADDRSTRLEN], bool is6, uint32_t client)
{
	if (is6)
		snprintf(text, INET6_ADDRSTRLEN, "2001:db8:2:%x::%x", client % 4, 1 + client);
	else
		snprintf(text, INET6_ADDRSTRLEN, "198.51.%u.%u", 100 + client % 4, 1 + client);
}

static uint16_t first_port(const struct world_shape *shape)
{
	return shape->port ? shape->port : 5353;
}

struct fixture_packet packets_to(const struct world_shape *shape, uint32_t client)
{
	static char text[INET6_ADDRSTRLEN];
	put_client(text, world_is6(shape), client);
	return (struct fixture_packet){
		.src = text,
		.dst = shape->address,
		.sport = (uint16_t)(1024 + client),
		.dport = first_port(shape),
		.protocol = shape->protocol,
	};
}

/* Mostly a port of the service. */
static uint16_t draw_port(struct random *random, const struct world_shape *shape)
{
	uint32_t ports = shape->port == 0 ? 3 : shape->last ? shape->last - shape->port + 1u : 1;
	if (random_one_in(random, 24))
		return (uint16_t)random_below(random, 65536);
	return (uint16_t)(first_port(shape) +
			  random_below(random, ports < 3 || random_one_in(random, 4) ? ports : 3));
}

/* Mostly an address of the service; of a prefix one of a few. */
static void draw_service_address(struct random *random, const struct world_shape *shape,
				 char text[INET6_ADDRSTRLEN])
{
	union berth_addr addr = fixture_addr(shape->address);
	const bool is6 = world_is6(shape);
	if (shape->bits)
		addr.byte[15] = (uint8_t)(addr.byte[15] + random_below(random, random_one_in(random, 4) ? 16 : 2));
	else if (random_one_in(random, 24))
		addr.byte[15] ^= (uint8_t)(1u << random_below(random, 8));
	if (is6 && shape->bits && random_one_in(random, 8))
		addr.byte[7] ^= (uint8_t)(1u << random_below(random, 6));
	inet_ntop(is6 ? AF_INET6 : AF_INET, is6 ? &addr.byte[0] : &addr.byte[12], text, INET6_ADDRSTRLEN);
}

static void draw_source(struct random *random, const struct world_shape *shape, char text[INET6_ADDRSTRLEN])
{
	static const char *const odd4[] = {"127.0.0.1", "0.0.0.0", "224.0.0.5", "255.255.255.255", "10.0.0.1"};
	static const char *const odd6[] = {"::", "::1", "ff02::1", "::ffff:198.51.100.1", "fe80::1"};
	if (random_one_in(random, 32))
		snprintf(text, INET6_ADDRSTRLEN, "%s",
			 world_is6(shape) ? odd6[random_below(random, 5)] : odd4[random_below(random, 5)]);
	else if (random_one_in(random, 64))
		snprintf(text, INET6_ADDRSTRLEN, "%s", shape->address);
	else
		put_client(text, world_is6(shape), random_below(random, CLIENTS));
}

static const uint8_t *draw_extensions(struct random *random)
{
	static const uint8_t kinds[] = {BERTH_PROTO_HOP_BY_HOP, BERTH_PROTO_DEST_OPTIONS, BERTH_PROTO_ROUTING,
					BERTH_PROTO_FRAGMENT};
	static uint8_t ext[17];
	uint32_t n = random_one_in(random, 4) ? random_below(random, 11) : random_below(random, 3);
	if (random_one_in(random, 64))
		n = 16;
	for (uint32_t i = 0; i < n; i++)
		ext[i] = kinds[random_below(random, 4)];
	ext[n] = FIXTURE_EXT_END;
	return ext;
}

/* `value` once in `n`, else 0. */
static uint32_t rarely(struct random *random, uint32_t n, uint32_t value)
{
	return random_one_in(random, n) ? value : 0;
}

/* A payload whose packet has the path MTU to a backend, or a byte or two more or less. */
static uint16_t draw_full_size(struct random *random, const struct world_shape *shape)
{
	const bool is_encapsulated = shape->mode == BERTH_MODE_IPIP || shape->mode == BERTH_MODE_GUE;
	int size = (shape->mtu ? shape->mtu : WORLD_MTU) - (shape->protocol == BERTH_PROTO_TCP ? 20 : 8) -
		   (world_is6(shape) ? 40 : 20);
	if (is_encapsulated)
		size -= (shape->outer == 4 ? 20 : 40) + (shape->mode == BERTH_MODE_GUE ? 8 : 0);
	size += (int)random_below(random, 5) - 2;
	return (uint16_t)(size > 0 ? size : 0);
}

static uint8_t draw_flags(struct random *random)
{
	static const uint8_t flags[] = {BERTH_TCP_SYN, BERTH_TCP_ACK, BERTH_TCP_ACK | 8,
					BERTH_TCP_FIN | BERTH_TCP_ACK, BERTH_TCP_RST};
	return random_one_in(random, 16) ? (uint8_t)random_word(random)
					 : flags[random_below(random, sizeof(flags))];
}

/* Draws the fields that do not depend on the direction. */
static void draw_rest(struct random *random, struct fixture_packet *packet)
{
	packet->tcp_flags = draw_flags(random);
	packet->traffic_class = (uint8_t)rarely(random, 4, random_below(random, 256));
	packet->tags = (uint8_t)rarely(random, 4, random_below(random, 4));
	packet->payload = (uint16_t)random_below(random, random_one_in(random, 8) ? 1500 : 40);
	packet->trailer = (uint16_t)rarely(random, 4, random_below(random, 20));
	packet->options = (uint8_t)rarely(random, 8, random_below(random, 11));
	packet->tcp_options = (uint8_t)rarely(random, 4, random_below(random, 11));
	packet->fragment = (uint16_t)(random_one_in(random, 16) ? random_below(random, 65536) : 0x4000);
	packet->ext = random_one_in(random, 4) ? draw_extensions(random) : NULL;
	packet->ext_length = (uint8_t)rarely(random, 8, random_below(random, 13));
	packet->ext_fragment = (uint16_t)rarely(random, 3, random_below(random, 65536));
}

/* From a client to a service. */
static void draw_asked(struct random *random, const struct world_shape *shape, struct golden_case *c,
		       struct texts *texts)
{
	draw_rest(random, &c->packet);
	draw_source(random, shape, texts->src);
	draw_service_address(random, shape, texts->dst);
	c->packet.src = texts->src;
	c->packet.dst = texts->dst;
	c->packet.sport = (uint16_t)(1024 + random_below(random, 2));
	c->packet.dport = draw_port(random, shape);
	c->packet.protocol = random_one_in(random, 20) ? (uint8_t)random_below(random, 256) : shape->protocol;
	if (random_one_in(random, 12))
		c->packet.payload = draw_full_size(random, shape);
}

static uint16_t backend_port(struct random *random, const struct world_shape *shape)
{
	return shape->dport ? shape->dport : draw_port(random, shape);
}

/* From a backend to a client: only mode nat rewrites it. */
static void draw_answered(struct random *random, const struct world_shape *shape, struct golden_case *c,
			  struct texts *texts)
{
	uint32_t number = world_backend(c->service, random_below(random, WORLD_BACKENDS_EACH));
	draw_rest(random, &c->packet);
	world_backend_address(texts->src, number, world_is6(shape) ? 6 : 4);
	put_client(texts->dst, world_is6(shape), random_below(random, CLIENTS));
	c->packet.src = texts->src;
	c->packet.dst = texts->dst;
	c->packet.sport = backend_port(random, shape);
	c->packet.dport = (uint16_t)(1024 + random_below(random, 2));
	c->packet.protocol = shape->protocol;
	if (random_one_in(random, 8))
		c->packet.payload = (uint16_t)(520 + random_below(random, 1000));
	c->from_backend = true;
}

/* A fragment of one of DATAGRAMS datagrams, to a service or back. */
static void draw_fragment(struct random *random, const struct world_shape *shapes, struct golden_case *c,
			  struct texts *texts)
{
	static const uint8_t one[] = {BERTH_PROTO_FRAGMENT, FIXTURE_EXT_END};
	static const uint8_t two[] = {BERTH_PROTO_HOP_BY_HOP, BERTH_PROTO_FRAGMENT, FIXTURE_EXT_END};
	const uint32_t datagram = random_below(random, DATAGRAMS);
	c->service = 1 + datagram % (WORLD_SERVICES - 1);
	const struct world_shape *shape = &shapes[c->service];
	const uint32_t offset = random_below(random, 3) * (8 + random_below(random, 2) * 8);
	const bool more = offset == 0 || random_one_in(random, 2);
	struct fixture_packet *packet = &c->packet;
	*packet = packets_to(shape, datagram / (WORLD_SERVICES - 1));
	if (random_one_in(random, 8))
		draw_answered(random, shape, c, texts);
	packet->payload = (uint16_t)((packet->protocol == BERTH_PROTO_TCP ? 4 : 0) + random_below(random, 10) * 8);
	packet->options = 0;
	packet->tcp_options = 0;
	packet->ext_length = 0;
	packet->ext = random_one_in(random, 4) ? two : one;
	packet->fragment = (uint16_t)(offset / 8 | (more ? 0x2000 : 0));
	packet->ext_fragment = (uint16_t)(offset | more);
	packet->tcp_flags = draw_flags(random);
	if (random_one_in(random, 16))
		packet->payload++;
}

/* An ICMP error about a packet from a backend to a client; in mode nat also about one from berth to a backend. */
static void draw_error(struct random *random, const struct world_shape *shape, struct golden_case *c,
		       struct texts *texts)
{
	static const uint8_t types4[] = {3, 3, 3, 11, 12}, types6[] = {1, 2, 2, 3, 4};
	const bool is6 = world_is6(shape);
	const bool from_backend = random_one_in(random, shape->mode == BERTH_MODE_NAT ? 2 : 16);
	struct fixture_packet *inner = &c->error.inner;
	const uint32_t client = random_below(random, CLIENTS);
	draw_rest(random, &c->packet);
	draw_rest(random, inner);
	inner->tags = 0;
	inner->trailer = 0;
	inner->ext_fragment = (uint16_t)rarely(random, 4, inner->ext_fragment);
	c->packet.fragment = 0x4000;
	c->packet.ext = random_one_in(random, 8) ? c->packet.ext : NULL;
	c->error.type = is6 ? types6[random_below(random, 5)] : types4[random_below(random, 5)];
	c->error.code = (uint8_t)random_below(random, 6);
	c->error.rest = (uint16_t)random_below(random, 1501);
	c->error.quoted = (uint16_t)rarely(random, 2, 1 + random_below(random, 100));
	c->from_backend = from_backend;
	put_client(from_backend ? texts->inner_src : texts->inner_dst, is6, client);
	if (from_backend)
		world_backend_address(texts->inner_dst, world_backend(c->service, random_below(random, 4)),
				      is6 ? 6 : 4);
	else
		draw_service_address(random, shape, texts->inner_src);
	memcpy(texts->dst, texts->inner_src, sizeof(texts->dst));
	if (random_one_in(random, 3))
		memcpy(texts->src, texts->inner_dst, sizeof(texts->src));
	else
		snprintf(texts->src, sizeof(texts->src), is6 ? "2001:db8:9::1" : "192.0.2.250");
	inner->src = texts->inner_src;
	inner->dst = texts->inner_dst;
	inner->sport = from_backend ? (uint16_t)(1024 + random_below(random, 2)) : draw_port(random, shape);
	inner->dport = from_backend ? backend_port(random, shape) : (uint16_t)(1024 + random_below(random, 2));
	inner->protocol = random_one_in(random, 16) ? (uint8_t)random_below(random, 64) : shape->protocol;
	c->packet.src = texts->src;
	c->packet.dst = texts->dst;
}

/* Half of the packets go to four services, which differ by world; else flows would be short. */
static uint32_t draw_service(struct random *random, const struct world_shape *shapes)
{
	uint32_t busy = 0;
	for (uint32_t service = 1; service < WORLD_SERVICES; service++)
		busy += shapes[service].backends;
	uint32_t drawn = random_one_in(random, 2) ? busy + random_below(random, 4) : random_word(random);
	return 1 + drawn % (WORLD_SERVICES - 1);
}

/* Draws the kind of a packet. */
static void draw_case(struct random *random, const struct world_shape *shapes, struct golden_case *c,
		      struct texts *texts)
{
	*c = (struct golden_case){.service = draw_service(random, shapes)};
	const struct world_shape *shape = &shapes[c->service];
	const uint32_t kind = random_below(random, 16);
	if (kind < 2)
		draw_error(random, shape, c, texts);
	else if (kind < 4 && (shape->mode == BERTH_MODE_NAT || random_one_in(random, 8)))
		draw_answered(random, shape, c, texts);
	else if (kind >= 4 && kind < 7)
		draw_fragment(random, shapes, c, texts);
	else
		draw_asked(random, shape, c, texts);
	const bool is6 = strchr(c->packet.dst, ':') != NULL;
	if (random_one_in(random, 16))
		c->set[0] = (struct golden_edit){1, GOLDEN_NETWORK, is6 ? 7 : 8, (uint16_t)random_below(random, 4)};
	/* UDP may omit its checksum. */
	if (c->packet.protocol == BERTH_PROTO_UDP && random_one_in(random, 8))
		c->edit[0] = (struct golden_edit){2, GOLDEN_TRANSPORT, 6, 0};
}

/* Changes a byte, word or bit of the headers to an interesting value. */
static void spoil(struct random *random, struct fixture_frame *frame)
{
	static const uint16_t words[] = {0,	 1,	 7,	 8,	 19,	 20,	 39,	 40,
					 0x7fff, 0x8000, 0xffff, 0x2000, 0x1fff, 0x0800, 0x86dd, 0x8100};
	uint32_t headers = frame->transport + 20 < frame->bytes ? frame->transport + 20 : frame->bytes;
	for (uint32_t n = 1 + random_below(random, 3); n > 0; n--) {
		uint8_t *at = frame->frame.data + 12 + random_below(random, headers - 12);
		switch (random_below(random, 4)) {
		case 0:
			*at = (uint8_t)random_word(random);
			break;
		case 1:
			*at = (uint8_t)(*at + (random_one_in(random, 2) ? 1 : -1));
			break;
		case 2:
			if (at + 2 <= frame->frame.data + frame->bytes)
				fixture_put16(at, words[random_below(random, sizeof(words) / sizeof(words[0]))]);
			break;
		default:
			*at ^= (uint8_t)(1u << random_below(random, 8));
			break;
		}
	}
}

/* Random bytes after an Ethernet header with a known ethertype. */
static void draw_noise(struct random *random, struct fixture_frame *to)
{
	static const uint16_t types[] = {0x0800, 0x86dd, 0x8100, 0x88a8};
	uint8_t *data = to->room + FIXTURE_HEADROOM;
	to->bytes = BERTH_ETH_BYTES + random_below(random, 128);
	for (uint32_t i = 0; i < to->bytes; i++)
		data[i] = (uint8_t)random_word(random);
	fixture_put16(data + 12, types[random_below(random, 4)]);
	if (random_one_in(random, 2) && to->bytes > BERTH_ETH_BYTES)
		data[14] = data[13] == 0 ? 0x45 : 0x60;
	to->network = BERTH_ETH_BYTES;
	to->transport = BERTH_ETH_BYTES;
	to->frame = (struct berth_frame){.data = data, .end = data + to->bytes, .handle = to->room};
}

void packets_draw(struct random *random, const struct world_shape shapes[WORLD_SERVICES], struct fixture_frame *to)
{
	uint32_t kind = random_below(random, 32);
	struct golden_case drawn;
	struct texts texts;
	if (kind == 0) {
		draw_noise(random, to);
		return;
	}
	if (kind < 6) {
		golden_build(to, golden_at(random_below(random, golden_count()), NULL));
	} else {
		draw_case(random, shapes, &drawn, &texts);
		golden_build(to, &drawn);
	}
	if (to->bytes < BERTH_ETH_BYTES)
		to->bytes = BERTH_ETH_BYTES;
	if (to->bytes > LONGEST)
		to->bytes = LONGEST;
	if (kind < 12)
		spoil(random, to);
	if (random_one_in(random, 10))
		to->bytes = BERTH_ETH_BYTES + random_below(random, to->bytes - BERTH_ETH_BYTES + 1);
	/* Sometimes to a link multicast address. */
	if (random_one_in(random, 64))
		to->frame.data[0] |= 1;
}
