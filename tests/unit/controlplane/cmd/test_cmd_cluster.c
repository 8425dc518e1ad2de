// SPDX-License-Identifier: BSD-3-Clause
/* `show cluster`: what tells whether nodes agree. */
#include "tests/unit/controlplane/cmd/cmd.h"

#include "controlplane/daemon/node.h"

#define SECRET "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define OTHER_SECRET "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e20"
#define SERVICES "services: [" WEB "backends: [{name: b1, address: 192.0.2.11, weight: %d}]}]\n"

/* The only row of `nodes` of a node with this name, secret and weight of b1. */
static json_t *row_of(struct berthd *f, const char *node, const char *secret, int weight)
{
	char text[1024], path[80];
	snprintf(path, sizeof(path), "%s/shared", f->dir);
	snprintf(text, sizeof(text), HEAD "secret-file: %s\ncluster: {name: shop, node: %s}\n" SERVICES, path, node,
		 weight);
	assert_int_equal(berth_file_write(path, secret, strlen(secret), 0600), 0);
	assert_int_equal(berth_file_replace(f->path, text, strlen(text)), 0);
	berth_daemon_close(f->daemon);
	berthd_open(f);
	unlink(path);
	json_t *row, *result = run(f, "show cluster", "{}", BERTH_CODE_OK);
	assert_string_equal(json_string_value(json_object_get(result, "cluster")), "shop");
	assert_string_equal(json_string_value(json_object_get(result, "node")), node);
	assert_int_equal(json_array_size(json_object_get(result, "nodes")), 1);
	row = json_incref(json_array_get(json_object_get(result, "nodes"), 0));
	assert_string_equal(json_string_value(json_object_get(row, "name")), node);
	assert_true(json_is_true(json_object_get(row, "this_node")));
	json_decref(result);
	return row;
}

/* Expects of two rows that these are equal, or not, and releases them. */
static void compare(json_t *a, json_t *b, bool same_config, bool same_secret)
{
	assert_int_equal(json_equal(json_object_get(a, "config_digest"), json_object_get(b, "config_digest")),
			 same_config);
	assert_int_equal(json_equal(json_object_get(a, "secret_digest"), json_object_get(b, "secret_digest")),
			 same_secret);
	json_decref(a);
	json_decref(b);
}

static void show_cluster_tells_what_differs_between_nodes(void **state)
{
	struct berthd *f = *state;
	compare(row_of(f, "n1", SECRET, 7), row_of(f, "n2", SECRET, 7), true, true);
	compare(row_of(f, "n1", SECRET, 7), row_of(f, "n2", SECRET, 8), false, true);
	compare(row_of(f, "n1", SECRET, 7), row_of(f, "n2", OTHER_SECRET, 7), true, false);
}

static void a_cluster_without_a_secret_file_is_refused(void **state)
{
	json_t *arguments = json_pack("{s:s, s:s}", "file", "f", "text", HEAD "cluster: {name: shop}\n");
	char *text = json_dumps(arguments, 0);
	refuse(*state, "config check", text, BERTH_CODE_CONFIG, "f:4:10: the nodes of a cluster share a secret");
	refuse(*state, "config apply", text, BERTH_CODE_CONFIG, "f:4:10: the nodes of a cluster share a secret");
	free(text);
	json_decref(arguments);
}

static void a_node_in_no_cluster_has_digests_too(void **state)
{
	json_t *result = run(*state, "show cluster", "{}", BERTH_CODE_OK);
	const json_t *row = json_array_get(json_object_get(result, "nodes"), 0);
	assert_true(json_is_null(json_object_get(result, "cluster")));
	assert_true(json_is_null(json_object_get(result, "node")));
	assert_true(json_is_null(json_object_get(row, "name")));
	assert_int_equal(json_string_length(json_object_get(row, "config_digest")), 16);
	assert_int_equal(json_string_length(json_object_get(row, "secret_digest")), 32);
	json_decref(result);
}

/* A scheduler by which each entry is an exception: controlplane/cluster/test_exceptions.c has the others. */
static void exceptions_are_shown(void **state)
{
	static const char text[] = HEAD "services: [" WEB "scheduler: round-robin, backends: [{name: b1, address: "
					"192.0.2.11}, {name: b2, address: 192.0.2.12}]}]\n";
	struct berthd *f = *state;
	berth_daemon_close(f->daemon);
	assert_int_equal(berth_file_replace(f->path, text, strlen(text)), 0);
	berthd_open(f);
	berth_publish_eligibility(f->daemon->publisher, backend(f, "web", "b1")->number, BERTH_ELIGIBLE_ALL);
	berth_publish_eligibility(f->daemon->publisher, backend(f, "web", "b2")->number, BERTH_ELIGIBLE_ALL);
	fill_tables(f);
	json_t *cluster = run(f, "show cluster", "{}", BERTH_CODE_OK);
	json_t *services = run(f, "show services", "{}", BERTH_CODE_OK);
	const json_t *rows[] = {json_array_get(json_object_get(cluster, "nodes"), 0),
				json_array_get(json_object_get(services, "services"), 0)};
	for (int i = 0; i < 2; i++) {
		assert_int_equal(json_integer_value(json_object_get(rows[i], "exception_flows")), 3);
		assert_int_equal(json_integer_value(json_object_get(rows[i], "exception_sessions")), 1);
	}
	json_decref(cluster);
	json_decref(services);
	json_t *metrics = run(f, "show metrics", "{}", BERTH_CODE_OK);
	assert_non_null(strstr(json_string_value(json_object_get(metrics, "metrics")),
			       "\nberth_service_exceptions{service=\"web\"} 4\n"));
	json_decref(metrics);
}

static void expect_scope(struct berthd *f, const char *command, const char *arguments, const char *scope)
{
	json_t *result = run(f, command, arguments, BERTH_CODE_OK);
	const char *text = json_string_value(json_object_get(result, "applies_to"));
	assert_string_equal(text ? text : "none", scope);
	json_decref(result);
}

static json_t *only_record(struct berthd *f)
{
	json_t *result = run(f, "show cluster", "{}", BERTH_CODE_OK);
	const json_t *set = json_object_get(json_object_get(result, "operators"), "set");
	assert_int_equal(json_array_size(set), 1);
	json_t *record = json_incref(json_array_get(set, 0));
	json_decref(result);
	return record;
}

static void expect_record(struct berthd *f, const char *value, bool is_local)
{
	json_t *record = only_record(f);
	assert_string_equal(json_string_value(json_object_get(record, "value")), value);
	assert_string_equal(json_string_value(json_object_get(record, "by")), "unknown");
	assert_string_equal(json_string_value(json_object_get(record, "node")), "n1");
	assert_int_equal(json_is_true(json_object_get(record, "local")), is_local);
	json_decref(record);
}

/* tests/e2e/test_exchange.py has the other nodes. */
static void a_command_says_on_which_nodes_it_is_in_force(void **state)
{
	struct berthd *f = *state;
	expect_scope(f, "backend drain", "{\"backend\": \"web/b1\"}", "none");
	expect_scope(f, "backend enable", "{\"backend\": \"web/b1\"}", "none");
	json_decref(row_of(f, "n1", SECRET, 7));
	expect_scope(f, "backend drain", "{\"backend\": \"web/b1\", \"local\": true}", "this node alone (--local)");
	expect_record(f, "draining", true);
	expect_scope(f, "host disable", "{\"address\": \"192.0.2.11\"}",
		     "this node alone: cluster shop has no store");
	expect_record(f, "disabled", false);
	/* The file has it, and who has set it. */
	json_decref(row_of(f, "n1", SECRET, 7));
	expect_record(f, "disabled", false);
	json_t *result = run(f, "show backends", "{}", BERTH_CODE_OK);
	const json_t *row = json_array_get(json_object_get(result, "backends"), 0);
	assert_string_equal(json_string_value(json_object_get(row, "admin")), "disabled");
	assert_string_equal(json_string_value(json_object_get(row, "set_by")), "unknown on node n1");
	json_decref(result);
}

static bool is_withdrawn(struct berthd *f)
{
	json_t *result = run(f, "wait withdrawn", "{}", BERTH_CODE_OK);
	const bool is = json_is_true(json_object_get(result, "withdrawn"));
	assert_true(json_is_false(json_object_get(result, "routes")));
	json_decref(result);
	return is;
}

static void a_drained_node_is_withdrawn_two_seconds_after_its_last_packet(void **state)
{
	struct berthd *f = *state;
	struct berth_node *node = &f->daemon->state.node;
	struct berth_worker *worker = &f->daemon->engine->image.workers[0];
	refuse(f, "wait withdrawn", "{}", BERTH_CODE_INVALID, "the node is not drained");
	json_decref(run(f, "node drain", "{}", BERTH_CODE_OK));
	assert_true(is_withdrawn(f));
	worker->verdict[BERTH_VERDICT_NO_SERVICE]++;
	berth_node_follow(f->daemon);
	assert_true(is_withdrawn(f));
	worker->verdict[BERTH_VERDICT_ANSWERED_RESET]++;
	berth_node_follow(f->daemon);
	assert_false(is_withdrawn(f));
	node->taken_ms -= 1900;
	assert_false(is_withdrawn(f));
	node->taken_ms -= 100;
	assert_true(is_withdrawn(f));
	json_decref(run(f, "node enable", "{}", BERTH_CODE_OK));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(show_cluster_tells_what_differs_between_nodes),
		TEST(a_cluster_without_a_secret_file_is_refused),
		TEST(a_node_in_no_cluster_has_digests_too),
		TEST(exceptions_are_shown),
		TEST(a_command_says_on_which_nodes_it_is_in_force),
		TEST(a_drained_node_is_withdrawn_two_seconds_after_its_last_packet),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
