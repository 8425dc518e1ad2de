// SPDX-License-Identifier: BSD-3-Clause
#include "tests/soak/traffic.h"

enum {
	PORTS = 60000, /* source ports of a client, from FIRST_PORT on */
	FIRST_PORT = 1024,
	HEAVY = 8, /* clients with many flows, of each group of slots */
	HEAVY_SHARE = 4,
	RETURNS = 8, /* one in so many answers is checked, in mode nat */
	PAYLOAD = 8,
};

enum phase {
	IDLE, /* no flow yet, or the flow has ended */
	OPENING,
	OPEN,
	ENDING,
};

/* One flow after the other; no other slot ever has its addresses and ports. */
struct slot {
	uint32_t client;
	uint32_t asleep_until;
	uint16_t sport;
	uint8_t service;
	uint8_t phase;
	uint8_t left; /* packets until the flow ends */
	bool half;    /* the client disappears after its first packets */
	bool resets;  /* the flow ends with a RST */
};

struct soak_traffic {
	struct soak_world *world;
	struct random random;
	uint32_t n_slots;
	uint32_t groups;
	uint32_t clients; /* of a group */
	uint64_t begun;
	struct slot *slots;
};

struct soak_traffic *soak_traffic_new(struct soak_world *world, uint32_t slots, uint64_t seed)
{
	struct soak_traffic *traffic = calloc(1, sizeof(*traffic));
	if (!traffic || !(traffic->slots = calloc(slots, sizeof(*traffic->slots))))
		soak_fail("no memory");
	traffic->world = world;
	traffic->random = random_new(seed, 2);
	traffic->n_slots = slots;
	traffic->groups = slots / PORTS + 1;
	traffic->clients = slots / traffic->groups / 8 + 2 * HEAVY;
	for (uint32_t i = 0; i < slots; i++)
		traffic->slots[i].sport = (uint16_t)(FIRST_PORT + i % PORTS);
	return traffic;
}

void soak_traffic_free(struct soak_traffic *traffic)
{
	free(traffic->slots);
	free(traffic);
}

uint64_t soak_traffic_begun(const struct soak_traffic *traffic)
{
	return traffic->begun;
}

/* Starts the next flow: often of the same client, sometimes from the same ports. */
static void begin(struct soak_traffic *traffic, struct slot *slot)
{
	struct random *random = &traffic->random;
	uint32_t group = (uint32_t)(slot - traffic->slots) / PORTS;
	if (!random_one_in(random, 6)) {
		uint32_t among = random_one_in(random, HEAVY_SHARE) ? HEAVY : traffic->clients;
		slot->client = group + traffic->groups * random_below(random, among);
		slot->service = (uint8_t)random_below(random, traffic->world->n_services);
		if (random_below(random, 100) < traffic->world->services[slot->service].crowd)
			slot->client = group;
	}
	slot->phase = OPENING;
	slot->left = (uint8_t)(2 + random_below(random, 6));
	slot->half = random_one_in(random, 12);
	slot->resets = random_one_in(random, 5);
}

/* The next packet of a slot's flow. */
static void next_packet(struct soak_traffic *traffic, struct slot *slot, struct oracle_packet *packet)
{
	struct random *random = &traffic->random;
	bool is_udp = traffic->world->services[slot->service].protocol[0] == 'u';
	bool without_syn = slot->phase == OPENING && random_one_in(random, 50);
	if (slot->phase == OPENING) {
		packet->begins = true;
		packet->syn = packet->any_syn = !is_udp && !without_syn;
		slot->phase = OPEN;
		traffic->begun++;
	} else if (slot->phase == OPEN && slot->left > 0) {
		packet->data = true;
		packet->syn = packet->any_syn = !is_udp && slot->half;
		slot->left--;
	} else if (slot->phase == OPEN) {
		packet->rst = !is_udp && slot->resets;
		packet->fin = !is_udp && !slot->resets;
		slot->phase = ENDING;
		slot->left = (uint8_t)random_below(random, 3);
	} else if (slot->left > 0) {
		/* After FIN or RST hardly ever: these were not the client's then. */
		packet->data = random_one_in(random, 8);
		slot->left--;
	}
	bool gone = slot->half && random_one_in(random, 2);
	if (gone || (slot->phase == ENDING && slot->left == 0))
		slot->phase = IDLE;
	if (traffic->world->chaotic && random_one_in(random, 200))
		slot->asleep_until = traffic->world->now + random_below(random, 200);
}

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void client_address(const struct slot *slot, bool is6, uint64_t client[2])
{
	uint8_t bytes[16] = {[10] = 0xff, [11] = 0xff, [12] = 10};
	if (is6) {
		/* 16 clients a /64, 256 such a /56. */
		const uint8_t prefix[6] = {0x20, 0x01, 0x0d, 0xb8, 0xc, (uint8_t)(slot->client >> 16)};
		memset(bytes, 0, sizeof(bytes));
		memcpy(bytes, prefix, sizeof(prefix));
		put16(bytes + 6, slot->client >> 4);
		bytes[15] = (uint8_t)(slot->client & 15) + 1;
	} else {
		bytes[13] = (uint8_t)(slot->client >> 16);
		put16(bytes + 14, slot->client);
	}
	memcpy(client, bytes, sizeof(bytes));
}

/* Of a TCP packet. */
static uint32_t data_bytes(const struct oracle_packet *packet)
{
	return packet->data ? PAYLOAD : 0;
}

static uint32_t put_ip(uint8_t *frame, const struct oracle_packet *packet, const union berth_addr *to, bool is_udp)
{
	uint8_t *ip = frame + 14;
	uint32_t transport = is_udp ? 8 + PAYLOAD : 20 + data_bytes(packet);
	const uint8_t *client = (const uint8_t *)packet->client;
	memcpy(frame, (const uint8_t[]){2, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 1}, 12);
	put16(frame + 12, packet->is6 ? 0x86dd : 0x0800);
	if (packet->is6) {
		ip[0] = 0x60;
		put16(ip + 4, transport);
		ip[6] = is_udp ? 17 : 6;
		ip[7] = 64;
		memcpy(ip + 8, client, 16);
		memcpy(ip + 24, to, 16);
		return 14 + 40;
	}
	ip[0] = 0x45;
	put16(ip + 2, 20 + transport);
	ip[8] = 64;
	ip[9] = is_udp ? 17 : 6;
	memcpy(ip + 12, client + 12, 4);
	memcpy(ip + 16, to->byte + 12, 4);
	return 14 + 20;
}

static uint32_t put_frame(uint8_t *frame, const struct oracle_packet *packet, const union berth_addr *to,
			  bool is_udp)
{
	memset(frame, 0, 128);
	uint8_t *at = frame + put_ip(frame, packet, to, is_udp);
	put16(at, packet->sport);
	put16(at + 2, packet->dport);
	if (is_udp) {
		put16(at + 4, 8 + PAYLOAD);
		return (uint32_t)(at - frame) + 8 + PAYLOAD;
	}
	at[12] = 5 << 4;
	at[13] = (uint8_t)(packet->syn ? 0x02 : packet->rst ? 0x14 : packet->fin ? 0x11 : 0x10);
	return (uint32_t)(at - frame) + 20 + data_bytes(packet);
}

static uint32_t server_port(const struct soak_service *service)
{
	return service->server_port ? service->server_port : service->port;
}

/* True if the outer header (mode nat: the IP header) has the address of the server that the link address names. */
static bool is_to(const struct soak_service *service, const uint8_t *frame)
{
	const uint8_t *ip = frame + 14;
	const uint8_t *ports = ip + (service->outer6 ? 40 : 20);
	bool is_nat = service->mode[0] == 'n';
	if (service->mode[0] == 'l')
		return true;
	if (is_nat && (ports[2] << 8 | ports[3]) != (int)server_port(service))
		return false;
	if (service->outer6)
		return ip[0] >> 4 == 6 && ip[24 + 15] == frame[4] + 1 && ip[24 + 7] == frame[2] + 1;
	return ip[0] == 0x45 && (is_nat || ip[9] == 4) && ip[16] == 198 && ip[18] == frame[2] + 1 &&
	       ip[19] == frame[4] + 1;
}

/* Mode nat: an answer of the server that has just got a packet leaves with the service's address and port. */
static bool check_return(struct soak_world *world, const struct oracle_packet *packet,
			 const union berth_addr *service, const struct oracle_seen *seen)
{
	static struct engine_outcome outcome;
	static uint8_t frame[128];
	const struct soak_service *known = &world->services[seen->service];
	const uint32_t at = 14 + (packet->is6 ? 8 : 12), n = packet->is6 ? 16 : 4;
	const union berth_addr from = soak_server_address(world, seen->service, seen->server);
	struct oracle_packet answer = {
		.is6 = packet->is6, .sport = (uint16_t)server_port(known), .dport = packet->sport};
	union berth_addr to;
	memcpy(answer.client, &from, sizeof(from));
	memcpy(&to, packet->client, sizeof(to));
	const struct sent sent = {
		.frame = frame,
		.bytes = put_frame(frame, &answer, &to, known->protocol[0] == 'u'),
		.now = world->now,
	};
	engine_run(&world->engine, &sent, &outcome);
	const uint8_t *ports = outcome.frame + at + 2 * n;
	/* A RST of no flow inserts none, and so the server has none to answer in. */
	if (packet->rst && !seen->is_known)
		return outcome.verdict == BERTH_VERDICT_NO_FLOW || outcome.verdict == BERTH_VERDICT_RETURNED_PASS;
	return outcome.verdict == BERTH_VERDICT_RETURNED_PASS &&
	       memcmp(outcome.frame + at, (const uint8_t *)service + 16 - n, n) == 0 &&
	       memcmp(outcome.frame + at + n, (const uint8_t *)&to + 16 - n, n) == 0 &&
	       (ports[0] << 8 | ports[1]) == known->port && (ports[2] << 8 | ports[3]) == packet->sport;
}

static void note_client(struct soak_world *world, const struct oracle_packet *packet)
{
	const uint32_t at = (uint32_t)(world->n_recent[packet->service]++ % SOAK_RECENT);
	struct soak_client *client = &world->recent[packet->service][at];
	memcpy(client->address, packet->client, sizeof(client->address));
	client->is6 = packet->is6;
}

static struct oracle_seen seen_of(const struct soak_world *world, const struct engine_outcome *outcome)
{
	const uint8_t *to = outcome->frame;
	struct oracle_seen seen = {
		.what = ORACLE_OTHER,
		.is_known = outcome->verdict == BERTH_VERDICT_FLOW,
		.table_full = outcome->verdict == BERTH_VERDICT_TABLE_FULL,
	};
	if (outcome->verdict == BERTH_VERDICT_ANSWERED_RESET || outcome->verdict == BERTH_VERDICT_RESET)
		seen.what = ORACLE_RESET;
	else if (outcome->verdict == BERTH_VERDICT_NO_BACKEND)
		seen.what = ORACLE_DROPPED;
	if (outcome->class != BERTH_CLASS_FORWARD || to[1] != 0x77 || to[2] >= world->n_services)
		return seen;
	if (!is_to(&world->services[to[2]], to))
		return seen;
	seen.what = ORACLE_SENT;
	seen.service = to[2];
	seen.server = to[4];
	return seen;
}

static struct slot *pick(struct soak_traffic *traffic)
{
	struct slot *slot = &traffic->slots[random_below(&traffic->random, traffic->n_slots)];
	while (slot->asleep_until > traffic->world->now)
		slot = &traffic->slots[random_below(&traffic->random, traffic->n_slots)];
	if (slot->phase == IDLE)
		begin(traffic, slot);
	return slot;
}

bool soak_traffic_step(struct soak_traffic *traffic)
{
	static struct engine_outcome outcome;
	static uint8_t frame[128];
	struct soak_world *world = traffic->world;
	struct slot *slot = pick(traffic);
	const struct soak_service *service = &world->services[slot->service];
	while (!service->present) {
		slot->service = (uint8_t)((slot->service + 1) % world->n_services);
		slot->phase = OPENING;
		service = &world->services[slot->service];
	}
	struct oracle_packet packet = {
		.service = slot->service,
		.is6 = strchr(service->address, ':') != NULL,
		.sport = slot->sport,
		.dport = service->port,
	};
	client_address(slot, packet.is6, packet.client);
	next_packet(traffic, slot, &packet);
	const union berth_addr to = fixture_addr(service->address);
	const struct sent sent = {
		.frame = frame,
		.bytes = put_frame(frame, &packet, &to, service->protocol[0] == 'u'),
		.now = world->now,
	};
	const uint64_t *event = world->control.image.workers[engine_worker].event;
	uint64_t evicted = event[BERTH_EVENT_FLOW_EVICTED], full = event[BERTH_EVENT_SESSION_FULL];
	uint64_t evicted_session = event[BERTH_EVENT_SESSION_EVICTED];
	engine_run(&world->engine, &sent, &outcome);
	struct oracle_seen seen = seen_of(world, &outcome);
	event = world->control.image.workers[engine_worker].event;
	seen.evicted_entry = event[BERTH_EVENT_FLOW_EVICTED] != evicted;
	seen.evicted_session = event[BERTH_EVENT_SESSION_EVICTED] != evicted_session;
	seen.session_full = event[BERTH_EVENT_SESSION_FULL] != full;
	if (packet.begins)
		note_client(world, &packet);
	bool is_right = oracle_packet(world->oracle, &packet, &seen);
	if (service->mode[0] == 'n' && seen.what == ORACLE_SENT && random_one_in(&traffic->random, RETURNS)) {
		if (!check_return(world, &packet, &to, &seen))
			soak_fail("%s: a server's answer was rewritten incorrectly", service->name);
		oracle_answer(world->oracle, &packet, &seen);
	}
	return is_right;
}
