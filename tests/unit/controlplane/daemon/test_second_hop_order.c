// SPDX-License-Identifier: BSD-3-Clause
/* With second hops a backend begins and ends to take clients with the generation of its rows; without, at once. */
#include "controlplane/daemon/publication.h"
#include "tests/support/berthd.h"

enum {
	MOST_TURNS = 1000,
};

static const char configuration[] =
	"engine: 'null'\n"
	"interfaces: [{name: lo}]\n"
	"limits: {flows: 1024, sessions: 1024, services: 2, backends: 4}\n"
	"services:\n"
	"  - {name: hop, address: 203.0.113.1, protocol: tcp, port: 80, mode: gue, second-hop: 1h, health: {type: "
	"none}, "
	"backends: [{name: b1, address: 192.0.2.1}, {name: b2, address: 192.0.2.2}]}\n"
	"  - {name: none, address: 203.0.113.2, protocol: tcp, port: 80, mode: gue, health: {type: none}, "
	"backends: [{name: b1, address: 192.0.2.1}, {name: b2, address: 192.0.2.2}]}\n";

static int set_up(void **state)
{
	return berthd_set_up(state, configuration);
}

static struct berth_model_backend *second(struct berthd *f, const char *service)
{
	return &berth_model_service(&f->daemon->model, service)->backends[1];
}

static uint8_t in_image(struct berthd *f, const char *service)
{
	const uint32_t number = second(f, service)->number;
	return f->daemon->engine->image.eligibility[number / BERTH_ELIGIBILITY_PER_LINE]
		       .backend[number % BERTH_ELIGIBILITY_PER_LINE] &
	       BERTH_ELIGIBLE_ALL;
}

static void publish(struct berthd *f)
{
	berth_publication_request(f->daemon);
	for (unsigned int turns = 0; f->daemon->state.publication.is_pending; turns++) {
		assert_in_range(turns, 0, MOST_TURNS);
		berth_publication_advance(f->daemon);
	}
}

static void set_admin(struct berthd *f, enum berth_admin admin)
{
	static const char *const services[] = {"hop", "none"};
	for (int i = 0; i < 2; i++) {
		berth_model_set_admin(&f->daemon->model, second(f, services[i]), admin, 0);
		berth_publication_eligibility(f->daemon, second(f, services[i]));
	}
}

static void clients_come_and_go_with_the_rows_that_name_the_backend_before(void **state)
{
	struct berthd *f = *state;
	for (size_t i = 0; i < f->daemon->model.n_services; i++)
		for (size_t j = 0; j < 2; j++)
			f->daemon->model.services[i].backends[j].next_hop.is_resolved = true;
	publish(f);
	assert_int_equal(in_image(f, "hop"), BERTH_ELIGIBLE_ALL);
	assert_int_equal(in_image(f, "none"), BERTH_ELIGIBLE_ALL);
	/* It keeps its flows. */
	set_admin(f, BERTH_ADMIN_DRAINING);
	assert_int_equal(in_image(f, "hop"), BERTH_ELIGIBLE_ALL);
	assert_int_equal(in_image(f, "none"), BERTH_ELIGIBLE_FLOWS | BERTH_ELIGIBLE_SESSIONS);
	publish(f);
	assert_int_equal(in_image(f, "hop"), BERTH_ELIGIBLE_FLOWS | BERTH_ELIGIBLE_SESSIONS);
	set_admin(f, BERTH_ADMIN_ENABLED);
	assert_int_equal(in_image(f, "hop"), BERTH_ELIGIBLE_FLOWS | BERTH_ELIGIBLE_SESSIONS);
	assert_int_equal(in_image(f, "none"), BERTH_ELIGIBLE_ALL);
	publish(f);
	assert_int_equal(in_image(f, "hop"), BERTH_ELIGIBLE_ALL);
	/* It loses them. */
	set_admin(f, BERTH_ADMIN_DISABLED);
	assert_int_equal(in_image(f, "hop"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(clients_come_and_go_with_the_rows_that_name_the_backend_before,
						set_up, berthd_tear_down),
	};
	return cmocka_run_group_tests_name("second hop order", tests, NULL, NULL);
}
