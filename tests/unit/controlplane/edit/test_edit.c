// SPDX-License-Identifier: BSD-3-Clause
/* An edit changes what it names, and no other byte. */
#include "tests/support/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/config/parse.h"
#include "controlplane/edit/edit.h"

#define HEAD "engine: 'null'\ninterfaces: [{name: lo}]\n"
/* Block style, with comments everywhere. */
#define BLOCK                                                                                                      \
	HEAD "# Grüße: the shop\n"                                                                               \
	     "services:\n"                                                                                         \
	     "  - name: web # the first\n"                                                                         \
	     "    address: 203.0.113.10\n"                                                                         \
	     "    port: 80\n"                                                                                      \
	     "    mode: ipip\n"                                                                                    \
	     "    health:\n"                                                                                       \
	     "      interval: 5s # slow\n"                                                                         \
	     "    backends:\n"                                                                                     \
	     "      # rack 1\n"
#define B1 "      - {name: b1, address: 192.0.2.11} # é\n"
#define B2                                                                                                         \
	"      - name: b2\n"                                                                                       \
	"        address: 192.0.2.12\n"                                                                            \
	"        weight: 50 # half\n"
#define B3 "      - {name: b3, address: 192.0.2.13, weight: 7}\n"
#define TAIL "# the end\n"
#define FLOW                                                                                                       \
	HEAD "services: [{name: web, address: 203.0.113.10, port: 80, mode: ipip, backends: [{name: b1, address: " \
	     "192.0.2.11, weight: 5}, {name: b2, address: 192.0.2.12}, {name: b3, address: 192.0.2.13}]}]\n"
#define DNS                                                                                                        \
	"  - {name: dns, address: 203.0.113.11, port: 53, protocol: udp, mode: ipip, backends: [{name: b1, "       \
	"address: 192.0.2.11}]}\n"

#define PAIRS(...)                                                                                                 \
	(const struct berth_edit_pair[])                                                                           \
	{                                                                                                          \
		__VA_ARGS__,                                                                                       \
		{                                                                                                  \
			NULL, NULL                                                                                 \
		}                                                                                                  \
	}

struct edit_case {
	enum berth_edit_what what;
	const char *target;
	const struct berth_edit_pair *pairs;
	const char *before;
	const char *after; /* NULL: refused, with this in the message: */
	const char *error;
	int err;
};

static size_t count(const struct berth_edit_pair *pairs)
{
	size_t n = 0;
	while (pairs && pairs[n].key)
		n++;
	return n;
}

static void check(const struct edit_case *c)
{
	const struct berth_edit edit = {c->what, c->target, c->pairs, count(c->pairs)};
	char error[BERTH_ERROR_BYTES] = "";
	size_t length = 0;
	int err;
	char *text = berth_edit_apply(&edit, c->before, strlen(c->before), &length, &err, error);
	if (!c->after) {
		assert_null(text);
		assert_int_equal(err, c->err);
		if (!strstr(error, c->error))
			fail_msg("\"%s\" does not say \"%s\"", error, c->error);
		return;
	}
	if (!text)
		fail_msg("%s: %s", c->target, error);
	assert_string_equal(text, c->after);
	assert_int_equal(length, strlen(text));
	struct berth_config *config = berth_config_parse("edited.yaml", text, length, error);
	if (!config)
		fail_msg("%s", error);
	berth_config_free(config);
	free(text);
}

static void a_key_is_replaced_added_or_removed(void **state)
{
	(void)state;
	static const struct berth_edit_pair nine[] = {{"weight", "9"}, {NULL, NULL}};
	static const struct berth_edit_pair gone[] = {{"weight", "default"}, {NULL, NULL}};
	static const struct berth_edit_pair two[] = {{"weight", "9"}, {"max-flows", "10"}, {NULL, NULL}};
	static const struct berth_edit_pair dash[] = {{"name", "-"}, {NULL, NULL}};
	static const struct berth_edit_pair no_timeout[] = {{"timeouts.established", "default"}, {NULL, NULL}};
	static const struct berth_edit_pair moved[] = {{"address", "2001:db8::1"}, {NULL, NULL}};
	const struct edit_case cases[] = {
		{BERTH_EDIT_BACKEND_SET, "web/b2", nine, BLOCK B1 B2 TAIL,
		 BLOCK B1 "      - name: b2\n        address: 192.0.2.12\n        weight: 9 # half\n" TAIL, NULL,
		 0},
		{BERTH_EDIT_BACKEND_SET, "web/b1", nine, BLOCK B1 B2 TAIL,
		 BLOCK "      - {name: b1, address: 192.0.2.11, weight: 9} # é\n" B2 TAIL, NULL, 0},
		{BERTH_EDIT_BACKEND_SET, "web/b2", two, BLOCK B2 TAIL,
		 BLOCK "      - name: b2\n        address: 192.0.2.12\n        weight: 9 # half\n        "
		       "max-flows: 10\n" TAIL,
		 NULL, 0},
		{BERTH_EDIT_BACKEND_SET, "web/b2", gone, BLOCK B1 B2 TAIL,
		 BLOCK B1 "      - name: b2\n        address: 192.0.2.12\n" TAIL, NULL, 0},
		{BERTH_EDIT_BACKEND_SET, "web/b3", gone, BLOCK B3,
		 BLOCK "      - {name: b3, address: 192.0.2.13}\n", NULL, 0},
		{BERTH_EDIT_BACKEND_SET, "web/b1", moved, BLOCK B1,
		 BLOCK "      - {name: b1, address: '2001:db8::1'} # é\n", NULL, 0},
		{BERTH_EDIT_BACKEND_SET, "web/b1", gone, BLOCK B1, BLOCK B1, NULL, 0},
		/* The first key of an item shares its line with the dash. */
		{BERTH_EDIT_BACKEND_SET, "web/b4", gone,
		 BLOCK "      - weight: 5 # few\n        name: b4\n        address: 192.0.2.14\n" TAIL,
		 BLOCK "      - name: b4\n        address: 192.0.2.14\n" TAIL, NULL, 0},
		{BERTH_EDIT_BACKEND_SET, "web/b4", nine,
		 BLOCK "      - name: b4\n        weight: # few\n\n        address: 192.0.2.14\n" TAIL,
		 BLOCK "      - name: b4\n        weight: 9 # few\n\n        address: 192.0.2.14\n" TAIL, NULL, 0},
		{BERTH_EDIT_BACKEND_SET, "web/b1", dash, BLOCK B1,
		 BLOCK "      - {name: '-', address: 192.0.2.11} # é\n", NULL, 0},
		{BERTH_EDIT_SERVICE_SET, "web", no_timeout, BLOCK B1, BLOCK B1, NULL, 0},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check(&cases[i]);
}

static void patterns_and_hosts_mean_many_backends(void **state)
{
	(void)state;
	static const struct berth_edit_pair zero[] = {{"weight", "0"}, {NULL, NULL}};
	const struct edit_case cases[] = {
		{BERTH_EDIT_BACKEND_SET, "*/b*", zero, BLOCK B1 B3 DNS,
		 BLOCK
		 "      - {name: b1, address: 192.0.2.11, weight: 0} # é\n"
		 "      - {name: b3, address: 192.0.2.13, weight: 0}\n"
		 "  - {name: dns, address: 203.0.113.11, port: 53, protocol: udp, mode: ipip, backends: [{name: "
		 "b1, address: 192.0.2.11, weight: 0}]}\n",
		 NULL, 0},
		{BERTH_EDIT_BACKEND_SET, "host:192.0.2.13", zero, BLOCK B1 B3 DNS,
		 BLOCK B1 "      - {name: b3, address: 192.0.2.13, weight: 0}\n" DNS, NULL, 0},
		{BERTH_EDIT_BACKEND_REMOVE, "host:192.0.2.11", NULL, BLOCK B1 B3 DNS,
		 BLOCK B3
		 "  - {name: dns, address: 203.0.113.11, port: 53, protocol: udp, mode: ipip, backends: []}\n",
		 NULL, 0},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check(&cases[i]);
}

static void backends_are_added_and_removed(void **state)
{
	(void)state;
	static const struct berth_edit_pair at[] = {{"address", "192.0.2.19"}, {NULL, NULL}};
	const struct edit_case cases[] = {
		{BERTH_EDIT_BACKEND_ADD, "web/b9", at, BLOCK B1 B2 TAIL,
		 BLOCK B1 B2 "      - {name: b9, address: 192.0.2.19}\n" TAIL, NULL, 0},
		{BERTH_EDIT_BACKEND_ADD, "web/b9", at,
		 HEAD "services:\n- name: web\n  address: 203.0.113.10\n  port: 80\n  mode: l2",
		 HEAD "services:\n- name: web\n  address: 203.0.113.10\n  port: 80\n  mode: l2\n  backends: "
		      "[{name: b9, address: "
		      "192.0.2.19}]",
		 NULL, 0},
		{BERTH_EDIT_BACKEND_ADD, "web/b9", at,
		 HEAD
		 "services:\n- name: web\n  backends:\n  # none\n  address: 203.0.113.10\n  port: 80\n  mode: l2\n",
		 HEAD "services:\n- name: web\n  backends: [{name: b9, address: 192.0.2.19}]\n  # none\n  address: "
		      "203.0.113.10\n  port: 80\n  mode: l2\n",
		 NULL, 0},
		{BERTH_EDIT_BACKEND_REMOVE, "web/b2", NULL, BLOCK B1 B2 B3 TAIL, BLOCK B1 B3 TAIL, NULL, 0},
		{BERTH_EDIT_BACKEND_REMOVE, "web/*", NULL, BLOCK B1 B2 TAIL, BLOCK TAIL, NULL, 0},
		{BERTH_EDIT_BACKEND_REMOVE, "web/b1", NULL, FLOW,
		 HEAD "services: [{name: web, address: 203.0.113.10, port: 80, mode: ipip, backends: [{name: b2, "
		      "address: "
		      "192.0.2.12}, {name: b3, address: 192.0.2.13}]}]\n",
		 NULL, 0},
		{BERTH_EDIT_BACKEND_REMOVE, "web/b[23]", NULL, FLOW, NULL, "not in the configuration", -ENOENT},
		{BERTH_EDIT_BACKEND_REMOVE, "web/b3", NULL, FLOW,
		 HEAD "services: [{name: web, address: 203.0.113.10, port: 80, mode: ipip, backends: [{name: b1, "
		      "address: "
		      "192.0.2.11, weight: 5}, {name: b2, address: 192.0.2.12}]}]\n",
		 NULL, 0},
		{BERTH_EDIT_BACKEND_REMOVE, "web/*", NULL, FLOW,
		 HEAD "services: [{name: web, address: 203.0.113.10, port: 80, mode: ipip, backends: []}]\n", NULL,
		 0},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check(&cases[i]);
}

static void services_are_set_added_and_removed(void **state)
{
	(void)state;
	static const struct berth_edit_pair new[] = {{"address", "203.0.113.12"},
						     {"port", "443"},
						     {"mode", "l2"},
						     {"health", "{type: none}"},
						     {NULL, NULL}};
	static const struct berth_edit_pair keys[] = {
		{"health.interval", "2s"}, {"affinity.by", "client"}, {"scheduler", "least-conn"}, {NULL, NULL}};
	static const struct berth_edit_pair unset[] = {{"health.interval", "default"}, {NULL, NULL}};
	const struct edit_case cases[] = {
		{BERTH_EDIT_SERVICE_ADD, "shop", new, BLOCK B1,
		 BLOCK B1 "  - {name: shop, address: 203.0.113.12, port: 443, mode: l2, health: {type: none}}\n",
		 NULL, 0},
		{BERTH_EDIT_SERVICE_ADD, "shop", new, HEAD,
		 HEAD
		 "services: [{name: shop, address: 203.0.113.12, port: 443, mode: l2, health: {type: none}}]\n",
		 NULL, 0},
		{BERTH_EDIT_SERVICE_SET, "web", keys, BLOCK B1,
		 HEAD "# Grüße: the shop\nservices:\n  - name: web # the first\n    address: 203.0.113.10\n    "
		      "port: 80\n"
		      "    mode: ipip\n    affinity: {by: client}\n    scheduler: least-conn\n    health:\n"
		      "      interval: 2s # slow\n    backends:\n      # rack 1\n" B1,
		 NULL, 0},
		{BERTH_EDIT_SERVICE_SET, "web", unset, BLOCK B1,
		 HEAD "# Grüße: the shop\nservices:\n  - name: web # the first\n    address: 203.0.113.10\n    "
		      "port: 80\n"
		      "    mode: ipip\n    health:\n    backends:\n      # rack 1\n" B1,
		 NULL, 0},
		{BERTH_EDIT_SERVICE_REMOVE, "dns", NULL, BLOCK B1 DNS, BLOCK B1, NULL, 0},
		{BERTH_EDIT_SERVICE_REMOVE, "web", NULL, BLOCK B1 DNS, HEAD "# Grüße: the shop\nservices:\n" DNS,
		 NULL, 0},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check(&cases[i]);
}

static void what_cannot_be_meant_is_refused(void **state)
{
	(void)state;
	static const struct berth_edit_pair nine[] = {{"weight", "9"}, {NULL, NULL}};
	static const struct berth_edit_pair odd[] = {{"weight: 1, x", "9"}, {NULL, NULL}};
	static const struct berth_edit_pair line[] = {{"weight", "9\n"}, {NULL, NULL}};
	static const struct berth_edit_pair deep[] = {{"affinity.by.client", "9"}, {NULL, NULL}};
	char endless[5000];
	memset(endless, '9', sizeof(endless) - 1);
	endless[sizeof(endless) - 1] = '\0';
	const struct berth_edit_pair is_long[] = {{"weight", endless}, {NULL, NULL}};
	const struct edit_case cases[] = {
		{BERTH_EDIT_BACKEND_SET, "web/b7", nine, BLOCK B1, NULL, "backend \"web/b7\"", -ENOENT},
		{BERTH_EDIT_BACKEND_SET, "web/p@192.0.2.1", nine, BLOCK B1, NULL, "DNS", -ENOENT},
		{BERTH_EDIT_BACKEND_SET, "web", nine, BLOCK B1, NULL, "SERVICE/BACKEND", -EINVAL},
		{BERTH_EDIT_BACKEND_SET, "host:web", nine, BLOCK B1, NULL, "host:192.0.2.11", -EINVAL},
		{BERTH_EDIT_BACKEND_ADD, "shop/b1", nine, BLOCK B1, NULL, "service \"shop\"", -ENOENT},
		{BERTH_EDIT_SERVICE_REMOVE, "shop", NULL, BLOCK B1, NULL, "service \"shop\"", -ENOENT},
		{BERTH_EDIT_BACKEND_SET, "web/b1", odd, BLOCK B1, NULL, "invalid key", -EINVAL},
		{BERTH_EDIT_BACKEND_SET, "web/b1", line, BLOCK B1, NULL, "control character", -EINVAL},
		{BERTH_EDIT_BACKEND_SET, "web/b1", is_long, BLOCK B1, NULL, "a value of more than", -EINVAL},
		{BERTH_EDIT_SERVICE_SET, "web/b1", nine, BLOCK B1, NULL, "invalid service", -EINVAL},
		{BERTH_EDIT_SERVICE_SET, "web", deep, BLOCK B1, NULL, "the section does not exist", -EINVAL},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check(&cases[i]);
}

/* A value of a backend never becomes another key. */
static void a_value_is_one_value(void **state)
{
	(void)state;
	static const char *const values[] = {"5, address: 192.0.2.99", "{a: b}", "[1]", "'", "# x", "a: b", "*x"};
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		const struct berth_edit_pair pair = {"backup", values[i]};
		const struct berth_edit edit = {BERTH_EDIT_BACKEND_SET, "web/b1", &pair, 1};
		char error[BERTH_ERROR_BYTES] = "";
		size_t length;
		int err;
		char *text = berth_edit_apply(&edit, FLOW, strlen(FLOW), &length, &err, error);
		assert_non_null(text);
		assert_null(berth_config_parse("edited.yaml", text, length, error));
		if (!strstr(error, "backup cannot be"))
			fail_msg("%s: %s", text, error);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_is_replaced_added_or_removed),
		cmocka_unit_test(patterns_and_hosts_mean_many_backends),
		cmocka_unit_test(backends_are_added_and_removed),
		cmocka_unit_test(services_are_set_added_and_removed),
		cmocka_unit_test(what_cannot_be_meant_is_refused),
		cmocka_unit_test(a_value_is_one_value),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
