// SPDX-License-Identifier: BSD-3-Clause
/* What berthd logs about a configuration in which many things are probably mistakes. */
#include "controlplane/util/log_ring.h"
#include "tests/support/berthd.h"

enum {
	SERVICES = 30,
	LOGGED = 20,
};

static int set_up(void **state)
{
	static char text[4096];
	size_t n = (size_t)snprintf(text, sizeof(text), "engine: 'null'\ninterfaces: [{name: lo}]\nservices:\n");
	for (int i = 0; i < SERVICES; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n,
				      "  - {name: v%d, address: 203.0.113.%d, port: 80, mode: ipip}\n", i, 20 + i);
	return berthd_set_up(state, text);
}

static size_t count_events(const char *part)
{
	size_t n = 0;
	for (uint64_t i = berth_log_ring_first(); i < berth_log_ring_end(); i++) {
		const struct berth_log_event *event = berth_log_ring_get(i);
		n += event && strstr(event->text, part);
	}
	return n;
}

static void the_first_warnings_are_logged_and_how_many_more_there_are(void **state)
{
	(void)state;
	assert_int_equal(count_events("accepts no clients: it has no backends"), LOGGED);
	assert_int_equal(count_events("v19 accepts no clients"), 1);
	assert_int_equal(count_events("10 more about the configuration: `berthctl config check "), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_first_warnings_are_logged_and_how_many_more_there_are, set_up,
						berthd_tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
