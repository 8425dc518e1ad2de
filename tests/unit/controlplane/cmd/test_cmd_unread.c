// SPDX-License-Identifier: BSD-3-Clause
/*
 * Clients that do not read take no memory without limit, and no time of the loop: the handlers behind a server of
 * the test, with the state of a daemon whose loop does not run.
 */
#include "tests/unit/controlplane/server/server.h"

#include "tests/support/berthd.h"

#include "controlplane/cmd/config/planner.h"
#include "controlplane/config/parse.h"
#include "controlplane/server/private.h"

enum {
	MOST_PLANS = 8,
	MOST_METRICS = 4,
	CLIENTS = 9,
	WAIT_MS = 60000,
};

static const char configuration[] = "engine: 'null'\n"
				    "interfaces: [{name: lo}]\n"
				    "limits: {flows: 1024, sessions: 1024, services: 2, backends: 4}\n"
				    "services:\n"
				    "  - {name: web, address: 203.0.113.10, port: 80, mode: ipip, table-size: 251, "
				    "health: {type: none}, backends: [{name: b1, address: 192.0.2.11}]}\n";

static struct berthd *berthd;
static struct berth_cmd_context context;

static enum berth_code run_handler(void *arg, const char *command, const json_t *arguments, json_t **result,
				   char error[BERTH_ERROR_BYTES])
{
	struct fixture *f = arg;
	if (strcmp(command, "metrics") == 0)
		return berth_cmd_show_metrics(&context, arguments, result, error);
	if (strcmp(command, "plan") == 0) {
		struct berth_config *config = berth_config_parse("next.yaml", configuration, strlen(configuration),
								 error);
		assert_non_null(config);
		return berth_cmd_plan_config(&context, config, result, error);
	}
	f->fn = NULL;
	const enum berth_code code = answer(f, command, arguments, result, error);
	f->fn = run_handler;
	return code;
}

static int set_up_handlers(void **state)
{
	set_up(state);
	struct fixture *f = *state;
	void *daemon;
	berthd_set_up(&daemon, configuration);
	berthd = daemon;
	f->fn = run_handler;
	context = (struct berth_cmd_context){.state = &berthd->daemon->state,
					     .base = f->base,
					     .server = f->server,
					     .planner = berth_cmd_planner_new(f->base)};
	assert_non_null(context.planner);
	return 0;
}

static int tear_down_handlers(void **state)
{
	struct fixture *f = *state;
	void *daemon = berthd;
	berth_server_free(f->server);
	f->server = NULL;
	berth_cmd_planner_free(context.planner);
	tear_down(state);
	return berthd_tear_down(&daemon);
}

/* In one turn of the server. */
static void send_now(const struct peer *peer, const char *text)
{
	assert_int_equal(send(peer->fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void expect_success(struct peer *peer)
{
	json_t *reply = receive(peer);
	assert_true(json_is_true(json_object_get(reply, "ok")));
	json_decref(reply);
}

static void join_all(struct fixture *f, struct peer peers[CLIENTS])
{
	for (int i = 0; i < CLIENTS; i++)
		peers[i] = join(f);
	/* All are accepted. */
	assert_true(wait_until(f->server->n_clients == CLIENTS, WAIT_MS, turn(f)));
}

static void plans_above_the_most_are_refused(void **state)
{
	struct fixture *f = *state;
	struct peer peers[CLIENTS];
	join_all(f, peers);
	for (int i = 0; i < CLIENTS; i++)
		send_now(&peers[i], "{\"command\":\"plan\"}\n");
	unsigned int made = 0, refused = 0;
	for (int i = 0; i < CLIENTS; i++) {
		json_t *reply = receive(&peers[i]);
		const char *code = json_string_value(json_object_get(reply, "code"));
		made += json_is_true(json_object_get(reply, "ok"));
		refused += code && strcmp(code, "busy") == 0;
		json_decref(reply);
	}
	assert_int_equal(made, MOST_PLANS);
	assert_int_equal(refused, 1);
	/* There is room again. */
	send_now(&peers[0], "{\"command\":\"plan\"}\n");
	expect_success(&peers[0]);
	for (int i = 0; i < CLIENTS; i++)
		disconnect(&peers[i]);
	others_are_served(f);
}

static unsigned int count_reading(const struct fixture *f)
{
	const struct server_client *client;
	unsigned int n = 0;
	LIST_FOREACH(client, &f->server->clients, entry)
	n += client->part != NULL;
	return n;
}

/* `most` clients do not read a long answer, nor that of `request`, which follows. */
static void expect_limit(struct fixture *f, const char *request, unsigned int most)
{
	struct peer peers[CLIENTS];
	join_all(f, peers);
	for (unsigned int i = 0; i < most; i++) {
		send_now(&peers[i], "{\"command\":\"big\",\"arguments\":{\"bytes\":900000}}\n");
		send_now(&peers[i], request);
		assert_true(wait_until(count_reading(f) == i + 1, WAIT_MS, turn(f)));
	}
	send_now(&peers[most], request);
	expect_error(&peers[most], "busy");
	/* One of them reads: there is room again. */
	expect_success(&peers[0]);
	expect_success(&peers[0]);
	send_now(&peers[most], request);
	expect_success(&peers[most]);
	for (int i = 0; i < CLIENTS; i++)
		disconnect(&peers[i]);
}

static void a_plan_is_refused_while_many_are_unread(void **state)
{
	expect_limit(*state, "{\"command\":\"plan\"}\n", MOST_PLANS);
}

static void metrics_are_refused_while_many_are_unread(void **state)
{
	expect_limit(*state, "{\"command\":\"metrics\"}\n", MOST_METRICS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(plans_above_the_most_are_refused, set_up_handlers,
						tear_down_handlers),
		cmocka_unit_test_setup_teardown(a_plan_is_refused_while_many_are_unread, set_up_handlers,
						tear_down_handlers),
		cmocka_unit_test_setup_teardown(metrics_are_refused_while_many_are_unread, set_up_handlers,
						tear_down_handlers),
	};
	return cmocka_run_group_tests_name("unread", tests, NULL, NULL);
}
