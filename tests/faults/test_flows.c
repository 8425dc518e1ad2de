/* SPDX-License-Identifier: BSD-3-Clause */
/* When the generator's flows ask, with a clock of the test's own and no answers. */
#include "tests/faults/flows.h"
#include "tests/support/unit.h"

enum {
	START_MS = 1000,
	BEGINS_MS = 600, /* long enough for first questions to be repeated */
	PAUSE_STEP_MS = 10,
};

static struct flows flows;

/* Flows that wait for answers, and no other ones begin. */
static void some_flows_ask(void)
{
	memset(&flows, 0, sizeof(flows));
	burst_init(&flows.out, -1);
	flows.rate_max = 1000;
	flows.services[flows.n_services++] = (struct service){.name = "flows", .protocol = IPPROTO_UDP};
	flows_init(&flows, START_MS, 1);
	for (uint64_t now_ms = START_MS; now_ms < START_MS + BEGINS_MS; now_ms += SLOT_MS)
		flows_tick(&flows, now_ms);
	flows.silent = true;
}

static void test_each_flow_asks_once_after_a_pause(void **state)
{
	(void)state;
	for (uint64_t pause_ms = 9000; pause_ms < SLOTS * SLOT_MS; pause_ms += PAUSE_STEP_MS) {
		some_flows_ask();
		const uint64_t asked = flows.asked;
		const unsigned living = FLOWS_MAX - flows.n_free;
		assert_in_range(living, 20, 1000);
		flows_tick(&flows, flows.now_ms + pause_ms);
		assert_int_equal(flows.asked - asked, living);
		assert_int_equal(FLOWS_MAX - flows.n_free, living);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_flow_asks_once_after_a_pause),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
