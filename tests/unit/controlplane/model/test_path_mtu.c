// SPDX-License-Identifier: BSD-3-Clause
/* Path MTUs that routers report: which reports count, how far they go, and when they end. */
#include "controlplane/model/path_mtu.h"
#include "controlplane/util/address.h"
#include "tests/support/control.h"

static const struct berth_geometry small = {.services = 5, .backends = 64};

/* The backend of each service is 192.0.2.11 or 2001:db8::11; the kernel's source addresses end in 1. */
static const char services[] =
	"  - {name: ipip, address: 203.0.113.1, protocol: tcp, port: 80, mode: ipip, table-size: 251,\n"
	"     backends: [{name: b, address: 192.0.2.11}]}\n"
	"  - {name: ipip46, address: 203.0.113.2, protocol: tcp, port: 80, mode: ipip, table-size: 251,\n"
	"     backends: [{name: b, address: '2001:db8::11'}]}\n"
	"  - {name: gue66, address: '2001:db8:f::3', protocol: tcp, port: 80, mode: gue, gue-port: 6085, "
	"table-size: 251,\n"
	"     backends: [{name: b, address: '2001:db8::11'}]}\n"
	"  - {name: l2, address: 203.0.113.4, protocol: tcp, port: 80, mode: l2, table-size: 251,\n"
	"     backends: [{name: b, address: 192.0.2.11}]}\n";

struct fixture {
	struct berth_model model;
};

static union berth_addr addr(const char *text)
{
	union berth_addr address;
	assert_int_equal(berth_address_parse(text, &address), 0);
	return address;
}

static struct berth_model_backend *backend_of(struct fixture *f, const char *service)
{
	return &berth_model_service(&f->model, service)->backends[0];
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char error[BERTH_ERROR_BYTES];
	assert_non_null(f);
	assert_int_equal(berth_model_init(&f->model, &small), 0);
	assert_int_equal(berth_model_apply(&f->model, configure(services), error), 0);
	for (size_t i = 0; i < f->model.n_services; i++) {
		struct berth_model_backend *backend = &f->model.services[i].backends[0];
		bool is4 = berth_addr_is4(&backend->config.address);
		backend->next_hop = (struct berth_next_hop){
			.is_resolved = true, .mtu = 1500, .source = addr(is4 ? "192.0.2.1" : "2001:db8::1")};
	}
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	berth_model_clear(&f->model);
	free(f);
	return 0;
}

static struct berth_too_big report4(void)
{
	return (struct berth_too_big){.source = addr("192.0.2.1"),
				      .destination = addr("192.0.2.11"),
				      .protocol = 4,
				      .length = 1500,
				      .mtu = 1400};
}

static struct berth_too_big report6(void)
{
	return (struct berth_too_big){.source = addr("2001:db8::1"),
				      .destination = addr("2001:db8::11"),
				      .protocol = 17,
				      .dport = 6085,
				      .length = 1500,
				      .mtu = 1400};
}

static bool learn(struct fixture *f, const char *service, struct berth_too_big report, uint64_t now_ms)
{
	return berth_path_mtu_learn(&f->model, berth_model_service(&f->model, service), backend_of(f, service),
				    &report, now_ms);
}

static uint16_t path_mtu(struct fixture *f, const char *service)
{
	return berth_path_mtu(berth_model_service(&f->model, service), backend_of(f, service));
}

static void a_report_about_a_packet_of_berth_lowers_the_path_mtu(void **state)
{
	struct fixture *f = *state;
	struct berth_too_big other = report6();
	assert_int_equal(path_mtu(f, "ipip"), 1500);
	assert_true(learn(f, "ipip", report4(), 0));
	assert_int_equal(path_mtu(f, "ipip"), 1400);
	assert_true(learn(f, "gue66", report6(), 0));
	assert_int_equal(path_mtu(f, "gue66"), 1400);
	other.protocol = 4;
	assert_true(learn(f, "ipip46", other, 0));
	assert_int_equal(path_mtu(f, "ipip46"), 1400);
}

/* Each line changes one fact of a valid report. */
static void a_report_about_another_packet_changes_nothing(void **state)
{
	struct fixture *f = *state;
	struct berth_too_big wrong[8];
	for (size_t i = 0; i < 8; i++)
		wrong[i] = report6();
	wrong[0].source = addr("2001:db8::2");
	wrong[1].destination = addr("2001:db8::12");
	wrong[2].protocol = 41;
	wrong[3].dport = 6080;
	wrong[4].length = 1400; /* it would have passed */
	wrong[5].mtu = 1500;
	wrong[5].length = 1600;
	wrong[6].mtu = 1279;
	wrong[7].mtu = 0;
	for (size_t i = 0; i < 8; i++)
		assert_false(learn(f, "gue66", wrong[i], 0));
	assert_false(learn(f, "l2", report4(), 0));
	backend_of(f, "ipip")->next_hop.is_resolved = false;
	assert_false(learn(f, "ipip", report4(), 0));
	assert_int_equal(path_mtu(f, "gue66"), 1500);
	assert_int_equal(path_mtu(f, "l2"), 1500);
}

/* Below that a client could not send any packet. */
static void a_path_mtu_leaves_room_for_the_smallest_mtu_of_a_client(void **state)
{
	struct fixture *f = *state;
	struct berth_too_big least4 = report4(), least6 = report6();
	least4.mtu = 576;
	least6.mtu = 1280;
	assert_true(learn(f, "ipip", least4, 0));
	assert_int_equal(path_mtu(f, "ipip"), 576 + 20);
	assert_true(learn(f, "gue66", least6, 0));
	assert_int_equal(path_mtu(f, "gue66"), 1280 + 48);
	least6.protocol = 4;
	assert_true(learn(f, "ipip46", least6, 0));
	assert_int_equal(path_mtu(f, "ipip46"), 1280);
	least4.mtu = 575;
	backend_of(f, "ipip")->reported_mtu = 0;
	assert_false(learn(f, "ipip", least4, 0));
}

static void a_report_is_forgotten_after_ten_minutes(void **state)
{
	struct fixture *f = *state;
	uint64_t next_ms = UINT64_MAX;
	assert_true(learn(f, "ipip", report4(), 1000));
	assert_false(berth_path_mtu_expire(&f->model, 600999, &next_ms));
	assert_int_equal(next_ms, 601000);
	assert_int_equal(path_mtu(f, "ipip"), 1400);
	next_ms = UINT64_MAX;
	assert_true(berth_path_mtu_expire(&f->model, 601000, &next_ms));
	assert_int_equal(next_ms, UINT64_MAX);
	assert_int_equal(path_mtu(f, "ipip"), 1500);
}

static void the_same_report_renews_a_path_mtu_in_the_second_half_of_its_time(void **state)
{
	struct fixture *f = *state;
	uint64_t next_ms = UINT64_MAX;
	assert_true(learn(f, "ipip", report4(), 0));
	assert_false(learn(f, "ipip", report4(), 299999));
	assert_int_equal(backend_of(f, "ipip")->reported_until_ms, 600000);
	assert_false(learn(f, "ipip", report4(), 300000));
	assert_int_equal(backend_of(f, "ipip")->reported_until_ms, 900000);
	assert_false(berth_path_mtu_expire(&f->model, 600000, &next_ms));
	assert_int_equal(path_mtu(f, "ipip"), 1400);
}

static void all_sources_of_the_tunnel_prefix_count_and_no_others(void **state)
{
	struct fixture *f = *state;
	struct berth_too_big report = report4();
	f->model.config->tunnel.source4 = addr("198.18.0.0");
	f->model.config->tunnel.bits4 = 96 + 24;
	assert_false(learn(f, "ipip", report, 0));
	report.source = addr("198.18.1.0");
	assert_false(learn(f, "ipip", report, 0));
	report.source = addr("198.18.0.255");
	assert_true(learn(f, "ipip", report, 0));
}

static void a_backend_with_another_address_starts_without_reports(void **state)
{
	struct fixture *f = *state;
	char error[BERTH_ERROR_BYTES];
	assert_true(learn(f, "ipip", report4(), 0));
	assert_int_equal(berth_model_apply(&f->model, configure(services), error), 0);
	assert_int_equal(path_mtu(f, "ipip"), 1400);
	struct berth_config *moved = configure(services);
	moved->services[0].backends[0].address = addr("192.0.2.12");
	assert_int_equal(berth_model_apply(&f->model, moved, error), 0);
	assert_int_equal(path_mtu(f, "ipip"), 1500);
}

static void a_report_is_in_the_compiled_generation(void **state)
{
	struct fixture *f = *state;
	char error[BERTH_ERROR_BYTES];
	const struct berth_geometry geometry = berth_geometry_of(&f->model.config->limits, 251, 1);
	assert_true(learn(f, "ipip", report4(), 0));
	struct berth_generation *generation = berth_compile(&f->model, &geometry, error);
	assert_non_null(generation);
	assert_int_equal(generation->backends[backend_of(f, "ipip")->number].mtu, 1400);
	assert_int_equal(generation->backends[backend_of(f, "l2")->number].mtu, 1500);
	berth_generation_free(generation);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_report_about_a_packet_of_berth_lowers_the_path_mtu),
		TEST(a_report_about_another_packet_changes_nothing),
		TEST(a_path_mtu_leaves_room_for_the_smallest_mtu_of_a_client),
		TEST(a_report_is_forgotten_after_ten_minutes),
		TEST(the_same_report_renews_a_path_mtu_in_the_second_half_of_its_time),
		TEST(all_sources_of_the_tunnel_prefix_count_and_no_others),
		TEST(a_backend_with_another_address_starts_without_reports),
		TEST(a_report_is_in_the_compiled_generation),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
