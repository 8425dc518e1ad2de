// SPDX-License-Identifier: BSD-3-Clause
/* Selection tables are built in turns of the event loop: a change of many services delays no command. */
#include "controlplane/daemon/publication.h"
#include "tests/support/berthd.h"

enum {
	SERVICES = 4,
	MOST_TURNS = 1000,
};

static char *configuration(void)
{
	static char text[4096];
	size_t n = (size_t)snprintf(text, sizeof(text),
				    "engine: 'null'\n"
				    "interfaces: [{name: lo}]\n"
				    "limits: {flows: 1024, sessions: 1024, services: %d, backends: %d}\n"
				    "services:\n",
				    SERVICES, 2 * SERVICES);
	for (int i = 0; i < SERVICES; i++)
		n += (size_t)snprintf(
			text + n, sizeof(text) - n,
			"  - {name: v%d, address: 203.0.113.%d, protocol: tcp, port: 80, mode: ipip, "
			"table-size: 65537, health: {type: none}, "
			"backends: [{name: b1, address: 192.0.2.1}, {name: b2, address: 192.0.2.2}]}\n",
			i, 20 + i);
	return text;
}

static int set_up(void **state)
{
	return berthd_set_up(state, configuration());
}

/* How many services have another table than `former` says, which then says what they have. */
static unsigned int count_built(const struct berth_model *model, uint64_t former[SERVICES])
{
	unsigned int n = 0;
	for (size_t i = 0; i < SERVICES; i++) {
		n += model->services[i].rows_version != former[i];
		former[i] = model->services[i].rows_version;
	}
	return n;
}

static void a_turn_builds_one_large_table(void **state)
{
	struct berthd *f = *state;
	uint64_t former[SERVICES] = {0};
	struct berth_model *model = &f->daemon->model;
	unsigned int built = 0;
	count_built(model, former);
	/* One server of all services has a next hop now. */
	for (size_t i = 0; i < SERVICES; i++)
		model->services[i].backends[0].next_hop.is_resolved = true;
	berth_publication_request(f->daemon);
	for (unsigned int turns = 0; f->daemon->state.publication.is_pending; turns++) {
		assert_in_range(turns, 0, MOST_TURNS);
		berth_publication_advance(f->daemon);
		const unsigned int now = count_built(model, former);
		assert_in_range(now, 0, 1);
		built += now;
	}
	assert_int_equal(built, SERVICES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_turn_builds_one_large_table, set_up, berthd_tear_down),
	};
	return cmocka_run_group_tests_name("turns", tests, NULL, NULL);
}
