// SPDX-License-Identifier: BSD-3-Clause
/* The last dropped packets of services: what workers keep (core/drops.h), and what berthd reads of it. */
#include "tests/support/image.h"
#include "tests/support/unit.h"

#include "controlplane/tables/drops.h"
#include "dataplane/core/drops.h"

static struct berth_image image;
static struct berth_drop_reason reasons[BERTH_VERDICT_COUNT];

static int set_up(void **state)
{
	(void)state;
	fixture_new(&image, &fixture_geometry);
	for (uint32_t number = 1; number < fixture_geometry.services; number++)
		fixture_service_entry(&image, number, BERTH_PROTO_TCP, BERTH_AFFINITY_FLOW);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fixture_free(&image);
	return 0;
}

/* A packet from this port, dropped by a worker in this second. */
static void drop(uint32_t worker, uint16_t service, uint32_t verdict, uint16_t sport, uint32_t second)
{
	const struct berth_view view = berth_image_view(&image, worker, second);
	const struct berth_packet packet = {.service = service, .sport = berth_to_be16(sport)};
	berth_drop_keep(&view, &packet, verdict);
}

static void read_service(uint32_t number)
{
	berth_drops_read(&image, fixture_service_at(&image, number)->id, reasons);
}

static void packets_of_a_service_are_counted_by_reason(void **state)
{
	(void)state;
	drop(0, 1, BERTH_VERDICT_NO_BACKEND, 1, FIXTURE_NOW);
	drop(0, 1, BERTH_VERDICT_NO_BACKEND, 2, FIXTURE_NOW + 1);
	drop(0, 1, BERTH_VERDICT_TOO_BIG, 3, FIXTURE_NOW);
	drop(0, 2, BERTH_VERDICT_NO_BACKEND, 4, FIXTURE_NOW);
	read_service(1);
	assert_int_equal(reasons[BERTH_VERDICT_NO_BACKEND].packets, 2);
	assert_int_equal(reasons[BERTH_VERDICT_TOO_BIG].packets, 1);
	assert_int_equal(reasons[BERTH_VERDICT_BAD_TCP].packets, 0);
	read_service(2);
	assert_int_equal(reasons[BERTH_VERDICT_NO_BACKEND].packets, 1);
	assert_int_equal(berth_from_be16(reasons[BERTH_VERDICT_NO_BACKEND].sample[0].packet.sport), 4);
	read_service(3);
	assert_int_equal(reasons[BERTH_VERDICT_NO_BACKEND].packets, 0);
}

static void packets_of_no_service_are_not_kept(void **state)
{
	(void)state;
	static const struct berth_drops none;
	drop(0, 0, BERTH_VERDICT_BAD_TCP, 1, FIXTURE_NOW);
	assert_memory_equal(&image.drops[0], &none, sizeof(none));
}

/* Worker 1 dropped every second one. */
static void the_last_packets_of_all_workers_are_the_samples(void **state)
{
	(void)state;
	for (uint16_t i = 1; i <= 20; i++)
		drop(i & 1, 1, BERTH_VERDICT_NO_BACKEND, i, FIXTURE_NOW + i);
	read_service(1);
	const struct berth_drop_reason *reason = &reasons[BERTH_VERDICT_NO_BACKEND];
	assert_int_equal(reason->packets, 20);
	assert_int_equal(reason->since_ns, (FIXTURE_NOW + 1) * UINT64_C(1000000000));
	assert_int_equal(reason->n, BERTH_DROP_SAMPLES);
	for (uint16_t i = 0; i < BERTH_DROP_SAMPLES; i++) {
		assert_int_equal(berth_from_be16(reason->sample[i].packet.sport), 20 - i);
		assert_int_equal(reason->sample[i].time_ns, (FIXTURE_NOW + 20 - i) * UINT64_C(1000000000));
	}
}

static void packets_of_one_moment_are_in_their_order(void **state)
{
	(void)state;
	for (uint16_t i = 1; i <= 6; i++)
		drop(0, 1, BERTH_VERDICT_NO_BACKEND, i, FIXTURE_NOW);
	read_service(1);
	for (uint16_t i = 0; i < BERTH_DROP_SAMPLES; i++)
		assert_int_equal(berth_from_be16(reasons[BERTH_VERDICT_NO_BACKEND].sample[i].packet.sport), 6 - i);
}

/* A service for each cell of a worker and more: those that were used longest ago are gone, and nothing else is. */
static void more_services_than_cells_take_over_those_used_longest_ago(void **state)
{
	(void)state;
	const uint32_t services = 3 * BERTH_DROP_CELLS;
	uint32_t kept = 0, old = 0;
	for (uint32_t i = 1; i <= services; i++) {
		fixture_service_at(&image, 1)->id = i;
		drop(0, 1, BERTH_VERDICT_NO_BACKEND, 1, FIXTURE_NOW + i);
	}
	for (uint32_t i = 1; i <= services; i++) {
		berth_drops_read(&image, i, reasons);
		assert_in_range(reasons[BERTH_VERDICT_NO_BACKEND].packets, 0, 1);
		kept += reasons[BERTH_VERDICT_NO_BACKEND].packets != 0;
		old += i <= BERTH_DROP_CELLS && reasons[BERTH_VERDICT_NO_BACKEND].packets;
	}
	assert_in_range(kept, BERTH_DROP_CELLS / 2, BERTH_DROP_CELLS);
	assert_in_range(old, 0, BERTH_DROP_CELLS / 8);
	assert_int_equal(reasons[BERTH_VERDICT_NO_BACKEND].packets, 1);
}

static void a_number_that_another_service_got_has_none_of_the_former_packets(void **state)
{
	(void)state;
	drop(0, 1, BERTH_VERDICT_NO_BACKEND, 1, FIXTURE_NOW);
	fixture_service_at(&image, 1)->id++;
	read_service(1);
	assert_int_equal(reasons[BERTH_VERDICT_NO_BACKEND].packets, 0);
}

static void a_cell_with_a_verdict_that_does_not_exist_is_not_read(void **state)
{
	(void)state;
	drop(0, 1, BERTH_VERDICT_NO_BACKEND, 1, FIXTURE_NOW);
	for (uint32_t i = 0; i < BERTH_DROP_CELLS; i++)
		image.drops[0].cell[i].verdict = UINT32_MAX;
	read_service(1);
	for (uint32_t v = 0; v < BERTH_VERDICT_COUNT; v++)
		assert_int_equal(reasons[v].packets, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(packets_of_a_service_are_counted_by_reason),
		TEST(packets_of_no_service_are_not_kept),
		TEST(the_last_packets_of_all_workers_are_the_samples),
		TEST(packets_of_one_moment_are_in_their_order),
		TEST(more_services_than_cells_take_over_those_used_longest_ago),
		TEST(a_number_that_another_service_got_has_none_of_the_former_packets),
		TEST(a_cell_with_a_verdict_that_does_not_exist_is_not_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
