// SPDX-License-Identifier: BSD-3-Clause
/*
 * Rounds of records with a server that answers as the test says: any fault ends one round, later ones go on, and no
 * bytes that it sends do harm.
 */
#include <inttypes.h>

#include "controlplane/helper_program/stream_reply.h"
#include "controlplane/store/store.h"
#include "tests/unit/controlplane/store/fake_store.h"

enum {
	SERVICE = 0x5e,
};

struct lab {
	struct event_base *base;
	struct berth_helper *helper;
	struct fake_store *fake;
	struct berth_store *store;
	struct berth_cluster_config config;
	uint64_t batches;
};

static void on_describe(void *arg, struct berth_presence *own)
{
	(void)arg;
	strcpy(own->config_digest, "0123456789abcdef");
	strcpy(own->secret_digest, "00112233445566778899aabbccddeeff");
}

static bool on_batch(void *arg, const struct berth_store_batch *batch)
{
	struct lab *lab = arg;
	assert_false(batch->is_own);
	assert_int_equal(batch->service, SERVICE);
	assert_true(batch->records && batch->bytes);
	lab->batches++;
	return true;
}

static int set_up(void **state)
{
	struct lab *lab = calloc(1, sizeof(*lab));
	const struct berth_followed_wish wish = {.id = SERVICE, .horizon_s = 300, .is_read = true};
	lab->base = event_base_new();
	const struct berth_helper_options options = {
		.program = getenv("BERTH_TEST_HELPER"), .name = "store", .run_dir = "/tmp"};
	lab->helper = berth_helper_new(lab->base, &options);
	lab->fake = fake_new(lab->base);
	fake_answer(lab->fake, "TIME", "*2\r\n$10\r\n1700000000\r\n$6\r\n123456\r\n");
	fake_answer(lab->fake, "INFO ", "$23\r\n# Server\r\nrun_id:0123\r\n\r\n");
	fake_answer(lab->fake, "XADD ", "$15\r\n1700000000000-0\r\n");
	fake_answer(lab->fake, "PEXPIRE ", ":1\r\n");
	fake_answer(lab->fake, "XREAD ", "*-1\r\n");
	strcpy(lab->config.name, "shop");
	strcpy(lab->config.node, "lb1");
	lab->config.store.servers[0] = (struct berth_store_server){
		.address.byte = {[10] = 0xff, 0xff, 127, 0, 0, 1}, .port = lab->fake->port};
	lab->config.store.n_servers = 1;
	lab->store = berth_store_new(lab->base, lab->helper, &lab->config, on_describe, NULL);
	assert_non_null(lab->store);
	berth_store_set_listener(lab->store, &(struct berth_store_listener){.on_batch = on_batch, .arg = lab});
	assert_int_equal(berth_store_follow_services(lab->store, &wish, 1), 0);
	*state = lab;
	return 0;
}

static int tear_down(void **state)
{
	struct lab *lab = *state;
	berth_store_free(lab->store);
	berth_helper_free(lab->helper);
	fake_free(lab->fake);
	event_base_free(lab->base);
	free(lab);
	return 0;
}

static const struct berth_store_records *records_of(const struct lab *lab)
{
	return berth_store_records(lab->store);
}

#define expect(lab, condition)                                                                                     \
	do {                                                                                                       \
		if (!wait_until(condition, 8000, loop_for((lab)->base, 5)))                                        \
			fail_msg(#condition ": %s", records_of(lab)->error);                                       \
	} while (0)

static void tell(struct lab *lab)
{
	assert_true(berth_store_tell(lab->store, SERVICE, (const uint8_t *)"abc", 3));
}

static void remove_rule(struct fake_store *fake)
{
	memmove(&fake->rules[0], &fake->rules[1], --fake->n_rules * sizeof(fake->rules[0]));
}

/* The last command that begins so. */
static const char *command_of(const struct lab *lab, const char *begin)
{
	const char *last = "";
	for (size_t i = 0; i < lab->fake->n_commands && i < FAKE_COMMANDS; i++)
		if (strncmp(lab->fake->commands[i], begin, strlen(begin)) == 0)
			last = lab->fake->commands[i];
	return last;
}

static void a_batch_is_written_with_node_run_and_horizon(void **state)
{
	struct lab *lab = *state;
	char wanted[200];
	tell(lab);
	expect(lab, records_of(lab)->told_batches == 1);
	snprintf(wanted, sizeof(wanted),
		 "XADD berth:shop:x:000000000000005e MINID ~ 1699999700000 * n lb1 e %016" PRIx64 " b abc",
		 berth_store_status(lab->store)->own.epoch);
	assert_string_equal(command_of(lab, "XADD "), wanted);
	assert_string_equal(command_of(lab, "PEXPIRE "), "PEXPIRE berth:shop:x:000000000000005e 300000");
	assert_string_equal(command_of(lab, "GETRANGE berth:shop:epoch"), "GETRANGE berth:shop:epoch 0 62");
	assert_string_equal(command_of(lab, "XREAD "), "XREAD COUNT 64 STREAMS berth:shop:x:000000000000005e 0-0");
}

static const struct {
	const char *begin, *answer, *reason;
	bool closes;
} faults[] = {
	{"SET berth:shop:epoch ", "-OOM command not allowed\r\n", "OOM command", false},
	{"GETRANGE berth:shop:epoch ", "-NOPERM no key\r\n", "NOPERM no key", false},
	{"TIME", ":5\r\n", "it sent what does not answer the command", false},
	{"TIME", "*0\r\n", "it sent what does not answer the command", false},
	{"TIME", "-NOPERM no time\r\n", "NOPERM no time", false},
	{"XADD ", "-OOM command not allowed\r\n", "OOM command", false},
	{"XADD ", "-READONLY You can't write\r\n", "READONLY You", false},
	{"XADD ", "-ERR syntax error\r\n", "ERR syntax error", false},
	{"XADD ", ":1\r\n", "it sent what does not answer the command", false},
	{"XADD ", "$3\r\n1-x\r\n", "it sent what does not answer the command", false},
	{"XADD ", "$23\r\n99999999999999999999999\r\n", "it sent what does not answer the command", false},
	{"PEXPIRE ", "-NOPERM no life\r\n", "NOPERM no life", false},
	{"XREAD ", "-NOPERM no stream\r\n", "NOPERM no stream", false},
	{"XREAD ", ":5\r\n", "it sent what does not answer the command", false},
	{"XREAD ", "*2\r\n*-1\r\n*-1\r\n", "it sent what does not answer the command", false},
	{"XREAD ", "*1\r\n$1\r\na\r\n", "it sent what does not answer the command", false},
	{"XREAD ", "*1\r\n*2\r\n$1\r\na\r\n*0\r\n", "it sent what does not answer the command", false},
	{"XREAD ", "*1\r\n*2\r\n$31\r\nberth:shop:x:000000000000005e\r\n:1\r\n", "it sent", false},
	{"XREAD ", "*1\r\n*2\r\n$29\r\nberth:shop:x:000000000000005e\r\n:1\r\n",
	 "it sent what does not answer the command", false},
	{"XREAD ", "*1\r\n*2\r\n$29\r\nberth:shop:x:000000000000005e\r\n*1\r\n*2\r\n$3\r\n0-0\r\n*0\r\n",
	 "it sent what does not answer the command", false},
	{"XREAD ", "*1\r\n*2\r\n$29\r\nberth:shop:x:000000000000005e\r\n*2000\r\n",
	 "it sent an array that is too long", false},
	{"XREAD ", "*1000000000\r\n", "it sent an array that is too long", false},
	{"XREAD ", "HTTP/1.1 400 Bad Request\r\n\r\n", "it sent what is not Redis' protocol", false},
	{"XREAD ", "*1\r\n*2\r\n$29\r\nberth", "it closed the connection", true},
	{"XREAD ", "", "no answer for 3.0 s", false},
};

/* Rounds that succeeded, and perhaps the one that runs. */
static uint64_t successes(const struct lab *lab)
{
	return records_of(lab)->rounds - records_of(lab)->failures;
}

/* What was not written by then is written by a later round. */
static void each_fault_ends_one_round_and_no_more(void **state)
{
	struct lab *lab = *state;
	expect(lab, records_of(lab)->is_synchronised);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		const uint64_t failures = records_of(lab)->failures;
		fake_answer(lab->fake, faults[i].begin, faults[i].answer)->closes = faults[i].closes;
		tell(lab);
		if (!wait_until(records_of(lab)->failures > failures, 8000, loop_for(lab->base, 2)))
			fail_msg("%s%s: no failure", faults[i].begin, faults[i].answer);
		if (!strstr(records_of(lab)->error, faults[i].reason))
			fail_msg("\"%s\" is not in \"%s\" of %zu", faults[i].reason, records_of(lab)->error, i);
		remove_rule(lab->fake);
		const uint64_t before = successes(lab);
		expect(lab, successes(lab) >= before + 2 && !records_of(lab)->queue_batches);
	}
	assert_int_equal(berth_helper_status(lab->helper)->restarts, 0);
	assert_int_equal(lab->batches, 0);
	assert_int_equal(records_of(lab)->lost, 0);
}

/* --- any bytes --- */

static uint64_t random_state = 88172645463325252;

static uint32_t random_below(uint32_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 16) % n;
}

static bool check_batch(void *arg, const struct berth_stream_entry *entry)
{
	uint64_t *sum = arg;
	assert_true(entry->bytes > 0 && entry->bytes <= BERTH_HELPER_STORE_BATCH_BYTES);
	assert_true(entry->service == SERVICE || entry->service == SERVICE + 1);
	for (size_t i = 0; i < entry->bytes; i++)
		*sum += (uint8_t)entry->records[i];
	return true;
}

#define ENTRY(id)                                                                                                  \
	"*2\r\n$3\r\n" id "\r\n*6\r\n$1\r\nn\r\n$3\r\nlb2\r\n$1\r\ne\r\n$2\r\n00\r\n$1\r\nb\r\n$4\r\nabcd\r\n"

static const char valid[] = "*2\r\n*2\r\n$29\r\nberth:shop:x:000000000000005e\r\n*2\r\n" ENTRY("1-1")
	ENTRY("2-0") "*2\r\n$29\r\nberth:shop:x:000000000000005f\r\n*1\r\n" ENTRY("5-5");

static struct berth_helper_store_round round_of_two(void)
{
	return (struct berth_helper_store_round){
		.cluster = "shop", .node = "lb1", .n = 2, .page = {{.service = SERVICE}, {.service = SERVICE + 1}}};
}

static void entries_are_read_in_their_order(void **state)
{
	(void)state;
	const struct berth_helper_store_round round = round_of_two();
	struct berth_stream_result results[2] = {0};
	uint64_t sum = 0;
	const struct berth_stream_reader reader = {
		.round = &round, .results = results, .batch = check_batch, .arg = &sum};
	redisReader *bytes = redisReaderCreate();
	void *reply = NULL;
	redisReaderFeed(bytes, valid, sizeof(valid) - 1);
	assert_int_equal(redisReaderGetReply(bytes, &reply), REDIS_OK);
	assert_null(berth_stream_read(&reader, reply, false));
	assert_int_equal(sum, 3 * ('a' + 'b' + 'c' + 'd'));
	assert_true(results[0].entries == 2 && results[0].after.ms == 2 && results[0].after.sequence == 0);
	assert_true(results[1].entries == 1 && results[1].after.ms == 5 && results[1].after.sequence == 5);
	assert_int_equal(results[0].refused + results[1].refused, 0);
	/* The same again is not after what was read. */
	assert_non_null(berth_stream_read(&reader, reply, false));
	freeReplyObject(reply);
	redisReaderFree(bytes);
}

/* Whole answers, and what has come of those that are cut off. */
static void no_answer_is_read_beyond_its_end(void **state)
{
	(void)state;
	const struct berth_helper_store_round round = round_of_two();
	uint64_t sum = 0, entries = 0, faulty = 0;
	for (int i = 0; i < 200000; i++) {
		char text[sizeof(valid)];
		struct berth_stream_result results[2] = {0};
		const struct berth_stream_reader reader = {
			.round = &round, .results = results, .batch = check_batch, .arg = &sum};
		memcpy(text, valid, sizeof(valid));
		for (uint32_t k = random_below(4); k > 0; k--)
			text[random_below(sizeof(valid) - 1)] = "*$:+-0123456789\r\nx"[random_below(18)];
		redisReader *bytes = redisReaderCreate();
		void *reply = NULL;
		redisReaderFeed(bytes, text, random_below(2) ? sizeof(valid) - 1 : random_below(sizeof(valid)));
		const bool is_whole = redisReaderGetReply(bytes, &reply) == REDIS_OK && reply;
		const redisReply *seen = is_whole ? reply : bytes->reply;
		if (seen)
			faulty += berth_stream_read(&reader, seen, !is_whole) != NULL;
		entries += results[0].entries + results[1].entries;
		if (is_whole)
			freeReplyObject(reply);
		redisReaderFree(bytes);
	}
	assert_true(entries > 10000 && faulty > 1000 && sum > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_batch_is_written_with_node_run_and_horizon),
		TEST(each_fault_ends_one_round_and_no_more),
		cmocka_unit_test(entries_are_read_in_their_order),
		cmocka_unit_test(no_answer_is_read_beyond_its_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
