/* SPDX-License-Identifier: BSD-3-Clause */
/* TCP checks against real sockets in a network namespace. */
#include <inttypes.h>

#include "controlplane/util/clock.h"
#include "tests/unit/controlplane/health/health_lab.h"

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
