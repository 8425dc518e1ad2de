// SPDX-License-Identifier: BSD-3-Clause
/*
 * A command answers when its change is in force, or after a second that it is pending: a real daemon with the null
 * engine and its socket, whose worker becomes quiescent when a test lets it.
 */
#include "tests/support/berthd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "controlplane/doctor/system.h"
#include "controlplane/health/probe.h"
#include "controlplane/metrics/metrics.h"
#include "tests/support/loop.h"

static const char configuration[] =
	"engine: 'null'\n"
	"interfaces: [{name: lo}]\n"
	"limits: {flows: 1024, sessions: 1024, services: 4, backends: 60}\n"
	"services:\n"
	"  - {name: web, address: 203.0.113.10, protocol: tcp, port: 80, mode: ipip, table-size: 251, "
	"health: {type: none}, backends: [{name: b1, address: 192.0.2.11}, {name: b2, address: 192.0.2.12}]}\n";

enum {
	PATIENCE_MS = 5000,
};

static bool is_quiescent;

static bool worker_is_quiescent(struct berth_engine *engine)
{
	(void)engine;
	return is_quiescent;
}

static struct berth_engine_ops ops;

static int set_up(void **state)
{
	berthd_set_up(state, configuration);
	struct berthd *f = *state;
	ops = *f->daemon->engine->ops;
	ops.is_quiescent = worker_is_quiescent;
	f->daemon->engine->ops = &ops;
	is_quiescent = true;
	loop_for(f->daemon->base, 50);
	assert_false(f->daemon->state.publication.is_pending);
	return 0;
}

static int tear_down(void **state)
{
	is_quiescent = true;
	return berthd_tear_down(state);
}

static int connect_to(const struct berthd *f)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", f->socket);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

static void request(int fd, const char *command)
{
	assert_int_equal(write(fd, command, strlen(command)), (ssize_t)strlen(command));
}

/* The answer's result, when it comes within this time; NULL: it does not. */
static json_t *answer(const struct berthd *f, int fd, uint64_t within_ms)
{
	char text[16384];
	size_t used = 0;
	bool whole = wait_until(used && text[used - 1] == '\n', within_ms, ({
					loop_for(f->daemon->base, 5);
					ssize_t n = read(fd, text + used, sizeof(text) - used);
					used += n > 0 ? (size_t)n : 0;
				}));
	if (!whole)
		return NULL;
	json_t *all = json_loadb(text, used, 0, NULL);
	json_t *result = json_incref(json_object_get(all, "result"));
	assert_true(json_is_true(json_object_get(all, "ok")));
	json_decref(all);
	return result;
}

#define DISABLE(backend) "{\"command\": \"backend disable\", \"arguments\": {\"backend\": \"web/" backend "\"}}\n"

/* A request with a configuration of `services` services that is so long that a thread parses it. */
static char *long_request(const char *command, int services, const char *more)
{
	const size_t padding = 80000, room = padding + 4096;
	char *text = calloc(1, room);
	assert_non_null(text);
	size_t n = (size_t)snprintf(text, room,
				    "engine: 'null'\ninterfaces: [{name: lo}]\nlimits: {flows: 1024, "
				    "sessions: 1024, services: 4, backends: 60}\n%s#",
				    more);
	memset(text + n, 'x', padding);
	n += padding;
	n += (size_t)snprintf(text + n, room - n, "\nservices:\n");
	for (int i = 0; i < services; i++)
		n += (size_t)snprintf(
			text + n, room - n,
			"- {name: v%d, address: 203.0.113.%d, port: 80, mode: ipip, table-size: 251}\n", i, 20 + i);
	json_t *all = json_pack("{s:s, s:{s:s, s:s}}", "command", command, "arguments", "file", "long.yaml", "text",
				text);
	if (strcmp(command, "config apply") == 0)
		json_object_set_new(json_object_get(all, "arguments"), "no-save", json_true());
	char *line = json_dumps(all, JSON_COMPACT);
	json_decref(all);
	free(text);
	line = realloc(line, strlen(line) + 2);
	return strcat(line, "\n");
}

static void send_long(int fd, const char *command, int services, const char *more)
{
	char *line = long_request(command, services, more);
	request(fd, line);
	free(line);
}

/* Configurations are compared with the engine's kind. */
static struct berthd *with_own_engine(void **state)
{
	struct berthd *f = *state;
	f->daemon->engine->ops = &berth_engine_null;
	return f;
}

static void a_configuration_that_a_thread_parses_is_checked_and_applied(void **state)
{
	struct berthd *f = with_own_engine(state);
	int fd = connect_to(f);
	send_long(fd, "config check", 3, "");
	json_t *result = answer(f, fd, PATIENCE_MS);
	assert_non_null(result);
	assert_int_equal(json_integer_value(json_object_get(result, "services")), 3);
	assert_int_equal(f->daemon->model.n_services, 1);
	json_decref(result);
	send_long(fd, "config apply", 3, "");
	result = answer(f, fd, PATIENCE_MS);
	assert_non_null(result);
	assert_true(json_is_true(json_object_get(result, "in_force")));
	assert_int_equal(f->daemon->model.n_services, 3);
	json_decref(result);
	close(fd);
}

static void an_error_in_a_configuration_that_a_thread_parses_has_its_place(void **state)
{
	struct berthd *f = *state;
	char text[2048] = "";
	int fd = connect_to(f);
	send_long(fd, "config apply", 1, "colour: red\n");
	assert_true(wait_until(strchr(text, '\n'), PATIENCE_MS, ({
				       loop_for(f->daemon->base, 5);
				       if (read(fd, text, sizeof(text) - 1) < 0)
					       assert_int_equal(errno, EAGAIN);
			       })));
	assert_non_null(strstr(text, "long.yaml:4:1: unknown key"));
	assert_int_equal(f->daemon->model.n_services, 1);
	close(fd);
}

static void requests_whose_clients_have_gone_are_dropped_with_their_texts(void **state)
{
	struct berthd *f = with_own_engine(state);
	for (int i = 0; i < 12; i++) {
		int fd = connect_to(f);
		send_long(fd, "config apply", 2, "");
		event_base_loop(f->daemon->base, EVLOOP_ONCE);
		close(fd);
	}
	int fd = connect_to(f);
	send_long(fd, "config check", 2, "");
	json_t *result = answer(f, fd, PATIENCE_MS);
	assert_non_null(result);
	json_decref(result);
	close(fd);
}

static void a_change_in_force_is_answered_at_once(void **state)
{
	struct berthd *f = *state;
	int fd = connect_to(f);
	request(fd, DISABLE("b1"));
	json_t *result = answer(f, fd, 500);
	assert_true(json_is_true(json_object_get(result, "in_force")));
	json_decref(result);
	close(fd);
}

static void a_busy_worker_makes_a_change_pending_and_no_other_client_waits(void **state)
{
	struct berthd *f = *state;
	int changing = connect_to(f), reading = connect_to(f);
	is_quiescent = false;
	uint64_t begin_ms = berth_clock_ms();
	request(changing, DISABLE("b1"));
	loop_for(f->daemon->base, 20);
	request(reading, "{\"command\": \"show engine\"}\n");
	json_t *engine = answer(f, reading, 300);
	assert_non_null(engine);
	json_decref(engine);
	json_t *result = answer(f, changing, 3000);
	assert_non_null(result);
	assert_true(json_is_false(json_object_get(result, "in_force")));
	uint64_t took_ms = berth_clock_ms() - begin_ms;
	assert_true(took_ms >= 1000);
	json_decref(result);
	close(changing);
	close(reading);
}

/* The doctor's problem with this, or NULL; the caller frees it. */
static char *problem_with(const struct berthd *f, const char *what)
{
	char *text = NULL;
	struct berth_rtnl rtnl;
	json_t *check, *checks = json_array();
	size_t i;
	assert_int_equal(berth_rtnl_open(&rtnl), 0);
	berth_doctor_system(&f->daemon->state, &rtnl, checks);
	berth_rtnl_close(&rtnl);
	json_array_foreach(checks, i, check)
	{
		const char *level = json_string_value(json_object_get(check, "level"));
		const char *subject = json_string_value(json_object_get(check, "subject"));
		if (!text && strcmp(level, "problem") == 0 && strcmp(subject, what) == 0)
			text = strdup(json_string_value(json_object_get(check, "finding")));
	}
	json_decref(checks);
	return text;
}

static char *problem_of(const struct berthd *f)
{
	return problem_with(f, "engine");
}

static bool metrics_contain(const struct berthd *f, const char *line)
{
	struct berth_text text = {0};
	assert_int_equal(berth_metrics_write(&f->daemon->state, &text), 0);
	bool contains = memmem(text.bytes, text.length, line, strlen(line)) != NULL;
	berth_text_clear(&text);
	return contains;
}

/* In place of a host without time: probes that have waited, and a time that has passed. */
static void add_probes(struct berthd *f, uint64_t waited_us, uint64_t now_us)
{
	struct berth_health_delays *delays = (struct berth_health_delays *)berth_health_delays(f->daemon->health);
	for (int i = 0; i < 100; i++)
		berth_health_delays_add(delays, waited_us, 1000, now_us);
}

static void checks_that_come_late_are_shown_by_the_doctor_a_metric_and_an_alarm(void **state)
{
	struct berthd *f = *state;
	assert_null(problem_with(f, "health checks"));
	assert_true(metrics_contain(f, "berth_health_behind 0\n"));
	/* Their period of 10 s is over. */
	add_probes(f, 500000, berth_probe_now_us() - 10000001);
	assert_true(wait_until(f->daemon->is_health_behind, 20000, loop_for(f->daemon->base, 5)));
	char *problem = problem_with(f, "health checks");
	assert_string_equal(problem,
			    "100 of 100 checks came half of their interval late or later: deaths are found late");
	free(problem);
	assert_true(metrics_contain(f, "berth_health_behind 1\n"));
	assert_true(metrics_contain(f, "berth_health_late_probes_total 100\n"));
	add_probes(f, 0, berth_probe_now_us() + 10000001);
	assert_true(wait_until(!f->daemon->is_health_behind, 20000, loop_for(f->daemon->base, 5)));
	assert_null(problem_with(f, "health checks"));
}

static void a_change_that_is_not_in_force_is_shown_by_the_doctor_and_a_metric(void **state)
{
	struct berthd *f = *state;
	int fd = connect_to(f);
	assert_null(problem_of(f));
	is_quiescent = false;
	request(fd, DISABLE("b1"));
	loop_for(f->daemon->base, 300);
	assert_null(problem_of(f));
	assert_true(metrics_contain(f, "berth_publish_late 0\n"));
	loop_for(f->daemon->base, 1000);
	char *problem = problem_of(f);
	assert_non_null(problem);
	assert_non_null(strstr(problem, "a change is not in force"));
	free(problem);
	assert_true(metrics_contain(f, "berth_publish_late 1\n"));
	is_quiescent = true;
	loop_for(f->daemon->base, 300);
	assert_null(problem_of(f));
	assert_true(metrics_contain(f, "berth_publish_late 0\n"));
	close(fd);
}

static void an_answer_comes_when_the_worker_is_quiescent(void **state)
{
	struct berthd *f = *state;
	int fd = connect_to(f);
	is_quiescent = false;
	request(fd, DISABLE("b1"));
	assert_null(answer(f, fd, 200));
	is_quiescent = true;
	json_t *result = answer(f, fd, 500);
	assert_true(json_is_true(json_object_get(result, "in_force")));
	assert_false(f->daemon->state.publication.is_pending);
	json_decref(result);
	close(fd);
}

static void changes_made_meanwhile_are_published_when_the_worker_is_quiescent(void **state)
{
	struct berthd *f = *state;
	int first = connect_to(f), second = connect_to(f);
	is_quiescent = false;
	uint64_t generation = f->daemon->engine->image.ctl->generation;
	request(first, DISABLE("b1"));
	request(second, DISABLE("b2"));
	loop_for(f->daemon->base, 100);
	assert_int_equal(f->daemon->engine->image.ctl->generation, generation + 1);
	is_quiescent = true;
	json_t *one = answer(f, first, 500), *two = answer(f, second, 500);
	assert_true(json_is_true(json_object_get(one, "in_force")));
	assert_true(json_is_true(json_object_get(two, "in_force")));
	assert_int_equal(f->daemon->engine->image.ctl->generation, generation + 2);
	json_decref(one);
	json_decref(two);
	close(first);
	close(second);
}

static void a_client_that_goes_ends_its_wait(void **state)
{
	struct berthd *f = *state;
	int fd = connect_to(f);
	is_quiescent = false;
	request(fd, DISABLE("b1"));
	loop_for(f->daemon->base, 20);
	close(fd);
	loop_for(f->daemon->base, 20);
	is_quiescent = true;
	loop_for(f->daemon->base, 100);
	assert_false(f->daemon->state.publication.is_pending);
}

static void berthd_may_end_while_a_client_waits(void **state)
{
	struct berthd *f = *state;
	int fd = connect_to(f);
	is_quiescent = false;
	request(fd, DISABLE("b1"));
	loop_for(f->daemon->base, 20);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_change_in_force_is_answered_at_once),
		TEST(a_busy_worker_makes_a_change_pending_and_no_other_client_waits),
		TEST(checks_that_come_late_are_shown_by_the_doctor_a_metric_and_an_alarm),
		TEST(a_change_that_is_not_in_force_is_shown_by_the_doctor_and_a_metric),
		TEST(an_answer_comes_when_the_worker_is_quiescent),
		TEST(changes_made_meanwhile_are_published_when_the_worker_is_quiescent),
		TEST(a_client_that_goes_ends_its_wait),
		TEST(a_configuration_that_a_thread_parses_is_checked_and_applied),
		TEST(an_error_in_a_configuration_that_a_thread_parses_has_its_place),
		TEST(requests_whose_clients_have_gone_are_dropped_with_their_texts),
		TEST(berthd_may_end_while_a_client_waits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
