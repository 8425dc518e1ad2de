// SPDX-License-Identifier: BSD-3-Clause
/* Limits of new flows: rates and bursts in simulated time, what they never hit, and what many workers let in. */
#include <pthread.h>
#include <sched.h>

#include "tests/unit/dataplane/core/image.h"

enum {
	SYN = BERTH_TCP_SYN,
	ACK = BERTH_TCP_ACK,
	RST = BERTH_TCP_RST,
	WEB = 1, /* TCP, client affinity */
	DNS = 2, /* UDP, flow affinity */
	WEB6 = 3,
	THREADS = 4,
};

#define SECOND UINT64_C(1000000000)
#define MS UINT64_C(1000000)

static uint64_t now_ns;

static const struct berth_geometry limit_geometry = {
	.services = 8,
	.backends = 64,
	.vips = 64,
	.row_lines = 8,
	.flow_buckets = 1 << 15,
	.session_buckets = 1 << 15,
	.workers = THREADS + 1,
};

static int set_up(void **state)
{
	(void)state;
	now_ns = FIXTURE_NOW * SECOND;
	fixture_new(&image, &limit_geometry);
	fixture_service(&image, WEB, "203.0.113.1", 6, 80, BERTH_AFFINITY_CLIENT);
	fixture_service(&image, DNS, "203.0.113.2", 17, 53, BERTH_AFFINITY_FLOW);
	fixture_service(&image, WEB6, "2001:db8:1::1", 6, 80, BERTH_AFFINITY_FLOW);
	for (uint32_t service = WEB; service <= WEB6; service++) {
		const uint16_t backends[2] = {(uint16_t)(service * 2), (uint16_t)(service * 2 + 1)};
		fixture_backend(&image, backends[0], service, BERTH_MODE_L2, "192.0.2.1");
		fixture_backend(&image, backends[1], service, BERTH_MODE_L2, "192.0.2.2");
		fixture_rows(&image, service, backends, 2);
	}
	fixture_least_timeouts(&image, FIXTURE_GENERATION);
	return 0;
}

static struct berth_limit limit_of(uint32_t per_second, uint32_t burst)
{
	return (struct berth_limit){
		.interval_ns = (uint32_t)(SECOND / per_second),
		.burst_ms = (uint16_t)(((uint64_t)(burst - 1) * 1000 + per_second - 1) / per_second)};
}

static void limit_service(uint32_t service, uint32_t per_second, uint32_t burst)
{
	fixture_service_at(&image, service)->limit = limit_of(per_second, burst);
	fixture_service_at(&image, service)->flags |= BERTH_SERVICE_LIMITS;
}

static void limit_sources(uint32_t service, uint32_t per_second, uint32_t burst, uint8_t prefix4, uint8_t prefix6)
{
	struct berth_limit *limit = &fixture_service_at(&image, service)->source_limit;
	*limit = limit_of(per_second, burst);
	limit->prefix4 = prefix4;
	limit->prefix6 = prefix6;
	fixture_service_at(&image, service)->flags |= BERTH_SERVICE_LIMITS;
}

static struct berth_view view_now(void)
{
	struct berth_view view = fixture_view(&image, (uint32_t)(now_ns / SECOND));
	view.now_ns = now_ns;
	return view;
}

static enum berth_verdict send_packet(const struct fixture_packet *packet)
{
	const struct berth_view view = view_now();
	return fixture_send(&view, packet);
}

static enum berth_verdict send_web(const char *src, uint16_t sport, uint8_t flags)
{
	return send_packet(&(struct fixture_packet){
		.src = src, .dst = "203.0.113.1", .sport = sport, .dport = 80, .protocol = 6, .tcp_flags = flags});
}

static enum berth_verdict send_dns(const char *src, uint16_t sport)
{
	return send_packet(&(struct fixture_packet){
		.src = src, .dst = "203.0.113.2", .sport = sport, .dport = 53, .protocol = 17, .payload = 8});
}

/* The address of source `i`, a /32 each. */
static const char *source(uint32_t i)
{
	static char text[INET_ADDRSTRLEN];
	snprintf(text, sizeof(text), "11.%u.%u.%u", i >> 16 & 255, i >> 8 & 255, i & 255);
	return text;
}

static uint64_t limited(uint32_t service)
{
	return image.tallies[1 * (limit_geometry.services + limit_geometry.backends) + service].flows;
}

static uint64_t event(enum berth_event event)
{
	return image.workers[1].event[event];
}

/* SYNs from `sources` sources in turn, `per_second` of them for `seconds`. Returns those that were forwarded. */
static uint32_t flood(uint32_t sources, uint32_t per_second, uint32_t seconds)
{
	static uint32_t n;
	uint32_t accepted = 0;
	for (uint32_t i = 0; i < per_second * seconds; i++) {
		n++;
		accepted += send_web(source(n % sources), (uint16_t)(1024 + n / sources % 60000), SYN) !=
			    BERTH_VERDICT_OVER_LIMIT;
		now_ns += SECOND / per_second;
	}
	return accepted;
}

static void a_service_lets_in_its_burst_and_then_its_limit(void **state)
{
	(void)state;
	limit_service(WEB, 100, 50);
	uint32_t accepted = 0;
	for (uint32_t i = 0; i < 80; i++)
		accepted += send_web(source(i), 1000, SYN) == BERTH_VERDICT_SELECTED;
	assert_int_equal(accepted, 50);
	assert_int_equal(limited(WEB), 30);
	assert_int_equal(event(BERTH_EVENT_SERVICE_LIMITED), 30);
	assert_in_range(flood(10000, 1000, 20), 1990, 2010);
}

static void below_its_limit_nothing_is_dropped(void **state)
{
	(void)state;
	limit_service(WEB, 1000, 100);
	limit_sources(WEB, 1000, 100, 32, 64);
	assert_int_equal(flood(1, 990, 10), 9900);
	assert_int_equal(limited(WEB), 0);
}

static void a_flood_from_one_prefix_is_limited_and_others_are_served(void **state)
{
	(void)state;
	limit_service(WEB, 1000, 1000);
	limit_sources(WEB, 100, 100, 24, 64);
	uint32_t from_flood = 0, honest = 0;
	for (uint32_t i = 0; i < 10000; i++) { /* ten times the source's limit */
		char address[INET_ADDRSTRLEN];
		snprintf(address, sizeof(address), "198.51.100.%u", i % 256);
		from_flood += send_web(address, (uint16_t)(1024 + i), SYN) != BERTH_VERDICT_OVER_LIMIT;
		if (i % 20 == 0)
			honest += send_web("198.51.101.1", (uint16_t)(1024 + i), SYN) != BERTH_VERDICT_OVER_LIMIT;
		now_ns += MS;
	}
	assert_int_equal(honest, 500);
	assert_in_range(from_flood, 1090, 1110); /* a burst, and 10 s */
	assert_int_equal(event(BERTH_EVENT_SOURCE_LIMITED), 10000 - from_flood);
	assert_int_equal(event(BERTH_EVENT_SERVICE_LIMITED), 0);
}

static void the_sources_of_ipv6_are_prefixes(void **state)
{
	(void)state;
	limit_sources(WEB6, 10, 1, 32, 56);
	struct fixture_packet packet = {.src = "2001:db8:2:100::1",
					.dst = "2001:db8:1::1",
					.sport = 1024,
					.dport = 80,
					.protocol = 6,
					.tcp_flags = SYN};
	assert_int_equal(send_packet(&packet), BERTH_VERDICT_SELECTED);
	packet.src = "2001:db8:2:1ff::2";
	assert_int_equal(send_packet(&packet), BERTH_VERDICT_OVER_LIMIT);
	packet.src = "2001:db8:2:200::1";
	assert_int_equal(send_packet(&packet), BERTH_VERDICT_SELECTED);
}

static void services_have_limits_of_their_own(void **state)
{
	(void)state;
	limit_sources(WEB, 10, 1, 32, 64);
	limit_sources(DNS, 10, 1, 32, 64);
	assert_int_equal(send_web("198.51.100.7", 1024, SYN), BERTH_VERDICT_SELECTED);
	assert_int_equal(send_web("198.51.100.7", 1025, SYN), BERTH_VERDICT_OVER_LIMIT);
	assert_int_equal(send_dns("198.51.100.7", 1024), BERTH_VERDICT_SELECTED);
	assert_int_equal(send_dns("198.51.100.7", 1025), BERTH_VERDICT_OVER_LIMIT);
	assert_int_equal(limited(WEB), 1);
	assert_int_equal(limited(DNS), 1);
}

static void known_flows_are_never_limited(void **state)
{
	(void)state;
	limit_service(WEB, 1, 1);
	assert_int_equal(send_web("198.51.100.7", 1024, SYN), BERTH_VERDICT_SELECTED);
	assert_int_equal(send_web("198.51.100.7", 1025, SYN), BERTH_VERDICT_OVER_LIMIT);
	for (uint32_t i = 0; i < 1000; i++) {
		assert_int_equal(send_web("198.51.100.7", 1024, i % 2 ? ACK : SYN), BERTH_VERDICT_FLOW);
		now_ns += MS / 10;
	}
	/* Its backend goes: it is the same flow. */
	for (uint32_t backend = 2; backend <= 3; backend++) {
		fixture_set_eligibility(&image, backend, 0);
		const enum berth_verdict verdict = send_web("198.51.100.7", 1024, ACK);
		assert_true(verdict == BERTH_VERDICT_RESELECTED || verdict == BERTH_VERDICT_FLOW);
		fixture_set_eligibility(&image, backend, BERTH_ELIGIBLE_ALL);
	}
	assert_int_equal(limited(WEB), 1);
}

static void a_connection_on_the_ports_of_a_finished_one_is_a_new_flow(void **state)
{
	(void)state;
	limit_service(WEB, 1, 1);
	assert_int_equal(send_web("198.51.100.7", 1024, SYN), BERTH_VERDICT_SELECTED);
	assert_int_equal(send_web("198.51.100.7", 1024, RST), BERTH_VERDICT_FLOW);
	assert_int_equal(send_web("198.51.100.7", 1024, SYN), BERTH_VERDICT_OVER_LIMIT);
	now_ns += SECOND;
	assert_int_equal(send_web("198.51.100.7", 1024, SYN), BERTH_VERDICT_SESSION);
}

static void over_the_limit_a_tcp_packet_without_syn_is_forwarded_without_an_entry(void **state)
{
	(void)state;
	limit_service(WEB, 1, 1);
	assert_int_equal(send_web("198.51.100.7", 1024, SYN), BERTH_VERDICT_SELECTED);
	const uint64_t added = event(BERTH_EVENT_FLOW_ADDED), sessions = event(BERTH_EVENT_SESSION_ADDED);
	assert_int_equal(send_web("198.51.100.8", 1024, ACK), BERTH_VERDICT_UNTRACKED);
	assert_int_equal(send_web("198.51.100.8", 1024, SYN | ACK), BERTH_VERDICT_OVER_LIMIT);
	assert_int_equal(send_web("198.51.100.8", 1024, RST), BERTH_VERDICT_UNTRACKED);
	assert_int_equal(event(BERTH_EVENT_FLOW_ADDED), added);
	assert_int_equal(event(BERTH_EVENT_SESSION_ADDED), sessions);
	assert_int_equal(limited(WEB), 2);
}

static void fragments_and_icmp_errors_of_known_flows_are_never_limited(void **state)
{
	(void)state;
	limit_service(DNS, 1, 1);
	struct fixture_packet packet = {.src = "198.51.100.7",
					.dst = "203.0.113.2",
					.sport = 1024,
					.dport = 53,
					.protocol = 17,
					.payload = 64,
					.fragment = BERTH_IP4_MORE_FRAGMENTS};
	assert_int_equal(send_packet(&packet), BERTH_VERDICT_SELECTED);
	packet.fragment = 9 /* of 8 bytes */;
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(send_packet(&packet), BERTH_VERDICT_FRAGMENT);
	assert_int_equal(limited(DNS), 0);
}

static void a_source_over_its_limit_takes_nothing_of_the_services(void **state)
{
	(void)state;
	limit_service(WEB, 10, 10);
	limit_sources(WEB, 1, 1, 32, 64);
	for (uint16_t i = 0; i < 100; i++)
		send_web("198.51.100.7", (uint16_t)(1024 + i), SYN);
	for (uint32_t i = 0; i < 9; i++)
		assert_int_equal(send_web(source(i), 1024, SYN), BERTH_VERDICT_SELECTED);
	assert_int_equal(send_web(source(9), 1024, SYN), BERTH_VERDICT_OVER_LIMIT);
}

static void an_invalid_source_takes_nothing_of_a_limit(void **state)
{
	(void)state;
	limit_service(WEB, 1, 1);
	assert_int_equal(send_web("127.0.0.1", 1024, SYN), BERTH_VERDICT_BAD_SOURCE);
	assert_int_equal(send_web("198.51.100.7", 1024, SYN), BERTH_VERDICT_SELECTED);
	assert_int_equal(send_web("127.0.0.1", 1024, SYN), BERTH_VERDICT_BAD_SOURCE);
}

static void a_limit_is_right_after_a_long_pause_and_with_any_clock(void **state)
{
	(void)state;
	const uint64_t times[] = {1, SECOND, UINT64_C(1) << 32, (UINT64_C(1) << 32) * SECOND, UINT64_MAX / 2};
	limit_service(WEB, 10, 5);
	limit_sources(WEB, 10, 5, 32, 64);
	for (uint32_t t = 0; t < sizeof(times) / sizeof(times[0]); t++) {
		uint32_t accepted = 0;
		now_ns = times[t];
		for (uint16_t i = 0; i < 20; i++)
			accepted += send_web("198.51.100.7", (uint16_t)(1024 + t * 100 + i), SYN) !=
				    BERTH_VERDICT_OVER_LIMIT;
		assert_int_equal(accepted, 5);
	}
	/* The clock is back at its start: the words are far ahead, so they are not believed. */
	now_ns = SECOND;
	assert_int_not_equal(send_web("198.51.100.9", 1024, SYN), BERTH_VERDICT_OVER_LIMIT);
}

static void damaged_words_are_no_limits(void **state)
{
	(void)state;
	limit_service(WEB, 10, 5);
	limit_sources(WEB, 10, 5, 32, 64);
	memset(image.source_limits, 0xff, sizeof(*image.source_limits) * BERTH_LIMIT_ROWS * BERTH_LIMIT_COLUMNS);
	memset(image.service_limits, 0xff, sizeof(*image.service_limits) * limit_geometry.services);
	assert_int_equal(send_web("198.51.100.7", 1024, SYN), BERTH_VERDICT_SELECTED);
}

static void without_limits_no_word_is_written(void **state)
{
	(void)state;
	const uint64_t zero = 0;
	flood(100, 1000, 1);
	for (uint32_t i = 0; i < BERTH_LIMIT_ROWS * BERTH_LIMIT_COLUMNS; i++)
		assert_memory_equal(&image.source_limits[i], &zero, sizeof(zero));
	assert_int_equal(image.service_limits[WEB], 0);
}

/* 6,554 sources at their limits are a tenth of a row: one in 10,000 others would be limited. */
static void thousands_of_flooding_sources_limit_hardly_any_other(void **state)
{
	(void)state;
	enum {
		FLOODING = 6554,
		OTHERS = 20000
	};
	limit_sources(WEB, 10, 1, 32, 64);
	uint32_t refused = 0;
	for (uint32_t i = 0; i < FLOODING; i++)
		send_web(source(i), 1024, SYN);
	for (uint32_t i = 0; i < OTHERS; i++)
		refused += send_web(source(1000000 + i), 1024, SYN) == BERTH_VERDICT_OVER_LIMIT;
	print_message("%u of %u others limited\n", refused, OTHERS);
	/* Those before them are sources at their limits, too: 26,554 at the end, (0.4)^4. */
	assert_in_range(refused, 0, OTHERS / 100);
}

/* Many workers, one clock. Each publishes what it read last, and none is further ahead of another than LAG_NS: a
 * worker that the kernel did not let run must not judge a flow by a clock of seconds ago. */
#define LAG_NS UINT64_C(20000000)

static uint64_t read_last[THREADS];

static void wait_for_slower_ones(uint64_t now)
{
	for (uint32_t i = 0; i < THREADS; i++)
		while (__atomic_load_n(&read_last[i], __ATOMIC_ACQUIRE) + LAG_NS < now)
			sched_yield();
}

struct worker {
	pthread_t thread;
	uint32_t number;
	uint64_t accepted;
};

static void *run_worker(void *argument)
{
	struct worker *worker = argument;
	const struct berth_packet packet = {.service = WEB, .src = fixture_addr("198.51.100.7"), .protocol = 6};
	struct berth_view view = berth_image_view(&image, worker->number, FIXTURE_NOW);
	/* Each try takes 250 ns of the clock. */
	while ((view.now_ns = __atomic_fetch_add(&now_ns, 250, __ATOMIC_RELAXED)) < (FIXTURE_NOW + 2) * SECOND) {
		__atomic_store_n(&read_last[worker->number], view.now_ns, __ATOMIC_RELEASE);
		wait_for_slower_ones(view.now_ns);
		worker->accepted += !berth_limit_exceeds(&view, &packet);
	}
	__atomic_store_n(&read_last[worker->number], UINT64_MAX - LAG_NS, __ATOMIC_RELEASE);
	return NULL;
}

static void race(uint64_t *accepted)
{
	struct worker workers[THREADS];
	for (uint32_t i = 0; i < THREADS; i++)
		read_last[i] = now_ns;
	for (uint32_t i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.number = i};
		assert_int_equal(pthread_create(&workers[i].thread, NULL, run_worker, &workers[i]), 0);
	}
	*accepted = 0;
	for (uint32_t i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		*accepted += workers[i].accepted;
	}
}

static void many_workers_at_once_let_in_what_one_does(void **state)
{
	(void)state;
	uint64_t accepted;
	limit_service(WEB, 100000, 10000);
	race(&accepted);
	print_message("service: %llu of 210000\n", (unsigned long long)accepted);
	assert_in_range(accepted, 209000, 211000);
	fixture_service_at(&image, WEB)->limit = (struct berth_limit){0};
	limit_sources(WEB, 100000, 10000, 32, 64);
	now_ns = FIXTURE_NOW * SECOND;
	race(&accepted);
	print_message("source: %llu of 210000\n", (unsigned long long)accepted);
	assert_in_range(accepted, 209000, 215000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_service_lets_in_its_burst_and_then_its_limit),
		TEST(below_its_limit_nothing_is_dropped),
		TEST(a_flood_from_one_prefix_is_limited_and_others_are_served),
		TEST(the_sources_of_ipv6_are_prefixes),
		TEST(services_have_limits_of_their_own),
		TEST(known_flows_are_never_limited),
		TEST(a_connection_on_the_ports_of_a_finished_one_is_a_new_flow),
		TEST(over_the_limit_a_tcp_packet_without_syn_is_forwarded_without_an_entry),
		TEST(fragments_and_icmp_errors_of_known_flows_are_never_limited),
		TEST(a_source_over_its_limit_takes_nothing_of_the_services),
		TEST(an_invalid_source_takes_nothing_of_a_limit),
		TEST(a_limit_is_right_after_a_long_pause_and_with_any_clock),
		TEST(damaged_words_are_no_limits),
		TEST(without_limits_no_word_is_written),
		TEST(thousands_of_flooding_sources_limit_hardly_any_other),
		TEST(many_workers_at_once_let_in_what_one_does),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
