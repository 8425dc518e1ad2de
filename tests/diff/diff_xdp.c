// SPDX-License-Identifier: BSD-3-Clause
/*
 * The same packets through the host build of dataplane/core and through the loaded XDP program: same verdict,
 * same bytes, same counters, same tables, after every single packet.
 *
 * diff_xdp OBJECT [PACKETS [SEED]]
 *
 * First packets by name, each with the verdict that it must have; then PACKETS random ones over random
 * configurations, clocks and admissions. A difference prints the seed and the packet and ends with 1.
 */
#include <sched.h>

#include "tests/diff/loaded.h"
#include "tests/unit/fixture.h"

enum {
	SERVICES = 8, /* 1 to 7 */
	BACKENDS_EACH = 4,
	CLIENTS = 12,
	LOOPBACK = 1, /* its interface index, in every namespace */
	EPOCH = 2000, /* packets to one configuration */
};

static const struct berth_geometry largest = {
	.services = SERVICES,
	.backends = 64,
	.vips = 64,
	.row_lines = SERVICES,
	.flow_buckets = 64,
	.session_buckets = 16,
	.workers = 0, /* as many as it takes to reach this CPU's; their counters run through */
};

static struct loaded loaded;
static struct berth_image host;
static struct berth_image *const images[2] = {&host, &loaded.image};
static uint32_t worker;
static uint32_t now;
static uint64_t seed;
static uint64_t random_state;
static const char *doing;

static uint32_t random_below(uint32_t n)
{
	/* xorshift64* */
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (uint32_t)((random_state * UINT64_C(2685821657736338717) >> 32) % n);
}

static bool one_in(uint32_t n)
{
	return random_below(n) == 0;
}

static void print_hex(const char *what, const uint8_t *bytes, size_t n)
{
	printf("%s (%zu bytes):", what, n);
	for (size_t i = 0; i < n; i++)
		printf("%s%02x", i % 32 ? "" : "\n  ", bytes[i]);
	printf("\n");
}

/* A frame, before and after. */
struct trip {
	uint8_t sent[FIXTURE_ROOM];
	uint32_t sent_bytes;
	enum berth_verdict verdict;
	uint8_t got[FIXTURE_ROOM];
	uint32_t got_bytes;
};

static _Noreturn void differ(const struct trip *trip, const char *what)
{
	printf("diff_xdp: %s: %s differs; seed %llu, clock %u, host says %s\n", doing, what,
	       (unsigned long long)seed, now, fixture_verdict_name(trip->verdict));
	print_hex("packet", trip->sent, trip->sent_bytes);
	exit(1);
}

static void compare_section(const struct trip *trip, const char *name, const void *a, const void *b, size_t bytes)
{
	if (memcmp(a, b, bytes) == 0)
		return;
	size_t at = 0;
	while (((const uint8_t *)a)[at] == ((const uint8_t *)b)[at])
		at++;
	at -= at % sizeof(uint64_t);
	printf("%s, byte %zu: host %016llx, kernel %016llx\n", name, at,
	       (unsigned long long)*(const uint64_t *)((const uint8_t *)a + at),
	       (unsigned long long)*(const uint64_t *)((const uint8_t *)b + at));
	differ(trip, name);
}

/* Everything that a worker writes. */
static void compare_images(const struct trip *trip)
{
	const struct berth_geometry *g = &largest;
	uint32_t tallies = g->services + g->backends;
	compare_section(trip, "flows", host.flows, loaded.image.flows, sizeof(*host.flows) * g->flow_buckets);
	compare_section(trip, "sessions", host.sessions, loaded.image.sessions,
			sizeof(*host.sessions) * g->session_buckets);
	compare_section(trip, "workers", &host.workers[worker], &loaded.image.workers[worker],
			sizeof(*host.workers));
	compare_section(trip, "tallies", &host.tallies[worker * tallies], &loaded.image.tallies[worker * tallies],
			sizeof(*host.tallies) * tallies);
}

static int expected_action(enum berth_verdict verdict, uint32_t port)
{
	switch (BERTH_VERDICT_CLASS(verdict)) {
	case BERTH_CLASS_PASS:
		return XDP_PASS;
	case BERTH_CLASS_DROP:
		return XDP_DROP;
	default:
		return host.ctl->ports[port].ifindex == LOOPBACK ? XDP_TX : XDP_REDIRECT;
	}
}

/* Sends a frame both ways and compares. */
static enum berth_verdict send_both(const uint8_t *frame, uint32_t bytes)
{
	static struct trip trip;
	memcpy(trip.sent, frame, bytes);
	trip.sent_bytes = bytes;

	uint8_t room[FIXTURE_ROOM + FIXTURE_HEADROOM];
	memcpy(room + FIXTURE_HEADROOM, frame, bytes);
	struct berth_frame on_host = {
		.data = room + FIXTURE_HEADROOM, .end = room + FIXTURE_HEADROOM + bytes, .handle = room};
	uint32_t port = 0;
	const struct berth_view view = berth_image_view(&host, worker, now);
	trip.verdict = berth_forward(&view, &on_host, bytes, &port);

	trip.got_bytes = sizeof(trip.got);
	int action = run_program(&loaded, frame, bytes, LOOPBACK, trip.got, &trip.got_bytes);
	if (action < 0)
		die("test-run", action);
	if (action != expected_action(trip.verdict, port)) {
		printf("XDP action %d, not %d\n", action, expected_action(trip.verdict, port));
		differ(&trip, "action");
	}
	size_t left = (size_t)(on_host.end - on_host.data);
	if (trip.got_bytes != left || memcmp(trip.got, on_host.data, left)) {
		print_hex("host", on_host.data, left);
		print_hex("kernel", trip.got, trip.got_bytes);
		differ(&trip, "frame");
	}
	compare_images(&trip);
	return trip.verdict;
}

static void set_clock(uint32_t seconds)
{
	now = seconds;
	/* Never due: jiffies are behind this by 2^62. */
	loaded.image.ctl->refresh = UINT64_C(1) << 62;
	loaded.image.ctl->now = seconds;
}

/* What one service is like: every mode, affinity, family in and out. */
static const struct shape {
	const char *address;
	uint8_t protocol;
	uint16_t port; /* 0: any */
	enum berth_affinity affinity;
	enum berth_mode mode;
	const char *backend; /* NULL: it has none */
} shapes[SERVICES] = {
	[1] = {"203.0.113.1", 6, 80, BERTH_AFFINITY_FLOW, BERTH_MODE_L2, "192.0.2.1"},
	[2] = {"203.0.113.1", 17, 53, BERTH_AFFINITY_FLOW, BERTH_MODE_IPIP, "192.0.2.2"},
	[3] = {"203.0.113.3", 6, 80, BERTH_AFFINITY_CLIENT, BERTH_MODE_IPIP, "2001:db8:3::3"},
	[4] = {"2001:db8:1::4", 6, 443, BERTH_AFFINITY_CLIENT, BERTH_MODE_IPIP, "2001:db8:3::4"},
	[5] = {"2001:db8:1::5", 17, 0, BERTH_AFFINITY_FLOW, BERTH_MODE_IPIP, "192.0.2.5"},
	[6] = {"2001:db8:1::5", 6, 80, BERTH_AFFINITY_CLIENT, BERTH_MODE_L2, "2001:db8:3::6"},
	[7] = {"203.0.113.7", 6, 80, BERTH_AFFINITY_FLOW, BERTH_MODE_L2, NULL},
};

static uint16_t backend_number(uint32_t service, uint32_t i)
{
	return (uint16_t)(service * BACKENDS_EACH + i);
}

static void lay_out(struct berth_image *image)
{
	memset(image->ctl, 0, sizeof(*image->ctl));
#define X(section, type, count) memset(image->section, 0, sizeof(type) * (size_t)(count));
	const struct berth_geometry *g = &largest;
	BERTH_SECTIONS(X)
#undef X
	fixture_found(image);
	for (uint32_t service = 1; service < SERVICES; service++) {
		const struct shape *shape = &shapes[service];
		uint16_t numbers[BACKENDS_EACH];
		fixture_service(image, service, shape->address, shape->protocol, shape->port, shape->affinity);
		for (uint32_t i = 0; i < BACKENDS_EACH && shape->backend; i++) {
			numbers[i] = backend_number(service, i);
			fixture_backend(image, numbers[i], service, shape->mode, shape->backend)->port = i % 2;
		}
		fixture_rows(image, service, numbers, shape->backend ? BACKENDS_EACH : 0);
	}
}

/* Both images as they are at the start, with tables of this many buckets. */
static void found_both(uint32_t flow_buckets, uint32_t session_buckets)
{
	for (uint32_t i = 0; i < 2; i++) {
		images[i]->geometry.flow_buckets = flow_buckets;
		images[i]->geometry.session_buckets = session_buckets;
		lay_out(images[i]);
	}
	set_clock(FIXTURE_NOW);
}

static const char *client_address(bool is6, uint32_t client)
{
	static char text[INET6_ADDRSTRLEN];
	if (is6)
		snprintf(text, sizeof(text), "2001:db8:2:%x::%x", client % 4, 1 + client);
	else
		snprintf(text, sizeof(text), "198.51.%u.%u", 100 + client % 4, 1 + client);
	return text;
}

static struct fixture_packet packet_to(uint32_t service, uint32_t client)
{
	const struct shape *shape = &shapes[service];
	return (struct fixture_packet){
		.src = client_address(strchr(shape->address, ':') != NULL, client),
		.dst = shape->address,
		.sport = (uint16_t)(1024 + client),
		.dport = shape->port ? shape->port : 5353,
		.protocol = shape->protocol,
	};
}

static enum berth_verdict send_packet(const struct fixture_packet *packet)
{
	struct fixture_frame frame;
	fixture_build(&frame, packet);
	return send_both(frame.frame.data, frame.bytes);
}

/* Packets by name. They build upon each other. */
static const struct named {
	const char *name;
	uint32_t service;
	uint8_t tcp_flags;
	uint8_t tags;
	uint16_t payload;
	uint16_t fragment;
	uint32_t later; /* seconds since the last one */
	enum berth_verdict verdict;
} cases[] = {
	{"l2, SYN", 1, BERTH_TCP_SYN, 0, 0, 0, 0, BERTH_VERDICT_SELECTED},
	{"l2, ACK", 1, BERTH_TCP_ACK, 0, 0, 0, 1, BERTH_VERDICT_FLOW},
	{"l2, data, one tag", 1, BERTH_TCP_ACK, 1, 999, 0, 0, BERTH_VERDICT_FLOW},
	{"l2, FIN, two tags", 1, BERTH_TCP_FIN, 2, 0, 0, 1, BERTH_VERDICT_FLOW},
	{"l2, SYN on the closing flow", 1, BERTH_TCP_SYN, 0, 0, 0, 0, BERTH_VERDICT_SELECTED},
	{"l2, too big", 1, BERTH_TCP_ACK, 0, 1461, 0, 0, BERTH_VERDICT_TOO_BIG},
	{"l2, as big as may be", 1, BERTH_TCP_ACK, 0, 1460, 0, 0, BERTH_VERDICT_FLOW},
	{"4in4, first", 2, 0, 0, 100, 0, 0, BERTH_VERDICT_SELECTED},
	{"4in4, second", 2, 0, 1, 101, 0, 2, BERTH_VERDICT_FLOW},
	{"4in4, too big", 2, 0, 0, 1453, 0, 0, BERTH_VERDICT_TOO_BIG},
	{"4in4, as big as may be", 2, 0, 2, 1452, 0, 0, BERTH_VERDICT_FLOW},
	{"4in4, after it expired", 2, 0, 0, 9, 0, 181, BERTH_VERDICT_SELECTED},
	{"4in6, SYN", 3, BERTH_TCP_SYN, 0, 0, 0, 0, BERTH_VERDICT_SELECTED},
	{"4in6, ACK", 3, BERTH_TCP_ACK, 2, 50, 0, 1, BERTH_VERDICT_FLOW},
	{"4in6, after the flow expired", 3, BERTH_TCP_SYN, 0, 0, 0, 3602, BERTH_VERDICT_SESSION},
	{"4in6, after the session expired", 3, BERTH_TCP_SYN, 0, 0, 0, 10802, BERTH_VERDICT_SELECTED},
	{"6in6, RST of no flow", 4, BERTH_TCP_RST, 0, 0, 0, 0, BERTH_VERDICT_UNTRACKED},
	{"6in6, SYN", 4, BERTH_TCP_SYN, 0, 0, 0, 0, BERTH_VERDICT_SELECTED},
	{"6in6, data", 4, BERTH_TCP_ACK, 2, 1280, 0, 1, BERTH_VERDICT_FLOW},
	{"6in6, as big as may be", 4, BERTH_TCP_ACK, 0, 1400, 0, 0, BERTH_VERDICT_FLOW},
	{"6in6, too big", 4, BERTH_TCP_ACK, 0, 1401, 0, 0, BERTH_VERDICT_TOO_BIG},
	{"6in4, any port", 5, 0, 1, 30, 0, 0, BERTH_VERDICT_SELECTED},
	{"6in4, again", 5, 0, 0, 30, 0, 1, BERTH_VERDICT_FLOW},
	{"no backends", 7, BERTH_TCP_SYN, 0, 0, 0, 0, BERTH_VERDICT_NO_BACKEND},
	{"fragment", 1, BERTH_TCP_ACK, 0, 40, 0x2000, 0, BERTH_VERDICT_FRAGMENT},
	{"three tags", 1, BERTH_TCP_ACK, 3, 0, 0, 0, BERTH_VERDICT_NOT_IP},
};

static void expect(const char *name, enum berth_verdict got, enum berth_verdict expected)
{
	if (got == expected)
		return;
	printf("diff_xdp: %s: %s, not %s\n", name, fixture_verdict_name(got), fixture_verdict_name(expected));
	exit(1);
}

static void send_named(void)
{
	found_both(largest.flow_buckets, largest.session_buckets);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct named *c = &cases[i];
		struct fixture_packet packet = packet_to(c->service, 1);
		doing = c->name;
		packet.tcp_flags = c->tcp_flags;
		packet.tags = c->tags;
		packet.payload = c->payload;
		packet.fragment = c->fragment;
		set_clock(now + c->later);
		expect(c->name, send_packet(&packet), c->verdict);
	}
}

/* Every truncation of every service's packet, and every byte of its headers changed. */
static void send_cut_and_changed(void)
{
	found_both(largest.flow_buckets, largest.session_buckets);
	for (uint32_t service = 1; service < SERVICES; service++) {
		struct fixture_packet packet = packet_to(service, 2);
		struct fixture_frame frame;
		packet.tags = (uint8_t)(service % 3);
		packet.payload = 3;
		fixture_build(&frame, &packet);
		doing = "truncation";
		for (uint32_t bytes = BERTH_ETH_BYTES; bytes < frame.bytes; bytes++)
			send_both(frame.frame.data, bytes);
		doing = "changed byte";
		for (uint32_t i = 12; i < frame.bytes; i++) {
			uint8_t *byte = &frame.frame.data[i], was = *byte;
			for (uint32_t bit = 0; bit < 8; bit++) {
				*byte = (uint8_t)(was ^ 1u << bit);
				send_both(frame.frame.data, frame.bytes);
			}
			*byte = was;
		}
	}
}

static const uint8_t *random_extensions(void)
{
	static const uint8_t kinds[] = {BERTH_PROTO_HOP_BY_HOP, BERTH_PROTO_DEST_OPTIONS, BERTH_PROTO_ROUTING,
					BERTH_PROTO_FRAGMENT};
	static uint8_t ext[11];
	uint32_t n = one_in(4) ? random_below(11) : random_below(3);
	for (uint32_t i = 0; i < n; i++)
		ext[i] = kinds[random_below(4)];
	ext[n] = FIXTURE_EXT_END;
	return ext;
}

static struct fixture_packet random_packet(void)
{
	static const uint8_t flags[] = {BERTH_TCP_SYN, BERTH_TCP_ACK, BERTH_TCP_ACK | 8,
					BERTH_TCP_FIN | BERTH_TCP_ACK, BERTH_TCP_RST};
	struct fixture_packet packet = packet_to(1 + random_below(SERVICES - 1), random_below(CLIENTS));
	packet.sport = (uint16_t)(1024 + random_below(3));
	packet.tcp_flags = one_in(16) ? (uint8_t)random_below(256) : flags[random_below(sizeof(flags))];
	packet.traffic_class = (uint8_t)(one_in(4) ? random_below(256) : 0);
	packet.tags = (uint8_t)(one_in(4) ? random_below(4) : 0);
	packet.payload = (uint16_t)(one_in(8) ? random_below(1500) : random_below(40));
	packet.trailer = (uint16_t)(one_in(4) ? random_below(20) : 0);
	packet.options = (uint8_t)(one_in(8) ? random_below(11) : 0);
	packet.tcp_options = (uint8_t)(one_in(4) ? random_below(11) : 0);
	packet.fragment = (uint16_t)(one_in(16) ? random_below(65536) : 0x4000);
	packet.ext = one_in(4) ? random_extensions() : NULL;
	packet.ext_length = (uint8_t)(one_in(8) ? random_below(13) : 0); /* ten reach past BERTH_MAX_L4_OFFSET */
	packet.ext_fragment = (uint16_t)(one_in(3) ? random_below(65536) : 0);
	if (one_in(20))
		packet.dport = (uint16_t)random_below(65536);
	if (one_in(20))
		packet.dst = strchr(packet.dst, ':') ? "2001:db8:1::99" : "203.0.113.99";
	if (one_in(20))
		packet.protocol = (uint8_t)random_below(256);
	return packet;
}

static void send_random_packet(void)
{
	struct fixture_frame frame;
	struct fixture_packet packet = random_packet();
	fixture_build(&frame, &packet);
	if (one_in(4)) {
		uint32_t headers = frame.transport + 20 < frame.bytes ? frame.transport + 20 : frame.bytes;
		for (uint32_t n = 1 + random_below(3); n > 0; n--)
			frame.frame.data[12 + random_below(headers - 12)] ^= (uint8_t)(1u << random_below(8));
	}
	if (one_in(10))
		frame.bytes = BERTH_ETH_BYTES + random_below(frame.bytes - BERTH_ETH_BYTES + 1);
	send_both(frame.frame.data, frame.bytes);
}

/* What may happen to an image from outside while packets flow. `draw` is the same for both images. */
static void disturb(struct berth_image *image, const uint32_t draw[4])
{
	const struct berth_geometry *g = &largest;
	uint32_t number = backend_number(1 + draw[1] % (SERVICES - 2), draw[2] % BACKENDS_EACH);
	uint64_t half = image->ctl->generation & 1, next = half ^ 1;
	struct berth_bucket *bucket;
	switch (draw[0]) {
	case 0: /* up, draining, flows only, down */
		fixture_admit(image, number,
			      draw[3] % 2 ? BERTH_ADMIT_ALL : (uint8_t)((2u << draw[3] / 2 % 3) - 1));
		break;
	case 1: /* the walk frees a word */
		bucket = &image->flows[draw[1] % g->flow_buckets];
		bucket->word[draw[2] % BERTH_BUCKET_WORDS] = 0;
		break;
	case 2: /* a worker died after it claimed a word */
		bucket = draw[1] % 2 ? &image->flows[draw[2] % g->flow_buckets]
				     : &image->sessions[draw[2] % g->session_buckets];
		bucket->word[draw[3] % BERTH_BUCKET_WORDS] &= ~(uint64_t)BERTH_STATE_MASK;
		break;
	default: /* the next generation: a backend changed, a service's timeouts and prefixes, too */
		memcpy(&image->services[next * g->services], &image->services[half * g->services],
		       sizeof(*image->services) * g->services);
		memcpy(&image->backends[next * g->backends], &image->backends[half * g->backends],
		       sizeof(*image->backends) * g->backends);
		memcpy(&image->vips[next * g->vips], &image->vips[half * g->vips], sizeof(*image->vips) * g->vips);
		struct berth_backend *backend = &image->backends[next * g->backends + number];
		struct berth_service *service = &image->services[next * g->services + backend->service];
		backend->id = draw[3] % 4 ? 0xbac0000 + number : 0;
		backend->flags = draw[3] / 4 % 8 ? BERTH_BACKEND_NEXT_HOP : 0;
		backend->mtu = draw[3] / 32 % 4 ? 1500 : 100;
		service->timeout[BERTH_STATE_ESTABLISHED] = 5 + draw[3] / 128 % 200;
		service->timeout[BERTH_STATE_SESSION] = 5 + draw[3] / 128 % 400;
		service->prefix4 = (uint8_t)(draw[2] % 33);
		service->prefix6 = (uint8_t)(draw[2] % 129);
		image->ctl->generation++;
		break;
	}
}

static void disturb_both(void)
{
	const uint32_t kind = random_below(40);
	const uint32_t draw[4] = {kind < 20   ? 0
				  : kind < 30 ? 1
				  : kind < 36 ? 2
					      : 3,
				  random_below(1 << 20), random_below(1 << 20), random_below(1 << 20)};
	for (uint32_t i = 0; i < 2; i++)
		disturb(images[i], draw);
}

static void send_random(uint32_t packets)
{
	doing = "random";
	for (uint32_t i = 0; i < packets; i++) {
		if (i % EPOCH == 0)
			found_both(2u << random_below(6), 2u << random_below(4));
		if (one_in(40))
			disturb_both();
		if (one_in(20)) /* now and then the reader is behind the words, by a second or an hour */
			set_clock(now + (one_in(10)  ? random_below(5000)
					 : one_in(4) ? UINT32_MAX
						     : random_below(3)));
		send_random_packet();
	}
}

static void print_verdicts(void)
{
	printf("verdicts:");
	for (uint32_t v = 1; v < BERTH_VERDICT_COUNT; v++) {
		if (host.workers[worker].verdict[v])
			printf(" %s %llu", fixture_verdict_name(v),
			       (unsigned long long)host.workers[worker].verdict[v]);
	}
	printf("\n");
}

/* Test-run runs where its caller runs, and the CPU's number is the worker's. */
static void pin_to_this_cpu(void)
{
	int cpu = sched_getcpu();
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	if (cpu < 0 || sched_setaffinity(0, sizeof(set), &set))
		die("pinning to a CPU", errno);
	worker = (uint32_t)cpu;
}

int main(int argc, char **argv)
{
	if (argc < 2 || argc > 4) {
		fprintf(stderr, "usage: diff_xdp OBJECT [PACKETS [SEED]]\n");
		return 2;
	}
	uint32_t packets = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 0) : 250000;
	seed = argc > 3 ? strtoull(argv[3], NULL, 0) : 1;
	random_state = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
	pin_to_this_cpu();
	struct berth_geometry geometry = largest;
	geometry.workers = worker + 1;
	fixture_new(&host, &geometry);
	load_program(&loaded, argv[1], &geometry);
	send_named();
	send_cut_and_changed();
	send_random(packets);
	print_verdicts();
	expect("any packet", host.workers[worker].verdict[BERTH_VERDICT_INTERNAL] ? BERTH_VERDICT_INTERNAL : 0, 0);
	printf("host core and XDP program agree on %u random packets, seed %llu\n", packets,
	       (unsigned long long)seed);
	bpf_object__close(loaded.object);
	fixture_free(&host);
	return 0;
}
