// SPDX-License-Identifier: BSD-3-Clause
/* The model: numbers, the state that stays across configurations, eligibility. */
#include "tests/support/control.h"

#include "controlplane/model/eligible.h"

static const struct berth_geometry small = {.services = 9, .backends = 64};

static struct berth_model *model_with(const char *const *backends)
{
	char error[BERTH_ERROR_BYTES];
	struct berth_model *model = calloc(1, sizeof(*model));
	assert_int_equal(berth_model_init(model, &small), 0);
	assert_int_equal(berth_model_apply(model, configure_web(backends), error), 0);
	return model;
}

static void drop(struct berth_model *model)
{
	berth_model_clear(model);
	free(model);
}

static struct berth_model_backend *web(struct berth_model *model, const char *name)
{
	struct berth_model_service *service = berth_model_service(model, "web");
	return service ? berth_model_backend(service, name) : NULL;
}

static void numbers_are_distinct_and_not_zero(void **state)
{
	(void)state;
	struct berth_model *model = model_with(BACKENDS("a 1 100", "b 2 100", "c 3 100"));
	assert_int_not_equal(web(model, "a")->number, 0);
	assert_int_not_equal(web(model, "a")->number, web(model, "b")->number);
	assert_int_not_equal(web(model, "b")->number, web(model, "c")->number);
	assert_null(web(model, "d"));
	assert_ptr_equal(berth_model_backend_by_id(model, web(model, "c")->id, NULL), web(model, "c"));
	drop(model);
}

/* keepalived 7cfb502b, 7ad4e60c, a77c2c78: a reload let backends and quorums flap. */
static void apply_keeps_the_state_of_services_and_backends_that_stay(void **state)
{
	(void)state;
	char error[BERTH_ERROR_BYTES];
	struct berth_model *model = model_with(BACKENDS("a 1 100", "b 2 100", "c 3 100"));
	uint32_t c = web(model, "c")->number;
	web(model, "c")->admin = BERTH_ADMIN_DRAINING;
	web(model, "c")->health = BERTH_HEALTH_UP;
	web(model, "c")->next_hop.is_resolved = true;
	/* A backend listed before it is removed, one after it is added, its weight changes. */
	assert_int_equal(berth_model_apply(model, configure_web(BACKENDS("b 2 100", "c 3 7", "d 4 100")), error),
			 0);
	assert_int_equal(web(model, "c")->number, c);
	assert_int_equal(web(model, "c")->config.weight, 7);
	assert_int_equal(web(model, "c")->admin, BERTH_ADMIN_DRAINING);
	assert_int_equal(web(model, "c")->health, BERTH_HEALTH_UP);
	assert_true(web(model, "c")->next_hop.is_resolved);
	assert_int_equal(web(model, "d")->health, BERTH_HEALTH_UNKNOWN);
	assert_null(web(model, "a"));
	drop(model);
}

/* A word of the tables may still hold the number: dpvs#109, #372, keepalived#2163 pinned clients to a removed
 * server, dpvs 07509fc4 waited for ever for what it held. */
static void a_released_number_is_not_reused_before_three_scans(void **state)
{
	(void)state;
	char error[BERTH_ERROR_BYTES];
	struct berth_model *model = model_with(BACKENDS("a 1 100", "b 2 100"));
	uint32_t a = web(model, "a")->number;
	assert_int_equal(berth_model_apply(model, configure_web(BACKENDS("b 2 100")), error), 0);
	for (int scans = 0; scans < 3; scans++) {
		assert_int_equal(berth_model_apply(model, configure_web(BACKENDS("b 2 100", "c 3 100")), error), 0);
		assert_int_not_equal(web(model, "c")->number, a);
		assert_int_equal(berth_model_apply(model, configure_web(BACKENDS("b 2 100")), error), 0);
		berth_model_scan_ended(model);
	}
	assert_int_equal(model->backend_numbers.quarantine[a], 0);
	assert_int_equal(berth_model_apply(model, configure_web(BACKENDS("b 2 100", "e 5 100")), error), 0);
	assert_int_equal(web(model, "e")->number, a);
	drop(model);
}

static void a_configuration_above_the_limits_changes_nothing(void **state)
{
	(void)state;
	char error[BERTH_ERROR_BYTES] = "";
	const struct berth_geometry tiny = {.services = 5, .backends = 3};
	struct berth_model model;
	assert_int_equal(berth_model_init(&model, &tiny), 0);
	assert_int_equal(berth_model_apply(&model, configure_web(BACKENDS("a 1 100", "b 2 100")), error), 0);
	struct berth_config *large = configure_web(BACKENDS("a 1 100", "b 2 100", "c 3 100"));
	assert_int_equal(berth_model_apply(&model, large, error), -ENOSPC);
	assert_non_null(strstr(error, "raise the limits"));
	berth_config_free(large);
	assert_int_equal(model.n_services, 1);
	assert_non_null(web(&model, "b"));
	assert_null(web(&model, "c"));
	berth_model_clear(&model);
}

static void eligibility_follows_health_admin_state_and_weight(void **state)
{
	(void)state;
	static const struct {
		enum berth_health_state health;
		enum berth_admin admin;
		uint32_t weight;
		uint8_t eligibility;
		uint8_t load;
		bool kept;
	} cases[] = {
		{BERTH_HEALTH_UP, BERTH_ADMIN_FLOWS_ONLY, 100, BERTH_ELIGIBLE_FLOWS, 0, false},
		{BERTH_HEALTH_UP, BERTH_ADMIN_FLOWS_ONLY, 0, BERTH_ELIGIBLE_FLOWS, 0, false},
		{BERTH_HEALTH_UP, BERTH_ADMIN_EVICTED, 100, 0, 0, false},
		{BERTH_HEALTH_DOWN, BERTH_ADMIN_EVICTED, 100, 0, 0, true},
		{BERTH_HEALTH_DOWN, BERTH_ADMIN_ENABLED, 100, BERTH_ELIGIBLE_ALL, 0, true},
		{BERTH_HEALTH_UP, BERTH_ADMIN_ENABLED, 100, BERTH_ELIGIBLE_ALL | BERTH_OVER_SHARE, BERTH_OVER_SHARE,
		 false},
		{BERTH_HEALTH_UP, BERTH_ADMIN_DRAINING, 100,
		 BERTH_ELIGIBLE_FLOWS | BERTH_ELIGIBLE_SESSIONS | BERTH_AT_LIMIT, BERTH_AT_LIMIT, false},
		{BERTH_HEALTH_DOWN, BERTH_ADMIN_ENABLED, 100, 0, BERTH_OVER_SHARE, false},
		{BERTH_HEALTH_UP, BERTH_ADMIN_ENABLED, 100, BERTH_ELIGIBLE_ALL, 0, false},
		{BERTH_HEALTH_UP, BERTH_ADMIN_ENABLED, 0, BERTH_ELIGIBLE_FLOWS | BERTH_ELIGIBLE_SESSIONS, 0, false},
		{BERTH_HEALTH_UP, BERTH_ADMIN_DRAINING, 100, BERTH_ELIGIBLE_FLOWS | BERTH_ELIGIBLE_SESSIONS, 0,
		 false},
		{BERTH_HEALTH_UP, BERTH_ADMIN_DISABLED, 100, 0, 0, false},
		{BERTH_HEALTH_DOWN, BERTH_ADMIN_ENABLED, 100, 0, 0, false},
		{BERTH_HEALTH_DOWN, BERTH_ADMIN_DRAINING, 100, 0, 0, false},
		{BERTH_HEALTH_UNKNOWN, BERTH_ADMIN_ENABLED, 100, 0, 0, false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct berth_model_backend backend = {
			.config.weight = cases[i].weight,
			.admin = cases[i].admin,
			.health = cases[i].health,
			.load = cases[i].load,
			.is_kept = cases[i].kept,
			.next_hop.is_resolved = true,
		};
		assert_int_equal(berth_model_eligibility(&backend), cases[i].eligibility);
		/* Without a next hop, the same except for new clients. */
		struct berth_model_backend lost = backend;
		lost.next_hop.is_resolved = false;
		assert_int_equal(berth_model_eligibility(&lost), cases[i].eligibility & ~BERTH_ELIGIBLE_NEW);
		assert_false(berth_model_is_eligible(&lost));
	}
}

/* Sets the health of both backends, and returns whether the alarm began or ended. */
static bool after(struct berth_model *model, enum berth_health_state a, enum berth_health_state b)
{
	web(model, "a")->health = a;
	web(model, "b")->health = b;
	return berth_eligible_update(berth_model_service(model, "web"), true);
}

static void an_alarm_begins_with_the_last_eligible_backend_and_ends_with_the_first(void **state)
{
	(void)state;
	struct berth_model *model = model_with(BACKENDS("a 1 100", "b 2 100"));
	const struct berth_model_service *service = berth_model_service(model, "web");
	struct berth_eligible_count count;
	char text[BERTH_INELIGIBLE_TEXT];

	web(model, "a")->next_hop.is_resolved = web(model, "b")->next_hop.is_resolved = true;
	assert_false(after(model, BERTH_HEALTH_UNKNOWN, BERTH_HEALTH_DOWN)); /* not checked yet */
	assert_false(service->no_eligible);
	assert_true(after(model, BERTH_HEALTH_DOWN, BERTH_HEALTH_DOWN)); /* none ever was eligible */
	assert_true(service->no_eligible);
	assert_true(after(model, BERTH_HEALTH_UP, BERTH_HEALTH_DOWN));
	assert_false(service->no_eligible);
	assert_false(after(model, BERTH_HEALTH_UP, BERTH_HEALTH_UP));
	web(model, "a")->next_hop.is_resolved = false;
	assert_true(after(model, BERTH_HEALTH_UP, BERTH_HEALTH_UNKNOWN)); /* one was eligible before */
	assert_false(after(model, BERTH_HEALTH_UP, BERTH_HEALTH_DOWN));
	berth_eligible_count(service, &count);
	berth_eligible_explain(&count, text);
	assert_string_equal(text, "1 down, 1 without a next hop");
	drop(model);
	model = model_with((const char *const[]){NULL});
	assert_false(berth_eligible_update(berth_model_service(model, "web"), false));
	assert_true(berth_eligible_update(berth_model_service(model, "web"), true));
	drop(model);
}

/* Tables keep identities across restarts and releases. */
static void identities_never_change(void **state)
{
	(void)state;
	struct berth_model *model = model_with(BACKENDS("a 1 100"));
	assert_int_equal(berth_model_service(model, "web")->id, 0xecf7a5dab8c87e0c);
	assert_int_equal(web(model, "a")->id, 0x9c413d447d67f8e9);
	drop(model);
}

/* Also for prefixes and ranges; services with the same first address and port differ. */
static void identities_of_prefixes_and_ranges_are_distinct(void **state)
{
	(void)state;
	static const struct {
		uint8_t bits;
		uint16_t last_port;
		uint64_t id;
	} cases[] = {
		{128, 80, 0x3e1fc1ecd44f2333}, {124, 80, 0x058a19ec66ab15ec}, {120, 80, 0x3a64261dcccfca54},
		{128, 89, 0xfbbc7f4699e16856}, {124, 89, 0xd4988945d07111a5},
	};
	struct berth_service_config service = {.protocol = 6, .port = 80};
	berth_addr_set4(&service.address, berth_to_be32(0xcb007100));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		service.bits = cases[i].bits;
		service.last_port = cases[i].last_port;
		assert_int_equal(berth_service_id(&service), cases[i].id);
	}
}

#define WEB(name, port, group)                                                                                     \
	"  - {name: " name ", address: 203.0.113.10, port: " port                                                  \
	", mode: l2, table-size: 251, affinity: {by: client, "                                                     \
	"group: " group "}, backends: [{name: a, address: 192.0.2.1}]}\n"

static uint32_t session_service_of(struct berth_model *model, const char *name)
{
	return berth_model_service(model, name)->session_service;
}

static void apply_to(struct berth_model *model, const char *services)
{
	char error[BERTH_ERROR_BYTES];
	assert_int_equal(berth_model_apply(model, configure(services), error), 0);
}

/* The numbers in existing sessions must stay valid. */
static void a_group_keeps_its_numbers_whatever_services_it_has(void **state)
{
	(void)state;
	static const char *const changes[] = {
		/* An older service joins; the first one leaves; all change their names; one comes back. */
		WEB("x", "1", "g") WEB("z", "3", "g") WEB("y", "2", "g"), WEB("z", "3", "g") WEB("x", "1", "g"),
		WEB("xx", "1", "g") WEB("zz", "3", "g"), WEB("zz", "3", "g"),
		WEB("y", "2", "g") WEB("zz", "3", "g")};
	struct berth_model *model = calloc(1, sizeof(*model));
	assert_int_equal(berth_model_init(model, &small), 0);
	apply_to(model, WEB("x", "1", "other") WEB("y", "2", "g"));
	assert_int_not_equal(session_service_of(model, "x"), session_service_of(model, "y"));
	const uint32_t group = session_service_of(model, "y"), key = berth_model_service(model, "y")->session_key;
	const uint32_t server = berth_model_service(model, "y")->backends[0].session_number;
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		apply_to(model, changes[i]);
		assert_int_equal(model->n_groups, 1);
		for (size_t j = 0; j < model->n_services; j++) {
			assert_int_equal(model->services[j].session_service, group);
			assert_int_equal(model->services[j].session_key, key);
			assert_int_equal(model->services[j].backends[0].session_number, server);
		}
	}
	/* A service that leaves has its own sessions. */
	apply_to(model, WEB("zz", "3", "g") WEB("y", "2", "h"));
	assert_int_equal(session_service_of(model, "zz"), group);
	assert_int_not_equal(session_service_of(model, "y"), group);
	drop(model);
}

/* Publishes the model into a new image. */
static struct berth_engine *publish(struct berth_model *model)
{
	struct berth_engine *engine = null_engine(model->config);
	publish_once(engine, model);
	return engine;
}

/* haproxy#842, #1216: sticky entries were lost in a reload. */
static void a_group_and_its_sessions_survive_a_restart(void **state)
{
	(void)state;
	char error[BERTH_ERROR_BYTES];
	struct berth_model model, again;
	assert_int_equal(berth_model_init(&model, &small), 0);
	assert_int_equal(berth_model_apply(&model, configure(WEB("x", "1", "h") WEB("y", "2", "g")), error), 0);
	assert_int_equal(berth_model_apply(&model, configure(WEB("x", "1", "g") WEB("y", "2", "g")), error), 0);
	struct berth_engine *engine = publish(&model);
	assert_int_equal(berth_model_init(&again, &engine->image.geometry), 0);
	assert_int_equal(berth_model_adopt(&again, engine->record, &engine->image), 0);
	assert_int_equal(berth_model_apply(&again, configure(WEB("x", "1", "g") WEB("y", "2", "g")), error), 0);
	assert_int_equal(session_service_of(&again, "x"), session_service_of(&model, "y"));
	assert_int_equal(session_service_of(&again, "y"), session_service_of(&model, "y"));
	assert_int_equal(berth_model_service(&again, "x")->backends[0].session_number,
			 berth_model_service(&model, "x")->backends[0].session_number);
	engine->ops->close(engine, true);
	berth_model_clear(&again);
	berth_model_clear(&model);
}

static void admin_state_survives_a_restart(void **state)
{
	(void)state;
	char error[BERTH_ERROR_BYTES];
	const char *const *names = BACKENDS("a", "b", "c", "d");
	static const enum berth_admin admins[] = {BERTH_ADMIN_FLOWS_ONLY, BERTH_ADMIN_EVICTED, BERTH_ADMIN_DRAINING,
						  BERTH_ADMIN_ENABLED};
	struct berth_model *model = model_with(BACKENDS("a 1 100", "b 2 100", "c 3 100", "d 4 100"));
	struct berth_model again;
	all_up(model);
	for (int i = 0; i < 4; i++)
		berth_model_set_admin(model, web(model, names[i]), admins[i], i == 2 ? 7654321 : 0);
	web(model, "d")->load = BERTH_AT_LIMIT;
	struct berth_engine *engine = publish(model);
	assert_int_equal(berth_model_init(&again, &engine->image.geometry), 0);
	assert_int_equal(berth_model_adopt(&again, engine->record, &engine->image), 0);
	assert_int_equal(berth_model_apply(&again,
					   configure_web(BACKENDS("a 1 100", "b 2 100", "c 3 100", "d 4 100")),
					   error),
			 0);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(web(&again, names[i])->admin, admins[i]);
		assert_int_equal(web(&again, names[i])->evict_at, i == 2 ? 7654321 : 0);
		assert_int_equal(web(&again, names[i])->load, i == 3 ? BERTH_AT_LIMIT : 0);
		assert_false(web(&again, names[i])->is_slow_start_due);
	}
	/* Its checks go on while it is evicted. */
	assert_int_equal(web(&again, "b")->health, BERTH_HEALTH_UP);
	assert_int_equal(web(&again, "a")->health, BERTH_HEALTH_UP);
	engine->ops->close(engine, true);
	berth_model_clear(&again);
	drop(model);
}

/* A restart of berthd (loxilb#1081, keepalived#2318: configuration or state lost, backends kept). */
static void a_restart_restores_the_numbers(void **state)
{
	(void)state;
	char error[BERTH_ERROR_BYTES];
	struct berth_model *model = model_with(BACKENDS("a 1 100", "b 2 100", "c 3 100"));
	all_up(model);
	web(model, "b")->admin = BERTH_ADMIN_DRAINING;
	web(model, "b")->forced = BERTH_FORCED_DOWN;
	web(model, "c")->next_hop = (struct berth_next_hop){
		.is_resolved = true, .mtu = 1500, .dst_mac = {2, 0, 0, 0, 0, 9}};
	struct berth_engine *engine = publish(model);

	/* The new berthd reads another configuration, in another order, without "a". */
	struct berth_model again;
	assert_int_equal(berth_model_init(&again, &engine->image.geometry), 0);
	assert_int_equal(berth_model_adopt(&again, engine->record, &engine->image), 0);
	assert_int_equal(berth_model_apply(&again, configure_web(BACKENDS("c 3 100", "n 7 100", "b 2 100")), error),
			 0);
	assert_int_equal(web(&again, "b")->number, web(model, "b")->number);
	assert_int_equal(web(&again, "c")->number, web(model, "c")->number);
	assert_int_equal(web(&again, "b")->admin, BERTH_ADMIN_DRAINING);
	assert_int_equal(web(&again, "b")->forced, BERTH_FORCED_DOWN);
	assert_int_equal(web(&again, "c")->forced, BERTH_FORCED_NOT);
	assert_int_equal(web(&again, "c")->health, BERTH_HEALTH_UP);
	assert_true(web(&again, "c")->next_hop.is_resolved);
	assert_int_equal(web(&again, "c")->next_hop.dst_mac[5], 9);
	assert_int_not_equal(web(&again, "n")->number, web(model, "a")->number);
	assert_int_equal(web(&again, "n")->health, BERTH_HEALTH_UNKNOWN);
	assert_int_not_equal(again.backend_numbers.quarantine[web(model, "a")->number], 0);

	engine->ops->close(engine, true);
	berth_model_clear(&again);
	drop(model);
}

/* An operator's `backend health b down` must not reach other services through the check that they share, nor an
 * `up` mark a dead server up. The same for a panic, which keeps backends in use that are down. */
static void a_restart_keeps_the_health_by_the_checks_apart_from_overrides(void **state)
{
	(void)state;
	static const struct {
		enum berth_health_state health;
		enum berth_forced forced;
		enum berth_admin admin;
		bool is_kept;
		enum berth_health_state adopted;
	} cases[] = {
		{BERTH_HEALTH_UP, BERTH_FORCED_DOWN, BERTH_ADMIN_ENABLED, false, BERTH_HEALTH_UP},
		{BERTH_HEALTH_DOWN, BERTH_FORCED_UP, BERTH_ADMIN_ENABLED, false, BERTH_HEALTH_DOWN},
		{BERTH_HEALTH_UNKNOWN, BERTH_FORCED_UP, BERTH_ADMIN_ENABLED, false, BERTH_HEALTH_UNKNOWN},
		{BERTH_HEALTH_UNKNOWN, BERTH_FORCED_DOWN, BERTH_ADMIN_ENABLED, false, BERTH_HEALTH_UNKNOWN},
		{BERTH_HEALTH_DOWN, BERTH_FORCED_NOT, BERTH_ADMIN_ENABLED, true, BERTH_HEALTH_DOWN},
		{BERTH_HEALTH_DOWN, BERTH_FORCED_NOT, BERTH_ADMIN_DISABLED, false, BERTH_HEALTH_DOWN},
		{BERTH_HEALTH_UP, BERTH_FORCED_NOT, BERTH_ADMIN_DISABLED, false, BERTH_HEALTH_UP},
		{BERTH_HEALTH_UP, BERTH_FORCED_NOT, BERTH_ADMIN_ENABLED, false, BERTH_HEALTH_UP},
		{BERTH_HEALTH_UNKNOWN, BERTH_FORCED_NOT, BERTH_ADMIN_ENABLED, false, BERTH_HEALTH_UNKNOWN},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		char error[BERTH_ERROR_BYTES];
		struct berth_model *model = model_with(BACKENDS("a 1 100"));
		struct berth_model_backend *a = web(model, "a");
		a->health = cases[i].health;
		a->forced = cases[i].forced;
		a->admin = cases[i].admin;
		a->is_kept = cases[i].is_kept;
		struct berth_engine *engine = publish(model);
		struct berth_model again;
		assert_int_equal(berth_model_init(&again, &engine->image.geometry), 0);
		assert_int_equal(berth_model_adopt(&again, engine->record, &engine->image), 0);
		assert_int_equal(berth_model_apply(&again, configure_web(BACKENDS("a 1 100")), error), 0);
		if (web(&again, "a")->health != cases[i].adopted)
			fail_msg("case %zu: adopted as %s, expected %s", i,
				 berth_health_name(web(&again, "a")->health), berth_health_name(cases[i].adopted));
		assert_int_equal(web(&again, "a")->forced, cases[i].forced);
		if (cases[i].forced == BERTH_FORCED_NOT)
			assert_int_equal(web(&again, "a")->is_kept, cases[i].is_kept);
		engine->ops->close(engine, true);
		berth_model_clear(&again);
		drop(model);
	}
}

/* The eligibility of a backend is written before the generation: it is newer than the recorded health. */
static void a_backend_that_went_down_just_before_a_restart_is_down(void **state)
{
	(void)state;
	char error[BERTH_ERROR_BYTES];
	struct berth_model *model = model_with(BACKENDS("a 1 100"));
	all_up(model);
	struct berth_engine *engine = publish(model);
	struct berth_publisher *publisher = berth_publisher_new(engine);
	berth_publish_eligibility(publisher, web(model, "a")->number, 0);
	berth_publisher_free(publisher);
	struct berth_model again;
	assert_int_equal(berth_model_init(&again, &engine->image.geometry), 0);
	assert_int_equal(berth_model_adopt(&again, engine->record, &engine->image), 0);
	assert_int_equal(berth_model_apply(&again, configure_web(BACKENDS("a 1 100")), error), 0);
	assert_int_equal(web(&again, "a")->health, BERTH_HEALTH_DOWN);
	engine->ops->close(engine, true);
	berth_model_clear(&again);
	drop(model);
}

/* The address may belong to another server, so the checks of the former one say nothing. */
static void a_backend_with_another_address_is_unknown_until_its_checks_report(void **state)
{
	(void)state;
	char error[BERTH_ERROR_BYTES];
	struct berth_model *model = model_with(BACKENDS("a 1 100", "b 2 100"));
	all_up(model);
	web(model, "a")->next_hop.is_resolved = true;
	web(model, "a")->is_kept = true;
	web(model, "a")->down_since_ms = 7;
	web(model, "a")->forced = BERTH_FORCED_UP;
	struct berth_engine *engine = publish(model);
	assert_int_equal(berth_model_apply(model, configure_web(BACKENDS("a 9 100", "b 2 100")), error), 0);
	assert_int_equal(web(model, "a")->health, BERTH_HEALTH_UNKNOWN);
	assert_int_equal(web(model, "a")->down_since_ms, 0);
	assert_false(web(model, "a")->is_kept);
	assert_false(web(model, "a")->next_hop.is_resolved);
	assert_int_equal(web(model, "a")->forced, BERTH_FORCED_UP);
	assert_int_equal(web(model, "b")->health, BERTH_HEALTH_UP);

	/* The same when berthd is restarted with the change. */
	struct berth_model again;
	assert_int_equal(berth_model_init(&again, &engine->image.geometry), 0);
	assert_int_equal(berth_model_adopt(&again, engine->record, &engine->image), 0);
	assert_int_equal(berth_model_apply(&again, configure_web(BACKENDS("a 9 100", "b 2 100")), error), 0);
	assert_int_equal(web(&again, "a")->number, web(model, "a")->number);
	assert_int_equal(web(&again, "a")->health, BERTH_HEALTH_UNKNOWN);
	assert_false(web(&again, "a")->next_hop.is_resolved);
	assert_int_equal(web(&again, "a")->forced, BERTH_FORCED_UP);
	assert_int_equal(web(&again, "b")->health, BERTH_HEALTH_UP);
	engine->ops->close(engine, true);
	berth_model_clear(&again);
	drop(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_distinct_and_not_zero),
		cmocka_unit_test(apply_keeps_the_state_of_services_and_backends_that_stay),
		cmocka_unit_test(a_released_number_is_not_reused_before_three_scans),
		cmocka_unit_test(a_configuration_above_the_limits_changes_nothing),
		cmocka_unit_test(eligibility_follows_health_admin_state_and_weight),
		cmocka_unit_test(an_alarm_begins_with_the_last_eligible_backend_and_ends_with_the_first),
		cmocka_unit_test(identities_never_change),
		cmocka_unit_test(identities_of_prefixes_and_ranges_are_distinct),
		cmocka_unit_test(a_restart_restores_the_numbers),
		cmocka_unit_test(a_backend_with_another_address_is_unknown_until_its_checks_report),
		cmocka_unit_test(a_restart_keeps_the_health_by_the_checks_apart_from_overrides),
		cmocka_unit_test(a_backend_that_went_down_just_before_a_restart_is_down),
		cmocka_unit_test(a_group_keeps_its_numbers_whatever_services_it_has),
		cmocka_unit_test(a_group_and_its_sessions_survive_a_restart),
		cmocka_unit_test(admin_state_survives_a_restart),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
