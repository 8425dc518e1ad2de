// SPDX-License-Identifier: BSD-3-Clause
/* When a node may take traffic: the reasons why not, with models set up by hand. */
#include "tests/support/control.h"

#include "controlplane/announce/ready.h"

#define SERVICE(name, last)                                                                                        \
	"  - {name: " name ", address: 203.0.113." last ", protocol: tcp, port: 80, mode: l2, table-size: 251, "   \
	"backends: [{name: b1, address: 192.0.2." last "1}, {name: b2, address: 192.0.2." last "2}, "              \
	"{name: b3, address: 192.0.2." last "3}]}\n"

struct ready_fixture {
	struct berth_engine *engine;
	struct berth_model model;
	struct berth_node node;
	char reasons[2048]; /* of the last check, a line each */
};

static int set_up(void **state)
{
	struct ready_fixture *f = calloc(1, sizeof(*f));
	char error[BERTH_ERROR_BYTES];
	struct berth_config *config = configure(SERVICE("web", "1") SERVICE("dns", "2"));
	f->engine = null_engine(config);
	assert_int_equal(berth_model_init(&f->model, &f->engine->image.geometry), 0);
	assert_int_equal(berth_model_apply(&f->model, config, error), 0);
	all_up(&f->model);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct ready_fixture *f = *state;
	berth_model_clear(&f->model);
	f->engine->ops->close(f->engine, true);
	free(f);
	return 0;
}

static void add_reason(void *arg, const char *reason)
{
	struct ready_fixture *f = arg;
	const size_t used = strlen(f->reasons);
	snprintf(f->reasons + used, sizeof(f->reasons) - used, "%s\n", reason);
}

/* `only`: a service, or NULL. `reasons`: "" if it is ready. */
static void expect_reasons(struct ready_fixture *f, const char *only, const char *reasons)
{
	f->reasons[0] = '\0';
	const bool is_ready = berth_ready_check(&f->node, &f->model,
						only ? berth_model_service(&f->model, only) : NULL, add_reason, f);
	assert_string_equal(f->reasons, reasons);
	assert_int_equal(is_ready, !reasons[0]);
}

static struct berth_model_backend *web(struct ready_fixture *f, size_t i)
{
	return &berth_model_service(&f->model, "web")->backends[i];
}

static void follow(struct ready_fixture *f, bool is_late)
{
	for (size_t i = 0; i < f->model.n_services; i++)
		berth_ready_follow(&f->model.services[i], is_late);
}

static void a_node_whose_services_have_backends_is_ready(void **state)
{
	struct ready_fixture *f = *state;
	expect_reasons(f, NULL, "");
	expect_reasons(f, "web", "");
}

static void a_service_without_enough_eligible_backends_is_not_ready_and_another_one_is(void **state)
{
	struct ready_fixture *f = *state;
	f->model.config->announce.min_eligible = 2;
	web(f, 0)->health = BERTH_HEALTH_DOWN;
	expect_reasons(f, "web", "");
	web(f, 1)->next_hop.is_resolved = false;
	expect_reasons(f, "web",
		       "web: 1 of 3 backends are eligible, and min-eligible asks for 2: 1 down, 1 without a next "
		       "hop\n");
	expect_reasons(f, "dns", "");
	expect_reasons(f, NULL,
		       "web: 1 of 3 backends are eligible, and min-eligible asks for 2: 1 down, 1 without a next "
		       "hop\n");
}

static void a_share_is_of_the_backends_in_use_and_at_least_one(void **state)
{
	struct ready_fixture *f = *state;
	struct berth_announce_config *announce = &f->model.config->announce;
	const struct berth_model_service *service = berth_model_service(&f->model, "web");
	announce->min_eligible_percent = 50;
	assert_int_equal(berth_ready_minimum(announce, service), 2);
	web(f, 0)->admin = BERTH_ADMIN_DRAINING;
	assert_int_equal(berth_ready_minimum(announce, service), 1);
	web(f, 1)->admin = web(f, 2)->admin = BERTH_ADMIN_DISABLED;
	assert_int_equal(berth_ready_minimum(announce, service), 1);
	expect_reasons(f, "web",
		       "web: 0 of 3 backends are eligible, and min-eligible asks for 1: 3 disabled, draining or of "
		       "weight 0\n");
}

static void a_service_with_fewer_backends_than_it_needs_says_so(void **state)
{
	struct ready_fixture *f = *state;
	f->model.config->announce.min_eligible = 4;
	expect_reasons(f, "web", "web: 3 of 3 backends are eligible, and min-eligible asks for 4: add backends\n");
}

static void backends_that_a_panic_keeps_in_use_do_not_count(void **state)
{
	struct ready_fixture *f = *state;
	for (size_t i = 0; i < 3; i++) {
		web(f, i)->health = BERTH_HEALTH_DOWN;
		web(f, i)->is_kept = true;
	}
	assert_true(berth_model_is_eligible(web(f, 0)));
	expect_reasons(f, "web", "web: 0 of 3 backends are eligible, and min-eligible asks for 1: 3 down\n");
}

static void new_backends_are_waited_for_once_and_not_for_ever(void **state)
{
	struct ready_fixture *f = *state;
	web(f, 2)->health = BERTH_HEALTH_UNKNOWN;
	follow(f, false);
	expect_reasons(f, NULL, "web: waiting for the first health checks of 1 backend\n");
	assert_int_equal(berth_ready_follow(berth_model_service(&f->model, "web"), true), 1);
	expect_reasons(f, NULL, "");
	/* Known once: a backend that is added later is not waited for. */
	follow(f, false);
	web(f, 1)->health = BERTH_HEALTH_UNKNOWN;
	expect_reasons(f, NULL, "");
}

static void the_drain_of_the_node_and_its_faults_come_first(void **state)
{
	struct ready_fixture *f = *state;
	f->node.is_drained = true;
	expect_reasons(f, "web", "drained by an operator; `berthctl node enable` ends it\n");
	f->node.is_synchronising = true;
	expect_reasons(f, "web", "waiting for what other nodes have told (cluster.sync-timeout)\n");
	snprintf(f->node.fault, sizeof(f->node.fault), "waiting for the interface eth1");
	expect_reasons(f, NULL, "waiting for the interface eth1\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_node_whose_services_have_backends_is_ready),
		TEST(a_service_without_enough_eligible_backends_is_not_ready_and_another_one_is),
		TEST(a_share_is_of_the_backends_in_use_and_at_least_one),
		TEST(a_service_with_fewer_backends_than_it_needs_says_so),
		TEST(backends_that_a_panic_keeps_in_use_do_not_count),
		TEST(new_backends_are_waited_for_once_and_not_for_ever),
		TEST(the_drain_of_the_node_and_its_faults_come_first),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
