// SPDX-License-Identifier: BSD-3-Clause
/* The filter of a capture: its words, and which packets match. */
#include "tests/support/control.h"

#include "controlplane/capture/filter.h"

struct rig {
	struct berth_model model;
	struct berth_engine *engine;
	struct berth_capture_filter filter;
	char error[BERTH_ERROR_BYTES];
};

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct berth_config *config = configure_web(BACKENDS("a 1 100", "b 2 100"));
	rig->engine = null_engine(config);
	assert_int_equal(berth_model_init(&rig->model, &rig->engine->image.geometry), 0);
	assert_int_equal(berth_model_apply(&rig->model, config, rig->error), 0);
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;
	rig->engine->ops->close(rig->engine, true);
	berth_model_clear(&rig->model);
	free(rig);
	return 0;
}

/* A packet of web's backend a from 198.51.100.7:4242 to 203.0.113.10:80. */
static struct berth_packet packet_of(const struct rig *rig)
{
	struct berth_packet packet = {
		.service = (uint16_t)rig->model.services[0].number,
		.backend = (uint16_t)rig->model.services[0].backends[0].number,
		.sport = berth_to_be16(4242),
		.dport = berth_to_be16(80),
		.protocol = BERTH_PROTO_TCP,
	};
	berth_addr_set4(&packet.src, berth_to_be32(0xc6336407));
	berth_addr_set4(&packet.dst, berth_to_be32(0xcb00710a));
	return packet;
}

static void expect_match(struct rig *rig, const char *text, bool drops, enum berth_verdict verdict, bool matches)
{
	const struct berth_packet packet = packet_of(rig);
	if (berth_capture_filter_parse(&rig->filter, &rig->model, text, drops, rig->error))
		fail_msg("%s: %s", text, rig->error);
	if (berth_capture_matches(&rig->filter, &packet, verdict) != matches)
		fail_msg("\"%s\" %s", text ? text : "", matches ? "does not match" : "matches");
}

static void a_packet_must_match_all_words(void **state)
{
	static const char *const yes[] = {
		NULL,
		"",
		"tcp",
		" port  80 ",
		"port 4242",
		"host 198.51.100.7",
		"host 203.0.113.10",
		"service web",
		"backend web/a",
		"verdict flow",
		"verdict no_backend verdict flow",
		"tcp host 198.51.100.7 port 80 service web backend web/a verdict flow",
	};
	static const char *const no[] = {
		"udp",	       "port 81",	   "host 198.51.100.8", "backend web/b", "verdict no_backend",
		"tcp port 81", "host 2001:db8::7",
	};
	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		expect_match(*state, yes[i], false, BERTH_VERDICT_FLOW, true);
	for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		expect_match(*state, no[i], false, BERTH_VERDICT_FLOW, false);
}

static void drops_are_all_verdicts_of_their_class(void **state)
{
	for (uint32_t verdict = BERTH_NO_VERDICT + 1; verdict < BERTH_VERDICT_COUNT; verdict++)
		expect_match(*state, "tcp", true, verdict, BERTH_VERDICT_CLASS(verdict) == BERTH_CLASS_DROP);
	expect_match(*state, "verdict no_backend", true, BERTH_VERDICT_NO_BACKEND, true);
}

static void a_filter_that_is_wrong_is_told_in_a_line(void **state)
{
	static const struct {
		const char *text;
		bool drops;
		int err;
		const char *says;
	} cases[] = {
		{"tpc", false, -EINVAL, "unknown word \"tpc\" in the filter; write tcp, udp"},
		{"tcp host", false, -EINVAL, "\"host\" needs a value"},
		{"host here", false, -EINVAL, "invalid host \"here\""},
		{"port 0", false, -EINVAL, "invalid port \"0\""},
		{"port 80x", false, -EINVAL, "invalid port \"80x\""},
		{"service wap", false, -ENOENT, "service \"wap\" not found"},
		{"backend web", false, -ENOENT, "backend \"web\" not found; write SERVICE/BACKEND"},
		{"backend web/c", false, -ENOENT, "backend \"web/c\" not found"},
		{"verdict fine", false, -EINVAL, "unknown verdict \"fine\""},
		{"verdict flow", true, -EINVAL, "no verdict of the filter is a drop"},
	};
	struct rig *rig = *state;
	char word[1000] = "host ";
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(berth_capture_filter_parse(&rig->filter, &rig->model, cases[i].text,
							    cases[i].drops, rig->error),
				 cases[i].err);
		if (!strstr(rig->error, cases[i].says))
			fail_msg("\"%s\" does not say \"%s\"", rig->error, cases[i].says);
	}
	memset(word + strlen(word), 'x', sizeof(word) - strlen(word) - 1);
	assert_int_equal(berth_capture_filter_parse(&rig->filter, &rig->model, word, false, rig->error), -EINVAL);
	assert_int_equal(berth_capture_filter_parse(&rig->filter, &rig->model, word + 5, false, rig->error),
			 -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_packet_must_match_all_words),
		TEST(drops_are_all_verdicts_of_their_class),
		TEST(a_filter_that_is_wrong_is_told_in_a_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
