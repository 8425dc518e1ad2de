// SPDX-License-Identifier: BSD-3-Clause
/* Lookups against a DNS server on loopback with good, faulty and damaged answers. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "controlplane/config/parse.h"
#include "controlplane/dns/lookup.h"
#include "controlplane/dns/remote.h"
#include "controlplane/dns/resolver.h"
#include "controlplane/util/address.h"
#include "controlplane/util/clock.h"
#include "tests/support/unit.h"
#include "tests/unit/controlplane/dns/dns_server.h"

struct dns_lab {
	struct event_base *base;
	struct dns_server server;
	struct berth_dns_config config;
	unsigned int seed; /* for damage in answers; 0: none */
	char text[4096];   /* result of the last lookup */
	bool ended;
	size_t n_ended;
	struct berth_helper *helper; /* NULL: lookups run in the test's process */
};

static void put_many(struct dns_message *m, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		char text[32];
		snprintf(text, sizeof(text), "10.0.%u.%u", i / 256, i % 256);
		dns_put_address(m, text, 60);
	}
}

static bool put_alias(struct dns_message *m, uint16_t type)
{
	/* alias.test -> other.test, which has addresses under its own name. */
	static const uint8_t other[] = "\5other\4test";
	size_t owner = m->n + 12;
	if (type != DNS_A)
		return true;
	dns_put_record(m, DNS_CNAME, 3, other, sizeof(other));
	size_t at = m->n;
	dns_put_address(m, "192.0.2.7", 60);
	m->byte[at] = (uint8_t)(0xc0 | owner >> 8);
	m->byte[at + 1] = (uint8_t)owner;
	return true;
}

static bool put_plain(const char *name, uint16_t type, struct dns_message *m)
{
	if (strcmp(name, "two.test") == 0 && type == DNS_A) {
		dns_put_address(m, "192.0.2.2", 9);
		dns_put_address(m, "192.0.2.1", 7);
		dns_put_address(m, "192.0.2.2", 8);
	} else if (strcmp(name, "two.test") == 0) {
		dns_put_address(m, "2001:db8::1", 30);
	} else if (strcmp(name, "forever.test") == 0 && type == DNS_A) {
		dns_put_address(m, "192.0.2.1", 0x80000001);
	} else if (strcmp(name, "mapped.test") == 0 && type == DNS_AAAA) {
		dns_put_address(m, "::ffff:192.0.2.1", 60);
	} else if (strcmp(name, "half.test") == 0) {
		if (type == DNS_A)
			dns_put_address(m, "192.0.2.1", 60);
		dns_set_code(m, type == DNS_A ? 0 : 2);
	} else if (strcmp(name, "gone.test") == 0) {
		dns_set_code(m, 3);
	} else if (strcmp(name, "fail.test") == 0) {
		dns_set_code(m, 2);
	} else if (strcmp(name, "refused.test") == 0) {
		dns_set_code(m, 5);
	}
	return strcmp(name, "silent.test") != 0;
}

static bool put_hostile(const char *name, uint16_t type, bool tcp, struct dns_message *m)
{
	if (strcmp(name, "big.test") == 0 || strcmp(name, "huge.test") == 0) {
		m->byte[2] |= tcp ? 0 : 2; /* truncated: repeat over TCP */
		if (tcp && type == DNS_A)
			put_many(m, name[0] == 'b' ? 300 : 4000);
		return true;
	}
	dns_put_address(m, "192.0.2.1", 60);
	if (strcmp(name, "stranger.test") == 0)
		m->byte[0] ^= 0xff; /* wrong id */
	else if (strcmp(name, "loop.test") == 0)
		m->byte[m->n - 15] = (uint8_t)(m->n - 16), m->byte[m->n - 16] = 0xc0; /* a compression loop */
	else if (strcmp(name, "count.test") == 0)
		m->byte[6] = m->byte[7] = 0xff;
	else if (strcmp(name, "cut.test") == 0)
		m->n -= 2;
	return true;
}

/* Changes or removes a few bytes after the question. */
static void damage(struct dns_lab *lab, struct dns_message *m)
{
	for (int i = rand_r(&lab->seed) % 4; i >= 0; i--)
		m->byte[2 + (size_t)rand_r(&lab->seed) % (m->n - 2)] = (uint8_t)rand_r(&lab->seed);
	if (rand_r(&lab->seed) % 4 == 0)
		m->n = 2 + (size_t)rand_r(&lab->seed) % (m->n - 2);
}

static bool answer(void *arg, const char *name, uint16_t type, bool tcp, struct dns_message *m)
{
	static const char *const hostile[] = {"big.test",  "huge.test",	 "stranger.test",
					      "loop.test", "count.test", "cut.test"};
	struct dns_lab *lab = arg;
	bool sent = true;
	size_t i = 0;
	while (i < sizeof(hostile) / sizeof(hostile[0]) && strcmp(hostile[i], name) != 0)
		i++;
	if (strcmp(name, "alias.test") == 0)
		sent = put_alias(m, type);
	else if (i < sizeof(hostile) / sizeof(hostile[0]))
		sent = put_hostile(name, type, tcp, m);
	else
		sent = put_plain(name, type, m);
	if (lab->seed)
		damage(lab, m);
	return sent;
}

static int set_up(void **state)
{
	struct dns_lab *lab = calloc(1, sizeof(*lab));
	lab->base = event_base_new();
	if (!dns_server_open(&lab->server, lab->base, answer, lab))
		return -1;
	lab->config = (struct berth_dns_config){
		.n_servers = 1, .timeout_ms = 100, .min_ttl_s = 1, .max_ttl_s = 3600};
	lab->config.servers[0].port = lab->server.port;
	berth_address_parse("127.0.0.1", &lab->config.servers[0].address);
	/* Path of berth-helper: meson runs the tests with it and without. */
	const struct berth_helper_options options = {
		.program = getenv("BERTH_TEST_HELPER"), .name = "dns", .run_dir = "/tmp"};
	if (options.program)
		lab->helper = berth_helper_new(lab->base, &options);
	*state = lab;
	return 0;
}

static int tear_down(void **state)
{
	struct dns_lab *lab = *state;
	berth_helper_free(lab->helper);
	dns_server_close(&lab->server);
	event_base_free(lab->base);
	free(lab);
	return 0;
}

/* "A: 192.0.2.1 192.0.2.2 ttl 7; AAAA: none" */
static void describe(char text[4096], const struct berth_dns_result results[BERTH_DNS_TYPES])
{
	static const char *const types[] = {"A:", "; AAAA:"};
	int used = 0;
	for (int type = 0; type < BERTH_DNS_TYPES; type++) {
		const struct berth_dns_result *result = &results[type];
		char host[BERTH_ADDRESS_TEXT];
		used += snprintf(text + used, 4096 - (size_t)used, "%s", types[type]);
		for (size_t i = 0; i < result->n && i < 4; i++)
			used += snprintf(text + used, 4096 - (size_t)used, " %s",
					 berth_address_format(&result->addresses[i], host));
		if (result->n > 4)
			used += snprintf(text + used, 4096 - (size_t)used, " ... (%zu)", result->n);
		if (result->status == BERTH_DNS_FOUND)
			used += snprintf(text + used, 4096 - (size_t)used, " ttl %u", result->ttl_s);
		else
			used += snprintf(text + used, 4096 - (size_t)used, " %s",
					 result->status == BERTH_DNS_NONE      ? "none"
					 : result->status == BERTH_DNS_PENDING ? "pending"
									       : result->error);
	}
}

static void on_told(void *arg, const struct berth_dns_result results[BERTH_DNS_TYPES], bool ended)
{
	struct dns_lab *lab = arg;
	if (!ended)
		return;
	describe(lab->text, results);
	lab->ended = true;
	lab->n_ended++;
	event_base_loopbreak(lab->base);
}

static void run_lookup(struct dns_lab *lab, const char *name)
{
	struct berth_dns_remote *remote = lab->helper ? berth_dns_remote_new(lab->helper) : NULL;
	struct berth_dns_request *request = NULL;
	struct berth_dns_lookup *lookup = NULL;
	if (remote)
		request = berth_dns_request_new(remote, &lab->config, name, on_told, lab);
	else
		lookup = berth_dns_lookup_new(lab->base, &lab->config, name, on_told, lab);
	assert_true(request || lookup);
	while (!lab->ended)
		assert_int_not_equal(event_base_loop(lab->base, EVLOOP_ONCE), -1);
	if (remote)
		berth_dns_request_free(request);
	else
		berth_dns_lookup_free(lookup);
	berth_dns_remote_free(remote);
}

static void expect_lookup(struct dns_lab *lab, const char *name, const char *expected)
{
	lab->ended = false;
	run_lookup(lab, name);
	if (strcmp(lab->text, expected) != 0)
		fail_msg("%s: \"%s\", not \"%s\"", name, lab->text, expected);
}

static void both_types_have_their_minimum_ttl(void **state)
{
	expect_lookup(*state, "two.test", "A: 192.0.2.2 192.0.2.1 192.0.2.2 ttl 7; AAAA: 2001:db8::1 ttl 30");
	expect_lookup(*state, "alias.test", "A: 192.0.2.7 ttl 3; AAAA: none");
	expect_lookup(*state, "forever.test", "A: 192.0.2.1 ttl 0; AAAA: none");
	expect_lookup(*state, "mapped.test", "A: none; AAAA: none");
}

static void a_failure_has_an_error_text(void **state)
{
	expect_lookup(*state, "none.test", "A: none; AAAA: none");
	expect_lookup(*state, "gone.test", "A: name not found (NXDOMAIN); AAAA: name not found (NXDOMAIN)");
	expect_lookup(*state, "fail.test",
		      "A: no server answers: unreachable, SERVFAIL or REFUSED; AAAA: no server answers: "
		      "unreachable, SERVFAIL or REFUSED");
	expect_lookup(*state, "refused.test",
		      "A: no server answers: unreachable, SERVFAIL or REFUSED; AAAA: no server answers: "
		      "unreachable, SERVFAIL or REFUSED");
	expect_lookup(*state, "half.test",
		      "A: 192.0.2.1 ttl 60; AAAA: no server answers: unreachable, SERVFAIL or REFUSED");
}

static void a_silent_server_times_out(void **state)
{
	struct dns_lab *lab = *state;
	uint64_t begin = berth_clock_ms();
	expect_lookup(lab, "silent.test", "A: timeout; AAAA: timeout");
	assert_in_range(berth_clock_ms() - begin, 250, 1500); /* 100 ms and 200 ms */
	struct berth_dns_config other = lab->config;
	lab->config.servers[0].port = 1;
	expect_lookup(lab, "two.test",
		      "A: no server answers: unreachable, SERVFAIL or REFUSED; AAAA: no server answers: "
		      "unreachable, SERVFAIL or REFUSED");
	/* The second server answers if the first does not. */
	lab->config.servers[1] = other.servers[0];
	lab->config.n_servers = 2;
	expect_lookup(lab, "alias.test", "A: 192.0.2.7 ttl 3; AAAA: none");
	lab->config = other;
}

static void a_long_answer_uses_tcp_and_a_too_long_one_is_detected(void **state)
{
	expect_lookup(*state, "big.test", "A: 10.0.0.0 10.0.0.1 10.0.0.2 10.0.0.3 ... (300) ttl 60; AAAA: none");
	expect_lookup(*state, "huge.test", "A: 10.0.0.0 10.0.0.1 10.0.0.2 10.0.0.3 ... (1025) ttl 60; AAAA: none");
}

static void answers_to_other_questions_are_ignored(void **state)
{
	expect_lookup(*state, "stranger.test", "A: timeout; AAAA: timeout");
	expect_lookup(*state, "loop.test", "A: Misformatted DNS reply; AAAA: Misformatted DNS reply");
	expect_lookup(*state, "count.test", "A: Misformatted DNS reply; AAAA: Misformatted DNS reply");
	expect_lookup(*state, "cut.test", "A: Misformatted DNS reply; AAAA: Misformatted DNS reply");
}

/* Every lookup ends, without more addresses than sent. */
static void damaged_answers_end_a_lookup(void **state)
{
	enum {
		AT_ONCE = 100,
		ROUNDS = 5
	};
	struct dns_lab *lab = *state;
	for (unsigned int round = 0; round < ROUNDS; round++) {
		struct berth_dns_lookup *lookups[AT_ONCE];
		lab->seed = 4711 + round;
		lab->n_ended = 0;
		for (size_t i = 0; i < AT_ONCE; i++) {
			static const char *const names[] = {"two.test", "alias.test", "big.test"};
			lookups[i] = berth_dns_lookup_new(lab->base, &lab->config, names[i % 3], on_told, lab);
			assert_non_null(lookups[i]);
		}
		while (lab->n_ended < AT_ONCE)
			assert_int_not_equal(event_base_loop(lab->base, EVLOOP_ONCE), -1);
		for (size_t i = 0; i < AT_ONCE; i++)
			berth_dns_lookup_free(lookups[i]);
	}
	lab->seed = 0;
}

/* --- the resolver --- */

static struct berth_dns_state known;

static int on_changed(void *arg, const char *name, const union berth_addr *addresses, size_t n,
		      char error[BERTH_ERROR_BYTES])
{
	(void)arg;
	(void)error;
	return berth_dns_state_set_answer(&known, name, addresses, n);
}

static void turn(struct dns_lab *lab, unsigned int ms)
{
	const struct timeval wait = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};
	event_base_loopexit(lab->base, &wait);
	event_base_dispatch(lab->base);
}

static struct berth_config *config_of(struct dns_lab *lab, const char *first, const char *second)
{
	char text[1024], error[BERTH_ERROR_BYTES];
	snprintf(text, sizeof(text),
		 "interfaces: [{name: eth0}]\ndns: {servers: [\"127.0.0.1:%u\"], timeout: 100ms}\nservices:\n"
		 "- {name: one, address: 203.0.113.10, port: 80, mode: ipip, backends: [{name: p, dns: %s}]}\n"
		 "- {name: two, address: 203.0.113.11, port: 80, mode: ipip, backends: [{name: q, dns: %s}]}\n",
		 lab->server.port, first, second);
	struct berth_config *config = berth_config_parse("f", text, strlen(text), error);
	if (!config)
		fail_msg("%s", error);
	return config;
}

static void a_name_of_two_services_is_queried_once_per_ttl(void **state)
{
	struct dns_lab *lab = *state;
	struct berth_dns_resolver *resolver = berth_dns_resolver_new(lab->base, lab->helper, &known, on_changed,
								     NULL);
	struct berth_config *config = config_of(lab, "two.test", "TWO.test.");
	struct berth_dns_name_status status;
	lab->server.questions = 0;
	assert_int_equal(berth_dns_resolver_update(resolver, config), 0);
	turn(lab, 200);
	assert_int_equal(lab->server.questions, 2); /* A and AAAA */
	assert_int_equal(berth_dns_state_answer(&known, "two.test")->n, 3);
	assert_true(berth_dns_resolver_get(resolver, "two.test", &status));
	assert_int_equal(status.queries, 1);
	assert_int_equal(status.failures, 0);
	assert_in_range(status.next_query_ms - berth_clock_ms(), 6000, 7000);
	/* An unchanged configuration causes no query. */
	assert_int_equal(berth_dns_resolver_update(resolver, config), 0);
	turn(lab, 50);
	assert_int_equal(lab->server.questions, 2);
	berth_config_free(config);
	/* TTL 0 becomes one second. */
	config = config_of(lab, "forever.test", "forever.test");
	assert_int_equal(berth_dns_resolver_update(resolver, config), 0);
	turn(lab, 1500);
	assert_false(berth_dns_resolver_get(resolver, "two.test", &status));
	assert_true(berth_dns_resolver_get(resolver, "forever.test", &status));
	assert_int_equal(status.queries, 2);
	berth_config_free(config);
	berth_dns_resolver_free(resolver);
	berth_dns_state_clear(&known);
}

static void failures_are_retried_with_backoff(void **state)
{
	struct dns_lab *lab = *state;
	struct berth_dns_resolver *resolver = berth_dns_resolver_new(lab->base, lab->helper, &known, on_changed,
								     NULL);
	struct berth_config *config = config_of(lab, "gone.test", "gone.test");
	struct berth_dns_name_status status;
	assert_int_equal(berth_dns_resolver_update(resolver, config), 0);
	turn(lab, 1200);
	assert_true(berth_dns_resolver_get(resolver, "gone.test", &status));
	assert_int_equal(status.queries, 2);
	assert_int_equal(status.failures, 2);
	assert_in_range(status.next_query_ms - berth_clock_ms(), 1500, 2000);
	berth_config_free(config);
	berth_dns_resolver_free(resolver);
}

static void failures_keep_the_addresses_and_are_counted(void **state)
{
	struct dns_lab *lab = *state;
	struct berth_dns_resolver *resolver = berth_dns_resolver_new(lab->base, lab->helper, &known, on_changed,
								     NULL);
	static const char *const names[] = {"none.test", "gone.test", "fail.test", "silent.test", "huge.test"};
	static const char *const errors[] = {"the name has no addresses", "A: name not found (NXDOMAIN)",
					     "A: no server answers: unreachable, SERVFAIL or REFUSED", "A: timeout",
					     "the name has more than 1024 addresses"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		union berth_addr address;
		struct berth_dns_name_status status;
		berth_address_parse("192.0.2.99", &address);
		assert_int_equal(berth_dns_state_set_answer(&known, names[i], &address, 1), 0);
		struct berth_config *config = config_of(lab, names[i], names[i]);
		assert_int_equal(berth_dns_resolver_update(resolver, config), 0);
		turn(lab, 700);
		assert_true(berth_dns_resolver_get(resolver, names[i], &status));
		assert_string_equal(status.error, errors[i]);
		assert_int_equal(status.failures, 1);
		assert_int_equal(status.last_success_ms, 0);
		assert_int_equal(berth_dns_state_answer(&known, names[i])->n, 1);
		berth_config_free(config);
	}
	berth_dns_resolver_free(resolver);
	berth_dns_state_clear(&known);
}

static void a_killed_helper_keeps_the_addresses_and_the_next_one_goes_on(void **state)
{
	struct dns_lab *lab = *state;
	struct berth_dns_resolver *resolver = berth_dns_resolver_new(lab->base, lab->helper, &known, on_changed,
								     NULL);
	struct berth_dns_name_status status;
	union berth_addr address;
	berth_address_parse("192.0.2.99", &address);
	assert_int_equal(berth_dns_state_set_answer(&known, "silent.test", &address, 1), 0);
	struct berth_config *config = config_of(lab, "silent.test", "forever.test");
	assert_int_equal(berth_dns_resolver_update(resolver, config), 0);
	turn(lab, 50);
	kill(berth_helper_status(lab->helper)->pid, SIGKILL);
	turn(lab, 300);
	assert_true(berth_dns_resolver_get(resolver, "silent.test", &status));
	assert_string_equal(status.error, "A: berth's helper for dns ended");
	assert_int_equal(berth_dns_state_answer(&known, "silent.test")->n, 1);
	assert_int_equal(berth_helper_status(lab->helper)->restarts, 1);
	assert_true(berth_helper_status(lab->helper)->pid > 0);
	turn(lab, 1500);
	assert_true(berth_dns_resolver_get(resolver, "forever.test", &status));
	assert_true(status.queries >= 2);
	assert_int_equal(status.failures, 0);
	assert_int_equal(berth_dns_state_answer(&known, "forever.test")->n, 1);
	berth_config_free(config);
	berth_dns_resolver_free(resolver);
	berth_dns_state_clear(&known);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_types_have_their_minimum_ttl),
		cmocka_unit_test(a_failure_has_an_error_text),
		cmocka_unit_test(a_silent_server_times_out),
		cmocka_unit_test(a_long_answer_uses_tcp_and_a_too_long_one_is_detected),
		cmocka_unit_test(answers_to_other_questions_are_ignored),
		cmocka_unit_test(damaged_answers_end_a_lookup),
		cmocka_unit_test(a_name_of_two_services_is_queried_once_per_ttl),
		cmocka_unit_test(failures_are_retried_with_backoff),
		cmocka_unit_test(failures_keep_the_addresses_and_are_counted),
	};
	const struct CMUnitTest with_helper[] = {
		cmocka_unit_test(a_killed_helper_keeps_the_addresses_and_the_next_one_goes_on),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down) +
	       (getenv("BERTH_TEST_HELPER") ? cmocka_run_group_tests(with_helper, set_up, tear_down) : 0);
}
