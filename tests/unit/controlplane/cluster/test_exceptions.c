// SPDX-License-Identifier: BSD-3-Clause
/* Exceptions are exactly the flows and sessions that a node which has never seen them would send elsewhere. */
#include "tests/unit/controlplane/cluster/node.h"

#include "tests/support/plan.h"

#include "controlplane/tables/scan.h"
#include "controlplane/tables/usage.h"

enum {
	FLOWS = 5000,
	NOW = 1000,
};

#define LIMITS "flows: 200000, sessions: 100000, services: 20, backends: 100"
#define B(n) "{name: b" #n ", address: 192.0.2." #n "}"
#define SERVICE(name, last, more, backends)                                                                        \
	"  - {name: " name ", address: 203.0.113." last ", port: 80, mode: l2, table-size: 1009" more              \
	", backends: [" backends "]}\n"
#define FLOW(backends) SERVICE("flow", "10", "", backends)
#define CLIENT(backends) SERVICE("client", "11", ", affinity: {by: client}", backends)
#define GROUPED(backends)                                                                                          \
	SERVICE("g1", "12", ", affinity: {by: client, group: g}", backends)                                        \
	SERVICE("g2", "13", ", affinity: {by: client, group: g}", backends)
#define ALL(backends) FLOW(backends) CLIENT(backends) GROUPED(backends)

static const uint8_t secret[BERTH_SECRET_BYTES] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17};

/* Confirmed flows, each of another client. */
static void connect_all(const struct node *node, const char *address)
{
	for (uint32_t i = 0; i < FLOWS; i++) {
		node_forward_numbered(node, address, i, 0x02);
		node_forward_numbered(node, address, i, 0x10);
	}
}

/* How many of them the other node, which has no entries, sends elsewhere. */
static uint32_t count_elsewhere(const struct node *node, const struct node *other, const char *address)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < FLOWS; i++)
		n += node_forward_numbered(node, address, i, 0x10) !=
		     node_forward_numbered(other, address, i, 0x10);
	return n;
}

/* What scans count for a service. */
static struct berth_usage scan(const struct node *node, const char *name)
{
	const struct berth_model_service *service = berth_model_service(&node->model, name);
	struct berth_scan *scan = berth_scan_new(&node->engine->image);
	struct berth_usage sum = {0}, usage;
	while (!berth_scan_step(scan, 4096, node->now))
		;
	for (size_t i = 0; i < service->n_backends; i++) {
		berth_usage_backend(scan, &service->backends[i], &usage);
		berth_usage_add(&sum, &usage);
	}
	berth_scan_free(scan);
	return sum;
}

/* A node with flows of all services, after a change, and one that has the last configuration alone. */
static void change(struct node *node, struct node *fresh, const char *before, const char *after)
{
	node_open(node, secret, NOW, LIMITS, before);
	connect_all(node, "203.0.113.10");
	connect_all(node, "203.0.113.11");
	connect_all(node, "203.0.113.12");
	node_apply(node, LIMITS, after);
	node_open(fresh, secret, NOW, LIMITS, after);
}

static void drop(struct node *node, struct node *fresh)
{
	node_close(node);
	node_close(fresh);
}

static void expect_exceptions(const struct node *node, const struct node *fresh, uint32_t least, uint32_t most)
{
	const uint32_t flows = count_elsewhere(node, fresh, "203.0.113.10");
	const uint32_t sessions = count_elsewhere(node, fresh, "203.0.113.11");
	const uint32_t grouped = count_elsewhere(node, fresh, "203.0.113.12");
	assert_in_range(flows, least, most);
	assert_in_range(sessions, least, most);
	assert_in_range(grouped, least, most);
	assert_int_equal(scan(node, "flow").exception_flows, flows);
	assert_int_equal(scan(node, "flow").exception_sessions, 0);
	assert_int_equal(scan(node, "client").exception_sessions, sessions);
	assert_int_equal(scan(node, "client").exception_flows, 0);
	/* Of the group: each of its services has them. */
	assert_int_equal(scan(node, "g1").exception_sessions, grouped);
	assert_int_equal(scan(node, "g2").exception_sessions, grouped);
}

static void a_steady_state_has_no_exceptions(void **state)
{
	struct node node, fresh;
	(void)state;
	change(&node, &fresh, ALL(B(1) "," B(2) "," B(3)), ALL(B(3) "," B(2) "," B(1)));
	expect_exceptions(&node, &fresh, 0, 0);
	assert_int_equal(scan(&node, "flow").flows, FLOWS);
	assert_int_equal(scan(&node, "client").sessions, FLOWS);
	drop(&node, &fresh);
}

static void after_a_backend_is_added_what_it_would_have_got_is_an_exception(void **state)
{
	struct node node, fresh;
	(void)state;
	change(&node, &fresh, ALL(B(1) "," B(2) "," B(3)), ALL(B(1) "," B(2) "," B(3) "," B(4)));
	expect_exceptions(&node, &fresh, FLOWS / 5, FLOWS / 3);
	drop(&node, &fresh);
}

static void a_weight_that_changes_and_changes_back_leaves_no_exceptions(void **state)
{
	struct node node, fresh;
	(void)state;
	change(&node, &fresh, ALL(B(1) "," B(2)), ALL(B(1) ",{name: b2, address: 192.0.2.2, weight: 25}"));
	expect_exceptions(&node, &fresh, FLOWS / 5, FLOWS / 2);
	node_apply(&node, LIMITS, ALL(B(1) "," B(2)));
	node_close(&fresh);
	node_open(&fresh, secret, NOW, LIMITS, ALL(B(1) "," B(2)));
	expect_exceptions(&node, &fresh, 0, 0);
	drop(&node, &fresh);
}

/* Its flows and sessions move with their next packet, to where every node sends them. */
static void what_a_failed_backend_had_is_no_exception_and_a_failover_that_stays_is_one(void **state)
{
	struct node node, fresh;
	(void)state;
	change(&node, &fresh, ALL(B(1) "," B(2)), ALL(B(1) "," B(2)));
	node_set_health(&node, "client", "b1", BERTH_HEALTH_DOWN);
	assert_int_equal(scan(&node, "client").exception_sessions, 0);
	for (uint32_t i = 0; i < FLOWS; i++)
		node_forward_numbered(&node, "203.0.113.11", i, 0x10);
	assert_int_equal(scan(&node, "client").exception_sessions, 0);
	node_set_health(&node, "client", "b1", BERTH_HEALTH_UP);
	expect_exceptions(&node, &fresh, 0, FLOWS);
	assert_in_range(scan(&node, "client").exception_sessions, FLOWS / 3, FLOWS);
	drop(&node, &fresh);
}

static void what_stays_on_a_draining_backend_is_an_exception(void **state)
{
	struct node node, fresh;
	(void)state;
	change(&node, &fresh, ALL(B(1) "," B(2)), ALL(B(1) "," B(2)));
	const uint64_t on_b1 = FLOWS - count_elsewhere(&node, &fresh, "203.0.113.11");
	assert_int_equal(on_b1, FLOWS);
	struct berth_model_service *client = berth_model_service(&node.model, "client");
	berth_model_set_admin(&node.model, berth_model_backend(client, "b1"), BERTH_ADMIN_DRAINING, 0);
	node_publish(&node);
	struct berth_usage usage = scan(&node, "client");
	assert_in_range(usage.exception_sessions, FLOWS / 3, FLOWS * 2 / 3);
	assert_int_equal(usage.exception_flows, 0);
	/* Flows without their sessions. */
	berth_model_set_admin(&node.model, berth_model_backend(client, "b1"), BERTH_ADMIN_FLOWS_ONLY, 0);
	node_publish(&node);
	assert_int_equal(scan(&node, "client").exception_flows, usage.exception_sessions);
	assert_int_equal(scan(&node, "client").exception_sessions, 0);
	drop(&node, &fresh);
}

static void schedulers_that_follow_the_load_make_exceptions_only(void **state)
{
	static const char *const schedulers[] = {", scheduler: round-robin", ", scheduler: least-conn"};
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct node node;
		char services[512];
		snprintf(services, sizeof(services), SERVICE("flow", "10", "%s", B(1) "," B(2)), schedulers[i]);
		node_open(&node, secret, NOW, LIMITS, services);
		for (uint32_t k = 0; k < FLOWS; k++)
			node_forward_numbered(&node, "203.0.113.10", k, 0x02);
		/* One packet each. */
		assert_int_equal(scan(&node, "flow").exception_flows, 0);
		connect_all(&node, "203.0.113.10");
		assert_int_equal(scan(&node, "flow").exception_flows, FLOWS);
		node_close(&node);
	}
}

static void a_plan_says_how_many_exceptions_there_will_be(void **state)
{
	static const char after[] = ALL(B(1) ",{name: b2, address: 192.0.2.2, weight: 25}," B(3));
	struct node node, fresh;
	char error[BERTH_ERROR_BYTES];
	uint64_t now = 0, then = 0;
	(void)state;
	change(&node, &fresh, ALL(B(1) "," B(2)), ALL(B(1) "," B(2)));
	struct berth_plan *plan = plan_in_steps(&node.model, node_config(LIMITS, after), &node.engine->image, NOW,
						1000, error);
	assert_non_null(plan);
	for (size_t i = 0; i < plan->n; i++) {
		now += plan->backends[i].exceptions;
		then += plan->backends[i].exceptions_after;
	}
	berth_plan_free(plan);
	node_apply(&node, LIMITS, after);
	const uint64_t made = scan(&node, "flow").exception_flows + scan(&node, "client").exception_sessions +
			      scan(&node, "g1").exception_sessions;
	assert_int_equal(now, 0);
	assert_int_equal(then, made);
	assert_in_range(made, FLOWS, 2 * FLOWS);
	drop(&node, &fresh);
}

static uint64_t scan_once(struct berth_scan *scan)
{
	uint64_t flows, sessions;
	while (!berth_scan_step(scan, 65536, NOW))
		;
	berth_scan_exception_totals(scan, &flows, &sessions);
	return flows;
}

/* A look at the row of each word takes longer than the rest of the scan. */
static void of_many_words_exceptions_are_counted_after_a_change_and_now_and_then(void **state)
{
	static const char limits[] = "flows: 1600000, sessions: 1024, services: 5, backends: 20";
	struct node node;
	(void)state;
	node_open(&node, secret, NOW, limits, FLOW(B(1)));
	const struct berth_image *image = &node.engine->image;
	const uint32_t number = node.model.services[0].backends[0].number;
	for (uint32_t i = 0; i < 1400000; i++)
		image->flows[i / BERTH_BUCKET_WORDS].word[i % BERTH_BUCKET_WORDS] = berth_word_make(
			i * 2654435761u >> 4, number, NOW, BERTH_STATE_CONFIRMED);
	struct berth_scan *scan = berth_scan_new(image);
	assert_int_equal(scan_once(scan), 0);
	node_apply(&node, limits, FLOW(B(1) "," B(2)));
	const uint64_t after = scan_once(scan);
	assert_in_range(after, 650000, 750000);
	/* Some of them end, which the next scans do not look at. */
	memset(image->flows, 0, 30000 * sizeof(*image->flows));
	for (int i = 0; i < 15; i++)
		assert_int_equal(scan_once(scan), after);
	assert_in_range(scan_once(scan), 1, after - 100000);
	berth_scan_free(scan);
	node_close(&node);
}

static void count_shown(void *arg, const struct berth_view *view, const struct berth_scan_exception *exception)
{
	uint8_t *shown = arg;
	(void)view;
	shown[exception->at]++;
}

/* So that other nodes hear of all of them a scan's time after the change, and not two. */
static void a_change_in_the_middle_of_a_scan_shows_all_when_the_tables_have_been_passed_once(void **state)
{
	static const char limits[] = "flows: 1600000, sessions: 1024, services: 5, backends: 20";
	static uint8_t shown[4 << 20];
	struct node node;
	uint64_t n = 0;
	(void)state;
	node_open(&node, secret, NOW, limits, FLOW(B(1)));
	const struct berth_image *image = &node.engine->image;
	const uint32_t number = node.model.services[0].backends[0].number, half = 1400000 / BERTH_BUCKET_WORDS / 2;
	for (uint32_t i = 0; i < 1400000; i++)
		image->flows[i / BERTH_BUCKET_WORDS].word[i % BERTH_BUCKET_WORDS] = berth_word_make(
			i * 2654435761u >> 4, number, NOW, BERTH_STATE_CONFIRMED);
	struct berth_scan *scan = berth_scan_new(image);
	berth_scan_set_exception_fn(scan, count_shown, shown);
	assert_int_equal(scan_once(scan), 0);
	assert_false(berth_scan_step(scan, half, NOW));
	node_apply(&node, limits, FLOW(B(1) "," B(2)));
	assert_false(berth_scan_step(scan, image->geometry.flow_buckets - half, NOW));
	/* The rest of the scan under way leaves the figures as they were. */
	assert_int_equal(scan_once(scan), 0);
	assert_false(berth_scan_step(scan, half, NOW));
	for (uint32_t i = 0; i < sizeof(shown); i++)
		n += shown[i] == 1;
	const uint64_t made = scan_once(scan);
	assert_in_range(made, 650000, 750000);
	assert_int_equal(n, made);
	berth_scan_free(scan);
	node_close(&node);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_steady_state_has_no_exceptions),
		cmocka_unit_test(after_a_backend_is_added_what_it_would_have_got_is_an_exception),
		cmocka_unit_test(a_weight_that_changes_and_changes_back_leaves_no_exceptions),
		cmocka_unit_test(what_a_failed_backend_had_is_no_exception_and_a_failover_that_stays_is_one),
		cmocka_unit_test(what_stays_on_a_draining_backend_is_an_exception),
		cmocka_unit_test(schedulers_that_follow_the_load_make_exceptions_only),
		cmocka_unit_test(a_plan_says_how_many_exceptions_there_will_be),
		cmocka_unit_test(a_change_in_the_middle_of_a_scan_shows_all_when_the_tables_have_been_passed_once),
		cmocka_unit_test(of_many_words_exceptions_are_counted_after_a_change_and_now_and_then),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
