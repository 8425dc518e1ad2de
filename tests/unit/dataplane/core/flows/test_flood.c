// SPDX-License-Identifier: BSD-3-Clause
/*
 * Floods of ten times the capacity of the tables, in a minute of virtual time, through the whole core: no
 * established flow is lost, no honest session moves, new honest clients are served, and a packet costs at most
 * twice as much as with empty tables. (Memory is that of the image, which has one size.)
 */
#include <math.h>
#include <time.h>

#include "tests/unit/dataplane/core/image.h"

enum {
	SYN = BERTH_TCP_SYN,
	ACK = BERTH_TCP_ACK,
};

enum {
	CLIENT_TCP = 1, /* client affinity, backends 1, 2, 3 */
	FLOODED_TCP,	/* the same, 4, 5, 6 */
	FLOODED_UDP,
	FLOODED_PORTS,
	NEW_CLIENTS_TCP, /* flow affinity */
	SERVICES,
};

enum {
	FLOOD_SECONDS = 60,
	FULL_AFTER = 10, /* the table has been full for some seconds */
	SLICES = 20,	 /* of a second */
	FLOW_WORDS = 1 << 16,
	SESSION_WORDS = 1 << 14,
	TUPLES = 10 * FLOW_WORDS,
	TUPLES_A_SLICE = TUPLES / FLOOD_SECONDS / SLICES,
	HONEST = 1000,	 /* clients with an established flow; as many with a session alone */
	NEW_CLIENTS = 5, /* a slice */
	FIRST_PORT = 8000,
	PORTS = 8000,
};

static const struct berth_geometry flood_geometry = {
	.services = 16,
	.backends = 64,
	.vips = 64,
	.row_lines = 16,
	.flow_buckets = FLOW_WORDS / BERTH_BUCKET_WORDS,
	.session_buckets = SESSION_WORDS / BERTH_BUCKET_WORDS,
	.workers = 2,
};

struct flood {
	uint32_t service;
	uint8_t flags;	   /* of the first packet of a tuple */
	uint8_t then;	   /* of its second one; 0: there is none */
	uint8_t scheduler; /* of the service of new clients */
	bool fragments;
	uint16_t ports;
	uint32_t breaks; /* new connections, at most */
};

static const struct fixture_packet to[SERVICES] = {
	[CLIENT_TCP] = {.src = "198.51.100.7", .dst = "203.0.113.20", .sport = 1025, .dport = 80, .protocol = 6},
	[FLOODED_TCP] = {.src = "198.51.100.7", .dst = "203.0.113.30", .sport = 1025, .dport = 80, .protocol = 6},
	[FLOODED_UDP] = {.src = "198.51.100.7",
			 .dst = "203.0.113.30",
			 .sport = 1025,
			 .dport = 53,
			 .protocol = 17,
			 .payload = 8},
	[FLOODED_PORTS] =
		{.src = "198.51.100.7", .dst = "203.0.113.31", .sport = 1025, .dport = FIRST_PORT, .protocol = 6},
	[NEW_CLIENTS_TCP] =
		{.src = "198.51.100.7", .dst = "203.0.113.40", .sport = 1025, .dport = 80, .protocol = 6},
};

static struct fixture_frame built[SERVICES];
static struct berth_packet steered; /* the last packet */
static struct berth_image idle;	    /* the same services; its tables are emptied each second */
static struct berth_image *sent_to = &image;

static void add_backends(struct berth_image *filled, uint32_t service)
{
	uint16_t backends[3];
	for (uint16_t i = 0; i < 3; i++) {
		backends[i] = (uint16_t)(service * 3 - 2 + i);
		fixture_backend(filled, backends[i], service, BERTH_MODE_L2, "192.0.2.1")->load_unit = 1;
	}
	fixture_rows(filled, service, backends, 3);
}

static void add_services(struct berth_image *filled)
{
	fixture_new(filled, &flood_geometry);
	for (uint32_t service = CLIENT_TCP; service < SERVICES; service++) {
		const struct fixture_packet *packet = &to[service];
		if (service == FLOODED_PORTS) {
			fixture_service_entry(filled, service, packet->protocol, BERTH_AFFINITY_CLIENT);
			fixture_vip_kind(filled, BERTH_VIP_RANGE, packet->dst, packet->protocol, FIRST_PORT,
					 FIRST_PORT + PORTS - 1, service);
		} else {
			fixture_service(filled, service, packet->dst, packet->protocol, packet->dport,
					service == NEW_CLIENTS_TCP ? BERTH_AFFINITY_FLOW : BERTH_AFFINITY_CLIENT);
		}
		add_backends(filled, service);
		fixture_build(&built[service], packet);
	}
	fixture_least_timeouts(filled, FIXTURE_GENERATION);
}

static int set_up_flood(void **state)
{
	(void)state;
	add_services(&image);
	add_services(&idle);
	return 0;
}

static int tear_down_flood(void **state)
{
	fixture_free(&idle);
	return tear_down(state);
}

static void empty_tables(struct berth_image *filled)
{
	memset(filled->flows, 0, sizeof(*filled->flows) * flood_geometry.flow_buckets);
	memset(filled->sessions, 0, sizeof(*filled->sessions) * flood_geometry.session_buckets);
}

/* What differs between the packets to a service. */
struct sent_packet {
	uint32_t client; /* its address as a number */
	uint16_t dport;	 /* 0: the service's */
	uint16_t fragment_id;
	uint8_t flags;
	bool is_fragment;
};

/* Sends a packet through all stages; its backend is in `steered`. Patched by hand: floods are millions. */
static enum berth_verdict send_packet(uint32_t service, const struct sent_packet *sent, uint32_t now)
{
	const struct fixture_frame *from = &built[service];
	const struct berth_view view = fixture_view(sent_to, now);
	uint8_t room[FIXTURE_HEADROOM + 128];
	struct berth_frame frame = {room + FIXTURE_HEADROOM, room + FIXTURE_HEADROOM + from->bytes, room};
	uint8_t *ip = frame.data + from->network, *l4 = frame.data + from->transport;
	uint32_t port = 0;
	memcpy(frame.data, from->frame.data, from->bytes);
	fixture_put16(ip + 4, sent->fragment_id);
	fixture_put16(ip + 6, sent->is_fragment ? BERTH_IP4_MORE_FRAGMENTS : 0);
	fixture_put16(ip + 12, sent->client >> 16);
	fixture_put16(ip + 14, sent->client & 0xffff);
	if (sent->dport)
		fixture_put16(l4 + 2, sent->dport);
	if (to[service].protocol == BERTH_PROTO_TCP)
		l4[13] = sent->flags;
	return berth_forward(&view, &frame, &steered, from->bytes, &port);
}

static enum berth_verdict send_flags(uint32_t service, uint32_t client, uint16_t sport, uint8_t flags, uint32_t now)
{
	fixture_put16(built[service].frame.data + built[service].transport, sport);
	const enum berth_verdict verdict = send_packet(
		service, &(struct sent_packet){.client = client, .flags = flags}, now);
	fixture_put16(built[service].frame.data + built[service].transport, 1025);
	return verdict;
}

static uint32_t spoofed(uint32_t i)
{
	return 0x0b000000 + i; /* 11.0.0.0 and up */
}

static uint32_t honest(uint32_t i)
{
	return 0xc6330000 + i; /* 198.51.0.0 and up */
}

static uint64_t cpu_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* One slice of a flood into one of the images. Returns nanoseconds per packet. */
static double flood_slice(const struct flood *flood, struct berth_image *into, uint32_t first, uint32_t now)
{
	sent_to = into;
	const uint64_t begun = cpu_ns();
	for (uint32_t i = first; i < first + TUPLES_A_SLICE; i++) {
		struct sent_packet packet = {
			.client = spoofed(i),
			.dport = flood->ports ? (uint16_t)(FIRST_PORT + i % flood->ports) : 0,
			.fragment_id = (uint16_t)i,
			.flags = flood->flags,
			.is_fragment = flood->fragments,
		};
		send_packet(flood->service, &packet, now);
		packet.flags = flood->then;
		if (flood->then)
			send_packet(flood->service, &packet, now);
	}
	sent_to = &image;
	return (double)(cpu_ns() - begun) / TUPLES_A_SLICE / (flood->then ? 2 : 1);
}

struct outcome {
	uint32_t lost;	 /* packets of established flows that were no longer of their flow */
	uint32_t moved;	 /* sessions on another backend */
	uint32_t broken; /* new connections whose packets went to more than one backend, or were dropped */
	uint32_t tried;	 /* new connections */
	double idle_ns;	 /* cost of a packet of the flood: with tables that were just emptied, and full ones */
	double flood_ns;
};

static uint16_t backend_of[2 * HONEST];

/* Clients with a confirmed session; the first half keeps an established flow. */
static void connect_honest(void)
{
	for (uint32_t i = 0; i < 2 * HONEST; i++) {
		send_flags(CLIENT_TCP, honest(i), 1025, SYN, FIXTURE_NOW);
		backend_of[i] = steered.backend;
		send_flags(CLIENT_TCP, honest(i), 1025, ACK, FIXTURE_NOW);
	}
	/* From here on a session or a flow that was lost gets another backend. */
	for (uint32_t i = 0; i < FIXTURE_ROWS; i++) {
		struct berth_row *row = &image.rows[CLIENT_TCP].row[i];
		*row = (struct berth_row){row->alternate, row->primary};
	}
}

static void use_flows(struct outcome *outcome, uint32_t now)
{
	for (uint32_t i = 0; i < HONEST; i++) {
		enum berth_verdict verdict = send_flags(CLIENT_TCP, honest(i), 1025, ACK, now);
		outcome->lost += verdict != BERTH_VERDICT_FLOW || steered.backend != backend_of[i];
	}
}

static void use_sessions(struct outcome *outcome, uint32_t now)
{
	for (uint32_t i = 0; i < 2 * HONEST; i++) {
		send_flags(CLIENT_TCP, honest(i), 1026, SYN, now);
		outcome->moved += steered.backend != backend_of[i];
	}
}

/* New connections of clients: a SYN in this slice; the handshake's end and a request in the next one. With
 * round-robin a lost entry shows at once. */
static void open_new(struct outcome *outcome, uint32_t slice, uint32_t now)
{
	static uint16_t selected[NEW_CLIENTS];
	const uint32_t first = 2 * HONEST + slice * NEW_CLIENTS;
	for (uint32_t i = 0; slice > 0 && i < NEW_CLIENTS; i++) {
		const uint32_t client = honest(first - NEW_CLIENTS + i);
		bool broken = false;
		for (uint32_t packet = 0; packet < 2; packet++) {
			send_flags(NEW_CLIENTS_TCP, client, 1025, ACK, now);
			broken |= steered.backend != selected[i];
		}
		outcome->broken += broken;
		outcome->tried++;
	}
	for (uint32_t i = 0; i < NEW_CLIENTS; i++) {
		send_flags(NEW_CLIENTS_TCP, honest(first + i), 1025, SYN, now);
		selected[i] = steered.backend;
	}
}

static int by_value(const void *left, const void *right)
{
	const double a = *(const double *)left, b = *(const double *)right;
	return (a > b) - (a < b);
}

/* The lower decile: other programs only add to a cost, on a busy machine for most of the time. */
static double least(double *values, uint32_t n)
{
	qsort(values, n, sizeof(*values), by_value);
	return values[n / 10];
}

/* Adds a slice into both images to the least costs of this second: other programs on this machine take time, too,
 * and so the two are measured side by side. */
static void measure_slice(const struct flood *flood, uint32_t slice, double *idle_ns, double *flood_ns)
{
	const uint32_t now = FIXTURE_NOW + 1 + slice / SLICES, first = slice * TUPLES_A_SLICE;
	if (slice % SLICES == 0) {
		empty_tables(&idle);
		*idle_ns = *flood_ns = HUGE_VAL;
	}
	const double when_idle = flood_slice(flood, &idle, first, now);
	const double when_full = flood_slice(flood, &image, first, now);
	*idle_ns = when_idle < *idle_ns ? when_idle : *idle_ns;
	*flood_ns = when_full < *flood_ns ? when_full : *flood_ns;
}

static struct outcome run_flood(const struct flood *flood)
{
	struct outcome outcome = {0};
	double idle_ns[FLOOD_SECONDS], flood_ns[FLOOD_SECONDS];
	fixture_service_at(&image, NEW_CLIENTS_TCP)->scheduler = flood->scheduler;
	connect_honest();
	for (uint32_t slice = 0; slice < FLOOD_SECONDS * SLICES; slice++) {
		const uint32_t second = slice / SLICES, now = FIXTURE_NOW + 1 + second;
		measure_slice(flood, slice, &idle_ns[second], &flood_ns[second]);
		open_new(&outcome, slice, now);
		if (slice % SLICES == 0)
			use_flows(&outcome, now);
	}
	use_sessions(&outcome, FIXTURE_NOW + FLOOD_SECONDS);
	outcome.idle_ns = least(&idle_ns[FULL_AFTER], FLOOD_SECONDS - FULL_AFTER);
	outcome.flood_ns = least(&flood_ns[FULL_AFTER], FLOOD_SECONDS - FULL_AFTER);
	return outcome;
}

static void expect_no_harm(const char *name, const struct flood *flood)
{
	const struct outcome outcome = run_flood(flood);
	print_message(
		"%s: %u flows lost, %u of %u sessions moved, %u of %u new connections broken; %.0f ns a packet, "
		"%.0f idle\n",
		name, outcome.lost, outcome.moved, 2 * HONEST, outcome.broken, outcome.tried, outcome.flood_ns,
		outcome.idle_ns);
	assert_int_equal(outcome.lost, 0);
	assert_int_equal(outcome.moved, 0);
	assert_in_range(outcome.broken, 0, flood->breaks);
	/* scripts/bench has the figures of XDP. */
	assert_true(outcome.flood_ns <= 2 * outcome.idle_ns);
}

#define FLOOD(name, ...)                                                                                           \
	static void name(void **state)                                                                             \
	{                                                                                                          \
		(void)state;                                                                                       \
		expect_no_harm(#name, &(const struct flood){__VA_ARGS__});                                         \
	}
#define IN_TURN .scheduler = BERTH_SCHEDULER_ROUND_ROBIN

FLOOD(a_flood_of_syns_harms_nobody, .service = FLOODED_TCP, .flags = SYN, IN_TURN)
FLOOD(a_flood_of_acknowledgements_harms_nobody, .service = FLOODED_TCP, .flags = ACK, IN_TURN)
/* Its tuples are confirmed flows. They leave little room, so selection must find the same backend without an entry.
 * With turns and loads that fails for a SYN that took a last free word, which was then taken from it: one in a
 * thousand. */
FLOOD(a_flood_of_a_syn_and_an_acknowledgement_a_tuple_harms_nobody, .service = FLOODED_TCP, .flags = SYN,
      .then = ACK, .scheduler = BERTH_SCHEDULER_MAGLEV)
FLOOD(two_packets_a_tuple_break_one_connection_in_a_thousand_with_round_robin, .service = FLOODED_TCP, .flags = SYN,
      .then = ACK, IN_TURN, .breaks = 6)
FLOOD(two_packets_a_tuple_break_one_connection_in_a_thousand_with_least_conn, .service = FLOODED_TCP, .flags = SYN,
      .then = ACK, .scheduler = BERTH_SCHEDULER_LEAST_CONN, .breaks = 6)
FLOOD(a_flood_of_datagrams_harms_nobody, .service = FLOODED_UDP, IN_TURN)
FLOOD(a_flood_of_first_fragments_harms_nobody, .service = FLOODED_UDP, .fragments = true, IN_TURN)
FLOOD(a_flood_of_syns_over_8000_ports_harms_nobody, .service = FLOODED_PORTS, .flags = SYN, .ports = PORTS, IN_TURN)
FLOOD(a_flood_of_acknowledgements_over_8000_ports_harms_nobody, .service = FLOODED_PORTS, .flags = ACK,
      .ports = PORTS, IN_TURN)

#define FLOOD_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_flood, tear_down_flood)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FLOOD_TEST(a_flood_of_syns_harms_nobody),
		FLOOD_TEST(a_flood_of_acknowledgements_harms_nobody),
		FLOOD_TEST(a_flood_of_a_syn_and_an_acknowledgement_a_tuple_harms_nobody),
		FLOOD_TEST(two_packets_a_tuple_break_one_connection_in_a_thousand_with_round_robin),
		FLOOD_TEST(two_packets_a_tuple_break_one_connection_in_a_thousand_with_least_conn),
		FLOOD_TEST(a_flood_of_datagrams_harms_nobody),
		FLOOD_TEST(a_flood_of_first_fragments_harms_nobody),
		FLOOD_TEST(a_flood_of_syns_over_8000_ports_harms_nobody),
		FLOOD_TEST(a_flood_of_acknowledgements_over_8000_ports_harms_nobody),
	};
	return cmocka_run_group_tests_name("flood", tests, NULL, NULL);
}
