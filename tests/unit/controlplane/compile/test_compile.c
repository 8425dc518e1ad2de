// SPDX-License-Identifier: BSD-3-Clause
/* The values of services and backends in a generation, and when their selection tables are built. */
#include "tests/unit/controlplane/compile/compile_rig.h"

static const struct berth_service *service(const struct compile_rig *rig, size_t i)
{
	return &rig->generation->services[rig->model.services[i].number];
}

static const struct berth_backend *backend(const struct compile_rig *rig, size_t i, size_t j)
{
	return &rig->generation->backends[rig->model.services[i].backends[j].number];
}

static void assert_address(const union berth_addr *address, const char *expected)
{
	char text[BERTH_ADDRESS_TEXT];
	assert_string_equal(berth_address_format(address, text), expected);
}

static void mode_nat_has_the_source_of_answers(void **state)
{
	(void)state;
	struct compile_rig *rig = compile(
		"", "web 203.0.113.1 80 mode: nat, backends: [{name: a, address: 192.0.2.1, port: 8080}, {name: b, "
		    "address: 192.0.2.2}]\n"
		    "range 203.0.113.2 9000-9099 mode: nat, backends: [{name: a, address: 192.0.2.1}]\n");
	assert_address(&service(rig, 0)->address, "203.0.113.1");
	assert_int_equal(berth_from_be16(service(rig, 0)->port), 80);
	assert_address(&service(rig, 1)->address, "203.0.113.2");
	assert_int_equal(service(rig, 1)->port.raw, 0);
	assert_address(&backend(rig, 0, 0)->address, "192.0.2.1");
	assert_int_equal(berth_from_be16(backend(rig, 0, 0)->dport), 8080);
	assert_int_equal(backend(rig, 0, 1)->dport.raw, 0);
	assert_int_equal(backend(rig, 1, 0)->dport.raw, 0);
	assert_int_equal(backend(rig, 0, 0)->mode, BERTH_MODE_NAT);
	assert_int_equal(backend(rig, 1, 0)->service, rig->model.services[1].number);
	drop(rig);
}

static void the_outer_source_is_the_configured_prefix_of_the_backends_family(void **state)
{
	static const char services[] =
		"ipip 203.0.113.1 80 mode: ipip, backends: [{name: a, address: 192.0.2.1}, {name: b, address: "
		"\"2001:db8::1\"}]\n"
		"gue 203.0.113.2 80 mode: gue, backends: [{name: a, address: 192.0.2.1}]\n"
		"gue2 203.0.113.3 80 mode: gue, gue-port: 7000, backends: [{name: a, address: 192.0.2.1}]\n"
		"l2 203.0.113.4 80 mode: l2, backends: [{name: a, address: 192.0.2.1}]\n";
	(void)state;
	struct compile_rig *rig = compile("tunnel: {source4: 198.18.0.0/24, source6: \"2001:db8:5::/112\"}\n",
					  services);
	assert_address(&backend(rig, 0, 0)->outer_src, "198.18.0.0");
	assert_int_equal(backend(rig, 0, 0)->source_bits, 8);
	assert_int_equal(backend(rig, 0, 0)->dport.raw, 0);
	assert_address(&backend(rig, 0, 1)->outer_src, "2001:db8:5::");
	assert_int_equal(backend(rig, 0, 1)->source_bits, 16);
	assert_address(&backend(rig, 1, 0)->outer_src, "198.18.0.0");
	assert_int_equal(backend(rig, 1, 0)->source_bits, 8);
	assert_int_equal(berth_from_be16(backend(rig, 1, 0)->dport), 6080);
	assert_int_equal(berth_from_be16(backend(rig, 2, 0)->dport), 7000);
	assert_int_equal(backend(rig, 3, 0)->source_bits, 0);
	drop(rig);
}

static void the_default_outer_source_is_the_kernels(void **state)
{
	(void)state;
	struct compile_rig *rig = compile(
		"tunnel: {source6: \"2001:db8:5::/112\"}\n",
		"ipip 203.0.113.1 80 mode: ipip, backends: [{name: a, address: 192.0.2.1}]\n");
	rig->model.services[0].backends[0].next_hop.source = addr("192.0.2.254");
	compile_again(rig);
	assert_address(&backend(rig, 0, 0)->outer_src, "192.0.2.254");
	assert_int_equal(backend(rig, 0, 0)->source_bits, 0);
	drop(rig);
}

static void a_service_has_the_timeouts_of_its_protocol(void **state)
{
	(void)state;
	struct compile_rig *rig = compile(
		"timeouts: {half-open: 1s, established: 2s, closing: 3s, closed: 4s, unreplied: 5s, assured: 6s, "
		"fragment: 7s}\n",
		"a 203.0.113.1 80 mode: l2, affinity: {by: client, timeout: 8s}\n"
		"b 203.0.113.2 80 mode: l2, protocol: udp, affinity: {by: client, timeout: 9s}\n");
	static const uint32_t expected[2][BERTH_STATE_COUNT] = {{2, 1, 2, 2, 3, 4, 8, 7}, {2, 5, 6, 6, 3, 4, 9, 7}};
	for (uint32_t i = 0; i < 2; i++) {
		uint32_t number = rig->model.services[i].number;
		assert_memory_equal(rig->generation->services[number].timeout, expected[i], sizeof(expected[i]));
	}
	drop(rig);
}

static void least_timeouts_are_the_minimum_of_all_services(void **state)
{
	(void)state;
	struct compile_rig *rig = compile("timeouts: {established: 2h}\n",
					  "a 203.0.113.1 80 mode: l2, timeouts: {half-open: 7s, closing: 250s}\n"
					  "b 203.0.113.2 80 mode: l2, timeouts: {established: 9s, half-open: 8s}\n"
					  "c 203.0.113.3 80 mode: l2, affinity: {by: client, timeout: 11s}\n");
	const uint32_t *least = rig->generation->globals.least_timeout;
	assert_int_equal(least[BERTH_STATE_UNCONFIRMED], 7);
	assert_int_equal(least[BERTH_STATE_CONFIRMED], 9);
	assert_int_equal(least[BERTH_STATE_PROVEN], 9);
	assert_int_equal(least[BERTH_STATE_CLOSING], 240);
	assert_int_equal(least[BERTH_STATE_SESSION], 11);
	for (uint32_t i = 0; i < rig->generation->n_services; i++)
		for (uint32_t s = 0; rig->generation->services[i].id && s < BERTH_STATE_COUNT; s++)
			assert_in_range(rig->generation->services[i].timeout[s], least[s], BERTH_MAX_TIMEOUT);
	drop(rig);
}

static void the_generation_has_the_models_routes(void **state)
{
	(void)state;
	struct compile_rig *rig = compile("", "web 203.0.113.1 80 mode: l2\n");
	for (uint8_t i = 0; i < BERTH_MAX_ROUTES; i++)
		rig->model.routes[i] = (struct berth_route){.bits = (uint8_t)(128 - i), .kind = BERTH_ROUTE_HOP};
	compile_again(rig);
	assert_memory_equal(rig->generation->globals.route, rig->model.routes, sizeof(rig->model.routes));
	drop(rig);
}

/* Twenty services whose first backend has failed since they were compiled. */
static struct compile_rig *rig_with_stale_rows(void)
{
	char services[4096];
	int n = 0;
	for (int i = 0; i < 20; i++)
		n += sprintf(services + n,
			     "s%d 203.0.113.%d 80 mode: l2, backends: [{name: a, address: 192.0.2.1}, "
			     "{name: b, address: 192.0.2.2}, {name: c, address: 192.0.2.3}]\n",
			     i, i);
	struct compile_rig *rig = compile("", services);
	char error[BERTH_ERROR_BYTES];
	all_up(&rig->model);
	berth_generation_free(rig->generation);
	rig->generation = berth_compile(&rig->model, &rig->geometry, error);
	assert_non_null(rig->generation);
	for (size_t i = 0; i < rig->model.n_services; i++)
		rig->model.services[i].backends[0].health = BERTH_HEALTH_DOWN;
	return rig;
}

static void tables_that_are_built_ahead_are_those_that_compile_builds(void **state)
{
	struct compile_rig *rig = rig_with_stale_rows(), *other = rig_with_stale_rows();
	struct berth_compile_ahead ahead = {0};
	uint32_t steps = 1;
	(void)state;
	while (berth_compile_ahead(&rig->model, &ahead, 100) == -EAGAIN)
		steps++;
	assert_in_range(steps, 5, 20);
	const uint64_t version = rig->model.rows_version;
	compile_again(rig);
	assert_int_equal(rig->model.rows_version, version);
	compile_again(other);
	for (size_t i = 0; i < rig->model.n_services; i++)
		assert_memory_equal(rig->model.services[i].rows, other->model.services[i].rows,
				    31 * sizeof(struct berth_row));
	drop(rig);
	drop(other);
}

/* A backend that fails and returns all the time cannot keep a generation from being published. */
static void building_ahead_ends_while_the_model_changes(void **state)
{
	struct compile_rig *rig = rig_with_stale_rows();
	struct berth_compile_ahead ahead = {0};
	uint32_t steps = 1;
	(void)state;
	for (; berth_compile_ahead(&rig->model, &ahead, 1) == -EAGAIN; steps++) {
		struct berth_model_backend *flapping = &rig->model.services[steps % 20].backends[1];
		flapping->health = flapping->health == BERTH_HEALTH_UP ? BERTH_HEALTH_DOWN : BERTH_HEALTH_UP;
		assert_true(steps < 100);
	}
	compile_again(rig);
	assert_int_equal(ahead.at + ahead.rounds, 0);
	drop(rig);
}

/* Both halves, for services that are as many as limits.services. */
static uint64_t row_megabytes(uint32_t services, uint64_t needed)
{
	const struct berth_limits limits = {
		.services = services, .backends = 1000, .flows = 1024, .sessions = 1024};
	const struct berth_geometry geometry = berth_geometry_of(&limits, needed, 1);
	assert_true(berth_half_row_lines(&geometry) >= needed);
	return (uint64_t)geometry.row_lines * sizeof(struct berth_row_line) >> 20;
}

static void selection_tables_get_room_for_what_the_configuration_has(void **state)
{
	const uint64_t large = berth_row_lines(65537);
	(void)state;
	/* Each of few services may have a large table. */
	assert_int_equal(row_megabytes(64, 0), 32);
	assert_int_equal(row_megabytes(64, 64 * large), 32);
	assert_int_equal(row_megabytes(4, 0), 2);
	/* Each of many a small one. */
	assert_int_equal(row_megabytes(10000, 10000 * berth_row_lines(2039)), 156);
	/* Otherwise as much as it has, and a quarter at most. */
	assert_in_range(row_megabytes(1000, 1000 * large), 500, 626);
	assert_in_range(row_megabytes(1, 10 * large), 5, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_that_are_built_ahead_are_those_that_compile_builds),
		cmocka_unit_test(building_ahead_ends_while_the_model_changes),
		cmocka_unit_test(selection_tables_get_room_for_what_the_configuration_has),
		cmocka_unit_test(mode_nat_has_the_source_of_answers),
		cmocka_unit_test(the_outer_source_is_the_configured_prefix_of_the_backends_family),
		cmocka_unit_test(the_default_outer_source_is_the_kernels),
		cmocka_unit_test(a_service_has_the_timeouts_of_its_protocol),
		cmocka_unit_test(least_timeouts_are_the_minimum_of_all_services),
		cmocka_unit_test(the_generation_has_the_models_routes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
