/* SPDX-License-Identifier: BSD-3-Clause */
/* The section `health`: the meaning of valid ones, and the errors for invalid ones. */

#include <stdio.h>
#include <string.h>

#include "controlplane/config/parse.h"

#include "tests/support/unit.h"

/* A file with one health section, in line 8 from column 11. */
#define BEFORE                                                                                                     \
	"interfaces: [{name: eth0}]\nservices:\n- name: web\n  address: 203.0.113.10\n  port: 80\n  mode: ipip\n"  \
	"  backends: [{name: b1, address: 192.0.2.11}]\n"

static struct berth_config *parse(const char *health, char error[BERTH_ERROR_BYTES])
{
	char text[4096];

	snprintf(text, sizeof(text), BEFORE "  health: %s\n", health);
	return berth_config_parse("f", text, strlen(text), error);
}

static struct berth_health_config read_health(const char *text)
{
	char error[BERTH_ERROR_BYTES];
	struct berth_config *config = parse(text, error);

	if (!config)
		fail_msg("%s: %s", text, error);
	struct berth_health_config health = *config->services[0].health;
	berth_config_free(config);
	return health;
}

static void absent_keys_have_their_defaults(void **state)
{
	(void)state;
	struct berth_health_config health = read_health("{}");
	assert_memory_equal(&health, &berth_health_defaults, sizeof(health));
	health = read_health("{type: http}");
	assert_int_equal(health.type, BERTH_HEALTH_HTTP);
	assert_string_equal(health.path, "/");
	assert_string_equal(health.host, "");
	assert_int_equal(health.is_head, 0);
	assert_int_equal(health.is_unverified, 0);
	assert_int_equal(health.n_statuses, 1);
	assert_int_equal(health.statuses[0].first, 200);
	assert_int_equal(health.statuses[0].last, 299);
	assert_int_equal(health.expect_bytes, 0);
}

static void every_key_of_http_is_read(void **state)
{
	(void)state;
	struct berth_health_config health = read_health(
		"{type: https, port: 8443, path: '/a?b=%20', host: 'shop.example.org:8443', method: HEAD, "
		"tls: {verify: false, ca: /etc/ca.pem, name: a.example.org}, "
		"expect: {status: [200-204, 304, 401-401]}}");
	assert_int_equal(health.type, BERTH_HEALTH_HTTPS);
	assert_int_equal(health.port, 8443);
	assert_string_equal(health.path, "/a?b=%20");
	assert_string_equal(health.host, "shop.example.org:8443");
	assert_int_equal(health.is_head, 1);
	assert_int_equal(health.is_unverified, 1);
	assert_string_equal(health.ca, "/etc/ca.pem");
	assert_string_equal(health.tls_name, "a.example.org");
	assert_int_equal(health.n_statuses, 3);
	const struct berth_health_status_range right[] = {{200, 204}, {304, 304}, {401, 401}};
	assert_memory_equal(health.statuses, right, sizeof(right));
	health = read_health("{type: http, expect: {body: \"all \\\"well\\\"\\n\"}}");
	assert_int_equal(health.expect_bytes, 11);
	assert_memory_equal(health.expect, "all \"well\"\n", 11);
	assert_int_equal(health.n_statuses, 1);
	assert_int_equal(health.via, BERTH_VIA_DIRECT);
	health = read_health("{type: https, via: tunnel, tls: {verify: true}}");
	assert_int_equal(health.via, BERTH_VIA_TUNNEL);
	assert_int_equal(health.is_unverified, 0);
}

static void every_key_of_udp_is_read(void **state)
{
	(void)state;
	struct berth_health_config health = read_health("{type: udp, send: \"PING\\r\\n\", expect: {hex: 00fFa0}}");
	assert_int_equal(health.send_bytes, 6);
	assert_memory_equal(health.send, "PING\r\n", 6);
	assert_int_equal(health.expect_bytes, 3);
	assert_memory_equal(health.expect, "\0\xff\xa0", 3);
	/* A number is accepted as text. */
	health = read_health("{type: udp, send: 42, expect: {hex: 1234}}");
	assert_memory_equal(health.send, "42", health.send_bytes);
	assert_memory_equal(health.expect, "\x12\x34", health.expect_bytes);
}

static void each_item_of_a_command_is_one_argument(void **state)
{
	(void)state;
	struct berth_health_config health = read_health("{type: exec, command: [/bin/check, '', -n, 5, 'a b;c']}");
	const char right[] = "/bin/check\0\0-n\0"
			     "5\0a b;c";
	assert_int_equal(health.command_bytes, sizeof(right));
	assert_memory_equal(health.command, right, sizeof(right));
	assert_string_equal(health.user, "");
	assert_int_equal(health.account.uid, 65534);
	health = read_health("{type: exec, command: [/bin/check], user: daemon}");
	assert_string_equal(health.user, "daemon");
	assert_int_equal(health.account.uid, 1);
	assert_int_equal(health.account.gid, 1);
	assert_int_equal(health.account.n_groups, 1);
}

/* Checks that differ in one key are different. */
static void equal_checks_have_equal_bytes(void **state)
{
	(void)state;
	struct berth_health_config a = read_health("{type: http, path: /a, expect: {body: x, status: [200]}}");
	struct berth_health_config b = read_health("{expect: {status: [200-200], body: x}, path: /a, type: http}");
	struct berth_health_config c = read_health("{type: http, path: /a, expect: {body: y, status: [200]}}");
	assert_memory_equal(&a, &b, sizeof(a));
	assert_memory_not_equal(&a, &c, sizeof(a));
}

static void types_with_a_port_need_one(void **state)
{
	(void)state;
	static const char text[] =
		"interfaces: [{name: eth0}]\nservices: [{name: w, address: 203.0.113.1, port: any, "
		"mode: ipip, health: {type: %s}}]\n";
	static const struct {
		const char *check;
		bool is_right;
	} cases[] = {{"tcp", false}, {"http", false}, {"icmp", true}, {"none", true}, {"https, port: 443", true}};
	char file[512], error[BERTH_ERROR_BYTES];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(file, sizeof(file), text, cases[i].check);
		struct berth_config *config = berth_config_parse("f", file, strlen(file), error);
		assert_int_equal(config != NULL, cases[i].is_right);
		berth_config_free(config);
	}
}

static void mode_nat_has_no_tunnel(void **state)
{
	(void)state;
	static const char text[] =
		"interfaces: [{name: eth0}]\nservices: [{name: w, address: 203.0.113.1, port: 80, "
		"mode: nat, health: {via: tunnel}}]\n";
	char error[BERTH_ERROR_BYTES];

	assert_null(berth_config_parse("f", text, strlen(text), error));
	assert_string_equal(error,
			    "f:2:79: mode nat sends to the backend's own address, like direct checks; remove via");
}

#define DATA "1 to 255 bytes of text, or {hex: ...} with them as hex digits"
#define STATUS "a list of statuses and ranges like [200-299, 304]"
#define COMMAND "a list of a program's full path and its arguments, like [/usr/local/bin/check, -q]"

static const struct {
	const char *health;
	const char *error;
} bad[] = {
	{"{type: tcp, path: /x}", "8:29: path is for checks of type http or https, and this one is of type tcp; "
				  "remove it, or write type: http"},
	{"{type: http, tls: {verify: false}}",
	 "8:29: tls is for checks of type https, and this one is of type http; "
	 "remove it, or write type: https"},
	{"{type: icmp, port: 7}", "8:30: port is for checks of type tcp, http, https, udp or exec, and this one "
				  "is of type icmp; remove it, or write type: tcp"},
	{"{type: exec, expect: x}", "8:32: expect is for checks of type http, https or udp, and this one is of "
				    "type exec; remove it, or write type: http"},
	{"{type: udp, send: x, command: [/bin/true]}", "8:41: command is for checks of type exec, and this "
						       "one is of type udp; remove it, or write type: exec"},
	{"{type: tcp, user: daemon}", "8:29: user is for checks of type exec, and this one is of type tcp; "
				      "remove it, or write type: exec"},
	{"{type: exec, command: [/bin/true], user: no-such-user}",
	 "8:52: user \"no-such-user\" not found on this host; create it, or write user: with the name of an "
	 "existing one"},
	{"{type: exec, command: [/bin/true], user: 'a b'}",
	 "8:52: user cannot be \"a b\"; write the name of a user of this host, at most 31 bytes"},
	{"{type: icmp, via: tunnel}",
	 "8:29: checks of type icmp cannot use the tunnel; write type: tcp, http, https or udp, or via: direct"},
	{"{type: none, via: tunnel}",
	 "8:29: checks of type none cannot use the tunnel; write type: tcp, http, https or udp, or via: direct"},
	{"{via: gue}", "8:17: via cannot be \"gue\"; write direct or tunnel"},
	{"{type: udp}", "8:11: a check of type udp needs a payload; add send: " DATA},
	{"{type: exec}", "8:11: a check of type exec needs a program; add command: " COMMAND},
	{"{type: http, path: health}", "8:30: path cannot be \"health\"; write a path like /health of printable "
				       "characters, at most 255 bytes"},
	{"{type: http, path: '/a b'}", "8:30: path cannot be \"/a b\"; write a path like /health of printable "
				       "characters, at most 255 bytes"},
	{"{type: http, path: '/a#b'}", "8:30: path cannot be \"/a#b\"; write a path like /health of printable "
				       "characters, at most 255 bytes"},
	{"{type: http, host: \"a\\r\\nb\"}", "8:30: host cannot be \"a??b\"; write a host name, at most 255 bytes"},
	{"{type: http, host: a/b}", "8:30: host cannot be \"a/b\"; write a host name, at most 255 bytes"},
	{"{type: http, method: POST}", "8:32: method cannot be \"POST\"; write GET or HEAD"},
	{"{type: http, expect: ok}",
	 "8:32: expect of http and https has keys; write {status: [200-299], body: ...} or one "
	 "of them"},
	{"{type: http, expect: }",
	 "8:24: expect cannot be empty; write {status: [200-299], body: ...} for http and "
	 "https, " DATA " for udp"},
	{"{type: http, expect: {status: 200}}", "8:41: not a list of 1 to 16 items; write " STATUS},
	{"{type: http, expect: {status: []}}", "8:41: not a list of 1 to 16 items; write " STATUS},
	{"{type: http, expect: {status: [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]}}",
	 "8:41: not a list of 1 to 16 items; write " STATUS},
	{"{type: http, expect: {status: [99]}}",
	 "8:42: invalid status; write one from 200 to 599, or a range like 200-299"},
	{"{type: http, expect: {status: [200, 600]}}",
	 "8:47: invalid status; write one from 200 to 599, or a range like 200-299"},
	{"{type: http, expect: {status: [299-200]}}",
	 "8:42: invalid status; write one from 200 to 599, or a range like 200-299"},
	{"{type: http, expect: {status: [200-]}}",
	 "8:42: invalid status; write one from 200 to 599, or a range like 200-299"},
	{"{type: http, expect: {status: [2xx]}}",
	 "8:42: invalid status; write one from 200 to 599, or a range like 200-299"},
	{"{type: http, expect: {status: [-200]}}",
	 "8:42: invalid status; write one from 200 to 599, or a range like 200-299"},
	{"{type: http, expect: {status: [200], text: x}}",
	 "8:48: unknown key \"text\" in expect; remove it, the keys here are: status, body"},
	{"{type: http, expect: {body: ''}}", "8:39: invalid payload; write " DATA},
	{"{type: http, method: HEAD, expect: {body: x}}",
	 "8:53: an answer to HEAD has no body; remove body, or write method: GET"},
	{"{type: https, tls: {verify: yes}}", "8:39: verify cannot be \"yes\"; write true or false"},
	{"{type: https, tls: {ca: ca.pem}}",
	 "8:35: ca cannot be \"ca.pem\"; write the full path of a file with certificates (PEM)"},
	{"{type: https, tls: {name: 'a:1'}}", "8:37: name cannot be \"a:1\"; write a host name, at most 255 bytes"},
	{"{type: udp, send: {hex: 0}}", "8:29: invalid payload; write " DATA},
	{"{type: udp, send: {hex: '0g'}}", "8:29: invalid payload; write " DATA},
	{"{type: udp, send: {hex: '00', text: x}}", "8:29: invalid payload; write " DATA},
	{"{type: udp, send: [a]}", "8:29: invalid payload; write " DATA},
	{"{type: exec, command: /bin/true}", "8:33: not a list of 1 to 64 items; write " COMMAND},
	{"{type: exec, command: []}", "8:33: not a list of 1 to 64 items; write " COMMAND},
	{"{type: exec, command: [true]}",
	 "8:34: not a full path, and no shell searches for the program; write one like /usr/local/bin/check"},
	{"{type: exec, command: [/bin/true, [a]]}", "8:45: an argument must be text; put it in quotes"},
};

static void an_invalid_value_is_refused_with_place_and_fix(void **state)
{
	(void)state;
	char error[BERTH_ERROR_BYTES];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct berth_config *config = parse(bad[i].health, error);
		if (config)
			fail_msg("%s is taken", bad[i].health);
		assert_memory_equal(error, "f:", 2);
		if (strcmp(error + 2, bad[i].error) != 0)
			fail_msg("%s\ngives     %s\nexpected  %s", bad[i].health, error + 2, bad[i].error);
	}
}

static void too_long_values_are_refused(void **state)
{
	(void)state;
	char text[3000], error[BERTH_ERROR_BYTES], many[300 + 1];

	memset(many, 'a', 300);
	many[300] = 0;
	static const char *const forms[] = {
		"{type: http, path: /%s}",
		"{type: http, host: %s}",
		"{type: https, tls: {ca: /%s}}",
		"{type: udp, send: %s}",
		"{type: udp, send: x, expect: {hex: %1$s%1$s}}",
		"{type: exec, command: [/%1$s, %1$s, %1$s, %1$s]}",
	};
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(text, sizeof(text), forms[i], many);
#pragma GCC diagnostic pop
		assert_null(parse(text, error));
	}
}

static void services_with_equal_checks_share_one(void **state)
{
	static const char text[] = "interfaces: [{name: eth0}]\nservices:\n"
				   "- {name: a, address: 192.0.2.1, port: 80, mode: ipip, health: {type: icmp}}\n"
				   "- {name: b, address: 192.0.2.2, port: 80, mode: ipip}\n"
				   "- {name: c, address: 192.0.2.3, port: 81, mode: ipip, health: {type: icmp}}\n";
	char error[BERTH_ERROR_BYTES];
	struct berth_config *config = berth_config_parse("berth.yaml", text, sizeof(text) - 1, error);
	(void)state;

	if (!config)
		fail_msg("%s", error);
	struct berth_config *copy = berth_config_copy_configured(config);
	assert_non_null(copy);
	assert_ptr_equal(config->services[0].health, config->services[2].health);
	assert_ptr_not_equal(config->services[0].health, config->services[1].health);
	berth_config_free(config);
	assert_int_equal(copy->services[0].health->type, BERTH_HEALTH_ICMP);
	assert_memory_equal(copy->services[1].health, &berth_health_defaults, sizeof(berth_health_defaults));
	berth_config_free(copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(services_with_equal_checks_share_one),
		cmocka_unit_test(absent_keys_have_their_defaults),
		cmocka_unit_test(every_key_of_http_is_read),
		cmocka_unit_test(every_key_of_udp_is_read),
		cmocka_unit_test(each_item_of_a_command_is_one_argument),
		cmocka_unit_test(equal_checks_have_equal_bytes),
		cmocka_unit_test(types_with_a_port_need_one),
		cmocka_unit_test(mode_nat_has_no_tunnel),
		cmocka_unit_test(an_invalid_value_is_refused_with_place_and_fix),
		cmocka_unit_test(too_long_values_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
