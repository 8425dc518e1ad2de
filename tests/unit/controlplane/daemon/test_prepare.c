// SPDX-License-Identifier: BSD-3-Clause
/* A configuration with many backends is prepared in turns of the event loop. What happens between any two of them
 * is neither lost nor delayed. */
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "controlplane/config/parse.h"
#include "controlplane/daemon/apply.h"
#include "controlplane/daemon/install/stage.h"
#include "controlplane/daemon/publication.h"
#include "controlplane/util/address.h"
#include "tests/support/berthd.h"
#include "tests/support/loop.h"

enum {
	MANY = 5000, /* backends of the first service */
	ROWS = 5003,
	WITHIN_MS = 60000,
};

/* `last`: of the address of the first backend; `weight`: of the second one; `more`: of the services. The caller
 * frees it. */
static char *text_with(unsigned int last, unsigned int weight, const char *more)
{
	char *text = malloc(2000 + MANY * 80);
	assert_non_null(text);
	size_t n = (size_t)sprintf(text,
				   "engine: 'null'\ninterfaces: [{name: lo}]\n"
				   "limits: {flows: 1024, sessions: 1024, services: 9, backends: %d}\n"
				   "services:\n- {name: v, address: 203.0.113.1, port: 80, mode: ipip, "
				   "table-size: %d, health: {type: none}, backends: [",
				   MANY + 10, ROWS);
	for (unsigned int i = 0; i < MANY; i++)
		n += (size_t)sprintf(text + n, "%s{name: b%u, address: 192.0.%u.%u, weight: %u}", i ? ", " : "", i,
				     i ? 10 + i / 200 : 2, i ? i % 200 : last, i == 1 ? weight : 1);
	sprintf(text + n, "]}\n%s", more);
	return text;
}

static void await_published(struct berthd *f)
{
	assert_true(wait_until(!f->daemon->state.publication.is_pending, WITHIN_MS,
			       event_base_loop(f->daemon->base, EVLOOP_ONCE)));
}

static int set_up(void **state)
{
	char *text = text_with(1, 1, "");
	berthd_set_up(state, text);
	free(text);
	struct berthd *f = *state;
	for (unsigned int i = 0; i < MANY; i++)
		f->daemon->model.services[0].backends[i].next_hop = (struct berth_next_hop){
			.is_resolved = true, .ifindex = f->daemon->model.ports[0].ifindex};
	f->daemon->is_network_settled = false; /* so they stay */
	event_del(f->daemon->settle_event);
	berth_publication_request(f->daemon);
	await_published(f);
	return 0;
}

/* A configuration that is to be applied. */
struct wanted {
	char *text;
	struct berth_config *config;
};

static struct wanted wanted_of(char *text)
{
	char error[BERTH_ERROR_BYTES];
	struct wanted wanted = {text, berth_config_parse("new.yaml", text, strlen(text), error)};
	if (!wanted.config)
		fail_msg("%s", error);
	return wanted;
}

/* So many turns. Whether more are left. */
static bool prepare(struct berthd *f, const struct wanted *wanted, unsigned int turns)
{
	bool is_left = true;
	for (unsigned int i = 0; i < turns; i++)
		is_left = berth_daemon_prepare(f->daemon, wanted->config);
	return is_left;
}

static void prepare_rest(struct berthd *f, const struct wanted *wanted)
{
	while (berth_daemon_prepare(f->daemon, wanted->config))
		;
	assert_non_null(f->daemon->prepared);
	assert_int_equal(f->daemon->prepared->next, BERTH_STAGE_STEPS);
}

/* Takes what was wanted. */
static void apply(struct berthd *f, struct wanted *wanted)
{
	const int err = berth_daemon_apply_parsed(f->daemon, "new.yaml", wanted->text, strlen(wanted->text),
						  wanted->config, false, f->error);
	if (err)
		fail_msg("%s", f->error);
	free(wanted->text);
	assert_null(f->daemon->prepared);
}

static struct berth_model_backend *backend(struct berthd *f, unsigned int i)
{
	return &f->daemon->model.services[0].backends[i];
}

static const struct berth_backend *published(struct berthd *f, unsigned int i)
{
	return &berth_image_current(&f->daemon->engine->image).backends[backend(f, i)->number];
}

static unsigned int eligibility(struct berthd *f, unsigned int i)
{
	const uint32_t number = backend(f, i)->number;
	return f->daemon->engine->image.eligibility[number / BERTH_ELIGIBILITY_PER_LINE]
		.backend[number % BERTH_ELIGIBILITY_PER_LINE];
}

static void expect_first_address(struct berthd *f, unsigned int last)
{
	char text[BERTH_ADDRESS_TEXT], expected[BERTH_ADDRESS_TEXT];
	sprintf(expected, "192.0.2.%u", last);
	assert_string_equal(berth_address_format(&backend(f, 0)->config.address, text), expected);
	assert_string_equal(berth_address_format(&published(f, 0)->address, text), expected);
}

/* The selection table in the image is that of the model. */
static void expect_rows_published(struct berthd *f)
{
	const struct berth_image *image = &f->daemon->engine->image;
	const struct berth_model_service *service = &f->daemon->model.services[0];
	const struct berth_service *in_image = &berth_image_current(image).services[service->number];
	const struct berth_row *rows = image->rows[in_image->row_line].row;
	assert_int_equal(in_image->rows, service->n_rows);
	for (uint32_t i = 0; i < service->n_rows; i++)
		assert_int_equal(rows[i].primary, service->rows[i].primary);
}

/* As often as there are places between turns: before the first, ..., after the last. */
#define EACH_GAP(gap) (unsigned int gap = 0; gap <= BERTH_STAGE_STEPS; gap++)

static void it_comes_into_force_as_in_one_turn(void **state)
{
	struct berthd *f = *state;
	struct wanted wanted = wanted_of(text_with(3, 9, ""));
	const uint32_t number = backend(f, 7)->number;
	prepare_rest(f, &wanted);
	assert_string_equal(f->daemon->model.config->services[0].backends[0].name, "b0");
	assert_int_equal(backend(f, 1)->config.weight, 1);
	const struct berth_generation *generation = f->daemon->prepared->generation;
	assert_non_null(generation);
	apply(f, &wanted);
	await_published(f);
	expect_first_address(f, 3);
	assert_int_equal(backend(f, 1)->config.weight, 9);
	assert_int_equal(backend(f, 7)->number, number);
	assert_true(backend(f, 7)->next_hop.is_resolved);
	expect_rows_published(f);
}

static void health_that_changes_between_turns_is_in_force(void **state)
{
	struct berthd *f = *state;
	/* Before the first turn the state of the check counts. */
	for (unsigned int gap = 1; gap <= BERTH_STAGE_STEPS; gap++) {
		struct wanted wanted = wanted_of(text_with(10 + gap, 1, ""));
		struct berth_model_backend *one = backend(f, 20 + gap);
		prepare(f, &wanted, gap);
		berth_model_set_health(one, BERTH_HEALTH_DOWN, berth_clock_ms());
		berth_publication_eligibility(f->daemon, one);
		berth_publication_request(f->daemon);
		prepare_rest(f, &wanted);
		apply(f, &wanted);
		await_published(f);
		expect_first_address(f, 10 + gap);
		assert_int_equal(backend(f, 20 + gap)->health, BERTH_HEALTH_DOWN);
		assert_int_equal(published(f, 20 + gap)->health, BERTH_HEALTH_DOWN);
		assert_int_equal(published(f, 40)->health, BERTH_HEALTH_UP);
	}
}

static void a_command_between_turns_is_in_force_at_once_and_stays(void **state)
{
	struct berthd *f = *state;
	for
		EACH_GAP(gap)
		{
			struct wanted wanted = wanted_of(text_with(10 + gap, 1, ""));
			char arguments[64];
			prepare(f, &wanted, gap);
			sprintf(arguments, "{\"backend\": \"v/b%u\"}", 20 + gap);
			json_decref(run(f, "backend disable", arguments, BERTH_CODE_OK));
			assert_int_equal(eligibility(f, 20 + gap), 0);
			prepare_rest(f, &wanted);
			apply(f, &wanted);
			await_published(f);
			assert_int_equal(backend(f, 20 + gap)->admin, BERTH_ADMIN_DISABLED);
			assert_int_equal(eligibility(f, 20 + gap), 0);
		}
}

static void a_next_hop_that_changes_between_turns_is_in_force(void **state)
{
	struct berthd *f = *state;
	for
		EACH_GAP(gap)
		{
			struct wanted wanted = wanted_of(text_with(10 + gap, 1, ""));
			prepare(f, &wanted, gap);
			backend(f, 20 + gap)->next_hop.dst_mac[5] = 99;
			berth_publication_request(f->daemon);
			prepare_rest(f, &wanted);
			apply(f, &wanted);
			await_published(f);
			assert_int_equal(backend(f, 20 + gap)->next_hop.dst_mac[5], 99);
			assert_int_equal(published(f, 20 + gap)->dst_mac[5], 99);
		}
}

/* Also where both configurations, and each state, have another selection table. */
static void selection_tables_that_are_built_between_turns_are_those_of_the_model(void **state)
{
	struct berthd *f = *state;
	for
		EACH_GAP(gap)
		{
			struct wanted wanted = wanted_of(text_with(1, 10 + gap, ""));
			prepare(f, &wanted, gap);
			backend(f, 20 + gap)->forced = BERTH_FORCED_DOWN;
			berth_publication_request(f->daemon);
			await_published(f);
			prepare_rest(f, &wanted);
			apply(f, &wanted);
			await_published(f);
			assert_int_equal(backend(f, 20 + gap)->forced, BERTH_FORCED_DOWN);
			expect_rows_published(f);
		}
}

/* The model in force has built one since that the stage does not need. */
static void a_selection_table_of_the_stage_takes_the_place_of_a_later_one(void **state)
{
	struct berthd *f = *state;
	struct wanted wanted = wanted_of(text_with(1, 10, ""));
	prepare_rest(f, &wanted);
	backend(f, 20)->forced = BERTH_FORCED_DOWN;
	berth_publication_request(f->daemon);
	await_published(f);
	backend(f, 20)->forced = BERTH_FORCED_NOT;
	berth_publication_request(f->daemon);
	apply(f, &wanted);
	await_published(f);
	expect_rows_published(f);
}

/* It is of a removed backend, whose figures the service keeps. */
static void a_packet_between_turns_is_counted(void **state)
{
	struct berthd *f = *state;
	const struct berth_image *image = &f->daemon->engine->image;
	char *with = text_with(1, 1,
			       "- {name: w, address: 203.0.113.2, port: 80, mode: ipip, health: {type: none}, "
			       "backends: [{name: one, address: 192.0.2.9}, {name: two, address: 192.0.2.10}]}\n");
	char *without = text_with(1, 1,
				  "- {name: w, address: 203.0.113.2, port: 80, mode: ipip, health: {type: none}, "
				  "backends: [{name: one, address: 192.0.2.9}]}\n");
	struct wanted first = wanted_of(with), second = wanted_of(without);
	apply(f, &first);
	await_published(f);
	prepare_rest(f, &second);
	const uint32_t number = f->daemon->model.services[1].backends[1].number;
	image->tallies[image->geometry.services + number].packets = 5;
	apply(f, &second);
	await_published(f);
	const struct berth_model_service *service = &f->daemon->model.services[1];
	assert_int_equal(berth_image_current(image).services[service->number].retired_packets, 5);
}

static void another_configuration_between_turns_comes_first(void **state)
{
	struct berthd *f = *state;
	for
		EACH_GAP(gap)
		{
			struct wanted wanted = wanted_of(text_with(10 + gap, 1, "")),
				      other = wanted_of(text_with(99, 5, ""));
			prepare(f, &wanted, gap);
			apply(f, &other);
			assert_int_equal(backend(f, 1)->config.weight, 5);
			if (gap % 2)
				await_published(f);
			prepare_rest(f, &wanted);
			assert_int_equal(backend(f, 1)->config.weight, 5);
			apply(f, &wanted);
			await_published(f);
			expect_first_address(f, 10 + gap);
			assert_int_equal(backend(f, 1)->config.weight, 1);
			expect_rows_published(f);
		}
}

static void a_refused_configuration_between_turns_changes_nothing(void **state)
{
	struct berthd *f = *state;
	for
		EACH_GAP(gap)
		{
			struct wanted wanted = wanted_of(text_with(10 + gap, 1, ""));
			prepare(f, &wanted, gap);
			assert_int_not_equal(
				berth_daemon_apply(f->daemon, "bad.yaml", "x: 1\n", 5, false, f->error), 0);
			prepare_rest(f, &wanted);
			apply(f, &wanted);
			await_published(f);
			expect_first_address(f, 10 + gap);
		}
}

static void what_was_in_force_before_is_freed_in_a_later_turn(void **state)
{
	struct berthd *f = *state;
	for (unsigned int last = 10; last < 12; last++) {
		const struct berth_config *before = f->daemon->model.config;
		struct wanted wanted = wanted_of(text_with(last, 1, ""));
		prepare_rest(f, &wanted);
		apply(f, &wanted);
		assert_ptr_equal(f->daemon->former.config, before);
	}
	assert_true(
		wait_until(!f->daemon->former.config, WITHIN_MS, event_base_loop(f->daemon->base, EVLOOP_ONCE)));
}

static void berthd_may_end_between_turns(void **state)
{
	struct berthd *f = *state;
	for
		EACH_GAP(gap)
		{
			struct wanted wanted = wanted_of(text_with(10 + gap, 1, ""));
			prepare(f, &wanted, gap);
			berth_daemon_close(f->daemon);
			berth_config_free(wanted.config);
			free(wanted.text);
			berthd_open(f);
			expect_first_address(f, 1);
		}
}

static void what_needs_one_turn_is_not_prepared(void **state)
{
	struct berthd *f = *state;
	static const char *const more[] = {
		"- {name: w, address: 203.0.113.2, port: 80, mode: ipip, backends: [{name: d, dns: d.example}]}\n",
		"- {name: w, address: 203.0.113.2, port: 80, mode: gue, second-hop: 1h}\n", "", /* other tables */
		"", /* other places of interfaces, which next hops have */
	};
	for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
		char *text = text_with(1, 1, more[i]);
		if (i == 2)
			memcpy(strstr(text, "1024"), "2048", 4);
		if (i == 3)
			memcpy(strstr(text, "lo}"), "xo}", 3);
		struct wanted wanted = wanted_of(text);
		assert_false(prepare(f, &wanted, 1));
		assert_null(f->daemon->prepared);
		berth_config_free(wanted.config);
		free(wanted.text);
	}
}

static void a_stage_begins_again_once(void **state)
{
	struct berthd *f = *state;
	struct wanted wanted = wanted_of(text_with(20, 1, ""));
	for (unsigned int last = 10; last < 13; last++) {
		assert_int_equal(prepare(f, &wanted, 1), last < 12);
		struct wanted other = wanted_of(text_with(last, 1, ""));
		apply(f, &other);
	}
	apply(f, &wanted);
	await_published(f);
	expect_first_address(f, 20);
	/* Another one has its own turns. */
	berth_daemon_end_prepare(f->daemon);
	struct wanted next = wanted_of(text_with(21, 1, ""));
	prepare_rest(f, &next);
	apply(f, &next);
}

/* A server, and the text of a service with these backends of it. The caller closes it. */
static int listen_for(const char *backends, char more[400])
{
	const int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in in = {.sin_family = AF_INET};
	socklen_t size = sizeof(in);
	assert_int_equal(bind(fd, (struct sockaddr *)&in, size), 0);
	assert_int_equal(listen(fd, 5), 0);
	getsockname(fd, (struct sockaddr *)&in, &size);
	sprintf(more,
		"- {name: w, address: 203.0.113.2, port: 80, mode: ipip, health: {type: tcp, port: %u, interval: "
		"60s}, "
		"backends: [%s]}\n",
		ntohs(in.sin_port), backends);
	return fd;
}

static enum berth_health_state health_of_w(struct berthd *f)
{
	return f->daemon->model.services[1].backends[0].health;
}

/* What it found would be known before its backend is. */
static void a_new_check_begins_when_its_backend_is_in_force(void **state)
{
	struct berthd *f = *state;
	char more[400];
	const int fd = listen_for("{name: one, address: 127.0.0.1}", more);
	struct wanted wanted = wanted_of(text_with(10, 1, more));
	prepare_rest(f, &wanted);
	/* The first probe is due within 100 ms. */
	loop_for(f->daemon->base, 300);
	assert_int_equal(berth_health_staged_state(f->daemon->prepared->targets, MANY), -1);
	apply(f, &wanted);
	assert_true(wait_until(health_of_w(f) == BERTH_HEALTH_UP, WITHIN_MS,
			       event_base_loop(f->daemon->base, EVLOOP_ONCE)));
	await_published(f);
	const uint32_t number = f->daemon->model.services[1].backends[0].number;
	assert_int_equal(berth_image_current(&f->daemon->engine->image).backends[number].health, BERTH_HEALTH_UP);
	close(fd);
}

/* --- a client --- */

static void one_round(struct berthd *f)
{
	event_base_loop(f->daemon->base, EVLOOP_ONCE);
}

/* Sends an apply, and waits until so much of it is prepared. */
static int ask(struct berthd *f, char *text, bool saves, enum berth_stage_step until)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	memcpy(address.sun_path, f->socket, sizeof(f->socket));
	const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	json_t *request = json_pack("{s:s, s:{s:s, s:s, s:b}}", "command", "config apply", "arguments", "file",
				    "new.yaml", "text", text, "no-save", !saves);
	char *line = json_dumps(request, 0);
	json_decref(request);
	for (size_t sent = 0, length = strlen(line); sent <= length;) {
		line[length] = '\n';
		const ssize_t n = send(fd, line + sent, length + 1 - sent, MSG_DONTWAIT);
		sent += n > 0 ? (size_t)n : 0;
		event_base_loop(f->daemon->base, EVLOOP_NONBLOCK);
	}
	free(line);
	free(text);
	assert_true(wait_until(f->daemon->prepared && f->daemon->prepared->next >= until, WITHIN_MS, one_round(f)));
	return fd;
}

static void expect_answer(struct berthd *f, int fd)
{
	static char answer[1 << 16];
	size_t n = 0;
	while (!memchr(answer, '\n', n)) {
		event_base_loop(f->daemon->base, EVLOOP_NONBLOCK);
		const ssize_t got = recv(fd, answer + n, sizeof(answer) - n, MSG_DONTWAIT);
		assert_int_not_equal(got, 0);
		n += got > 0 ? (size_t)got : 0;
		usleep(got > 0 ? 0 : 1000);
	}
	close(fd);
	answer[n] = '\0';
	assert_non_null(strstr(answer, "\"ok\":true"));
}

/* As without turns: it has asked for it, and need not wait for the answer. */
static void what_a_client_that_goes_between_turns_asked_for_is_in_force(void **state)
{
	struct berthd *f = *state;
	unsigned int last = 10;
	for (enum berth_stage_step at = BERTH_STAGE_NETWORK; at <= BERTH_STAGE_STEPS; at++, last++) {
		close(ask(f, text_with(last, 5, ""), false, at));
		assert_true(wait_until(!f->daemon->prepared, WITHIN_MS, one_round(f)));
		await_published(f);
		expect_first_address(f, last);
	}
}

/* By the thread that parses; the apply renames it. */
static void the_file_is_on_the_disk_before_the_turn_of_the_apply(void **state)
{
	struct berthd *f = *state;
	char path[80], *text = text_with(10, 5, "");
	struct stat draft, file;
	size_t length;
	snprintf(path, sizeof(path), "%s.berthd-draft", f->path);
	const int fd = ask(f, strdup(text), true, BERTH_STAGE_NETWORK);
	assert_int_equal(stat(path, &draft), 0);
	assert_int_equal(draft.st_size, strlen(text));
	expect_answer(f, fd);
	assert_int_not_equal(stat(path, &draft) && errno == ENOENT, 0);
	assert_int_equal(stat(f->path, &file), 0);
	assert_int_equal(file.st_ino, draft.st_ino);
	char *now = berth_file_read(f->path, &length);
	assert_string_equal(now, text);
	free(now);
	free(text);
}

static void nothing_is_left_where_berthd_ends_before_it(void **state)
{
	struct berthd *f = *state;
	char path[80];
	snprintf(path, sizeof(path), "%s.berthd-draft", f->path);
	const int fd = ask(f, text_with(10, 5, ""), true, BERTH_STAGE_NETWORK);
	assert_int_equal(access(path, F_OK), 0);
	berth_daemon_close(f->daemon);
	close(fd);
	assert_int_equal(access(path, F_OK), -1);
	berthd_open(f);
	expect_first_address(f, 1);
}

static void a_second_apply_waits_for_the_first_one(void **state)
{
	struct berthd *f = *state;
	const int first = ask(f, text_with(10, 5, ""), false, BERTH_STAGE_NETWORK);
	const struct berth_config *config = f->daemon->prepared->config;
	const int second = ask(f, text_with(11, 6, ""), false, BERTH_STAGE_NETWORK);
	assert_true(
		wait_until(!f->daemon->prepared || f->daemon->prepared->config != config, WITHIN_MS, one_round(f)));
	expect_answer(f, first);
	expect_answer(f, second);
	await_published(f);
	expect_first_address(f, 11);
	assert_int_equal(backend(f, 1)->config.weight, 6);
}

/* The file, which is read again, has the first address. */
static void a_signal_between_turns_waits_for_the_apply(void **state)
{
	struct berthd *f = *state;
	const int first = ask(f, text_with(10, 5, ""), false, BERTH_STAGE_NETWORK);
	assert_true(f->daemon->prepared->next < BERTH_STAGE_STEPS);
	raise(SIGHUP);
	expect_answer(f, first);
	assert_true(wait_until(backend(f, 1)->config.weight == 1, WITHIN_MS, one_round(f)));
	await_published(f);
	expect_first_address(f, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, berthd_tear_down)
		CASE(it_comes_into_force_as_in_one_turn),
		CASE(health_that_changes_between_turns_is_in_force),
		CASE(a_command_between_turns_is_in_force_at_once_and_stays),
		CASE(a_next_hop_that_changes_between_turns_is_in_force),
		CASE(selection_tables_that_are_built_between_turns_are_those_of_the_model),
		CASE(a_selection_table_of_the_stage_takes_the_place_of_a_later_one),
		CASE(a_packet_between_turns_is_counted),
		CASE(another_configuration_between_turns_comes_first),
		CASE(a_refused_configuration_between_turns_changes_nothing),
		CASE(what_was_in_force_before_is_freed_in_a_later_turn),
		CASE(berthd_may_end_between_turns),
		CASE(what_needs_one_turn_is_not_prepared),
		CASE(a_stage_begins_again_once),
		CASE(a_new_check_begins_when_its_backend_is_in_force),
		CASE(what_a_client_that_goes_between_turns_asked_for_is_in_force),
		CASE(the_file_is_on_the_disk_before_the_turn_of_the_apply),
		CASE(nothing_is_left_where_berthd_ends_before_it),
		CASE(a_second_apply_waits_for_the_first_one),
		CASE(a_signal_between_turns_waits_for_the_apply),
	};
	return cmocka_run_group_tests_name("prepare", tests, NULL, NULL);
}
