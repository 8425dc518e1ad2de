// SPDX-License-Identifier: BSD-3-Clause
/* A configuration that is valid and surely not meant gets a warning with its place and remedy; the one beside it
 * gets none. */
#include "tests/support/links_lab.h"

#include "controlplane/config/parse.h"
#include "controlplane/config/warnings.h"

#define INTERFACES "interfaces: [{name: up0}]\nservices:\n"
#define WEB "- {name: web, address: 203.0.113.10, port: 80, mode: "
#define B1 "backends: [{name: b1, address: 192.0.2.2}]"

struct said {
	char text[4096]; /* of all warnings, a line each */
};

static void add_line(void *arg, const char *text)
{
	struct said *said = arg;
	const size_t used = strlen(said->text);
	snprintf(said->text + used, sizeof(said->text) - used, "%s\n", text);
}

static void expect_warnings(const char *text, const char *expected)
{
	char error[BERTH_ERROR_BYTES];
	struct said said = {.text = ""};
	struct berth_config *config = berth_config_parse("f", text, strlen(text), error);
	if (!config)
		fail_msg("%s: %s", text, error);
	berth_config_warn(config, add_line, &said);
	berth_config_free(config);
	if (strcmp(said.text, expected) != 0)
		fail_msg("%s: \"%s\", not \"%s\"", text, said.text, expected);
}

static int set_up(void **state)
{
	pid_t *peer = malloc(sizeof(*peer));
	assert_non_null(peer);
	*peer = make_links();
	*state = peer;
	return 0;
}

static int tear_down(void **state)
{
	end_links(*(pid_t *)*state);
	free(*state);
	return 0;
}

static void what_is_meant_has_no_warning(void **state)
{
	(void)state;
	expect_warnings(INTERFACES WEB "l2, " B1 "}\n", "");
	expect_warnings(INTERFACES WEB "ipip, backends: [{name: b1, address: 198.51.100.7}]}\n", "");
}

static void a_service_that_accepts_no_clients(void **state)
{
	(void)state;
	expect_warnings(INTERFACES WEB "l2}\n", "service web accepts no clients: it has no backends\n");
	expect_warnings(INTERFACES WEB "l2, backends: [{name: b1, address: 192.0.2.2, weight: 0}]}\n",
			"service web accepts no clients: all of its backends have weight 0\n");
	expect_warnings(INTERFACES WEB
			"l2, backends: [{name: b1, address: 192.0.2.2, weight: 0}, {name: b2, address: "
			"192.0.2.3, weight: 1}]}\n",
			"");
}

static void a_timeout_above_the_interval(void **state)
{
	(void)state;
	expect_warnings(
		INTERFACES WEB "l2, health: {interval: 500ms, timeout: 600ms}, " B1 "}\n",
		"service web: health.timeout (600 ms) is above health.interval (500 ms), so that a server that "
		"hangs is probed less often; write a timeout below the interval\n");
	expect_warnings(INTERFACES WEB "l2, health: {interval: 500ms, timeout: 500ms}, " B1 "}\n", "");
	expect_warnings(INTERFACES WEB "l2, health: {type: none, interval: 500ms, timeout: 600ms}, " B1 "}\n", "");
}

static void a_program_or_a_file_that_is_missing(void **state)
{
	(void)state;
	expect_warnings(
		INTERFACES WEB "l2, health: {type: exec, command: [/nonexistent/check]}, " B1 "}\n",
		"service web: the program /nonexistent/check of its health check: No such file or directory; "
		"without it all backends are down\n");
	expect_warnings(
		INTERFACES WEB "l2, health: {type: exec, command: [/etc/passwd]}, " B1 "}\n",
		"service web: the program /etc/passwd of its health check: Permission denied; without it all "
		"backends are down\n");
	expect_warnings(INTERFACES WEB "l2, health: {type: exec, command: [/bin/true]}, " B1 "}\n", "");
	expect_warnings(
		INTERFACES WEB "l2, health: {type: https, tls: {ca: /nonexistent.pem}}, " B1 "}\n",
		"service web: the file /nonexistent.pem of its health check: No such file or directory; without "
		"it all backends are down\n");
	expect_warnings(INTERFACES WEB "l2, health: {type: https, tls: {ca: /etc/passwd}}, " B1 "}\n", "");
}

static void an_address_that_no_packet_reaches(void **state)
{
	static const char *const places[] = {"127.0.0.1", "'::1'"};
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		char text[512], expected[512];
		const char *plain = i ? "::1" : "127.0.0.1";
		snprintf(text, sizeof(text),
			 INTERFACES
			 "- {name: web, address: %s, port: 80, mode: ipip, backends: [{name: b1, address: "
			 "%s}]}\n",
			 places[i], i ? "'2001:db8::7'" : "198.51.100.7");
		snprintf(expected, sizeof(expected),
			 "service web: %s is a loopback address, which no client can reach; write the address that "
			 "clients use\n",
			 plain);
		expect_warnings(text, expected);
		snprintf(text, sizeof(text), INTERFACES WEB "ipip, backends: [{name: b1, address: %s}]}\n",
			 places[i]);
		snprintf(expected, sizeof(expected),
			 "web/b1: %s is a loopback address, which no packet leaves this host for; write the "
			 "address of "
			 "the server\n",
			 plain);
		expect_warnings(text, expected);
	}
}

static void a_backend_at_an_address_of_this_host(void **state)
{
	static const char text[] = INTERFACES WEB "ipip, backends: [{name: b1, address: 192.0.2.1}]}\n";
	static const char said[] =
		"web/b1: 192.0.2.1 is an address of this host; write the address of the server\n";
	char null_engine[256];
	(void)state;
	expect_warnings(text, said);
	/* The links of the host on which a configuration is tried mean nothing. */
	snprintf(null_engine, sizeof(null_engine), "engine: 'null'\n%s", text);
	expect_warnings(null_engine, "");
}

static void a_backend_of_mode_l2_that_is_on_no_link(void **state)
{
	(void)state;
	expect_warnings(
		INTERFACES WEB "l2, backends: [{name: b1, address: 198.51.100.7}]}\n",
		"web/b1: mode l2 needs a backend on a link of this host, and 198.51.100.7 is on none; write mode: "
		"ipip, or an address of a link\n");
	expect_warnings(
		INTERFACES "- {name: web, address: 2001:db8:f::10, port: 80, mode: l2, backends: [{name: b1, "
			   "address: 2001:db8::2}, {name: b2, address: 2001:db8:1::2}]}\n",
		"web/b2: mode l2 needs a backend on a link of this host, and 2001:db8:1::2 is on none; write mode: "
		"ipip, or an address of a link\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_meant_has_no_warning),
		TEST(a_service_that_accepts_no_clients),
		TEST(a_timeout_above_the_interval),
		TEST(a_program_or_a_file_that_is_missing),
		TEST(an_address_that_no_packet_reaches),
		TEST(a_backend_at_an_address_of_this_host),
		TEST(a_backend_of_mode_l2_that_is_on_no_link),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
