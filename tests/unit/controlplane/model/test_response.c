// SPDX-License-Identifier: BSD-3-Clause
/* The times of servers, and what two servers get of new flows by them, in simulated time. */
#include <string.h>

#include "tests/support/unit.h"

#include "controlplane/model/response.h"
#include "dataplane/core/image.h"

#include "dataplane/core/select.h"

enum {
	INTERVAL_MS = 1000,
	HALF_LIFE_MS = 2 * INTERVAL_MS, /* the default */
	COUNTS = 4,			/* counts of the flows in an interval */
	NEW_FLOWS = 50,			/* between two counts */
	LIVES = 5,			/* intervals that a flow lives */
	LIFE = LIVES * COUNTS,
	UNIT = 64,
	SERVERS = 2,
};

/* Servers of one row. A flow lives through LIFE counts. */
struct sim {
	uint64_t now_ms;
	uint32_t random;
	uint32_t counts;
	struct berth_response response[SERVERS];
	struct berth_load_cell cell[SERVERS];
	uint32_t live[SERVERS];
	uint32_t begun[LIFE][SERVERS];
	uint32_t got[SERVERS]; /* new flows since it was cleared */
};

static uint32_t at_most(struct sim *sim, uint32_t n)
{
	sim->random = sim->random * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)sim->random * (n + 1) >> 32);
}

static void count(struct sim *sim)
{
	uint32_t *begun = sim->begun[sim->counts++ % LIFE];
	for (uint32_t i = 0; i < SERVERS; i++) {
		sim->live[i] -= begun[i];
		begun[i] = 0;
		sim->cell[i] = (struct berth_load_cell){(sim->live[i] + 1) * UNIT,
							berth_response_us(&sim->response[i])};
	}
	for (uint32_t n = 0; n < NEW_FLOWS; n++) {
		const uint32_t primary = at_most(sim, 1), alternate = primary ^ 1;
		const struct berth_weighted_loads loads = berth_weigh_loads(&sim->cell[alternate],
									    &sim->cell[primary]);
		const uint32_t server = loads.first < loads.second ? alternate : primary;
		sim->cell[server].load += UNIT;
		sim->live[server]++;
		begun[server]++;
		sim->got[server]++;
	}
}

/* A probe of each server, with up to `noise` percent more, and the flows until the next. */
static void interval(struct sim *sim, const uint32_t us[SERVERS], uint32_t noise)
{
	sim->now_ms += INTERVAL_MS;
	for (uint32_t i = 0; i < SERVERS; i++) {
		berth_response_add(&sim->response[i], us[i] + us[i] / 100 * at_most(sim, noise), HALF_LIFE_MS,
				   sim->now_ms);
	}
	for (uint32_t i = 0; i < COUNTS; i++)
		count(sim);
}

static void intervals(struct sim *sim, uint32_t n, const uint32_t us[SERVERS])
{
	memset(sim->got, 0, sizeof(sim->got));
	while (n--)
		interval(sim, us, 0);
}

static const uint32_t equal[] = {1000, 1000}, first_is_slow[] = {10000, 1000};
static const uint32_t share = COUNTS * NEW_FLOWS / SERVERS, all_live = LIFE * NEW_FLOWS;

static void two_equal_servers_do_not_swing(void **state)
{
	(void)state;
	struct sim sim = {0};
	intervals(&sim, 20, equal);
	for (uint32_t i = 0; i < 100; i++) {
		memset(sim.got, 0, sizeof(sim.got));
		interval(&sim, equal, 30);
		assert_in_range(sim.live[0], all_live * 45 / 100, all_live * 55 / 100);
		assert_in_range(sim.got[0], share / 2, share * 3 / 2);
	}
}

/* Shares are those of the time that a flow lives: flows of one interval end in one interval, too. */
static void a_server_ten_times_slower_has_a_fifth_of_its_share_within_ten_probes(void **state)
{
	(void)state;
	struct sim sim = {0};
	intervals(&sim, 20, equal);
	assert_in_range(sim.live[0], all_live * 49 / 100, all_live * 51 / 100);
	intervals(&sim, 10, first_is_slow);
	for (uint32_t i = 0; i < 10; i++) {
		intervals(&sim, LIVES, first_is_slow);
		assert_in_range(sim.got[0], LIVES * share / 10, LIVES * share / 5);
		assert_in_range(sim.live[0], all_live / 20, all_live / 10);
	}
	intervals(&sim, 20, equal);
	for (uint32_t i = 0; i < 10; i++) {
		intervals(&sim, LIVES, equal);
		assert_in_range(sim.got[0], LIVES * share * 9 / 10, LIVES * share * 11 / 10);
		assert_in_range(sim.live[0], all_live * 45 / 100, all_live * 55 / 100);
	}
}

static void a_server_without_flows_is_compared_by_its_time(void **state)
{
	(void)state;
	struct sim sim = {0};
	intervals(&sim, LIVES, first_is_slow);
	assert_in_range(sim.got[0], 1, LIVES * share / 5);
}

static void the_weight_of_a_probe_halves_with_each_half_life(void **state)
{
	(void)state;
	struct berth_response response = {0};
	assert_int_equal(berth_response_us(&response), 0);
	berth_response_add(&response, 1000, 4000, 1000);
	assert_int_equal(berth_response_us(&response), 1000);
	berth_response_add(&response, 3000, 4000, 5000);
	assert_int_equal(berth_response_us(&response), 2000);
	berth_response_add(&response, 4000, 4000, 13000);
	assert_int_equal(berth_response_us(&response), 3500);
	/* At once: it adds nothing. Years later: it is all that counts. */
	berth_response_add(&response, 9000, 4000, 13000);
	assert_int_equal(berth_response_us(&response), 3500);
	berth_response_add(&response, 200, 4000, UINT64_C(1) << 40);
	assert_int_equal(berth_response_us(&response), 200);
}

static void one_probe_is_no_trend(void **state)
{
	(void)state;
	struct berth_response response = {0};
	berth_response_add(&response, 1000, 1000, 1000);
	berth_response_add(&response, 1000000, 1000, 2000);
	assert_int_equal(berth_response_us(&response), 2500);
	/* Of a server that answers at once, too. */
	response = (struct berth_response){0};
	berth_response_add(&response, 0, 1000, 1000);
	assert_int_equal(berth_response_us(&response), BERTH_RESPONSE_LEAST_US);
	berth_response_add(&response, 1000000, 1000, 2000);
	assert_int_equal(berth_response_us(&response), 200);
}

static void connections_have_a_time_once_eight_were_measured(void **state)
{
	(void)state;
	struct berth_connect_time time = {0};
	berth_connect_time_add(&time, 0, 0, 1000, 1000);
	berth_connect_time_add(&time, 7, 7 * 2000, 1000, 1000);
	assert_int_equal(berth_connect_time_us(&time, 1000, 1000), 0);
	berth_connect_time_add(&time, 1, 4000, 1000, 2000);
	assert_int_equal(berth_connect_time_us(&time, 1000, 2000), 3000);
	assert_int_equal(time.all, 8);
}

static void without_connections_for_ten_half_lives_the_time_is_no_longer_known(void **state)
{
	(void)state;
	struct berth_connect_time time = {0};
	berth_connect_time_add(&time, 100, 100 * 2000, 1000, 1000);
	assert_int_equal(berth_connect_time_us(&time, 1000, 11000), 2000);
	assert_int_equal(berth_connect_time_us(&time, 1000, 11001), 0);
	berth_connect_time_add(&time, 7, 7 * 50000, 1000, 20000);
	assert_int_equal(berth_connect_time_us(&time, 1000, 20000), 0);
	berth_connect_time_add(&time, 1, 50000, 1000, 20000);
	assert_int_equal(berth_connect_time_us(&time, 1000, 20000), 50000);
	assert_int_equal(time.all, 108);
}

static void a_time_has_limits(void **state)
{
	(void)state;
	struct berth_response response = {0};
	berth_response_add(&response, UINT64_MAX, 1000, 1000);
	assert_int_equal(berth_response_us(&response), 3600000000u);
	berth_response_add(&response, UINT64_MAX, 3600000, 2000);
	assert_in_range(berth_response_us(&response), 3599999999u, 3600000000u);
	berth_response_add(&response, 0, 1, 100000);
	assert_int_equal(berth_response_us(&response), BERTH_RESPONSE_LEAST_US);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_equal_servers_do_not_swing),
		cmocka_unit_test(a_server_ten_times_slower_has_a_fifth_of_its_share_within_ten_probes),
		cmocka_unit_test(a_server_without_flows_is_compared_by_its_time),
		cmocka_unit_test(the_weight_of_a_probe_halves_with_each_half_life),
		cmocka_unit_test(one_probe_is_no_trend),
		cmocka_unit_test(connections_have_a_time_once_eight_were_measured),
		cmocka_unit_test(without_connections_for_ten_half_lives_the_time_is_no_longer_known),
		cmocka_unit_test(a_time_has_limits),
	};
	return cmocka_run_group_tests_name("response", tests, NULL, NULL);
}
