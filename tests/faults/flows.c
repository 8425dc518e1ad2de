/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/faults/flows.h"

#include <arpa/inet.h>

enum {
	REPEAT_MS = 500,	/* of a question without an answer */
	TRIES = 20,		/* not seconds: on a busy machine no question may be sent for as long */
	SECOND_PACKET_MS = 100, /* after a node's first one, for what it has is told only then */
	CONNECTION_STEPS = 3,
	CLIENT_CONNECTIONS = 60,
	PAUSE_MS = 2000,      /* of a client between two connections */
	HURRY_MS = 200,	      /* the same, until it has met all nodes */
	FIRST_PAUSE_MS = 200, /* of a flow; each later one is twice as long, up to */
	LAST_PAUSE_MS = 4000,
	RATE_MS = 100, /* period of the rate's limit */
	RATE_LEAST = 50,
	OPEN_MAX = 1024,   /* questions without an answer; with more no flow begins */
	SOURCES = 1 << 16, /* addresses of flows; clients have as many of their own */
	FIRST_PORT = 1024,
	PORTS = 65536 - FIRST_PORT,
};

/* SplitMix64. */
static uint32_t below(struct flows *flows, uint32_t limit)
{
	uint64_t z = flows->random += 0x9e3779b97f4a7c15;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return (uint32_t)((z ^ z >> 31) >> 32) % limit;
}

static struct service *service_of(struct flows *flows, const struct flow *flow)
{
	return &flows->services[flow->service];
}

/* --- when: a flow that lives is in the slot of its time --- */

static void schedule(struct flows *flows, struct flow *flow, uint64_t due_ms)
{
	uint64_t slot = due_ms / SLOT_MS;
	if (slot <= flows->slot)
		slot = flows->slot + 1;
	/* After a pause the slots are far behind the time: not in the list that is served now. */
	if (slot >= flows->slot + SLOTS)
		slot = flows->slot + SLOTS - 1;
	LIST_REMOVE(flow, in_slot);
	flow->due_ms = due_ms;
	LIST_INSERT_HEAD(&flows->slots[slot % SLOTS], flow, in_slot);
}

/* Not all at the same time. */
static uint64_t about(struct flows *flows, uint32_t pause_ms)
{
	return flows->now_ms + pause_ms / 2 + below(flows, pause_ms / 2 + 1);
}

static void close_question(struct flows *flows, struct flow *flow)
{
	flows->open -= flow->tries > 0;
	flow->tries = 0;
}

static void end(struct flows *flows, struct flow *flow)
{
	close_question(flows, flow);
	LIST_REMOVE(flow, in_slot);
	flows->clients -= service_of(flows, flow)->by_client;
	flow->lives = false;
	flows->free[flows->n_free++] = (uint32_t)(flow - flows->all);
}

/* --- a flow begins --- */

/* A connection or flow from an address and port that no former one had. */
static void begin_connection(struct flows *flows, struct flow *flow)
{
	flows->begun++;
	flow->serial = ++flows->serial;
	flow->step = 0;
	if (service_of(flows, flow)->by_client)
		flow->port = flow->port < UINT16_MAX ? flow->port + 1 : FIRST_PORT;
	else
		flow->port = (uint16_t)(FIRST_PORT + flow->serial / SOURCES % PORTS);
}

static void begin(struct flows *flows, uint8_t service)
{
	bool by_client = flows->services[service].by_client;
	struct flow *flow = &flows->all[flows->free[--flows->n_free]];
	*flow = (struct flow){.service = service,
			      .lives = true,
			      .is_fresh = true,
			      .port = (uint16_t)(FIRST_PORT + below(flows, PORTS))};
	/* Nine of ten flows are over in seconds. */
	flow->steps_left = (uint16_t)(below(flows, 10) ? 3 + below(flows, 8) : 10 + below(flows, 30));
	flow->connections_left = (uint16_t)(CLIENT_CONNECTIONS / 2 + below(flows, CLIENT_CONNECTIONS));
	LIST_INSERT_HEAD(&flows->slots[(flows->slot + 1) % SLOTS], flow, in_slot);
	begin_connection(flows, flow);
	if (by_client)
		flow->steps_left = CONNECTION_STEPS;
	flow->source = by_client ? SOURCES + flows->sources++ % SOURCES : flow->serial % SOURCES;
	flows->clients += by_client;
	schedule(flows, flow, by_client ? about(flows, PAUSE_MS) : flows->now_ms);
}

/* --- questions --- */

/* 198.18.0.0/15 and 2001:db8:4::/64 */
static void write_source(const struct flows *flows, const struct flow *flow, uint8_t *address)
{
	static const uint8_t prefix[] = {0x20, 0x01, 0x0d, 0xb8, 0, 4};
	uint8_t *end4 = address;
	if (flows->services[flow->service].is6) {
		memset(address, 0, 16);
		memcpy(address, prefix, sizeof(prefix));
		end4 += 12;
	}
	fixture_put16(end4, 0xc612 + (flow->source >> 16));
	fixture_put16(end4 + 2, flow->source & 0xffff);
}

const char *flows_source(const struct flows *flows, const struct flow *flow, char *text, uint32_t size)
{
	uint8_t address[16];
	write_source(flows, flow, address);
	return inet_ntop(flows->services[flow->service].is6 ? AF_INET6 : AF_INET, address, text, size);
}

static void write_ip(const struct flows *flows, const struct flow *flow, const struct question_frame *frame)
{
	const struct service *service = &flows->services[flow->service];
	uint32_t bytes = frame->length - sizeof(struct ethhdr);
	uint8_t *ip = frame->ip;
	if (service->is6) {
		ip[0] = 0x60;
		fixture_put16(ip + 4, bytes - sizeof(struct ip6_hdr));
		ip[6] = service->protocol;
		ip[7] = 64;
		write_source(flows, flow, ip + 8);
		memcpy(ip + 24, service->address, 16);
		return;
	}
	ip[0] = 0x45;
	fixture_put16(ip + 2, bytes);
	ip[8] = 64;
	ip[9] = service->protocol;
	write_source(flows, flow, ip + 12);
	memcpy(ip + 16, service->address, 4);
}

static uint8_t tcp_flags(const struct flow *flow)
{
	if (flow->step == 0)
		return TH_SYN;
	return flow->steps_left == 1 ? TH_FIN | TH_ACK : TH_ACK | TH_PUSH;
}

static void write_ports(const struct flow *flow, const struct service *service, const struct question_frame *frame)
{
	uint8_t *ports = frame->ports;
	fixture_put16(ports, flow->port);
	fixture_put16(ports + 2, service->port);
	if (service->protocol == IPPROTO_UDP) {
		fixture_put16(ports + 4, sizeof(struct udphdr) + sizeof(struct question));
		return;
	}
	fixture_put16(ports + 6, flow->number);
	ports[12] = sizeof(struct tcphdr) / 4 << 4;
	ports[13] = tcp_flags(flow);
	fixture_put16(ports + 14, 8192);
}

static void ask(struct flows *flows, struct flow *flow)
{
	struct service *service = service_of(flows, flow);
	uint8_t *bytes = burst_next(&flows->out);
	memset(bytes, 0, QUESTION_FRAME_MAX);
	struct question_frame frame = question_layout(bytes, service->is6, service->protocol);
	memcpy(frame.link->h_source, flows->own, ETH_ALEN);
	memcpy(frame.link->h_dest, flows->router, ETH_ALEN);
	frame.link->h_proto = htons(service->is6 ? ETH_P_IPV6 : ETH_P_IP);
	write_ip(flows, flow, &frame);
	write_ports(flow, service, &frame);
	*frame.question = (struct question){
		.magic = QUESTION_MAGIC,
		.flow = (uint32_t)(flow - flows->all),
		.serial = flow->serial,
		.number = flow->number,
	};
	question_finish(&frame);
	burst_push(&flows->out, frame.length);
	flows->asked++;
	if (flow->tries++)
		flows->repeated++;
	else
		flows->open++;
	schedule(flows, flow, flows->now_ms + REPEAT_MS);
}

/* --- answers --- */

/* Forgets its home: a flow ends, and another one begins for it; a client comes again. */
static void start_afresh(struct flows *flows, struct flow *flow)
{
	if (!service_of(flows, flow)->by_client) {
		end(flows, flow);
		return;
	}
	close_question(flows, flow);
	flow->home = flow->node = flow->met = 0;
	flow->steps_left = CONNECTION_STEPS;
	begin_connection(flows, flow);
	schedule(flows, flow, flows->now_ms + REPEAT_MS);
}

/* WHAT SERVICE SOURCE PORT HOME BACKEND PHASE NODE-BEFORE NODE */
static void report(struct flows *flows, const struct flow *flow, const char *what, int backend, int node)
{
	char source[INET6_ADDRSTRLEN];
	printf("%s %s %s %d %d %d %d %d %d\n", what, service_of(flows, flow)->name,
	       flows_source(flows, flow, source, sizeof(source)), flow->port, flow->home, backend, flow->phase,
	       flow->node, node);
}

static void next_connection(struct flows *flows, struct flow *flow)
{
	if (--flow->connections_left == 0 && !flows->to_meet) {
		end(flows, flow);
		return;
	}
	flow->connections_left += flow->connections_left == 0;
	flow->steps_left = CONNECTION_STEPS;
	begin_connection(flows, flow);
	bool hurries = flows->to_meet & ~flow->met;
	double slower = flows->rate_max / flows->rate;
	double pause_ms = hurries ? HURRY_MS : PAUSE_MS * (slower < 4 ? slower : 4);
	schedule(flows, flow, about(flows, (uint32_t)pause_ms));
}

/* The question that is open has been answered. */
static void next_step(struct flows *flows, struct flow *flow, bool is_new_node)
{
	bool by_client = service_of(flows, flow)->by_client;
	close_question(flows, flow);
	flow->number++;
	flow->step += flow->step < UINT8_MAX;
	if (--flow->steps_left == 0 && by_client) {
		next_connection(flows, flow);
	} else if (flow->steps_left == 0) {
		end(flows, flow);
	} else if (by_client || is_new_node) {
		schedule(flows, flow, about(flows, SECOND_PACKET_MS));
	} else {
		uint32_t pause_ms = flow->step < 5 ? FIRST_PAUSE_MS << flow->step : LAST_PAUSE_MS;
		schedule(flows, flow, about(flows, pause_ms < LAST_PAUSE_MS ? pause_ms : LAST_PAUSE_MS));
	}
}

/* Whether the answer has the addresses and ports of the flow, the other way round. */
static bool is_of(const struct flows *flows, const struct flow *flow, const struct question_frame *answer)
{
	const struct service *service = &flows->services[flow->service];
	uint8_t source[16];
	uint32_t bytes = service->is6 ? 16 : 4;
	const uint8_t *addresses = answer->ip + (service->is6 ? 8 : 12);
	write_source(flows, flow, source);
	return answer->is6 == service->is6 && answer->protocol == service->protocol &&
	       wire_read16(answer->ports) == service->port && wire_read16(answer->ports + 2) == flow->port &&
	       !memcmp(addresses, service->address, bytes) && !memcmp(addresses + bytes, source, bytes);
}

void flows_take(struct flows *flows, const struct question_frame *answer)
{
	struct question said;
	memcpy(&said, answer->question, sizeof(said));
	if (said.flow >= FLOWS_MAX || said.backend == 0)
		return;
	struct flow *flow = &flows->all[said.flow];
	if (!flow->lives || flow->serial != said.serial || !is_of(flows, flow, answer))
		return;
	flows->answers++;
	flow->is_fresh = true;
	flows->answered |= (uint8_t)(1u << flow->service);
	if (!flow->home) {
		flow->home = said.backend;
		flow->phase = flows->phase;
	} else if (flow->home != said.backend) {
		flows->moved++;
		report(flows, flow, "moved", said.backend, said.node);
		start_afresh(flows, flow);
		return;
	}
	bool is_new_node = flow->node != said.node;
	flows->carried_on += is_new_node && flow->node && flow->step > 0;
	flow->node = said.node;
	flow->met |= said.node ? (uint8_t)(1u << (said.node - 1) % 8) : 0;
	if (flow->tries && said.number == flow->number)
		next_step(flows, flow, is_new_node);
}

/* --- what is due --- */

static void serve(struct flows *flows, struct flow *flow)
{
	if (flow->tries == TRIES) {
		report(flows, flow, "silent", 0, 0);
		start_afresh(flows, flow);
	} else {
		ask(flows, flow);
	}
}

/* Of the slots since the last time, at most all of them once. */
static void serve_slots(struct flows *flows)
{
	uint64_t last = flows->now_ms / SLOT_MS;
	if (last > flows->slot + SLOTS - 1)
		flows->slot = last - SLOTS + 1;
	while (flows->slot < last) {
		struct slot *due = &flows->slots[++flows->slot % SLOTS];
		while (!LIST_EMPTY(due))
			serve(flows, LIST_FIRST(due)); /* schedule() never chooses this list */
	}
}

/* Less when more than one of fifty questions is lost, as a sign that the machine is busy; else more. */
static void limit_rate(struct flows *flows)
{
	if (flows->now_ms - flows->rated_ms < RATE_MS)
		return;
	uint64_t asked = flows->asked - flows->asked_before;
	uint64_t repeated = flows->repeated - flows->repeated_before;
	uint64_t elapsed_ms = flows->now_ms - flows->rated_ms;
	flows->asked_before = flows->asked;
	flows->repeated_before = flows->repeated;
	flows->rated_ms = flows->now_ms;
	flows->rate = repeated * 50 > asked ? flows->rate * 0.9 : flows->rate + flows->rate_max / 50.0;
	if (flows->rate > flows->rate_max)
		flows->rate = flows->rate_max;
	if (flows->rate < RATE_LEAST)
		flows->rate = RATE_LEAST;
	flows->births += flows->rate * (double)elapsed_ms / 1000;
	if (flows->births > flows->rate)
		flows->births = flows->rate; /* a second's */
}

/* Flows of all services in turn, as the rate allows, and the clients that are missing. */
static void begin_some(struct flows *flows)
{
	for (; flows->births >= 1 && flows->open < OPEN_MAX && flows->n_free > 0; flows->births--) {
		uint8_t service = (uint8_t)below(flows, (uint32_t)flows->n_services);
		bool by_client = flows->services[service].by_client;
		if (!by_client || (!flows->no_new_clients && flows->clients < flows->clients_max))
			begin(flows, service);
	}
}

void flows_tick(struct flows *flows, uint64_t now_ms)
{
	flows->now_ms = now_ms;
	limit_rate(flows);
	if (!flows->silent)
		begin_some(flows);
	serve_slots(flows);
	burst_flush(&flows->out);
}

/* --- commands --- */

void flows_forget(struct flows *flows)
{
	for (uint32_t i = 0; i < FLOWS_MAX; i++)
		if (flows->all[i].lives)
			end(flows, &flows->all[i]);
}

void flows_mark(struct flows *flows)
{
	flows->answered = 0;
	for (struct flow *flow = flows->all; flow < flows->all + FLOWS_MAX; flow++)
		flow->is_fresh = false;
}

unsigned flows_stale(const struct flows *flows)
{
	unsigned n = 0;
	for (const struct flow *flow = flows->all; flow < flows->all + FLOWS_MAX; flow++)
		n += flow->lives && !flow->is_fresh;
	return n;
}

static bool is_client(const struct flows *flows, const struct flow *flow)
{
	return flow->lives && flows->services[flow->service].by_client;
}

void flows_meet(struct flows *flows, uint8_t nodes)
{
	flows->to_meet = nodes;
	flows->no_new_clients = true;
	for (struct flow *flow = flows->all; flow < flows->all + FLOWS_MAX; flow++) {
		if (is_client(flows, flow))
			flow->met = 0;
	}
}

unsigned flows_unmet(const struct flows *flows)
{
	unsigned n = 0;
	for (const struct flow *flow = flows->all; flow < flows->all + FLOWS_MAX; flow++)
		n += is_client(flows, flow) && (flows->to_meet & ~flow->met);
	return n;
}

void flows_retire(struct flows *flows)
{
	for (struct flow *flow = flows->all; flow < flows->all + FLOWS_MAX; flow++) {
		if (is_client(flows, flow) && (flows->to_meet & ~flow->met)) {
			flows->retired++;
			end(flows, flow);
		}
	}
	flows->to_meet = 0;
}

void flows_init(struct flows *flows, uint64_t now_ms, uint64_t seed)
{
	flows->random = seed;
	flows->now_ms = flows->rated_ms = now_ms;
	flows->slot = now_ms / SLOT_MS;
	flows->rate = flows->rate_max / 4.0;
	for (uint32_t i = 0; i < SLOTS; i++)
		LIST_INIT(&flows->slots[i]);
	for (uint32_t i = FLOWS_MAX; i > 0; i--)
		flows->free[flows->n_free++] = i - 1;
}
