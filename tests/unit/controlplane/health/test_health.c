/* SPDX-License-Identifier: BSD-3-Clause */
/* The state machine as a table; TCP checks against real sockets in a network namespace. */

#include "controlplane/health/state.h"
#include "controlplane/util/clock.h"
#include <inttypes.h>

#include "tests/unit/controlplane/health/health_lab.h"

enum {
	MANY = 2000,
	VERY_MANY = LAB_TARGETS
};

static void test_rise_and_fall_count_results_in_a_row(void **state)
{
	(void)state;
	/* Results: '+' and '-'; after each: up 'U', down 'D'. */
	static const struct {
		int initial;
		uint32_t rise, fall;
		const char *results, *then;
	} CASES[] = {
		{-1, 2, 3, "+", "U"},	      {-1, 2, 3, "-", "D"},	 {-1, 5, 5, "+----+-----", "UUUUUUUUUUD"},
		{-1, 2, 3, "-+-++", "DDDDU"}, {1, 2, 3, "---", "UUD"},	 {1, 2, 3, "--+---", "UUUUUD"},
		{0, 2, 3, "++", "DU"},	      {0, 1, 1, "+-+-", "UDUD"}, {0, 3, 1, "++-+++", "DDDDDU"},
		{1, 1, 2, "--+--", "UDUUD"},  {0, 0, 0, "+-", "UD"},
	};

	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct berth_rise_fall is;
		berth_rise_fall_init(&is, CASES[i].initial, 1000);
		for (size_t j = 0; CASES[i].results[j] != 0; j++) {
			int before = is.up;
			uint64_t since = is.since_ms;
			bool changed = berth_rise_fall_step(&is, CASES[i].rise, CASES[i].fall,
							    CASES[i].results[j] == '+', 2000 + j);
			assert_int_equal(is.up, CASES[i].then[j] == 'U');
			assert_int_equal(changed, is.up != before);
			assert_int_equal(is.since_ms, changed ? 2000 + j : since);
		}
	}
}

static void test_delays_stay_within_a_tenth_and_differ(void **state)
{
	(void)state;
	uint64_t random = 7, again = 7;
	uint32_t least = UINT32_MAX, most = 0;
	unsigned int tenths[10] = {0};

	for (int i = 0; i < 1000; i++) {
		random = berth_health_random(random);
		again = berth_health_random(again);
		assert_int_equal(random, again);
		uint32_t delay = berth_health_delay(2000, random);
		least = delay < least ? delay : least;
		most = delay > most ? delay : most;
		assert_in_range(berth_health_second_delay(2000, random), 1, 2000);
		tenths[(berth_health_second_delay(2000, random) - 1) / 200]++;
		assert_true(berth_health_first_delay(2000, random) <= 100);
		assert_true(berth_health_first_delay(30, random) <= 30);
	}
	assert_in_range(least, 1800, 1810);
	assert_in_range(most, 2190, 2200);
	for (int i = 0; i < 10; i++)
		assert_in_range(tenths[i], 60, 140);
	assert_int_equal(berth_health_delay(5, random), 5);
}

static void test_probes_start_at_times_that_they_share(void **state)
{
	(void)state;
	assert_int_equal(berth_health_together(80003999, 60000), 80000000);
	assert_int_equal(berth_health_together(80004000, 60000), 80008000);
	assert_int_equal(berth_health_together(80001000, 128), 80001000);
	assert_int_equal(berth_health_together(80001499, 128), 80001000);
	/* No interval loses more than the half of a 128th. */
	for (uint32_t ms = 1; ms < 3000; ms++)
		assert_in_range(berth_health_together(UINT64_C(1234567891), ms), 1234567891 - ms * 1000 / 256 - 1,
				1234567891 + ms * 1000 / 256 + 1);
}

static void test_checks_are_behind_while_more_than_one_in_twenty_is_late(void **state)
{
	(void)state;
	struct berth_health_delays delays = {0};
	const struct {
		uint32_t probes, late; /* in 10 s each */
		bool is_behind;
	} periods[] = {{100, 0, false}, {100, 5, false}, {100, 6, true}, {100, 100, true},
		       {19, 1, false},	{19, 2, true},	 {40, 2, false}, {9, 9, true}};
	uint64_t now = 1, late = 0;
	for (size_t i = 0; i < sizeof(periods) / sizeof(periods[0]); i++) {
		for (uint32_t n = 0; n < periods[i].probes; n++)
			berth_health_delays_add(&delays, n < periods[i].late ? 500000 : 499999, 1000, now);
		now += 10000000;
		late += periods[i].late;
		assert_int_equal(delays.late, late);
		if (i)
			assert_int_equal(delays.is_behind, periods[i - 1].is_behind);
	}
	/* A period ends without a probe, too. */
	berth_health_delays_tick(&delays, now);
	assert_true(delays.is_behind);
	berth_health_delays_tick(&delays, now + 9999999);
	assert_true(delays.is_behind);
	now += 10000000;
	berth_health_delays_tick(&delays, now);
	assert_false(delays.is_behind);
	/* Half of a short interval is what a busy host takes now and then. */
	berth_health_delays_add(&delays, 49999, 50, now);
	assert_int_equal(delays.late, late);
	berth_health_delays_add(&delays, 50000, 50, now);
	assert_int_equal(delays.late, late + 1);
}

/* --- real sockets --- */

static void test_probes_that_wait_for_this_host_are_counted(void **state)
{
	struct health_lab *lab = *state;
	uint16_t port = 0;
	int fd = listen_on("127.0.0.1", &port, 16);
	struct berth_health_target target = target_of(1, "127.0.0.1", port);

	assert_int_equal(berth_health_set(lab->health, &target, 1), 0);
	wait_for(lab, 1, 1, 20000);
	const uint64_t late = berth_health_delays(lab->health)->late;
	/* Nothing runs for 200 ms, and the next one is due after 55; again if one had begun before. */
	for (int i = 0; i < 20 && berth_health_delays(lab->health)->late == late; i++) {
		usleep(200000);
		wait_for_probes(lab, 1, status_of(lab, 1).probes + 2);
	}
	assert_true(berth_health_delays(lab->health)->late > late);
	close(fd);
}

static void test_a_server_that_listens_is_up_over_ipv4_and_ipv6(void **state)
{
	struct health_lab *lab = *state;
	uint16_t port4 = 0, port6 = 0;
	int fd4 = listen_on("127.0.0.1", &port4, 100), fd6 = listen_on("::1", &port6, 100);
	struct berth_health_target targets[] = {target_of(1, "127.0.0.1", port4), target_of(2, "::1", port6)};

	assert_int_equal(berth_health_set(lab->health, targets, 2), 0);
	assert_int_equal(status_of(lab, 1).up, -1);
	for (uint64_t id = 1; id <= 2; id++) {
		wait_for(lab, id, 1, 3000);
		assert_memory_equal(lab->reports[id].reason, "connected in ", 13);
		assert_int_equal(status_of(lab, id).up, 1);
		assert_true(status_of(lab, id).probes >= 1);
		assert_int_equal(status_of(lab, id).failures, 0);
	}
	run_for(lab, 200);
	assert_int_equal(lab->reports[1].calls, 1);
	assert_in_range(status_of(lab, 1).probes, 2, 6);
	close(fd4);
	close(fd6);
}

/* The kernel waits 200 ms with the ACK, and a process may wait longer for a processor: then the next ones count. */
static void test_a_tcp_check_makes_no_connection_at_the_server(void **state)
{
	struct health_lab *lab = *state;
	uint16_t port = 0;
	int fd = listen_on("::", &port, 4096);
	struct berth_health_target targets[] = {target_of(1, "127.0.0.1", port), target_of(2, "::1", port)};
	uint64_t connections, probes;
	bool is_without = false;

	assert_int_equal(berth_health_set(lab->health, targets, 2), 0);
	for (int i = 0; i < 100 && !is_without; i++) {
		connections = tcp_counter("PassiveOpens");
		probes = status_of(lab, 1).probes;
		wait_for_probes(lab, 1, probes + 3);
		wait_for_probes(lab, 2, probes + 3);
		is_without = tcp_counter("PassiveOpens") == connections;
	}
	assert_true(is_without);
	for (uint64_t id = 1; id <= 2; id++) {
		assert_int_equal(status_of(lab, id).up, 1);
		assert_int_equal(status_of(lab, id).failures, 0);
	}
	close(fd);
}

/* The numbers of all sockets of the process that probes, added up. */
static uint64_t sockets_that_probe(size_t *n)
{
	char path[64], link[64];
	uint64_t sum = 0, number;
	snprintf(path, sizeof(path), "/proc/%d/fd", helper_pid ? (int)helper_pid : (int)getpid());
	DIR *dir = opendir(path);
	assert_non_null(dir);
	*n = 0;
	for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		const ssize_t length = readlinkat(dirfd(dir), entry->d_name, link, sizeof(link) - 1);
		link[length > 0 ? length : 0] = 0;
		if (sscanf(link, "socket:[%" SCNu64, &number) != 1)
			continue;
		sum += number;
		++*n;
	}
	closedir(dir);
	return sum;
}

/* A pause of a second in which nothing is probed closes a socket, too. */
static void test_the_next_probe_of_a_server_has_the_same_socket(void **state)
{
	struct health_lab *lab = *state;
	uint16_t port = 0;
	struct berth_health_target target;
	bool is_same = false;
	size_t before, then, now;

	for (int i = 0; i < 2; i++) {
		int fd = listen_on("127.0.0.1", &port, 16);
		sockets_that_probe(&before);
		if (i == 0) {
			target = target_of(1, "127.0.0.1", port);
			assert_int_equal(berth_health_set(lab->health, &target, 1), 0);
		}
		wait_for(lab, 1, 1, 20000);
		for (int tries = 0; tries < 100 && !is_same; tries++) {
			const uint64_t sockets = sockets_that_probe(&then);
			wait_for_probes(lab, 1, status_of(lab, 1).probes + 3);
			is_same = sockets_that_probe(&now) == sockets && then == before + 1 && now == then;
		}
		assert_true(is_same);
		close(fd);
		wait_for(lab, 1, 0, 20000);
		assert_string_equal(lab->reports[1].reason, "connection refused");
		is_same = false;
	}
}

static void test_a_server_that_refuses_is_down(void **state)
{
	struct health_lab *lab = *state;
	uint16_t port = 0;
	close(listen_on("127.0.0.1", &port, 1));
	struct berth_health_target target = target_of(1, "127.0.0.1", port);

	assert_int_equal(berth_health_set(lab->health, &target, 1), 0);
	wait_for(lab, 1, 0, 3000);
	assert_string_equal(lab->reports[1].reason, "connection refused");
	assert_int_equal(status_of(lab, 1).failures, status_of(lab, 1).probes);
}

static void test_a_server_without_route_is_down_at_once_if_stale_is_0(void **state)
{
	struct health_lab *lab = *state;
	struct berth_health_target target = target_of(1, "192.0.2.1", 80);

	assert_int_equal(system("ip route replace unreachable 192.0.2.0/24"), 0);
	check_of(&target)->stale_ms = 0; /* an error of this host counts at once */
	assert_int_equal(berth_health_set(lab->health, &target, 1), 0);
	wait_for(lab, 1, 0, 3000);
	assert_string_equal(lab->reports[1].reason, "no route to host");
}

/* A cable of this host that is pulled and plugged in again says nothing about the servers behind it. */
static void test_a_link_without_carrier_keeps_the_state_for_stale(void **state)
{
	struct health_lab *lab = *state;
	struct berth_health_target target = target_of(1, "198.51.100.2", 80);

	/* The other end is down: this one is up and has no carrier. */
	assert_int_equal(system("ip link add cut0 type veth peer name cut1 && ip link set cut0 up && "
				"ip addr add 198.51.100.1/24 dev cut0"),
			 0);
	target.initial = 1;
	check_of(&target)->interval_ms = 100;
	check_of(&target)->timeout_ms = 100;
	check_of(&target)->fall = 1;
	check_of(&target)->stale_ms = 1500;
	assert_int_equal(berth_health_set(lab->health, &target, 1), 0);
	assert_true(wait_until(lab->reports[1].error == BERTH_HEALTH_HOST_ERROR, 3000, run_for(lab, 5)));
	assert_string_equal(status_of(lab, 1).reason,
			    "cut0, the link towards the server, is down or has no carrier");
	run_for(lab, 500);
	assert_int_equal(status_of(lab, 1).up, 1);
	wait_for(lab, 1, 0, 5000);
	/* With a carrier it is the server that does not answer. */
	assert_int_equal(system("ip link set cut1 up"), 0);
	assert_true(wait_until(lab->reports[1].error == BERTH_HEALTH_NO_ERROR, 3000, run_for(lab, 5)));
	assert_int_equal(lab->reports[1].up, 0);
	assert_int_equal(system("ip link del cut0"), 0);
}

static struct berth_reception received; /* of the tests below */

static struct berth_reception reception(void *arg)
{
	(void)arg;
	return received;
}

/* Probes of a server that is up fail, as `received` says for want of packets: it stays up. */
static void expect_failures_to_be_of_this_host(struct health_lab *lab, struct berth_health_target *target)
{
	berth_health_set_reception_fn(lab->health, reception);
	target->initial = 1;
	check_of(target)->interval_ms = 20;
	check_of(target)->fall = 1;
	check_of(target)->stale_ms = 60000;
	assert_int_equal(berth_health_set(lab->health, target, 1), 0);
	assert_true(wait_until(lab->reports[1].error == BERTH_HEALTH_HOST_ERROR, 3000, run_for(lab, 5)));
	assert_string_equal(status_of(lab, 1).reason, "the engine of this host did not receive packets meanwhile");
	run_for(lab, 200);
	assert_int_equal(status_of(lab, 1).up, 1);
}

/* An engine that hangs or is being started says nothing about the servers behind it, nor does a probe that began
 * before it received packets again. */
static void test_a_probe_during_which_this_host_received_nothing_keeps_the_state(void **state)
{
	struct health_lab *lab = *state;
	uint16_t port = 0;
	close(listen_on("127.0.0.1", &port, 1));
	struct berth_health_target target = target_of(1, "127.0.0.1", port);

	received = (struct berth_reception){.since_ms = UINT64_MAX, .until_ms = UINT64_MAX};
	expect_failures_to_be_of_this_host(lab, &target);
	/* Each probe begins before that time. */
	received.since_ms = berth_clock_ms() + 300;
	run_for(lab, 200);
	assert_int_equal(status_of(lab, 1).up, 1);
	/* The first one that begins after it counts. */
	wait_for(lab, 1, 0, 3000);
	assert_true(berth_clock_ms() >= received.since_ms);
	assert_string_equal(lab->reports[1].reason, "connection refused");
}

/* The engine may have stopped a moment ago, which nobody has noticed yet. */
static void test_silence_counts_only_if_this_host_received_packets_in_its_second_half(void **state)
{
	struct health_lab *lab = *state;
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(to);
	const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0); /* nobody reads it */
	assert_int_equal(bind(fd, (struct sockaddr *)&to, length), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&to, &length), 0);
	struct berth_health_target target = target_of(1, "127.0.0.1", ntohs(to.sin_port));

	received = (struct berth_reception){.until_ms = berth_clock_ms()};
	check_of(&target)->type = BERTH_HEALTH_UDP;
	check_of(&target)->timeout_ms = 40;
	expect_failures_to_be_of_this_host(lab, &target);
	/* It goes on: the server is silent. */
	received.until_ms = UINT64_MAX;
	wait_for(lab, 1, 0, 3000);
	assert_string_equal(lab->reports[1].reason, "no answer within 40 ms");
	close(fd);
}

static void test_a_server_that_does_not_answer_is_down(void **state)
{
	struct health_lab *lab = *state;
	uint16_t port = 0;
	int filler[4], fd = listen_on("127.0.0.1", &port, 0);
	struct berth_health_target target = target_of(1, "127.0.0.1", port);
	struct sockaddr_storage to;
	socklen_t length = berth_address_to_socket(&target.address, port, &to);

	/* With the backlog full the kernel drops each further SYN. */
	for (int i = 0; i < 4; i++) {
		filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		connect(filler[i], (struct sockaddr *)&to, length);
	}
	usleep(1000);
	size_t before = open_descriptors();
	uint64_t start = berth_clock_ms();
	check_of(&target)->timeout_ms = 200;
	assert_int_equal(berth_health_set(lab->health, &target, 1), 0);
	wait_for(lab, 1, 0, 3000);
	assert_in_range(berth_clock_ms() - start, 180, 1500);
	assert_string_equal(lab->reports[1].reason, "no answer within 200 ms");
	run_for(lab, 500); /* the timeout exceeds the interval: one probe at a time nevertheless */
	/* And one socket for questions about links. */
	assert_true(open_descriptors() <= before + 2);
	for (int i = 0; i < 4; i++)
		close(filler[i]);
	close(fd);
}

static void test_fall_and_rise_are_reported_once_each(void **state)
{
	struct health_lab *lab = *state;
	uint16_t port = 0;
	int fd = listen_on("127.0.0.1", &port, 100);
	struct berth_health_target target = target_of(1, "127.0.0.1", port);

	assert_int_equal(berth_health_set(lab->health, &target, 1), 0);
	wait_for(lab, 1, 1, 3000);
	close(fd);
	wait_for(lab, 1, 0, 3000);
	assert_int_equal(status_of(lab, 1).failures, check_of(&target)->fall);
	uint64_t since = status_of(lab, 1).since_ms;
	uint64_t probes = status_of(lab, 1).probes;
	fd = listen_on("127.0.0.1", &port, 100);
	wait_for(lab, 1, 1, 3000);
	assert_in_range(status_of(lab, 1).probes - probes, check_of(&target)->rise, 10);
	assert_true(status_of(lab, 1).since_ms > since);
	assert_int_equal(lab->reports[1].calls, 3);
	close(fd);
}

static void test_an_initial_state_changes_only_after_rise_or_fall_results(void **state)
{
	struct health_lab *lab = *state;
	uint16_t port = 0;
	close(listen_on("127.0.0.1", &port, 1));
	struct berth_health_target target = target_of(1, "127.0.0.1", port);

	target.initial = 1;
	assert_int_equal(berth_health_set(lab->health, &target, 1), 0);
	assert_int_equal(status_of(lab, 1).up, 1);
	wait_for_probes(lab, 1, 1);
	assert_int_equal(status_of(lab, 1).up, 1);
	wait_for(lab, 1, 0, 3000);
	assert_int_equal(status_of(lab, 1).probes, check_of(&target)->fall);
	assert_int_equal(lab->reports[1].calls, 1);
}

/* The address of a backend changes: what its former server answered says nothing of the new one. */
static void test_a_target_that_becomes_unknown_starts_anew(void **state)
{
	struct health_lab *lab = *state;
	uint16_t port = 0, refused = 0;
	int fd = listen_on("127.0.0.1", &port, 16);
	close(listen_on("127.0.0.1", &refused, 1));
	struct berth_health_target target = target_of(1, "127.0.0.1", port);

	assert_int_equal(berth_health_set(lab->health, &target, 1), 0);
	wait_for(lab, 1, 1, 3000);
	target.port = refused;
	check_of(&target)->fall = 100; /* it would stay up that long */
	target.reset = true;
	struct berth_health_stage *stage = berth_health_stage(lab->health, &target, 1);
	assert_non_null(stage);
	assert_int_equal(berth_health_staged_state(stage, 0), -1);
	assert_int_equal(status_of(lab, 1).up, 1); /* until the commit */
	berth_health_commit(stage);
	assert_int_equal(status_of(lab, 1).up, -1);
	wait_for(lab, 1, 0, 3000);
	close(fd);
}

static void test_equal_targets_share_one_probe(void **state)
{
	struct health_lab *lab = *state;
	uint16_t port = 0;
	int fd = listen_on("127.0.0.1", &port, 4096);
	struct berth_health_target targets[100];
	uint64_t opens = tcp_counter("ActiveOpens");

	for (uint64_t i = 0; i < 100; i++)
		targets[i] = target_of(i + 1, "127.0.0.1", port);
	assert_int_equal(berth_health_set(lab->health, targets, 50), 0);
	for (uint64_t id = 1; id <= 50; id++)
		wait_for(lab, id, 1, 3000);
	/* One connection may not be counted yet. */
	uint64_t probes = status_of(lab, 1).probes;
	assert_in_range(tcp_counter("ActiveOpens") - opens, probes, probes + 1);
	/* Targets added later get the state at once. */
	assert_int_equal(berth_health_set(lab->health, targets, 100), 0);
	assert_int_equal(status_of(lab, 100).up, 1);
	assert_int_equal(lab->reports[100].calls, 1);
	assert_int_equal(lab->reports[1].calls, 1);
	/* A different check needs its own probe. */
	opens = tcp_counter("ActiveOpens");
	check_of(&targets[1])->fall++;
	assert_int_equal(berth_health_set(lab->health, targets, 2), 0);
	uint64_t before = status_of(lab, 1).probes;
	wait_for_probes(lab, 2, 3);
	probes = status_of(lab, 1).probes - before + status_of(lab, 2).probes;
	assert_in_range(tcp_counter("ActiveOpens") - opens, probes - 1, probes + 2);
	close(fd);
}

static void test_set_keeps_unchanged_targets_and_removes_absent_ones(void **state)
{
	struct health_lab *lab = *state;
	uint16_t port = 0, other = 0;
	int fd = listen_on("127.0.0.1", &port, 1000);
	close(listen_on("127.0.0.1", &other, 1));
	struct berth_health_target targets[] = {target_of(1, "127.0.0.1", port), target_of(2, "::1", port)};
	struct berth_health_status status;

	assert_int_equal(berth_health_set(lab->health, targets, 2), 0);
	wait_for(lab, 1, 1, 3000);
	wait_for_probes(lab, 1, 3);
	status = status_of(lab, 1);
	assert_int_equal(berth_health_set(lab->health, targets, 1), 0);
	assert_int_equal(status_of(lab, 1).probes, status.probes);
	assert_int_equal(status_of(lab, 1).since_ms, status.since_ms);
	assert_false(berth_health_get(lab->health, 2, &status));
	unsigned int calls = lab->reports[2].calls;

	/* A new port: the state stays until `fall` probes have failed. */
	targets[0].port = other;
	assert_int_equal(berth_health_set(lab->health, targets, 1), 0);
	assert_int_equal(status_of(lab, 1).up, 1);
	wait_for_probes(lab, 1, 1);
	assert_int_equal(status_of(lab, 1).up, 1);
	wait_for(lab, 1, 0, 3000);
	assert_int_equal(status_of(lab, 1).probes, check_of(&targets[0])->fall);

	assert_int_equal(berth_health_set(lab->health, NULL, 0), 0);
	run_for(lab, 5); /* a helper ends its probes */
	const uint64_t opens = tcp_counter("ActiveOpens");
	run_for(lab, 150);
	assert_int_equal(tcp_counter("ActiveOpens"), opens);
	assert_int_equal(lab->reports[2].calls, calls);
	close(fd);
}

static void test_the_checks_port_overrides_the_targets_port(void **state)
{
	struct health_lab *lab = *state;
	uint16_t port = 0;
	int fd = listen_on("127.0.0.1", &port, 100);
	struct berth_health_target target = target_of(1, "127.0.0.1", 9);

	check_of(&target)->port = port;
	assert_int_equal(berth_health_set(lab->health, &target, 1), 0);
	wait_for(lab, 1, 1, 3000);
	close(fd);
}

static void test_targets_without_check_are_up_at_once(void **state)
{
	struct health_lab *lab = *state;
	struct berth_health_target target = target_of(1, "192.0.2.1", 80);

	check_of(&target)->type = BERTH_HEALTH_NONE;
	target.initial = 0;
	assert_int_equal(berth_health_set(lab->health, &target, 1), 0);
	assert_int_equal(lab->reports[1].calls, 1);
	assert_int_equal(lab->reports[1].up, 1);
	assert_string_equal(lab->reports[1].reason, "not checked");
	run_for(lab, 50);
	assert_int_equal(status_of(lab, 1).probes, 0);
}

static void drop_all(struct health_lab *lab, uint64_t id)
{
	(void)id;
	assert_int_equal(berth_health_set(lab->health, NULL, 0), 0);
}

static void test_the_callback_may_remove_every_target(void **state)
{
	struct health_lab *lab = *state;
	uint16_t port = 0;
	int fd = listen_on("127.0.0.1", &port, 100);
	struct berth_health_target targets[10];
	unsigned int calls = 0;

	for (uint64_t i = 0; i < 10; i++)
		targets[i] = target_of(i + 1, "127.0.0.1", port);
	lab->then = drop_all;
	assert_int_equal(berth_health_set(lab->health, targets, 10), 0);
	for (int i = 0; i < 2000 && !calls; i++) {
		run_for(lab, 5);
		for (int id = 1; id <= 10; id++)
			calls += lab->reports[id].calls;
	}
	run_for(lab, 200);
	calls = 0;
	for (int id = 1; id <= 10; id++)
		calls += lab->reports[id].calls;
	assert_int_equal(calls, 1);
	close(fd);
}

static void add_another(struct health_lab *lab, uint64_t id)
{
	struct berth_health_target targets[20];

	for (uint64_t i = 0; i <= id; i++) {
		targets[i] = target_of(i + 1, "192.0.2.1", 80);
		check_of(&targets[i])->type = BERTH_HEALTH_NONE;
	}
	if (id < 20)
		assert_int_equal(berth_health_set(lab->health, targets, id + (id < 19)), 0);
}

static void test_the_callback_may_add_targets(void **state)
{
	struct health_lab *lab = *state;

	lab->then = add_another;
	add_another(lab, 1);
	for (int id = 1; id <= 19; id++)
		assert_int_equal(lab->reports[id].calls, 1);
}

/* Sockets that are kept for the next probe of their server are closed soon if there is none. What watches them
 * stays. */
static void wait_for_descriptors(struct health_lab *lab, size_t n)
{
	const size_t watching = helper_pid ? 0 : 1;
	assert_true(wait_until(open_descriptors() == n + watching, 20000, run_for(lab, 20)));
}

static void test_thousands_of_targets_are_probed_soon_without_leaks(void **state)
{
	struct health_lab *lab = *state;
	uint16_t port = 0;
	int fd = listen_on("0.0.0.0", &port, 4096);
	struct berth_health_target *targets = calloc(MANY, sizeof(*targets));
	size_t before = open_descriptors();
	uint64_t start = berth_clock_ms();

	for (int i = 0; i < MANY; i++) {
		char text[32];
		snprintf(text, sizeof(text), "127.1.%d.%d", i / 250, i % 250 + 1);
		targets[i] = target_of((uint64_t)i + 1, text, port);
		check_of(&targets[i])->interval_ms = 500;
		check_of(&targets[i])->timeout_ms = 400;
	}
	assert_int_equal(berth_health_set(lab->health, targets, MANY), 0);
	for (uint64_t id = 1; id <= MANY; id++) {
		wait_for(lab, id, 1, 3000);
		accept_all(fd);
	}
	assert_true(berth_clock_ms() - start < 3000);
	for (int i = 0; i < 10; i++) {
		run_for(lab, 100);
		accept_all(fd);
	}
	assert_true(open_descriptors() < before + 512 * (helper_pid ? 2 : 1));
	assert_int_equal(berth_health_set(lab->health, NULL, 0), 0);
	wait_for_descriptors(lab, before);
	/* The reset leaves no TIME_WAIT. */
	assert_int_equal(system("grep -q '^TCP:.* tw 0 ' /proc/net/sockstat"), 0);
	free(targets);
	close(fd);
}

/* A quadratic algorithm would take a minute. */
static void test_setting_very_many_targets_is_fast(void **state)
{
	struct health_lab *lab = *state;
	static const struct berth_health_config none = {.type = BERTH_HEALTH_NONE};
	struct berth_health_target *targets = calloc(VERY_MANY, sizeof(*targets));
	uint64_t start = berth_clock_ms();

	for (uint64_t i = 0; i < VERY_MANY; i++) {
		targets[i] = target_of(VERY_MANY - i, "192.0.2.1", 80);
		targets[i].check = &none;
		targets[i].address.word[3].raw = (uint32_t)i;
	}
	for (int i = 0; i < 3; i++)
		assert_int_equal(berth_health_set(lab->health, targets, VERY_MANY), 0);
	assert_int_equal(berth_health_set(lab->health, targets, VERY_MANY / 2), 0);
	assert_true(berth_clock_ms() - start < 3000);
	for (uint64_t id = 1; id <= VERY_MANY; id++)
		assert_int_equal(lab->reports[id].calls, 1);
	free(targets);
}

/* A SYN to 198.51.100.0/24 is lost in the namespace. */
static void test_many_silent_servers_do_not_delay_a_live_one(void **state)
{
	struct health_lab *lab = *state;
	uint16_t port = 0;
	int fd = listen_on("127.0.0.1", &port, 4096);
	struct berth_health_target targets[601];
	uint64_t ends = 0;
	size_t descriptors = open_descriptors();

	assert_int_equal(system("ip link add pit0 type veth peer name pit1 && ip link set pit0 up &&"
				" ip link set pit1 up && ip addr add 198.51.100.1/22 dev pit0"),
			 0);
	for (int i = 0; i < 600; i++) {
		char text[32];
		snprintf(text, sizeof(text), "198.51.%d.%d", 100 + i / 250, i % 250 + 2);
		targets[i] = target_of((uint64_t)i + 1, text, port);
		check_of(&targets[i])->interval_ms = 300;
		check_of(&targets[i])->timeout_ms = 300;
	}
	targets[600] = target_of(601, "127.0.0.1", port);
	assert_int_equal(berth_health_set(lab->health, targets, 601), 0);
	for (uint64_t id = 1; id <= 600; id++)
		wait_for(lab, id, 0, 3000);
	uint64_t before = status_of(lab, 601).probes;
	size_t most = 0;
	for (ends = berth_clock_ms() + 1000; berth_clock_ms() < ends;) {
		size_t now = open_descriptors();
		most = now > most ? now : most;
		run_for(lab, 10);
	}
	assert_in_range(status_of(lab, 601).probes - before, 10, 23); /* 20 intervals */
	assert_in_range(most, 200, 300);			      /* silent servers share the slow pool */
	assert_int_equal(berth_health_set(lab->health, NULL, 0), 0);
	wait_for_descriptors(lab, descriptors);
	assert_int_equal(system("ip link del pit0"), 0);
	close(fd);
}

static void test_running_out_of_descriptors_does_not_change_states(void **state)
{
	struct health_lab *lab = *state;
	uint16_t port = 0, other = 0;
	int fd = listen_on("127.0.0.1", &port, 4096), other_fd = listen_on("127.0.0.1", &other, 4096);
	/* The first one has a socket already. */
	struct berth_health_target targets[] = {target_of(1, "127.0.0.1", port), target_of(2, "127.0.0.1", other)};
	rlim_t before, ignored;

	targets[1].initial = 1;
	assert_int_equal(berth_health_set(lab->health, targets, 1), 0);
	wait_for(lab, 1, 1, 3000);
	limit_descriptors(3, &before);
	assert_int_equal(berth_health_set(lab->health, targets, 2), 0);
	assert_true(wait_until(lab->reports[2].error == BERTH_HEALTH_HOST_ERROR, 20000, run_for(lab, 5)));
	wait_for_probes(lab, 1, status_of(lab, 1).probes + 3);
	limit_descriptors(before, &ignored);
	for (uint64_t id = 1; id <= 2; id++) {
		assert_int_equal(status_of(lab, id).up, 1);
		assert_int_equal(status_of(lab, id).failures, 0);
	}
	assert_string_equal(status_of(lab, 2).reason, "too many open files");
	wait_for_probes(lab, 2, status_of(lab, 2).probes + 1);
	assert_int_equal(lab->reports[2].error, BERTH_HEALTH_NO_ERROR);
	close(fd);
	close(other_fd);
}

static void test_an_error_of_this_host_counts_as_failed_after_stale(void **state)
{
	struct health_lab *lab = *state;
	/* The namespace has no route to it. */
	struct berth_health_target target = target_of(1, "198.51.100.1", 80);

	check_of(&target)->stale_ms = 600;
	target.initial = 1;
	assert_int_equal(berth_health_set(lab->health, &target, 1), 0);
	assert_true(wait_until(lab->reports[1].error == BERTH_HEALTH_HOST_ERROR, 3000, run_for(lab, 5)));
	uint64_t begun_ms = berth_clock_ms();
	assert_int_equal(status_of(lab, 1).up, 1);
	assert_int_equal(status_of(lab, 1).failures, 0);
	wait_for(lab, 1, 0, 5000);
	assert_true(berth_clock_ms() - begun_ms >= 500);
	assert_string_equal(lab->reports[1].reason, "network is unreachable");
	assert_int_equal(lab->reports[1].errors, 1);
	assert_int_equal(status_of(lab, 1).error, BERTH_HEALTH_HOST_ERROR);
	assert_int_equal(status_of(lab, 1).failures, check_of(&target)->fall);
}

static void test_an_unknown_backend_stays_unknown_while_this_host_has_an_error(void **state)
{
	struct health_lab *lab = *state;
	struct berth_health_target target = target_of(1, "198.51.100.1", 80);

	assert_int_equal(berth_health_set(lab->health, &target, 1), 0);
	assert_true(wait_until(lab->reports[1].error == BERTH_HEALTH_HOST_ERROR, 3000, run_for(lab, 5)));
	run_for(lab, 200);
	assert_int_equal(status_of(lab, 1).up, -1);
	assert_true(status_of(lab, 1).errors > 1);
	assert_int_equal(lab->reports[1].errors, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rise_and_fall_count_results_in_a_row),
		cmocka_unit_test(test_delays_stay_within_a_tenth_and_differ),
		cmocka_unit_test(test_probes_start_at_times_that_they_share),
		cmocka_unit_test(test_checks_are_behind_while_more_than_one_in_twenty_is_late),
		TEST(test_probes_that_wait_for_this_host_are_counted),
		TEST(test_a_server_that_listens_is_up_over_ipv4_and_ipv6),
		TEST(test_a_tcp_check_makes_no_connection_at_the_server),
		TEST(test_the_next_probe_of_a_server_has_the_same_socket),
		TEST(test_a_server_that_refuses_is_down),
		TEST(test_a_server_without_route_is_down_at_once_if_stale_is_0),
		TEST(test_a_link_without_carrier_keeps_the_state_for_stale),
		TEST(test_a_probe_during_which_this_host_received_nothing_keeps_the_state),
		TEST(test_silence_counts_only_if_this_host_received_packets_in_its_second_half),
		TEST(test_a_server_that_does_not_answer_is_down),
		TEST(test_fall_and_rise_are_reported_once_each),
		TEST(test_an_initial_state_changes_only_after_rise_or_fall_results),
		TEST(test_a_target_that_becomes_unknown_starts_anew),
		TEST(test_equal_targets_share_one_probe),
		TEST(test_set_keeps_unchanged_targets_and_removes_absent_ones),
		TEST(test_the_checks_port_overrides_the_targets_port),
		TEST(test_targets_without_check_are_up_at_once),
		TEST(test_the_callback_may_remove_every_target),
		TEST(test_the_callback_may_add_targets),
		TEST(test_thousands_of_targets_are_probed_soon_without_leaks),
		TEST(test_setting_very_many_targets_is_fast),
		TEST(test_many_silent_servers_do_not_delay_a_live_one),
		TEST(test_an_error_of_this_host_counts_as_failed_after_stale),
		TEST(test_an_unknown_backend_stays_unknown_while_this_host_has_an_error),
	};
	/* The limits of a helper, which is another user's process, cannot be changed. */
	const struct CMUnitTest own[] = {TEST(test_running_out_of_descriptors_does_not_change_states)};

	if (!enter_namespace())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL) +
	       (getenv("BERTH_TEST_HELPER") ? 0 : cmocka_run_group_tests(own, NULL, NULL));
}
