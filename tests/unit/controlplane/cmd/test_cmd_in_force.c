// SPDX-License-Identifier: BSD-3-Clause
/* The answer to a change waits until the change is in force, with stubs in place of the daemon. */
#include "tests/unit/controlplane/server/server.h"

#include "controlplane/cmd/cmd.h"

static struct berth_daemon_state daemon_state;
static struct berth_publication_waiter *waiting; /* for the publication; NULL: none */

static void stub_wait(struct berth_daemon *daemon, struct berth_publication_waiter *waiter)
{
	(void)daemon;
	waiting = waiter;
}

static void stub_cancel(struct berth_publication_waiter *waiter)
{
	if (waiting == waiter)
		waiting = NULL;
}

static void stub_save(struct berth_daemon *daemon)
{
	(void)daemon;
}

static const struct berth_cmd_actions actions = {.wait = stub_wait, .cancel = stub_cancel, .save = stub_save};
static struct berth_cmd_context context = {
	.state = &daemon_state, .actions = &actions, .command = &berth_commands[BERTH_COMMAND_config_apply]};

static enum berth_code change(void *arg, const char *command, const json_t *arguments, json_t **result,
			      char error[BERTH_ERROR_BYTES])
{
	(void)arg;
	(void)command;
	(void)arguments;
	(void)error;
	*result = json_pack("{s:i}", "n", 1);
	return berth_cmd_answer_in_force(&context, result);
}

/* Sends a change, while the publication is pending or not. */
static struct peer send_change(struct fixture *f, bool is_pending)
{
	daemon_state.publication = (struct berth_publication){.is_pending = is_pending};
	waiting = NULL;
	f->fn = change;
	context.base = f->base;
	context.server = f->server;
	struct peer peer = join(f);
	send_text(&peer, "{\"command\":\"change\"}\n");
	loop_for(f->base, 20);
	return peer;
}

static void expect_in_force(struct peer *peer, bool in_force, const char *publish_error)
{
	json_t *reply = receive(peer);
	assert_non_null(reply);
	const json_t *result = json_object_get(reply, "result");
	assert_int_equal(json_integer_value(json_object_get(result, "n")), 1);
	assert_true(json_is_boolean(json_object_get(result, "in_force")));
	assert_int_equal(json_is_true(json_object_get(result, "in_force")), in_force);
	const char *text = json_string_value(json_object_get(result, "publish_error"));
	assert_string_equal(text ? text : "", publish_error);
	json_decref(reply);
}

static void a_change_in_force_is_answered_at_once(void **state)
{
	struct fixture *f = *state;
	struct peer peer = send_change(f, false);
	assert_null(waiting);
	expect_in_force(&peer, true, "");
	disconnect(&peer);
}

static void a_pending_change_is_answered_when_it_is_in_force(void **state)
{
	struct fixture *f = *state;
	struct peer peer = send_change(f, true);
	assert_non_null(waiting);
	receive_once(&peer);
	assert_int_equal(peer.length, 0);
	waiting->in_force(waiting->arg);
	assert_null(waiting);
	expect_in_force(&peer, true, "");
	disconnect(&peer);
}

static void a_change_that_stays_pending_is_answered_after_a_second_with_the_error(void **state)
{
	struct fixture *f = *state;
	uint64_t start_ms = berth_clock_ms();
	struct peer peer = send_change(f, true);
	snprintf(daemon_state.publication.error, sizeof(daemon_state.publication.error), "no room");
	expect_in_force(&peer, false, "no room");
	assert_in_range(berth_clock_ms() - start_ms, 990, PATIENCE_MS - 1);
	assert_null(waiting);
	disconnect(&peer);
}

static void a_client_that_disconnects_ends_the_wait(void **state)
{
	struct fixture *f = *state;
	struct peer peer = send_change(f, true);
	disconnect(&peer);
	loop_for(f->base, 20);
	if (waiting) /* the server may notice the disconnect only when it writes */
		waiting->in_force(waiting->arg);
	loop_for(f->base, 20);
	assert_null(waiting);
	f->fn = NULL;
	others_are_served(f);
}

static void a_change_without_a_client_is_answered_at_once_as_pending(void **state)
{
	(void)state;
	json_t *result = json_object();
	context.server = NULL;
	daemon_state.publication = (struct berth_publication){.is_pending = true};
	assert_int_equal(berth_cmd_answer_in_force(&context, &result), BERTH_CODE_OK);
	assert_true(json_is_false(json_object_get(result, "in_force")));
	json_decref(result);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_change_in_force_is_answered_at_once),
		TEST(a_pending_change_is_answered_when_it_is_in_force),
		TEST(a_change_that_stays_pending_is_answered_after_a_second_with_the_error),
		TEST(a_client_that_disconnects_ends_the_wait),
		TEST(a_change_without_a_client_is_answered_at_once_as_pending),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
