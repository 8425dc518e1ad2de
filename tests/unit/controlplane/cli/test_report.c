// SPDX-License-Identifier: BSD-3-Clause
/* `berthctl report`: complete, and without names and addresses where that is asked for. */
#include "tests/unit/controlplane/cli/berthctl.h"

#include "controlplane/cli/report/report.h"

static json_t *report_of(struct fixture *f, const char *words)
{
	struct outcome outcome = berthctl(f, words);
	assert_int_equal(outcome.status, 0);
	assert_string_equal(outcome.err, "");
	json_t *report = json_loads(outcome.out, 0, NULL);
	assert_non_null(report);
	return report;
}

static void a_report_has_the_host_and_all_that_berthd_shows(void **state)
{
	json_t *report = report_of(*state, "report");
	assert_true(json_integer_value(json_object_get(json_object_get(report, "host"), "processors")) > 0);
	assert_true(json_is_string(json_object_get(json_object_get(report, "host"), "distribution")));
	assert_int_equal(json_array_size(json_object_get(json_object_get(report, "show backends"), "backends")), 3);
	assert_int_equal(json_array_size(json_object_get(json_object_get(report, "show services"), "services")), 2);
	assert_true(json_array_size(json_object_get(json_object_get(report, "doctor"), "checks")) > 0);
	json_decref(report);
}

static void an_anonymous_report_has_no_name_and_no_address(void **state)
{
	/* (Digits of a digest may be b1.) */
	static const char *const secrets[] = {"web", "\"b1\"", "/b1", "203.0.113.10", "192.0.2.1", "2001:db8"};
	json_t *report = report_of(*state, "report --anonymous");
	char *text = json_dumps(report, 0);
	for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++)
		if (strstr(text, secrets[i]))
			fail_msg("\"%s\" in %s", secrets[i], strstr(text, secrets[i]) - 40);
	free(text);
	/* The same backend has the same words everywhere. */
	const json_t *backends = json_object_get(json_object_get(report, "show backends"), "backends");
	const json_t *services = json_object_get(json_object_get(report, "show services"), "services");
	assert_string_equal(json_string_value(json_object_get(json_array_get(backends, 0), "service")),
			    json_string_value(json_object_get(json_array_get(services, 0), "name")));
	json_decref(report);
}

static void names_and_addresses_are_replaced_wherever_they_are(void **state)
{
	static const struct {
		const char *text;
		const char *replaced;
	} cases[] = {
		{"web/b1 is down: no answer from 192.0.2.11:80",
		 "name-1/name-2 is down: no answer from address-1:80"},
		{"[2001:db8::11]:80, web.", "[address-2]:80, name-1."},
		{"pod@192.0.2.11", "name-3@address-1"},
		{"192.0.2.0/24 via 02:00:00:00:00:01", "address-3/24 via address-4"},
		{"webshop b10 1.5 12:30", "webshop b10 1.5 12:30"},
		{"2001:db8::/32 ::", "address-5/32 ::"},
		{"", ""},
	};
	(void)state;
	struct berth_pseudonyms *pseudonyms = berth_pseudonyms_new();
	json_t *known = json_pack("{s:s, s:[{s:s}], s:s}", "service", "web", "backends", "name", "b1", "backend",
				  "pod@192.0.2.11");
	berth_pseudonyms_learn(pseudonyms, known);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *text = json_string(cases[i].text);
		json_t *replaced = berth_pseudonyms_replace(pseudonyms, text);
		assert_string_equal(json_string_value(replaced), cases[i].replaced);
		json_decref(text);
		json_decref(replaced);
	}
	json_decref(known);
	berth_pseudonyms_free(pseudonyms);
}

static void without_berthd_the_report_has_the_host(void **state)
{
	struct fixture *f = *state;
	struct outcome outcome = berthctl(f, "report");
	assert_int_equal(outcome.status, 4);
	assert_non_null(strstr(outcome.err, "berthd is not running"));
	assert_non_null(strstr(outcome.out, "\"kernel\""));
	outcome = berthctl(f, "report now");
	expect_outcome(&outcome, 2, "--anonymous");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_report_has_the_host_and_all_that_berthd_shows, set_up_daemon,
						tear_down),
		cmocka_unit_test_setup_teardown(an_anonymous_report_has_no_name_and_no_address, set_up_daemon,
						tear_down),
		cmocka_unit_test(names_and_addresses_are_replaced_wherever_they_are),
		cmocka_unit_test_setup_teardown(without_berthd_the_report_has_the_host, set_up, tear_down),
	};
	if (!find_berthctl(argc, argv))
		return 2;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
