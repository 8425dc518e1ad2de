// SPDX-License-Identifier: BSD-3-Clause
/*
 * berthctl (its path is the argument of this test) prints and clears the sessions of a table for a million of them,
 * and plans with them and a million flows, while a second client sends requests and berthd scans the tables. Prints
 * the times to standard output.
 */
#include "tests/unit/controlplane/cli/second_client.h"

#include "controlplane/cmd/config/planner.h"
#include "controlplane/config/parse.h"
#include "dataplane/core/session.h"

enum {
	SESSIONS = 250000,
	FLOWS = 1000000,
	FEW_TURNS = 4, /* of a plan; all at once would be 3 */
};

static const char configuration[] =
	"engine: 'null'\n"
	"interfaces: [{name: lo}]\n"
	"limits: {flows: 1000000, sessions: 1000000, services: 4, backends: 60}\n"
	"services:\n"
	"  - {name: web, address: 203.0.113.10, protocol: tcp, port: 80, mode: l2, table-size: 251, health: {type: "
	"none}, affinity: {by: client, timeout: 3h}, "
	"backends: [{name: b1, address: 192.0.2.11}, {name: b2, address: 192.0.2.12}]}\n";

struct fixture {
	struct berthd berthd;
	uint32_t put; /* sessions in the table */
};

static uint32_t number_of(struct fixture *f, const char *name)
{
	return berth_model_backend(berth_model_service(&f->berthd.daemon->model, "web"), name)->number;
}

/* Writes sessions as workers do. */
static void put_sessions(struct fixture *f)
{
	struct berth_view view = berth_image_view(&f->berthd.daemon->engine->image, 0, berth_clock_s());
	struct berth_packet packet = {
		.service = (uint16_t)berth_model_service(&f->berthd.daemon->model, "web")->number};
	const struct berth_service *service = berth_service_of(&view, packet.service);
	const uint32_t numbers[] = {number_of(f, "b1"), number_of(f, "b2")};
	for (uint32_t i = 0; i < SESSIONS; i++) {
		berth_addr_set4(&packet.src, berth_to_be32(0x0a000000 + i));
		struct berth_key key = berth_session_key(&view, &packet, service);
		struct berth_entry entry;
		berth_flowtab_insert(&view, &key, numbers[i % 2], BERTH_STATE_SESSION, &entry);
		/* No room, or the entry of another client with the same bits of its hash: one of 70 runs has one.
		 */
		if (entry.at == BERTH_NOT_FOUND || berth_at_clients(&view, entry.at)->tag == key.tag)
			continue;
		const struct berth_session_decision decision = {.reason = BERTH_REASON_SELECTED};
		berth_client_write(&view, &packet, &key, entry.at, &decision);
		f->put++;
	}
	assert_in_range(f->put, SESSIONS - SESSIONS / 100, SESSIONS);
}

static void put_flows(struct fixture *f)
{
	const struct berth_image *image = &f->berthd.daemon->engine->image;
	const uint32_t numbers[] = {number_of(f, "b1"), number_of(f, "b2")};
	const uint32_t now = (uint32_t)berth_clock_s();
	assert_in_range(FLOWS, 0, (uint64_t)image->geometry.flow_buckets * BERTH_BUCKET_WORDS);
	for (uint32_t i = 0; i < FLOWS; i++)
		image->flows[i % image->geometry.flow_buckets].word[i / image->geometry.flow_buckets] =
			berth_word_make(i * 1234567 & 0xfffffff, numbers[i % 2], now, BERTH_STATE_CONFIRMED);
}

/* Runs `berthctl WORDS`, which frees each page after it is printed. */
static int run_words(struct fixture *f, char *const words[])
{
	long memory_kib;
	const int out = run_berthctl(&f->berthd, words, &memory_kib);
	assert_in_range(memory_kib, 0, 32 << 10);
	return out;
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	berthd_prepare(&f->berthd, configuration);
	berthd_open(&f->berthd);
	put_sessions(f);
	put_flows(f);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	berth_daemon_close(f->berthd.daemon);
	berthd_remove(&f->berthd);
	free(f);
	return 0;
}

static void all_sessions_are_printed_without_delays_for_others(void **state)
{
	struct fixture *f = *state;
	char *const table[] = {(char[]){"show"}, (char[]){"sessions"}, NULL};
	char *const json[] = {(char[]){"-j"}, (char[]){"show"}, (char[]){"sessions"}, NULL};
	assert_int_equal(count_lines(run_words(f, table), "selected"), f->put);
	assert_int_equal(count_lines(run_words(f, json), "\"reason\":\"selected\""), f->put);
}

static void one_session_is_found_without_delays_for_others(void **state)
{
	char *const words[] = {(char[]){"show"}, (char[]){"sessions"}, (char[]){"--client"}, (char[]){"10.1.2.3"},
			       NULL};
	assert_int_equal(count_lines(run_words(*state, words), "10.1.2.3  web "), 1);
	/* The titles follow the first rows, so the columns fit. */
	assert_int_equal(count_lines(run_words(*state, words), "CLIENT    SERVICE"), 1);
}

static void half_of_the_sessions_are_cleared_without_delays_for_others(void **state)
{
	char *const words[] = {(char[]){"session"}, (char[]){"clear"}, (char[]){"--backend"}, (char[]){"web/b1"},
			       NULL};
	struct fixture *f = *state;
	assert_int_equal(count_lines(run_words(f, words), "sessions cleared"), 1);
	const struct berth_image *image = &f->berthd.daemon->engine->image;
	uint32_t left = 0;
	for (uint32_t i = 0; i < image->geometry.session_buckets * BERTH_BUCKET_WORDS; i++) {
		uint64_t word = image->sessions[i / BERTH_BUCKET_WORDS].word[i % BERTH_BUCKET_WORDS];
		assert_true(word == 0 || berth_word_backend(word) == number_of(f, "b2"));
		left += word != 0;
	}
	assert_in_range(left, SESSIONS / 2 - SESSIONS / 100, SESSIONS / 2);
}

/* The configuration without b1. */
static char *next_configuration(void)
{
	char *text = strdup(configuration);
	char *b1 = strstr(text, "{name: b1, address: 192.0.2.11}, ");
	memmove(b1, strchr(b1, '}') + 3, strlen(strchr(b1, '}') + 3) + 1);
	return text;
}

static void a_plan_of_a_million_flows_does_not_delay_others(void **state)
{
	struct fixture *f = *state;
	char path[96];
	char *const words[] = {(char[]){"plan"}, path, NULL};
	char *text = next_configuration();
	snprintf(path, sizeof(path), "%s/next.yaml", f->berthd.dir);
	assert_int_equal(berth_file_replace(path, text, strlen(text)), 0);
	const int out = run_words(f, words);
	assert_int_equal(count_lines(out, "500000 flows and "), 1);
	unlink(path);
	free(text);
}

static void a_plan_of_a_million_flows_takes_many_turns(void **state)
{
	struct fixture *f = *state;
	char error[BERTH_ERROR_BYTES];
	char *text = next_configuration();
	struct berth_daemon_state *now = &f->berthd.daemon->state;
	struct berth_plan_work work = {.state = now, .installs = now->installs};
	work.config = berth_config_parse("next.yaml", text, strlen(text), error);
	assert_non_null(work.config);
	unsigned int turns = 1;
	while (berth_plan_work_turn(&work, error) == BERTH_PLAN_GOES_ON)
		turns++;
	json_t *result = berth_plan_work_result(&work);
	assert_int_equal(json_integer_value(json_object_get(result, "moved_flows")), FLOWS / 2);
	assert_in_range(turns, FEW_TURNS, UINT32_MAX);
	berth_plan_work_clear(&work);
	json_decref(result);
	/* Another configuration comes into force meanwhile. */
	work.installs = now->installs;
	work.config = berth_config_parse("next.yaml", text, strlen(text), error);
	assert_int_equal(berth_plan_work_turn(&work, error), BERTH_PLAN_GOES_ON);
	now->installs++;
	assert_int_equal(berth_plan_work_turn(&work, error), BERTH_PLAN_OUTDATED);
	berth_plan_work_clear(&work);
	free(text);
}

int main(int argc, char **argv)
{
	if (!find_berthctl(argc, argv))
		return 2;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_sessions_are_printed_without_delays_for_others),
		cmocka_unit_test(one_session_is_found_without_delays_for_others),
		cmocka_unit_test(a_plan_of_a_million_flows_does_not_delay_others),
		cmocka_unit_test(a_plan_of_a_million_flows_takes_many_turns),
		cmocka_unit_test(half_of_the_sessions_are_cleared_without_delays_for_others),
	};
	return cmocka_run_group_tests_name("many sessions", tests, set_up, tear_down);
}
