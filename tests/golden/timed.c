// SPDX-License-Identifier: BSD-3-Clause
/*
 * Sends SYNs and their SYN-ACKs through every engine: each of them times the same sample of the connections, and
 * none of which the SYN came twice. The XDP program has the kernel's clock, so a pause of this process can take
 * some away.
 */
#include "tests/diff/engine.h"
#include "tests/diff/world.h"
#include "tests/support/packet.h"

enum {
	FLOWS = 800,
	FIRST_PORT = 3000,
};

static uint32_t find_service(void)
{
	for (uint32_t i = 1; i < WORLD_SERVICES; i++) {
		const struct world_shape *shape = &world_shapes[i];
		if (shape->mode == BERTH_MODE_NAT && shape->protocol == BERTH_PROTO_TCP && shape->outer == 4 &&
		    shape->dport && !world_is_ranged(shape) && !shape->limit)
			return i;
	}
	return 0;
}

static void expect(struct engine *engine, const struct fixture_packet *packet, enum berth_class class)
{
	static struct engine_outcome outcome;
	struct fixture_frame frame;
	fixture_build(&frame, packet);
	const struct sent sent = {.frame = frame.frame.data, .bytes = frame.bytes, .now = FIXTURE_NOW};
	engine_run(engine, &sent, &outcome);
	if (outcome.class == class)
		return;
	printf("%s: port %u: %s\n", engine->name, packet->sport, fixture_verdict_name(outcome.verdict));
	exit(1);
}

static void connect_all(struct engine *engine, uint32_t service, uint16_t first_port, uint32_t syns)
{
	const struct world_shape *shape = &world_shapes[service];
	char address[INET6_ADDRSTRLEN];
	world_backend_address(address, world_backend(service, 0), shape->outer);
	for (uint16_t i = 0; i < FLOWS; i++) {
		const uint16_t port = first_port + i;
		const struct fixture_packet syn = {.src = "198.51.100.7",
						   .dst = shape->address,
						   .sport = port,
						   .dport = shape->port,
						   .protocol = BERTH_PROTO_TCP,
						   .tcp_flags = BERTH_TCP_SYN};
		const struct fixture_packet answer = {.src = address,
						      .dst = "198.51.100.7",
						      .sport = shape->dport,
						      .dport = port,
						      .protocol = BERTH_PROTO_TCP,
						      .tcp_flags = BERTH_TCP_SYN | BERTH_TCP_ACK};
		memset(engine->image.flows, 0, sizeof(*engine->image.flows) * WORLD_FLOW_BUCKETS);
		for (uint32_t n = 0; n < syns; n++)
			expect(engine, &syn, BERTH_CLASS_FORWARD);
		expect(engine, &answer, BERTH_CLASS_FORWARD);
	}
}

int main(int argc, char **argv)
{
	static struct engine engines[ENGINES_MAX];
	if (argc != 2)
		return 2;
	const uint32_t service = find_service(), n = engines_open(engines, argv[1]);
	uint64_t expected = 0;
	int failures = !service;
	for (uint32_t i = 0; i < n && service; i++) {
		const uint64_t *totals = &engines[i].image.timings[world_backend(service, 0)].totals;
		world_write_image(&engines[i].image, world_shapes);
		connect_all(&engines[i], service, FIRST_PORT, 1);
		const uint64_t timed = *totals >> BERTH_TIMING_SUM_BITS;
		expected = i ? expected : timed;
		connect_all(&engines[i], service, FIRST_PORT + FLOWS, 2);
		const uint64_t again = (*totals >> BERTH_TIMING_SUM_BITS) - timed;
		printf("%s: %u of %d connections timed, %u with two SYNs\n", engines[i].name, (unsigned)timed,
		       FLOWS, (unsigned)again);
		failures += timed < FLOWS / 64 || timed > expected || timed < expected / 2 || again;
	}
	engines_close(engines, n);
	return failures != 0;
}
