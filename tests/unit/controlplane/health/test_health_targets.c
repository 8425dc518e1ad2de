/* SPDX-License-Identifier: BSD-3-Clause */
/* Which targets have which checks, how they come and go, and many of them. */
#include <inttypes.h>

#include "controlplane/util/clock.h"
#include "tests/unit/controlplane/health/health_lab.h"

enum {
	MANY = 2000,
	VERY_MANY = LAB_TARGETS
};

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_equal_targets_share_one_probe),
		TEST(test_set_keeps_unchanged_targets_and_removes_absent_ones),
		TEST(test_the_checks_port_overrides_the_targets_port),
		TEST(test_targets_without_check_are_up_at_once),
		TEST(test_the_callback_may_remove_every_target),
		TEST(test_the_callback_may_add_targets),
		TEST(test_thousands_of_targets_are_probed_soon_without_leaks),
		TEST(test_setting_very_many_targets_is_fast),
		TEST(test_many_silent_servers_do_not_delay_a_live_one),
	};

	if (!enter_namespace())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
