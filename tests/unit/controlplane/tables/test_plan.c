// SPDX-License-Identifier: BSD-3-Clause
/* A plan counts what a change moves and where to, and changes nothing. */
#include "tests/support/control.h"

#include "tests/support/plan.h"

#include "dataplane/core/flowtab.h"
#include "dataplane/interface/store.h"

#define WEB                                                                                                        \
	"  - {name: web, address: 203.0.113.10, port: 80, mode: l2, table-size: 251, affinity: {by: client%s}, "   \
	"backends: [%s]}\n"
#define DNS                                                                                                        \
	"  - {name: dns, address: 203.0.113.10, protocol: udp, port: 53, mode: l2, table-size: 251, backends: "    \
	"[%s]}\n"
#define A "{name: a, address: 192.0.2.1}"
#define B "{name: b, address: 192.0.2.2}"
#define C "{name: c, address: 192.0.2.3}"

struct plan_rig {
	struct berth_model model;
	struct berth_engine *engine;
	struct berth_plan *plan;
};

static struct berth_config *config_of(const char *affinity, const char *web, const char *dns)
{
	char text[2048];
	int n = web ? snprintf(text, sizeof(text), WEB, affinity, web) : 0;
	if (dns)
		snprintf(text + n, sizeof(text) - (size_t)n, DNS, dns);
	return configure(text);
}

/* 40 flows and as many sessions of each of web's a and b, 30 flows of each of dns' a and b. */
static void fill(struct plan_rig *rig)
{
	const struct berth_image *image = &rig->engine->image;
	for (uint32_t s = 0; s < 2; s++)
		for (uint32_t i = 0; i < 2; i++) {
			uint32_t number = rig->model.services[s].backends[i].number;
			for (uint32_t k = 0; k < (s ? 30 : 40); k++) {
				uint32_t at = s * 100 + i * 50 + k, tag = (at + 1) * 1234567 & 0xfffffff;
				image->flows[at].word[s] = berth_word_make(tag, number, 1000,
									   BERTH_STATE_CONFIRMED);
				if (s == 0)
					image->sessions[at % 128].word[at / 128] = berth_word_make(
						tag, rig->model.services[s].backends[i].session_number, 1000,
						BERTH_STATE_SESSION);
			}
		}
}

static struct plan_rig *rig_with(struct berth_config *config)
{
	char error[BERTH_ERROR_BYTES];
	struct plan_rig *rig = calloc(1, sizeof(*rig));
	rig->engine = null_engine(config);
	assert_int_equal(berth_model_init(&rig->model, &rig->engine->image.geometry), 0);
	assert_int_equal(berth_model_apply(&rig->model, config, error), 0);
	all_up(&rig->model);
	publish_once(rig->engine, &rig->model);
	assert_true(rig->engine->image.geometry.session_buckets >= 128);
	fill(rig);
	return rig;
}

static struct plan_rig *rig_make(const char *web)
{
	return rig_with(config_of("", web, A "," B));
}

static void drop(struct plan_rig *rig)
{
	berth_plan_free(rig->plan);
	rig->engine->ops->close(rig->engine, true);
	berth_model_clear(&rig->model);
	free(rig);
}

static void plan(struct plan_rig *rig, struct berth_config *config)
{
	char error[BERTH_ERROR_BYTES] = "";
	uint64_t generation = rig->engine->image.ctl->generation;
	rig->plan = plan_in_steps(&rig->model, config, &rig->engine->image, 1001, 7, error);
	if (!rig->plan)
		fail_msg("%s", error);
	assert_int_equal(rig->engine->image.ctl->generation, generation);
}

static const struct berth_plan_backend *of(const struct plan_rig *rig, const char *service, const char *name)
{
	for (size_t i = 0; i < rig->plan->n; i++)
		if (!strcmp(rig->plan->backends[i].service, service) && !strcmp(rig->plan->backends[i].name, name))
			return &rig->plan->backends[i];
	fail_msg("no %s/%s", service, name);
	return NULL;
}

static void expect(const struct plan_rig *rig, const char *service, const char *name, enum berth_plan_change change,
		   struct berth_plan_counts flows, struct berth_plan_counts sessions, uint64_t forgotten)
{
	const struct berth_plan_backend *backend = of(rig, service, name);
	assert_int_equal(backend->change, change);
	assert_memory_equal(&backend->flows, &flows, sizeof(flows));
	assert_memory_equal(&backend->sessions, &sessions, sizeof(sessions));
	assert_int_equal(backend->cleared, forgotten);
}

#define LIVE(n) ((struct berth_plan_counts){n, 0, 0})
#define MOVE(n, leave, come) ((struct berth_plan_counts){n, leave, come})

static void the_same_configuration_moves_nothing(void **state)
{
	(void)state;
	struct plan_rig *rig = rig_make(A "," B);
	plan(rig, config_of("", A "," B, A "," B));
	assert_int_equal(rig->plan->n, 4);
	expect(rig, "web", "a", BERTH_PLAN_KEPT, LIVE(40), LIVE(40), 0);
	expect(rig, "web", "b", BERTH_PLAN_KEPT, LIVE(40), LIVE(40), 0);
	expect(rig, "dns", "a", BERTH_PLAN_KEPT, LIVE(30), LIVE(0), 0);
	expect(rig, "dns", "b", BERTH_PLAN_KEPT, LIVE(30), LIVE(0), 0);
	drop(rig);
}

static void expect_load(const struct plan_rig *rig, const char *service, const char *name, uint64_t flows,
			enum berth_plan_load load)
{
	const struct berth_plan_backend *backend = of(rig, service, name);
	assert_int_equal(backend->flows_after, flows);
	assert_int_equal(backend->load_after, load);
}

/* dns' b gets the 30 flows of its a, which leaves; a closing flow does not count. */
static void a_plan_says_which_backends_have_no_room_after_it(void **state)
{
	(void)state;
	struct plan_rig *rig = rig_make(A "," B);
	rig->engine->image.flows[0].word[0] = berth_word_make(7, rig->model.services[0].backends[0].number, 1000,
							      BERTH_STATE_CLOSING);
	plan(rig, config_of("", "{name: a, address: 192.0.2.1, max-flows: 39}, {name: b, address: 192.0.2.2}",
			    "{name: b, address: 192.0.2.2, max-flows: 60}"));
	expect_load(rig, "web", "a", 39, BERTH_PLAN_AT_LIMIT);
	expect_load(rig, "web", "b", 40, BERTH_PLAN_HAS_ROOM);
	expect_load(rig, "dns", "b", 60, BERTH_PLAN_AT_LIMIT);
	assert_int_equal(of(rig, "dns", "b")->max_flows, 60);
	assert_int_equal(rig->plan->n_limited, 1);
	assert_string_equal(rig->plan->limited[0].name, "dns");
	assert_int_equal(rig->plan->limited[0].flows.used, 60);
	assert_int_equal(rig->plan->limited[0].flows.limit, 60);
	drop(rig);
}

static void a_plan_says_which_backends_would_be_over_their_share(void **state)
{
	(void)state;
	struct plan_rig *rig = rig_make(A "," B);
	plan(rig,
	     configure("  - {name: web, address: 203.0.113.10, port: 80, mode: l2, table-size: 251, scheduler: "
		       "bounded, affinity: {by: client}, backends: [{name: a, address: 192.0.2.1, weight: 10}, "
		       "{name: b, address: 192.0.2.2, weight: 100}]}\n"));
	expect_load(rig, "web", "a", 40, BERTH_PLAN_OVER_SHARE);
	expect_load(rig, "web", "b", 40, BERTH_PLAN_HAS_ROOM);
	assert_int_equal(rig->plan->n_limited, 0);
	drop(rig);
}

/* dns is removed with its 60 flows. */
static void a_plan_says_how_full_the_tables_are_after_it(void **state)
{
	(void)state;
	struct plan_rig *rig = rig_make(A "," B);
	struct berth_config *config = config_of("", A "," B, NULL);
	const struct berth_limits limits = config->limits;
	plan(rig, config);
	assert_int_equal(rig->plan->table_flows.used, 80);
	assert_int_equal(rig->plan->table_flows.limit, limits.flows);
	assert_int_equal(rig->plan->table_sessions.used, 80);
	assert_int_equal(rig->plan->table_sessions.limit, limits.sessions);
	assert_int_equal(rig->plan->table_services.used, 1);
	assert_int_equal(rig->plan->table_services.limit, limits.services);
	assert_int_equal(rig->plan->table_backends.used, 2);
	assert_int_equal(rig->plan->table_backends.limit, limits.backends);
	drop(rig);
}

static void *take(void *from, size_t bytes)
{
	void *copy = aligned_alloc(64, bytes);
	memcpy(copy, from, bytes);
	memset(from, 0, bytes);
	return copy;
}

static void what_is_left_in_former_tables_is_counted(void **state)
{
	(void)state;
	struct plan_rig *rig = rig_make(A "," B);
	struct berth_image *image = &rig->engine->image;
	const struct berth_geometry *g = &image->geometry;
	image->former_flows = take(image->flows, g->flow_buckets * sizeof(*image->flows));
	image->former_sessions = take(image->sessions, g->session_buckets * sizeof(*image->sessions));
	image->former_clients = take(image->clients,
				     g->session_buckets * BERTH_BUCKET_WORDS * sizeof(*image->clients));
	image->former_flow_bits = image->ctl->former_flow_bits = berth_store_bits(g->flow_buckets);
	image->former_session_bits = image->ctl->former_session_bits = berth_store_bits(g->session_buckets);
	plan(rig, config_of("", A "," B, A));
	expect(rig, "web", "a", BERTH_PLAN_KEPT, LIVE(40), LIVE(40), 0);
	expect(rig, "dns", "a", BERTH_PLAN_KEPT, MOVE(30, 0, 30), LIVE(0), 0);
	expect(rig, "dns", "b", BERTH_PLAN_REMOVED, MOVE(30, 30, 0), LIVE(0), 0);
	free(image->former_flows);
	free(image->former_sessions);
	free(image->former_clients);
	drop(rig);
}

static void an_added_backend_moves_no_session(void **state)
{
	(void)state;
	struct plan_rig *rig = rig_make(A "," B);
	plan(rig, config_of("", C "," A "," B, A "," B));
	assert_int_equal(rig->plan->n, 5);
	expect(rig, "web", "a", BERTH_PLAN_KEPT, LIVE(40), LIVE(40), 0);
	expect(rig, "web", "c", BERTH_PLAN_ADDED, LIVE(0), LIVE(0), 0);
	drop(rig);
}

static void flows_of_a_removed_backend_arrive_where_selection_sends_them(void **state)
{
	(void)state;
	struct plan_rig *rig = rig_make(A "," B);
	plan(rig, config_of("", B "," C, B "," C));
	expect(rig, "web", "a", BERTH_PLAN_REMOVED, MOVE(40, 40, 0), MOVE(40, 40, 0), 0);
	expect(rig, "dns", "a", BERTH_PLAN_REMOVED, MOVE(30, 30, 0), LIVE(0), 0);
	const struct berth_plan_backend *b = of(rig, "web", "b"), *c = of(rig, "web", "c");
	assert_int_equal(b->sessions.arriving + c->sessions.arriving, 40);
	assert_in_range(b->sessions.arriving, 10, 30);
	assert_int_equal(b->flows.arriving + c->flows.arriving, 0); /* they follow their clients */
	assert_int_equal(of(rig, "dns", "b")->flows.arriving + of(rig, "dns", "c")->flows.arriving, 30);
	assert_in_range(of(rig, "dns", "c")->flows.arriving, 5, 25);
	drop(rig);
}

static void sessions_go_to_the_backup(void **state)
{
	(void)state;
	struct plan_rig *rig = rig_make(A "," B);
	/* A removed backend has no backup setting; drained backends have one. */
	struct berth_config *config = config_of("", "{name: a, address: 192.0.2.1, backup: c}," B "," C, A "," B);
	berth_model_set_admin(&rig->model, &rig->model.services[0].backends[0], BERTH_ADMIN_FLOWS_ONLY, 0);
	plan(rig, config);
	expect(rig, "web", "a", BERTH_PLAN_KEPT, LIVE(40), MOVE(40, 40, 0), 0);
	expect(rig, "web", "c", BERTH_PLAN_ADDED, LIVE(0), MOVE(0, 0, 40), 0);
	drop(rig);
}

static void a_weight_of_0_moves_no_session(void **state)
{
	(void)state;
	struct plan_rig *rig = rig_make(A "," B);
	plan(rig, config_of("", "{name: a, address: 192.0.2.1, weight: 0}," B, A "," B));
	expect(rig, "web", "a", BERTH_PLAN_KEPT, LIVE(40), LIVE(40), 0);
	drop(rig);
}

static void a_removed_service_loses_all_entries(void **state)
{
	(void)state;
	struct plan_rig *rig = rig_make(A "," B);
	plan(rig, config_of("", NULL, A "," B));
	expect(rig, "web", "a", BERTH_PLAN_REMOVED, MOVE(40, 40, 0), MOVE(40, 40, 0), 0);
	expect(rig, "dns", "a", BERTH_PLAN_KEPT, LIVE(30), LIVE(0), 0);
	drop(rig);
}

static void another_client_prefix_length_clears_the_sessions(void **state)
{
	(void)state;
	static const char *const changes[] = {", prefix4: 24", ", prefix6: 48", ", group: g", ", timeout: 1s"};
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		struct plan_rig *rig = rig_make(A "," B);
		/* A pinned one, which no timeout expires. */
		rig->engine->image.clients[0] = (struct berth_client){
			.tag = 1234567,
			.reason = BERTH_REASON_PINNED,
			.from = (uint16_t)rig->model.services[0].backends[0].number};
		struct berth_config *config = config_of(changes[i], A "," B, A "," B);
		if (i == 3)
			for (uint32_t b = 0; b < rig->engine->image.geometry.session_buckets; b++)
				for (int w = 0; w < 8; w++) {
					uint64_t *word = &rig->engine->image.sessions[b].word[w];
					if (*word)
						*word = berth_word_make(berth_word_tag(*word),
									berth_word_backend(*word), 990,
									BERTH_STATE_SESSION);
				}
		plan(rig, config);
		expect(rig, "web", "a", BERTH_PLAN_KEPT, LIVE(40), LIVE(40), i == 3 ? 39 : 40);
		expect(rig, "web", "b", BERTH_PLAN_KEPT, LIVE(40), LIVE(40), 40);
		drop(rig);
	}
}

#define IN_GROUP(name, port)                                                                                       \
	"  - {name: " name ", address: 203.0.113.10, port: " port ", mode: l2, table-size: 251, "                  \
	"affinity: {by: client, group: g}, backends: [" A "," B "]}\n"
#define PLAIN_DNS                                                                                                  \
	"  - {name: dns, address: 203.0.113.10, protocol: udp, port: 53, mode: l2, table-size: 251, "              \
	"backends: [" A "," B "]}\n"

static void a_group_that_loses_its_first_service_keeps_its_sessions(void **state)
{
	(void)state;
	struct plan_rig *rig = rig_with(configure(IN_GROUP("web", "80") PLAIN_DNS IN_GROUP("tls", "443")));
	plan(rig, configure(IN_GROUP("tls", "443") PLAIN_DNS));
	expect(rig, "web", "a", BERTH_PLAN_REMOVED, MOVE(40, 40, 0), LIVE(0), 0);
	expect(rig, "tls", "a", BERTH_PLAN_KEPT, LIVE(0), LIVE(40), 0);
	expect(rig, "tls", "b", BERTH_PLAN_KEPT, LIVE(0), LIVE(40), 0);
	drop(rig);
}

static void a_group_that_ends_loses_its_sessions(void **state)
{
	(void)state;
	struct plan_rig *rig = rig_with(configure(IN_GROUP("web", "80") PLAIN_DNS));
	plan(rig, config_of("", A "," B, A "," B));
	expect(rig, "web", "a", BERTH_PLAN_KEPT, LIVE(40), LIVE(40), 40);
	expect(rig, "web", "b", BERTH_PLAN_KEPT, LIVE(40), LIVE(40), 40);
	drop(rig);
}

static void the_sessions_of_a_group_arrive_where_selection_sends_them(void **state)
{
	(void)state;
	struct plan_rig *rig = rig_with(configure(IN_GROUP("web", "80") PLAIN_DNS));
	plan(rig, config_of(", group: g", B, A "," B));
	expect(rig, "web", "a", BERTH_PLAN_REMOVED, MOVE(40, 40, 0), MOVE(40, 40, 0), 0);
	assert_int_equal(of(rig, "web", "b")->sessions.arriving, 40);
	drop(rig);
}

/* They move for that reason, and not because of the change. */
static void entries_that_leave_without_the_change_are_not_counted(void **state)
{
	(void)state;
	struct plan_rig *rig = rig_make(A "," B);
	struct berth_model_backend *a = &rig->model.services[0].backends[0];
	a->health = BERTH_HEALTH_DOWN;
	rig->engine->image.eligibility[a->number / BERTH_ELIGIBILITY_PER_LINE]
		.backend[a->number % BERTH_ELIGIBILITY_PER_LINE] = 0;
	plan(rig, config_of("", B, A "," B));
	expect(rig, "web", "a", BERTH_PLAN_REMOVED, LIVE(0), LIVE(0), 0);
	drop(rig);
}

static void a_configuration_without_room_is_an_error(void **state)
{
	(void)state;
	char text[8192], error[BERTH_ERROR_BYTES] = "";
	struct plan_rig *rig = rig_make(A "," B);
	int n = 0;
	/* The numbers of removed backends are not free yet. */
	for (int i = 0; i < 60; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "{name: n%d, address: 192.0.2.%d},", i, i + 10);
	char service[8192];
	snprintf(service, sizeof(service), WEB, "", text);
	assert_null(plan_in_steps(&rig->model, configure(service), &rig->engine->image, 1001, 7, error));
	assert_non_null(strstr(error, "tables are full"));
	drop(rig);
}

static uint64_t exceptions_after(const struct berth_plan *plan)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < plan->n; i++)
		sum += plan->backends[i].exceptions_after;
	return sum;
}

/* As where health has changed. */
static void rebuild_rows(struct berth_model *model)
{
	for (size_t i = 0; i < model->n_services; i++) {
		struct berth_model_service *service = &model->services[i];
		const size_t bytes = service->n_rows * sizeof(*service->rows);
		struct berth_row *rows = malloc(bytes);
		memcpy(rows, service->rows, bytes);
		memset(service->rows, 0xff, bytes);
		free(service->rows);
		service->rows = rows;
	}
}

static void a_plan_has_steps_between_which_tables_may_be_built(void **state)
{
	(void)state;
	char error[BERTH_ERROR_BYTES];
	unsigned int steps = 1;
	int err;
	struct plan_rig *rig = rig_make(A "," B);
	plan(rig, config_of("", A "," B, A "," B));
	struct berth_planning *planning = berth_planning_begin(&rig->model, config_of("", A "," B, A "," B),
							       &rig->engine->image, 1001, error);
	assert_non_null(planning);
	rebuild_rows(&rig->model);
	while ((err = berth_planning_step(planning, UINT32_MAX, error)) == -EAGAIN)
		steps++;
	assert_int_equal(err, 0);
	/* It compiles, writes selection tables, publishes, lists the backends, and reads the tables. */
	assert_int_equal(steps, 5);
	struct berth_plan *other = berth_planning_end(planning, error);
	assert_int_equal(exceptions_after(other), exceptions_after(rig->plan));
	berth_plan_free(other);
	drop(rig);
}

static void a_plan_compiles_again_when_health_changes_between_its_steps(void **state)
{
	(void)state;
	char error[BERTH_ERROR_BYTES];
	unsigned int steps = 1;
	int err;
	struct plan_rig *rig = rig_make(A "," B);
	struct berth_planning *planning = berth_planning_begin(&rig->model, config_of("", A "," B, A "," B),
							       &rig->engine->image, 1001, error);
	assert_non_null(planning);
	/* For ever: it ends all the same. */
	while ((err = berth_planning_step(planning, UINT32_MAX, error)) == -EAGAIN) {
		struct berth_model_backend *backend = &rig->model.services[0].backends[steps % 2];
		backend->health = backend->health == BERTH_HEALTH_UP ? BERTH_HEALTH_DOWN : BERTH_HEALTH_UP;
		berth_generation_free(berth_compile(&rig->model, &rig->engine->image.geometry, error));
		steps++;
	}
	assert_int_equal(err, 0);
	/* Compiled nine times, the last time with all that follows but listing and reading. */
	assert_int_equal(steps, 9 + 2);
	berth_plan_free(berth_planning_end(planning, error));
	drop(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_configuration_moves_nothing),
		cmocka_unit_test(a_plan_says_which_backends_have_no_room_after_it),
		cmocka_unit_test(a_plan_says_which_backends_would_be_over_their_share),
		cmocka_unit_test(a_plan_says_how_full_the_tables_are_after_it),
		cmocka_unit_test(what_is_left_in_former_tables_is_counted),
		cmocka_unit_test(an_added_backend_moves_no_session),
		cmocka_unit_test(flows_of_a_removed_backend_arrive_where_selection_sends_them),
		cmocka_unit_test(sessions_go_to_the_backup),
		cmocka_unit_test(a_weight_of_0_moves_no_session),
		cmocka_unit_test(a_removed_service_loses_all_entries),
		cmocka_unit_test(another_client_prefix_length_clears_the_sessions),
		cmocka_unit_test(a_group_that_loses_its_first_service_keeps_its_sessions),
		cmocka_unit_test(a_group_that_ends_loses_its_sessions),
		cmocka_unit_test(the_sessions_of_a_group_arrive_where_selection_sends_them),
		cmocka_unit_test(entries_that_leave_without_the_change_are_not_counted),
		cmocka_unit_test(a_configuration_without_room_is_an_error),
		cmocka_unit_test(a_plan_has_steps_between_which_tables_may_be_built),
		cmocka_unit_test(a_plan_compiles_again_when_health_changes_between_its_steps),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
