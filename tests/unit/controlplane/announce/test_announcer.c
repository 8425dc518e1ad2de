// SPDX-License-Identifier: BSD-3-Clause
/* berth's routes in a table of the real kernel, in a network namespace of the test's own. `ip` looks and
 * interferes. */
#include "tests/support/control.h"

#include <event2/event.h>
#include <sched.h>

#include "controlplane/announce/announcer.h"

#include "tests/support/loop.h"

#define WEB(name, port)                                                                                            \
	"  - {name: " name ", address: 203.0.113.10, protocol: tcp, port: " port ", mode: l2, table-size: 251, "   \
	"backends: [{name: b1, address: 192.0.2.11}]}\n"
#define SERVICES                                                                                                   \
	WEB("web", "80")                                                                                           \
	WEB("tls", "443")                                                                                          \
	"  - {name: web6, address: '2001:db8:f::/64', protocol: tcp, port: 80, mode: l2, table-size: 251, "        \
	"backends: [{name: b1, address: '2001:db8::11'}]}\n"                                                       \
	"  - {name: quiet, address: 203.0.113.11, announce: false, protocol: tcp, port: 80, mode: l2, "            \
	"table-size: 251, backends: [{name: b1, address: 192.0.2.11}]}\n"

enum {
	TABLE = 5200,
	SOON_MS = 3000,
};

struct announcer_fixture {
	struct event_base *base;
	struct berth_engine *engine;
	struct berth_model model;
	struct berth_node node;
	struct berth_announcer *announcer;
};

static void run(const char *command)
{
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

/* The prefixes of the table's routes with their protocols, sorted by ip. */
static void list_routes(char text[1024])
{
	FILE *out = popen("{ ip -4 route show table 5200; ip -6 route show table 5200; } 2>/dev/null | "
			  "sed -E 's/^unreachable //; s/ dev lo//; s/ proto ([^ ]*).*/ \\1/'",
			  "r");
	size_t n = fread(text, 1, 1023, out);
	text[n] = '\0';
	pclose(out);
}

static void expect_routes(const char *expected)
{
	char text[1024];
	list_routes(text);
	assert_string_equal(text, expected);
}

#define ALL "203.0.113.10 150\n2001:db8:f::/64 150\n"

static int set_up(void **state)
{
	struct announcer_fixture *f = calloc(1, sizeof(*f));
	char error[BERTH_ERROR_BYTES];
	struct berth_config *config = configure(SERVICES);
	if (unshare(CLONE_NEWNET))
		return -1;
	run("ip link set lo up");
	config->announce.table = TABLE;
	f->base = event_base_new();
	f->engine = null_engine(config);
	assert_int_equal(berth_model_init(&f->model, &f->engine->image.geometry), 0);
	assert_int_equal(berth_model_apply(&f->model, config, error), 0);
	all_up(&f->model);
	f->announcer = berth_announcer_new(f->base);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct announcer_fixture *f = *state;
	berth_announcer_free(f->announcer);
	berth_model_clear(&f->model);
	f->engine->ops->close(f->engine, true);
	event_base_free(f->base);
	free(f);
	return 0;
}

static void follow(struct announcer_fixture *f)
{
	berth_announcer_follow(f->announcer, &f->node, &f->model);
}

static void begin(struct announcer_fixture *f)
{
	assert_int_equal(berth_announcer_configure(f->announcer, &f->model), 0);
	follow(f);
}

static void set_health(struct announcer_fixture *f, const char *service, enum berth_health_state health)
{
	berth_model_service(&f->model, service)->backends[0].health = health;
	follow(f);
}

static void each_address_of_a_ready_service_has_a_route(void **state)
{
	struct announcer_fixture *f = *state;
	begin(f);
	expect_routes(ALL);
	assert_true(berth_announcer_has(f->announcer, &berth_model_service(&f->model, "tls")->config));
	assert_false(berth_announcer_has(f->announcer, &berth_model_service(&f->model, "quiet")->config));
}

static void a_route_goes_with_the_last_ready_service_of_its_address(void **state)
{
	struct announcer_fixture *f = *state;
	char reason[BERTH_ERROR_BYTES];
	const struct berth_model_service *web = berth_model_service(&f->model, "web");
	begin(f);
	set_health(f, "web", BERTH_HEALTH_DOWN);
	expect_routes(ALL);
	set_health(f, "tls", BERTH_HEALTH_DOWN);
	expect_routes("2001:db8:f::/64 150\n");
	assert_true(berth_announcer_explain(f->announcer, &f->node, &f->model.config->announce, web, reason));
	assert_non_null(strstr(reason, "web: 0 of 1 backends are eligible"));
	set_health(f, "web", BERTH_HEALTH_UP);
	expect_routes(ALL);
}

static void a_node_that_is_drained_or_stops_or_does_not_forward_has_no_routes(void **state)
{
	struct announcer_fixture *f = *state;
	bool *const reasons[] = {&f->node.is_drained, &f->node.is_stopping};
	begin(f);
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		*reasons[i] = true;
		follow(f);
		expect_routes("");
		*reasons[i] = false;
		follow(f);
		expect_routes(ALL);
	}
	strcpy(f->node.fault, "waiting for the engine");
	follow(f);
	expect_routes("");
}

static void routes_stay_while_the_engine_restarts_unless_the_node_is_drained(void **state)
{
	struct announcer_fixture *f = *state;
	begin(f);
	strcpy(f->node.fault, "waiting for the engine");
	f->node.is_restarting = true;
	follow(f);
	expect_routes(ALL);
	f->node.is_drained = true;
	follow(f);
	expect_routes("");
	/* None is added either. */
	f->node.is_drained = false;
	follow(f);
	expect_routes("");
}

static void routes_of_a_former_berthd_stay_until_health_is_known_and_others_go(void **state)
{
	struct announcer_fixture *f = *state;
	run("ip route add unreachable 203.0.113.10 table 5200 proto 150");
	run("ip route add unreachable 203.0.113.99 table 5200 proto 150");
	run("ip route add unreachable 203.0.113.99 table 5201 proto 150");
	strcpy(f->node.fault, "the configuration is not in force");
	f->node.is_starting = true;
	begin(f);
	expect_routes("203.0.113.10 150\n");
	f->node.fault[0] = '\0';
	f->node.is_starting = false;
	set_health(f, "web", BERTH_HEALTH_UNKNOWN);
	set_health(f, "tls", BERTH_HEALTH_UNKNOWN);
	expect_routes(ALL);
	set_health(f, "web", BERTH_HEALTH_DOWN);
	expect_routes(ALL);
	set_health(f, "tls", BERTH_HEALTH_DOWN);
	expect_routes("2001:db8:f::/64 150\n");
	run("ip route show table 5201 | grep -q 203.0.113.99");
}

static void a_node_that_waits_for_what_others_told_announces_nothing_and_withdraws_nothing(void **state)
{
	struct announcer_fixture *f = *state;
	run("ip route add unreachable 203.0.113.10 table 5200 proto 150");
	f->node.is_synchronising = true;
	begin(f);
	expect_routes("203.0.113.10 150\n");
	f->node.is_synchronising = false;
	follow(f);
	expect_routes(ALL);
	f->node.is_synchronising = true;
	strcpy(f->node.fault, "the engine does not run");
	follow(f);
	expect_routes("");
}

static void a_route_that_somebody_removes_is_put_back(void **state)
{
	struct announcer_fixture *f = *state;
	char text[1024];
	begin(f);
	run("ip route del 203.0.113.10 table 5200");
	run("ip -6 route flush table 5200 2>/dev/null");
	if (!wait_until((list_routes(text), strcmp(text, ALL) == 0), SOON_MS, loop_for(f->base, 10)))
		fail_msg("the routes are: %s", text);
	/* Without a follow: the news alone did it. */
}

static void routes_of_others_are_never_touched(void **state)
{
	struct announcer_fixture *f = *state;
	char reason[BERTH_ERROR_BYTES];
	const struct berth_model_service *web = berth_model_service(&f->model, "web");
	run("ip route add unreachable 203.0.113.10 table 5200 proto static");
	run("ip route add unreachable 203.0.113.98 table 5200 proto static");
	begin(f);
	expect_routes("203.0.113.10 static\n203.0.113.98 static\n2001:db8:f::/64 150\n");
	assert_true(berth_announcer_explain(f->announcer, &f->node, &f->model.config->announce, web, reason));
	assert_string_equal(reason, "its route cannot be added to table 5200: another route to it is there");
	f->node.is_drained = true;
	follow(f);
	expect_routes("203.0.113.10 static\n203.0.113.98 static\n");
}

static void another_configuration_moves_the_routes_to_its_table(void **state)
{
	struct announcer_fixture *f = *state;
	begin(f);
	f->model.config->announce.table = 5201;
	begin(f);
	expect_routes("");
	run("ip route show table 5201 | grep -q 'unreachable 203.0.113.10 proto 150'");
	f->model.config->announce.table = 0;
	begin(f);
	run("! ip route show table 5201 2>/dev/null | grep -q 203.0.113.10");
	assert_int_equal(berth_announcer_table(f->announcer), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_address_of_a_ready_service_has_a_route),
		TEST(a_route_goes_with_the_last_ready_service_of_its_address),
		TEST(a_node_that_is_drained_or_stops_or_does_not_forward_has_no_routes),
		TEST(routes_stay_while_the_engine_restarts_unless_the_node_is_drained),
		TEST(routes_of_a_former_berthd_stay_until_health_is_known_and_others_go),
		TEST(a_node_that_waits_for_what_others_told_announces_nothing_and_withdraws_nothing),
		TEST(a_route_that_somebody_removes_is_put_back),
		TEST(routes_of_others_are_never_touched),
		TEST(another_configuration_moves_the_routes_to_its_table),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
