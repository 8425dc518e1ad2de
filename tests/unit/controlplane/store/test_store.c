// SPDX-License-Identifier: BSD-3-Clause
/*
 * The store of a cluster, with the real helper process and a server that answers as the test says: what it has is
 * seen, what it should not have is refused, and no answer or lack of one does more than end a visit.
 */
#include <signal.h>
#include <sys/stat.h>

#include "controlplane/store/store.h"
#include "tests/unit/controlplane/store/fake_store.h"

#define VALUE(epoch, beat, config)                                                                                 \
	"{\"version\":1,\"epoch\":\"" epoch "\",\"beat\":" beat ",\"config_digest\":\"" config                     \
	"\",\"secret_digest\":\"00112233445566778899aabbccddeeff\",\"services\":3,\"backends\":7}"
#define EPOCH "00000000000000aa"
#define CONFIG "0123456789abcdef"

struct lab {
	struct event_base *base;
	struct berth_helper *helper;
	struct fake_store *fake, *other;
	struct berth_store *store;
	struct berth_cluster_config config;
};

static void on_describe(void *arg, struct berth_presence *own)
{
	(void)arg;
	strcpy(own->config_digest, CONFIG);
	strcpy(own->secret_digest, "00112233445566778899aabbccddeeff");
	own->services = 3;
	own->backends = 7;
}

static struct berth_store_server loopback(uint16_t port)
{
	return (struct berth_store_server){.address.byte = {[10] = 0xff, 0xff, 127, 0, 0, 1}, .port = port};
}

static int set_up(void **state)
{
	struct lab *lab = calloc(1, sizeof(*lab));
	lab->base = event_base_new();
	const struct berth_helper_options options = {
		.program = getenv("BERTH_TEST_HELPER"), .name = "store", .run_dir = "/tmp"};
	assert_non_null(options.program);
	lab->helper = berth_helper_new(lab->base, &options);
	lab->fake = fake_new(lab->base);
	lab->other = fake_new(lab->base);
	strcpy(lab->config.name, "shop");
	strcpy(lab->config.node, "lb1");
	lab->config.store.servers[0] = loopback(lab->fake->port);
	lab->config.store.n_servers = 1;
	*state = lab;
	return 0;
}

static int tear_down(void **state)
{
	struct lab *lab = *state;
	berth_store_free(lab->store);
	berth_helper_free(lab->helper);
	fake_free(lab->fake);
	fake_free(lab->other);
	event_base_free(lab->base);
	free(lab);
	return 0;
}

static const struct berth_store_status *status_of(const struct lab *lab)
{
	return berth_store_status(lab->store);
}

static void start(struct lab *lab)
{
	lab->store = berth_store_new(lab->base, lab->helper, &lab->config, on_describe, NULL);
	assert_non_null(lab->store);
}

static void expect_connected(struct lab *lab)
{
	if (!wait_until(status_of(lab)->is_connected, 6000, loop_for(lab->base, 10)))
		fail_msg("not connected: %s", status_of(lab)->error);
}

static void expect_failure(struct lab *lab, const char *text)
{
	const uint64_t before = status_of(lab)->failures;
	assert_true(wait_until(status_of(lab)->failures > before, 8000, loop_for(lab->base, 10)));
	assert_false(status_of(lab)->is_connected);
	if (!strstr(status_of(lab)->error, text))
		fail_msg("\"%s\" is not in \"%s\"", text, status_of(lab)->error);
}

static void expect_another_visit(struct lab *lab)
{
	const uint64_t before = status_of(lab)->visits;
	assert_true(wait_until(status_of(lab)->visits >= before + 2, 5000, loop_for(lab->base, 10)));
}

/* A bulk string of RESP. */
static char *bulk(const char *text)
{
	char *answer = malloc(strlen(text) + 32);
	sprintf(answer, "$%zu\r\n%s\r\n", strlen(text), text);
	return answer;
}

static void hold(struct lab *lab, const char *name, const char *value)
{
	char command[128];
	snprintf(command, sizeof(command), "GETRANGE berth:shop:node:%s ", name);
	fake_answer(lab->fake, strdup(command), bulk(value));
}

/* --- what the store has --- */

static void the_value_of_this_node_is_written_with_a_short_life(void **state)
{
	struct lab *lab = *state;
	struct berth_presence written;
	start(lab);
	expect_connected(lab);
	const char *set = NULL;
	for (size_t i = 0; i < lab->fake->n_commands; i++)
		if (strncmp(lab->fake->commands[i], "SET ", 4) == 0)
			set = lab->fake->commands[i];
	assert_non_null(set);
	assert_int_equal(strncmp(set, "SET berth:shop:node:lb1 {", 25), 0);
	const char *end = strstr(set, " PX 5000");
	assert_true(end && !end[8]);
	assert_true(berth_presence_parse(&written, "lb1", set + 24, (size_t)(end - set) - 24));
	assert_string_equal(written.config_digest, CONFIG);
	assert_int_equal(written.services, 3);
	assert_int_equal(written.backends, 7);
	assert_true(written.epoch == status_of(lab)->own.epoch && written.beat > 0);
	assert_int_equal(fake_count(lab->fake, "SADD berth:shop:nodes lb1"), 1);
	expect_another_visit(lab);
	assert_int_equal(lab->fake->n_connections, 1);
}

static void other_nodes_are_seen_as_long_as_they_have_new_beats(void **state)
{
	struct lab *lab = *state;
	fake_answer(lab->fake, "SRANDMEMBER ", "*3\r\n$3\r\nlb3\r\n$3\r\nlb1\r\n$3\r\nlb2\r\n");
	hold(lab, "lb2", VALUE(EPOCH, "1", CONFIG));
	hold(lab, "lb3", VALUE(EPOCH, "1", "fedcba9876543210"));
	start(lab);
	expect_connected(lab);
	const struct berth_peers *nodes = &status_of(lab)->peers;
	assert_int_equal(nodes->n, 2);
	assert_string_equal(nodes->all[0].presence.node, "lb2");
	assert_string_equal(nodes->all[1].presence.node, "lb3");
	assert_false(nodes->all[0].has_other_config);
	assert_true(nodes->all[1].has_other_config);
	assert_false(nodes->all[1].has_other_secret);
	assert_int_equal(nodes->all[0].presence.backends, 7);
	const uint64_t seen_ms = nodes->all[0].seen_ms;
	expect_another_visit(lab);
	assert_true(nodes->all[0].seen_ms == seen_ms);
	hold(lab, "lb2", VALUE(EPOCH, "2", CONFIG));
	expect_another_visit(lab);
	assert_true(nodes->all[0].seen_ms > seen_ms);
}

static void a_name_whose_value_has_gone_is_removed_from_the_set(void **state)
{
	struct lab *lab = *state;
	fake_answer(lab->fake, "SRANDMEMBER ", "*1\r\n$3\r\nlb2\r\n");
	start(lab);
	expect_connected(lab);
	assert_int_equal(fake_count(lab->fake, "SREM berth:shop:nodes lb2"), 1);
	assert_int_equal(status_of(lab)->peers.n, 0);
	assert_int_equal(status_of(lab)->refused, 0);
}

static void another_berthd_of_the_same_name_is_noticed(void **state)
{
	struct lab *lab = *state;
	start(lab);
	expect_connected(lab);
	assert_false(status_of(lab)->is_doubled);
	hold(lab, "lb1", VALUE(EPOCH, "9", CONFIG));
	assert_true(wait_until(status_of(lab)->is_doubled, 3000, loop_for(lab->base, 10)));
	assert_int_equal(status_of(lab)->peers.n, 0);
}

/* --- what it should not have --- */

static void what_is_not_from_a_node_is_refused_and_counted(void **state)
{
	static const char *const values[] = {
		"",
		"garbage",
		"[]",
		"{}",
		"{\"version\":1}",
		"{\"version\":1,\"version\":1}",
		VALUE("00000000000000AA", "1", CONFIG),
		VALUE("0a", "1", CONFIG),
		VALUE(EPOCH, "-1", CONFIG),
		VALUE(EPOCH, "1.5", CONFIG),
		VALUE(EPOCH, "99999999999999999999", CONFIG),
		VALUE(EPOCH, "1", "0123456789abcde"),
		VALUE(EPOCH, "1", "0123456789abcdeg"),
		VALUE(EPOCH, "1", CONFIG) "x",
		"\xff\xfe",
	};
	struct lab *lab = *state;
	struct berth_presence presence;
	char longer[600];
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		assert_false(berth_presence_parse(&presence, "lb2", values[i], strlen(values[i])));
	assert_true(berth_presence_parse(&presence, "lb2", VALUE(EPOCH, "1", CONFIG),
					 strlen(VALUE(EPOCH, "1", CONFIG))));
	assert_false(berth_presence_parse(&presence, "a b", VALUE(EPOCH, "1", CONFIG),
					  strlen(VALUE(EPOCH, "1", CONFIG))));
	memset(longer, ' ', 513);
	longer[513] = 0;
	memcpy(longer, VALUE(EPOCH, "1", CONFIG), strlen(VALUE(EPOCH, "1", CONFIG)));
	fake_answer(lab->fake, "SRANDMEMBER ",
		    "*8\r\n$3\r\nlb2\r\n$1\r\na\r\n$1\r\nb\r\n$0\r\n\r\n:5\r\n$3\r\na b\r\n$1\r\nd\r\n"
		    "$70\r\n0123456789012345678901234567890123456789012345678901234567890123456789\r\n");
	hold(lab, "a", "garbage");
	hold(lab, "a b", VALUE(EPOCH, "1", CONFIG));
	hold(lab, "lb2", VALUE(EPOCH, "1", CONFIG));
	hold(lab, "d", longer);
	fake_answer(lab->fake, "GETRANGE berth:shop:node:b ", "-WRONGTYPE it is a list\r\n");
	start(lab);
	expect_connected(lab);
	/* a: garbage; b: a list; the empty, the number and the long name; "a b": no name; d: too long */
	assert_int_equal(status_of(lab)->refused_now, 7);
	assert_int_equal(status_of(lab)->peers.n, 1);
	expect_another_visit(lab);
	assert_int_equal(status_of(lab)->refused_now, 7);
	assert_true(status_of(lab)->refused >= 14);
}

static const struct {
	const char *begin, *answer, *reason;
	size_t bytes;
	bool closes;
} faults[] = {
	{"SADD ", "-LOADING Redis is loading the dataset in memory\r\n", "LOADING Redis", 0, false},
	{"GETRANGE ", "-NOAUTH Authentication required.\r\n", "NOAUTH Authentication required.", 0, false},
	{"SET ", "-OOM command not allowed when used memory > 'maxmemory'.\r\n", "OOM command not allowed", 0,
	 false},
	{"SET ", "-READONLY You can't write against a read only replica.\r\n", "READONLY You can't", 0, false},
	{"SRANDMEMBER ", "-WRONGTYPE Operation against a key\r\n", "WRONGTYPE Operation", 0, false},
	{"SET ", ":1\r\n", "it sent what does not answer the command", 0, false},
	{"SRANDMEMBER ", "$3\r\nabc\r\n", "it sent what does not answer the command", 0, false},
	{"SRANDMEMBER ", "*1000000000\r\n", "it sent an array that is too long", 0, false},
	{"SRANDMEMBER ", "*257\r\n", "no answer for 1.5 s", 0, false},
	{"SET ", "+OK\r\n+OK\r\n+OK\r\n*0\r\n+OK\r\n", "it sent", 0, false},
	{"GETRANGE ", "HTTP/1.1 400 Bad Request\r\n\r\n", "it sent what is not Redis' protocol", 0, false},
	{"GETRANGE ", "\x16\x03\x01\x00\x00\x00\x00", "it sent what is not Redis' protocol", 7, false},
	{"GETRANGE ", "$1000000000\r\nab", "no answer for 1.5 s", 0, false},
	{"GETRANGE ", "$5\r\nab", "it closed the connection", 0, true},
	{"SRANDMEMBER ", "*1\r\n$5\r\nab", "no answer for 1.5 s", 0, false},
	{"SRANDMEMBER ", "", "it closed the connection", 0, true},
	{"SRANDMEMBER ", "", "no answer for 1.5 s", 0, false},
	{"SET ", "-ERR \x1b[31m\x01\r\n", "ERR ?[31m?", 0, false},
};

/* After each fault the next visit has a new connection, and succeeds when the server is well. */
static void each_fault_of_a_server_ends_one_visit_and_no_more(void **state)
{
	struct lab *lab = *state;
	start(lab);
	expect_connected(lab);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		const size_t n_connections = lab->fake->n_connections;
		struct fake_rule *rule = fake_answer(lab->fake, faults[i].begin, faults[i].answer);
		rule->bytes = faults[i].bytes;
		rule->closes = faults[i].closes;
		expect_failure(lab, faults[i].reason);
		memmove(&lab->fake->rules[0], &lab->fake->rules[1],
			--lab->fake->n_rules * sizeof(lab->fake->rules[0]));
		expect_connected(lab);
		assert_true(lab->fake->n_connections > n_connections);
	}
	assert_int_equal(berth_helper_status(lab->helper)->restarts, 0);
}

static void an_endless_answer_is_not_kept(void **state)
{
	struct lab *lab = *state;
	const size_t bytes = 400000;
	char *answer = malloc(bytes);
	memset(answer, 'x', bytes);
	memcpy(answer, "$9000000\r\n", 10);
	fake_answer(lab->fake, "GETRANGE ", answer)->bytes = bytes;
	start(lab);
	expect_failure(lab, "it sent an answer that is too long");
	/* Many strings, each of which is short. */
	memcpy(answer, "*1000\r\n", 7);
	for (size_t i = 7; i + 1000 < bytes; i += 1000) {
		memcpy(answer + i, "$992\r\n", 6);
		memcpy(answer + i + 998, "\r\n", 2);
	}
	expect_failure(lab, "it sent an answer that is too long");
	free(answer);
}

/* --- servers --- */

static void the_next_server_is_used_when_one_fails(void **state)
{
	struct lab *lab = *state;
	lab->config.store.servers[1] = loopback(lab->other->port);
	lab->config.store.n_servers = 2;
	fake_stop_listening(lab->fake);
	start(lab);
	expect_failure(lab, "Connection refused");
	expect_connected(lab);
	assert_int_equal(status_of(lab)->server.port, lab->other->port);
}

static void sentinel_names_the_master(void **state)
{
	struct lab *lab = *state;
	char answer[64];
	strcpy(lab->config.store.sentinel, "main");
	snprintf(answer, sizeof(answer), "*2\r\n$9\r\n127.0.0.1\r\n$%d\r\n%u\r\n", lab->other->port > 9999 ? 5 : 4,
		 lab->other->port);
	struct fake_rule *rule = fake_answer(lab->fake, "SENTINEL get-master-addr-by-name main", "*-1\r\n");
	start(lab);
	expect_failure(lab, "it knows no master of this name");
	rule->answer = "*2\r\n$5\r\nredis\r\n$4\r\n6379\r\n";
	expect_failure(lab, "it names the master without an address");
	rule->answer = "*2\r\n$9\r\n127.0.0.1\r\n$5\r\n65536\r\n";
	expect_failure(lab, "Sentinel 127.0.0.1:");
	rule->answer = answer;
	expect_connected(lab);
	assert_int_equal(status_of(lab)->server.port, lab->other->port);
	assert_true(fake_count(lab->other, "SET berth:shop:node:lb1 ") > 0);
	assert_int_equal(fake_count(lab->fake, "SET "), 0);
}

static void write_password(const char *path, const char *text, mode_t mode)
{
	FILE *file = fopen(path, "we");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	assert_int_equal(chmod(path, mode), 0);
}

static void the_password_is_read_when_a_connection_begins(void **state)
{
	struct lab *lab = *state;
	char *path = lab->config.store.password_file;
	snprintf(path, sizeof(lab->config.store.password_file), "/tmp/test_store.%d", (int)getpid());
	strcpy(lab->config.store.username, "berth");
	fake_answer(lab->fake, "AUTH ", "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
	fake_answer(lab->fake, "AUTH berth right", "+OK\r\n");
	start(lab);
	expect_failure(lab, "No such file or directory");
	write_password(path, "wrong\n", 0644);
	expect_failure(lab, "other users can read it");
	write_password(path, "two\nlines\n", 0600);
	expect_failure(lab, "it is not one line");
	write_password(path, "wrong\n", 0600);
	expect_failure(lab, "WRONGPASS");
	assert_int_equal(fake_count(lab->fake, "SET "), 0);
	write_password(path, "right\n", 0600);
	expect_connected(lab);
	unlink(path);
}

/* --- the helper --- */

static void a_killed_helper_is_started_again_and_visits_again(void **state)
{
	struct lab *lab = *state;
	start(lab);
	expect_connected(lab);
	fake_answer(lab->fake, "SRANDMEMBER ", "");
	expect_another_visit(lab);
	kill(berth_helper_status(lab->helper)->pid, SIGKILL);
	expect_failure(lab, "berth's helper for the store ended");
	fake_answer(lab->fake, "SRANDMEMBER ", "*0\r\n");
	expect_connected(lab);
	assert_int_equal(berth_helper_status(lab->helper)->restarts, 1);
}

/* --- nodes alone --- */

static void nodes_are_sorted_bounded_and_forgotten(void **state)
{
	(void)state;
	struct berth_peers *nodes = calloc(1, sizeof(*nodes));
	struct berth_presence presence = {.config_digest = CONFIG};
	for (int i = BERTH_HELPER_STORE_NODES; i > 0; i--) {
		snprintf(presence.node, sizeof(presence.node), "n%03d", i);
		assert_true(berth_peers_take(nodes, &presence, 1000));
	}
	assert_true(berth_peers_take(nodes, &presence, 1000));
	strcpy(presence.node, "one-more");
	assert_false(berth_peers_take(nodes, &presence, 1000));
	assert_string_equal(nodes->all[0].presence.node, "n001");
	assert_string_equal(nodes->all[255].presence.node, "n256");
	presence.beat = 2;
	strcpy(presence.node, "n100");
	assert_true(berth_peers_take(nodes, &presence, 4000));
	berth_peers_compare(nodes, "shop", &presence, 5999);
	assert_false(nodes->all[0].is_lost);
	berth_peers_compare(nodes, "shop", &presence, 6000);
	assert_true(nodes->all[0].is_lost);
	assert_false(nodes->all[99].is_lost);
	berth_peers_compare(nodes, "shop", &presence, 1000 + BERTH_PEER_FORGET_MS);
	assert_int_equal(nodes->n, 1);
	assert_string_equal(nodes->all[0].presence.node, "n100");
	free(nodes);
}

static void expect_difference(struct berth_peers *nodes, const char *config, const char *secret, bool other_config,
			      bool other_secret)
{
	const struct berth_presence own = {.node = "lb1", .config_digest = "aa", .secret_digest = "bb"};
	struct berth_presence other = {.node = "lb2", .beat = nodes->n ? nodes->all[0].presence.beat + 1 : 1};
	strcpy(other.config_digest, config);
	strcpy(other.secret_digest, secret);
	assert_true(berth_peers_take(nodes, &other, 1000));
	berth_peers_compare(nodes, "shop", &own, 1000);
	assert_int_equal(nodes->all[0].has_other_config, other_config);
	assert_int_equal(nodes->all[0].has_other_secret, other_secret);
}

static void a_node_has_another_configuration_or_secret_until_it_has_the_same(void **state)
{
	(void)state;
	struct berth_peers *nodes = calloc(1, sizeof(*nodes));
	expect_difference(nodes, "aa", "bb", false, false);
	expect_difference(nodes, "aa", "cc", false, true);
	expect_difference(nodes, "dd", "cc", true, true);
	expect_difference(nodes, "dd", "bb", true, false);
	expect_difference(nodes, "aa", "bb", false, false);
	free(nodes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_value_of_this_node_is_written_with_a_short_life),
		TEST(other_nodes_are_seen_as_long_as_they_have_new_beats),
		TEST(a_name_whose_value_has_gone_is_removed_from_the_set),
		TEST(another_berthd_of_the_same_name_is_noticed),
		TEST(what_is_not_from_a_node_is_refused_and_counted),
		TEST(each_fault_of_a_server_ends_one_visit_and_no_more),
		TEST(an_endless_answer_is_not_kept),
		TEST(the_next_server_is_used_when_one_fails),
		TEST(sentinel_names_the_master),
		TEST(the_password_is_read_when_a_connection_begins),
		TEST(a_killed_helper_is_started_again_and_visits_again),
		cmocka_unit_test(nodes_are_sorted_bounded_and_forgotten),
		cmocka_unit_test(a_node_has_another_configuration_or_secret_until_it_has_the_same),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
