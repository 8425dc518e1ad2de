// SPDX-License-Identifier: BSD-3-Clause
#include "tests/diff/packets.h"

#include "tests/golden/golden.h"

enum {
	CLIENTS = 8,
	LONGEST = 2500,
};

static const char *client_address(bool is6, uint32_t client)
{
	static char text[INET6_ADDRSTRLEN];
	if (is6)
		snprintf(text, sizeof(text), "2001:db8:2:%x::%x", client % 4, 1 + client);
	else
		snprintf(text, sizeof(text), "198.51.%u.%u", 100 + client % 4, 1 + client);
	return text;
}

struct fixture_packet packets_to(const struct world_shape *shape, uint32_t client)
{
	return (struct fixture_packet){
		.src = client_address(strchr(shape->address, ':') != NULL, client),
		.dst = shape->address,
		.sport = (uint16_t)(1024 + client),
		.dport = shape->port ? shape->port : 5353,
		.protocol = shape->protocol,
	};
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

static struct fixture_packet draw_packet(struct random *random, const struct world_shape *shapes)
{
	static const uint8_t flags[] = {BERTH_TCP_SYN, BERTH_TCP_ACK, BERTH_TCP_ACK | 8,
					BERTH_TCP_FIN | BERTH_TCP_ACK, BERTH_TCP_RST};
	const struct world_shape *shape = &shapes[1 + random_below(random, WORLD_SERVICES - 1)];
	struct fixture_packet packet = packets_to(shape, random_below(random, CLIENTS));
	packet.sport = (uint16_t)(1024 + random_below(random, 2));
	packet.tcp_flags = random_one_in(random, 16) ? (uint8_t)random_word(random)
						     : flags[random_below(random, sizeof(flags))];
	packet.traffic_class = (uint8_t)rarely(random, 4, random_below(random, 256));
	packet.tags = (uint8_t)rarely(random, 4, random_below(random, 4));
	packet.payload = (uint16_t)random_below(random, random_one_in(random, 8) ? 1500 : 40);
	packet.trailer = (uint16_t)rarely(random, 4, random_below(random, 20));
	packet.options = (uint8_t)rarely(random, 8, random_below(random, 11));
	packet.tcp_options = (uint8_t)rarely(random, 4, random_below(random, 11));
	packet.fragment = (uint16_t)(random_one_in(random, 16) ? random_below(random, 65536) : 0x4000);
	packet.ext = random_one_in(random, 4) ? draw_extensions(random) : NULL;
	packet.ext_length = (uint8_t)rarely(random, 8, random_below(random, 13));
	packet.ext_fragment = (uint16_t)rarely(random, 3, random_below(random, 65536));
	if (random_one_in(random, 20))
		packet.dport = (uint16_t)random_below(random, 65536);
	if (random_one_in(random, 20))
		packet.dst = strchr(packet.dst, ':') ? "2001:db8:1::99" : "203.0.113.99";
	if (random_one_in(random, 20))
		packet.protocol = (uint8_t)random_below(random, 256);
	return packet;
}

/* A byte, word or bit of the headers, changed to what is likely to matter. */
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

/* Noise behind an Ethernet header that promises something. */
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
	if (kind == 0) {
		draw_noise(random, to);
		return;
	}
	if (kind < 6) {
		golden_build(to, golden_at(random_below(random, golden_count()), NULL));
		if (to->bytes < BERTH_ETH_BYTES)
			to->bytes = BERTH_ETH_BYTES;
		if (to->bytes > LONGEST)
			to->bytes = LONGEST;
	} else {
		struct fixture_packet packet = draw_packet(random, shapes);
		fixture_build(to, &packet);
	}
	if (kind < 12)
		spoil(random, to);
	if (random_one_in(random, 10))
		to->bytes = BERTH_ETH_BYTES + random_below(random, to->bytes - BERTH_ETH_BYTES + 1);
}
