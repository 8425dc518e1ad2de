// SPDX-License-Identifier: BSD-3-Clause
/* Groups, backups and schedulers in a generation, and selection from its rows. */
#include "tests/support/control.h"

#include "dataplane/core/session.h"

struct group_rig {
	struct berth_model model;
	struct berth_engine *engine;
	struct berth_publisher *publisher;
};

#define AT "address: 203.0.113.10, mode: l2, table-size: 251, "
#define A "{name: a, address: 192.0.2.1}"
#define B "{name: b, address: 192.0.2.2}"
#define C "{name: c, address: 192.0.2.3}"

static void publish(struct group_rig *rig)
{
	assert_int_equal(publish_model(rig->publisher, rig->engine, &rig->model), 0);
}

static struct group_rig make_rig(const char *services)
{
	struct group_rig rig;
	char error[BERTH_ERROR_BYTES];
	struct berth_config *config = configure(services);
	rig.engine = null_engine(config);
	rig.publisher = berth_publisher_new(rig.engine);
	assert_int_equal(berth_model_init(&rig.model, &rig.engine->image.geometry), 0);
	assert_int_equal(berth_model_apply(&rig.model, config, error), 0);
	all_up(&rig.model);
	publish(&rig);
	return rig;
}

static void drop(struct group_rig *rig)
{
	berth_publisher_free(rig->publisher);
	rig->engine->ops->close(rig->engine, true);
	berth_model_clear(&rig->model);
}

static struct berth_model_backend *backend_of(struct group_rig *rig, const char *service, const char *name)
{
	return berth_model_backend(berth_model_service(&rig->model, service), name);
}

static uint32_t service_number(struct group_rig *rig, const char *name)
{
	return berth_model_service(&rig->model, name)->number;
}

static struct berth_view view_of(const struct group_rig *rig)
{
	return berth_image_view(&rig->engine->image, 0, 0);
}

/* The name of the server that selection gives; "-": none. */
static const char *select_name(struct group_rig *rig, const char *name, uint32_t tag)
{
	struct berth_view view = view_of(rig);
	uint32_t number = berth_select(&view, service_number(rig, name), tag);
	struct berth_model_service *found = berth_model_service(&rig->model, name);
	for (size_t i = 0; i < found->n_backends; i++)
		if (found->backends[i].number == number)
			return found->backends[i].config.name;
	return "-";
}

#define GROUPED                                                                                                    \
	"  - {name: w1, port: 80, " AT "affinity: {by: client, group: g}, backends: [" A "," B "," C "]}\n"        \
	"  - {name: w2, port: 443, " AT "affinity: {by: client, group: g}, backends: [" C "," A "," B "]}\n"       \
	"  - {name: w3, port: 53, protocol: udp, " AT "affinity: {by: client, group: g}, backends: [" B "]}\n"     \
	"  - {name: w4, port: 81, " AT "affinity: {by: client}, backends: [" A "," B "," C "]}\n"

static void a_server_has_one_number_per_service_of_its_group(void **state)
{
	(void)state;
	struct group_rig rig = make_rig(GROUPED);
	struct berth_view view = view_of(&rig);
	static const char *const services[] = {"w1", "w2", "w3"};
	for (int i = 0; i < 3; i++)
		for (int j = 0; j < 3; j++)
			assert_int_equal(berth_sibling(&view, backend_of(&rig, services[i], "b")->number,
						       service_number(&rig, services[j])),
					 backend_of(&rig, services[j], "b")->number);
	assert_int_equal(berth_sibling(&view, backend_of(&rig, "w1", "a")->number, service_number(&rig, "w2")),
			 backend_of(&rig, "w2", "a")->number);
	assert_int_equal(berth_sibling(&view, backend_of(&rig, "w1", "a")->number, service_number(&rig, "w3")), 0);
	assert_int_equal(berth_sibling(&view, backend_of(&rig, "w1", "a")->number, service_number(&rig, "w4")), 0);
	assert_int_equal(berth_backend_of(&view, backend_of(&rig, "w4", "a")->number)->sibling, 0);
	drop(&rig);
}

/* The group's own number of a server. A scan asks for its eligibility, and for its admin state. */
static void a_group_is_eligible_and_evicted_with_the_servers_of_its_services(void **state)
{
	(void)state;
	struct group_rig rig = make_rig(GROUPED);
	const uint32_t b = backend_of(&rig, "w1", "b")->session_number;
	static const char *const services[] = {"w1", "w2", "w3"};
	for (int i = 0; i < 3; i++) {
		struct berth_view view = view_of(&rig);
		assert_int_equal(berth_eligibility(&view, b), BERTH_ELIGIBLE_ALL);
		assert_int_equal(berth_backend_of(&view, b)->admin, BERTH_ADMIN_ENABLED);
		assert_int_equal(backend_of(&rig, services[i], "b")->session_number, b);
		berth_model_set_admin(&rig.model, backend_of(&rig, services[i], "b"), BERTH_ADMIN_EVICTED, 0);
		publish(&rig);
	}
	struct berth_view view = view_of(&rig);
	assert_int_equal(berth_eligibility(&view, b), 0);
	assert_int_equal(berth_backend_of(&view, b)->admin, BERTH_ADMIN_EVICTED);
	berth_publish_eligibility(rig.publisher, backend_of(&rig, "w2", "b")->number, BERTH_ELIGIBLE_FLOWS);
	assert_int_equal(berth_eligibility(&view, b), BERTH_ELIGIBLE_FLOWS);
	drop(&rig);
}

static void services_of_a_group_share_sessions(void **state)
{
	(void)state;
	struct group_rig rig = make_rig(GROUPED);
	struct berth_view view = view_of(&rig);
	const struct berth_service *w1 = berth_service_of(&view, service_number(&rig, "w1"));
	const struct berth_service *w3 = berth_service_of(&view, service_number(&rig, "w3"));
	const struct berth_service *w4 = berth_service_of(&view, service_number(&rig, "w4"));
	assert_int_equal(w1->session_key, w3->session_key);
	assert_int_equal(rig.model.n_groups, 1);
	assert_int_equal(w1->session_service, rig.model.groups[0].number);
	assert_int_equal(w3->session_service, rig.model.groups[0].number);
	assert_int_not_equal(w1->session_key, w4->session_key);
	assert_int_equal(w4->session_service, service_number(&rig, "w4"));
	drop(&rig);
}

/* So a node without the session selects the same server for a client's first flow to the other service. */
static void selection_is_the_same_in_all_services_of_a_group(void **state)
{
	(void)state;
	struct group_rig rig = make_rig(GROUPED);
	unsigned int others = 0;
	for (uint32_t i = 0; i < 1000; i++) {
		uint32_t tag = i * 268435u;
		assert_string_equal(select_name(&rig, "w1", tag), select_name(&rig, "w2", tag));
		others += strcmp(select_name(&rig, "w1", tag), select_name(&rig, "w4", tag)) != 0;
	}
	assert_in_range(others, 100, 1000);
	drop(&rig);
}

#define NODE1                                                                                                      \
	"  - {name: w1, port: 80, " AT "affinity: {by: client}, backends: [" A "," B "," C "]}\n"                  \
	"  - {name: w2, port: 443, " AT "affinity: {by: client}, backends: [" A "," B "]}\n"
#define NODE2                                                                                                      \
	"  - {name: w2, port: 443, " AT "affinity: {by: client}, backends: [" B "," A "]}\n"                       \
	"  - {name: w1, port: 80, " AT "affinity: {by: client}, backends: [" C "," A "," B "]}\n"

/* cilium#26709: nodes that disagreed. They share the configuration, in whatever order, and the secret, and have had
 * other backends before. */
static void nodes_without_contact_select_the_same_server(void **state)
{
	(void)state;
	char error[BERTH_ERROR_BYTES];
	struct group_rig one = make_rig(NODE1),
			 other = make_rig("  - {name: w2, port: 443, " AT "backends: [" C "]}\n");
	assert_int_equal(berth_model_apply(&other.model, configure(NODE2), error), 0);
	all_up(&other.model);
	publish(&other);
	assert_int_not_equal(backend_of(&one, "w1", "a")->number, backend_of(&other, "w1", "a")->number);
	assert_int_not_equal(service_number(&one, "w1"), service_number(&other, "w1"));
	memcpy(other.engine->image.ctl->secret, one.engine->image.ctl->secret, BERTH_SECRET_BYTES);
	struct berth_view views[] = {view_of(&one), view_of(&other)};
	for (uint32_t i = 0; i < 1000; i++) {
		const char *name = i & 1 ? "w1" : "w2";
		struct berth_packet packet = {0};
		berth_addr_set4(&packet.src, berth_to_be32(0xc6336400 + i));
		uint64_t mine = berth_hash_session(one.engine->image.ctl->secret, &packet,
						   berth_service_of(&views[0], service_number(&one, name)));
		uint64_t its = berth_hash_session(other.engine->image.ctl->secret, &packet,
						  berth_service_of(&views[1], service_number(&other, name)));
		assert_int_equal(mine, its);
		assert_string_equal(select_name(&one, name, berth_hash_tag(mine)),
				    select_name(&other, name, berth_hash_tag(its)));
	}
	drop(&one);
	drop(&other);
}

/* haproxy#1078: what the old process noted of a client after a reload was unknown to the new one. Workers that are
 * still in the generation before write into the same table. */
static void a_session_inserted_under_the_old_generation_is_valid_in_the_new_one(void **state)
{
	(void)state;
	char error[BERTH_ERROR_BYTES];
	struct group_rig rig = make_rig(NODE1);
	const struct berth_view old = view_of(&rig);
	const uint32_t number = service_number(&rig, "w1"), backend = backend_of(&rig, "w1", "b")->number;
	assert_int_equal(berth_model_apply(&rig.model, configure(NODE2), error), 0);
	publish(&rig);
	const struct berth_view new = view_of(&rig);
	assert_int_not_equal(old.first_service, new.first_service);
	struct berth_packet packet = {.service = (uint16_t)number};
	berth_addr_set4(&packet.src, berth_to_be32(0xc6336401));
	struct berth_key key = berth_session_key(&old, &packet, berth_service_of(&old, number));
	struct berth_entry entry;
	berth_flowtab_insert(&old, &key, backend, BERTH_STATE_SESSION, &entry);
	key = berth_session_key(&new, &packet, berth_service_of(&new, number));
	berth_flowtab_lookup(&new, &key, &entry);
	assert_int_not_equal(entry.at, BERTH_NOT_FOUND);
	assert_int_equal(berth_word_backend(entry.value), backend);
	assert_int_equal(backend_of(&rig, "w1", "b")->number, backend);
	drop(&rig);
}

static void backups_are_backend_numbers(void **state)
{
	(void)state;
	struct group_rig rig = make_rig("  - {name: w, port: 80, " AT
					"affinity: {by: client}, backends: [{name: x, address: "
					"192.0.2.1, backup: y}, {name: z, address: 192.0.2.3}, {name: y, address: "
					"192.0.2.2, backup: x}]}\n");
	struct berth_view view = view_of(&rig);
	uint32_t x = backend_of(&rig, "w", "x")->number, y = backend_of(&rig, "w", "y")->number;
	assert_int_equal(berth_backend_of(&view, x)->backup, y);
	assert_int_equal(berth_backend_of(&view, y)->backup, x);
	assert_int_equal(berth_backend_of(&view, backend_of(&rig, "w", "z")->number)->backup, 0);
	drop(&rig);
}

static void a_service_has_the_values_of_its_keys(void **state)
{
	(void)state;
	static const struct {
		const char *keys;
		struct berth_service says;
	} cases[] = {
		{"", {.scheduler = BERTH_SCHEDULER_MAGLEV}},
		{"scheduler: bounded, overload: spill, ", {.overload = BERTH_OVERLOAD_SPILL}},
		{"scheduler: least-conn, failback: return, ",
		 {.scheduler = BERTH_SCHEDULER_LEAST_CONN, .failback = BERTH_FAILBACK_RETURN}},
		{"scheduler: round-robin, on-down: reset, ",
		 {.scheduler = BERTH_SCHEDULER_ROUND_ROBIN, .down = BERTH_DOWN_RESET}},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[512];
		snprintf(text, sizeof(text), "  - {name: w, port: 80, " AT "%sbackends: [" A "]}\n", cases[i].keys);
		struct group_rig rig = make_rig(text);
		struct berth_view view = view_of(&rig);
		const struct berth_service *says = berth_service_of(&view, service_number(&rig, "w"));
		assert_int_equal(says->scheduler, cases[i].says.scheduler);
		assert_int_equal(says->overload, cases[i].says.overload);
		assert_int_equal(says->failback, cases[i].says.failback);
		assert_int_equal(says->down, cases[i].says.down);
		drop(&rig);
	}
}

static void round_robin_follows_weights_and_skips_backends_that_are_down(void **state)
{
	(void)state;
	struct group_rig rig = make_rig(
		"  - {name: w, port: 80, " AT "scheduler: round-robin, backends: [{name: a, address: "
		"192.0.2.1, weight: 200}, " B ", {name: c, address: 192.0.2.3, weight: 0}]}\n");
	unsigned int a = 0, b = 0;
	for (int i = 0; i < 300; i++) {
		char name = select_name(&rig, "w", 7)[0];
		a += name == 'a';
		b += name == 'b';
	}
	assert_int_equal(a, 200);
	assert_int_equal(b, 100);
	/* At once by eligibility, and after the table is rebuilt. */
	backend_of(&rig, "w", "a")->health = BERTH_HEALTH_DOWN;
	berth_publish_eligibility(rig.publisher, backend_of(&rig, "w", "a")->number, 0);
	assert_string_equal(select_name(&rig, "w", 7), "b");
	publish(&rig);
	struct berth_view view = view_of(&rig);
	assert_int_equal(berth_service_of(&view, service_number(&rig, "w"))->rows, 1);
	assert_string_equal(select_name(&rig, "w", 7), "b");
	drop(&rig);
}

static void another_scheduler_rebuilds_the_rows(void **state)
{
	(void)state;
	char error[BERTH_ERROR_BYTES];
	struct group_rig rig = make_rig("  - {name: w, port: 80, " AT "backends: [" A "," B "]}\n");
	assert_int_equal(berth_model_apply(&rig.model,
					   configure("  - {name: w, port: 80, " AT
						     "scheduler: round-robin, backends: [" A "," B "]}\n"),
					   error),
			 0);
	publish(&rig);
	struct berth_view view = view_of(&rig);
	assert_int_equal(berth_service_of(&view, service_number(&rig, "w"))->rows, 2);
	assert_int_equal(berth_model_apply(&rig.model,
					   configure("  - {name: w, port: 80, " AT "backends: [" A "," B "]}\n"),
					   error),
			 0);
	publish(&rig);
	view = view_of(&rig);
	assert_int_equal(berth_service_of(&view, service_number(&rig, "w"))->rows, 251);
	drop(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_server_has_one_number_per_service_of_its_group),
		cmocka_unit_test(a_group_is_eligible_and_evicted_with_the_servers_of_its_services),
		cmocka_unit_test(services_of_a_group_share_sessions),
		cmocka_unit_test(selection_is_the_same_in_all_services_of_a_group),
		cmocka_unit_test(nodes_without_contact_select_the_same_server),
		cmocka_unit_test(a_session_inserted_under_the_old_generation_is_valid_in_the_new_one),
		cmocka_unit_test(backups_are_backend_numbers),
		cmocka_unit_test(a_service_has_the_values_of_its_keys),
		cmocka_unit_test(round_robin_follows_weights_and_skips_backends_that_are_down),
		cmocka_unit_test(another_scheduler_rebuilds_the_rows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
