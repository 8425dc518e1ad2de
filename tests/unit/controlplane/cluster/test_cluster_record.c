// SPDX-License-Identifier: BSD-3-Clause
/* Records of exceptions: their golden bytes, and that whatever comes in is refused or has one encoding. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/cluster/record.h"
#include "controlplane/util/address.h"
#include "dataplane/core/word.h"
#include "tests/support/unit.h"

enum {
	INPUTS = 1000000,
};

static const struct berth_cluster_record flow = {
	.table = BERTH_CLUSTER_FLOW,
	.state = BERTH_STATE_PROVEN,
	.low_bits = 20,
	.age_s = 0x1234,
	.tag = 0xabcdef1,
	.low = 0xfedcb,
	.node = 0x01020304,
	.service = UINT64_C(0x1112131415161718),
	.backend = UINT64_C(0x2122232425262728),
	.epoch = UINT64_C(0x3132333435363738),
	.sequence = UINT64_C(0x4142434445464748),
	.configuration = UINT64_C(0x5152535455565758),
};

static const uint8_t flow_bytes[] = {
	0x01, 0x01, 0x01, 0x03, 0x00, 0x14, 0x00, 0x00, 0x00, 0x00, 0x12, 0x34, 0x0a, 0xbc, 0xde, 0xf1,
	0x00, 0x0f, 0xed, 0xcb, 0x01, 0x02, 0x03, 0x04, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18,
	0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38,
	0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58,
};

static const uint8_t client_bytes[] = {
	0x20, 0x01, 0x0d, 0xb8, 0x00, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
};

static struct berth_cluster_record session(void)
{
	struct berth_cluster_record record = flow;
	record.table = BERTH_CLUSTER_SESSION;
	record.state = BERTH_STATE_SESSION;
	record.reason = BERTH_REASON_FAILED_OVER;
	record.client_bits = 56;
	memcpy(record.client.byte, client_bytes, sizeof(client_bytes));
	return record;
}

static void session_golden_bytes(uint8_t bytes[BERTH_CLUSTER_RECORD_MAX_BYTES])
{
	memcpy(bytes, flow_bytes, sizeof(flow_bytes));
	bytes[1] = 2;
	bytes[3] = 6;
	bytes[4] = 3;
	bytes[6] = 56;
	memcpy(bytes + sizeof(flow_bytes), client_bytes, sizeof(client_bytes));
}

static enum berth_cluster_record_fault decode(const uint8_t *bytes, size_t size)
{
	struct berth_cluster_record record;
	return berth_cluster_record_decode(&record, bytes, size);
}

static void records_have_their_golden_bytes(void **state)
{
	(void)state;
	uint8_t bytes[BERTH_CLUSTER_RECORD_MAX_BYTES], golden[BERTH_CLUSTER_RECORD_MAX_BYTES];
	struct berth_cluster_record record = session();
	assert_int_equal(berth_cluster_record_encode(&flow, bytes), 64);
	assert_memory_equal(bytes, flow_bytes, 64);
	session_golden_bytes(golden);
	assert_int_equal(berth_cluster_record_encode(&record, bytes), 80);
	assert_memory_equal(bytes, golden, 80);
	record.table = BERTH_CLUSTER_PIN;
	record.reason = BERTH_REASON_PINNED;
	golden[1] = 3;
	golden[4] = 6;
	assert_int_equal(berth_cluster_record_encode(&record, bytes), 80);
	assert_memory_equal(bytes, golden, 80);
}

static struct berth_cluster_record command(uint8_t table, uint8_t reason)
{
	struct berth_cluster_record record = session();
	record.table = table;
	record.reason = reason;
	record.tag = record.low = record.low_bits = 0;
	return record;
}

static void commands_have_no_bits_of_a_hash_and_a_clear_may_be_of_all_backends(void **state)
{
	(void)state;
	uint8_t bytes[BERTH_CLUSTER_RECORD_MAX_BYTES];
	struct berth_cluster_record move = command(BERTH_CLUSTER_MOVE, BERTH_REASON_MOVED);
	struct berth_cluster_record clear = command(BERTH_CLUSTER_CLEAR, BERTH_REASON_NONE);
	assert_int_equal(berth_cluster_record_encode(&move, bytes), 80);
	clear.backend = 0;
	assert_int_equal(berth_cluster_record_encode(&clear, bytes), 80);
	move.backend = 0;
	assert_int_equal(berth_cluster_record_encode(&move, bytes), 0);
	clear.tag = 1;
	assert_int_equal(berth_cluster_record_encode(&clear, bytes), 0);
}

static void a_record_is_read_as_it_was_written(void **state)
{
	(void)state;
	const struct berth_cluster_record records[] = {flow, session(),
						       command(BERTH_CLUSTER_MOVE, BERTH_REASON_MOVED),
						       command(BERTH_CLUSTER_CLEAR, BERTH_REASON_NONE)};
	for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++) {
		uint8_t bytes[BERTH_CLUSTER_RECORD_MAX_BYTES];
		struct berth_cluster_record record;
		memset(&record, 0xff, sizeof(record));
		const size_t size = berth_cluster_record_encode(&records[i], bytes);
		assert_int_equal(berth_cluster_record_decode(&record, bytes, size), BERTH_CLUSTER_RECORD_VALID);
		assert_int_equal(record.table, records[i].table);
		assert_int_equal(record.reason, records[i].reason);
		assert_int_equal(record.state, records[i].state);
		assert_int_equal(record.low_bits, records[i].low_bits);
		assert_int_equal(record.age_s, records[i].age_s);
		assert_int_equal(record.tag, records[i].tag);
		assert_int_equal(record.low, records[i].low);
		assert_int_equal(record.node, records[i].node);
		assert_true(record.service == records[i].service && record.backend == records[i].backend);
		assert_true(record.epoch == records[i].epoch && record.sequence == records[i].sequence);
		assert_true(record.configuration == records[i].configuration);
		assert_int_equal(record.client_bits, records[i].client_bits);
		assert_memory_equal(&record.client, &records[i].client, sizeof(record.client));
	}
}

/* One byte of a valid session is replaced. */
static const struct {
	const char *name;
	size_t at;
	uint8_t value;
	enum berth_cluster_record_fault fault;
} damages[] = {
	{"version 0", 0, 0, BERTH_CLUSTER_RECORD_VERSION_UNKNOWN},
	{"version 2", 0, 2, BERTH_CLUSTER_RECORD_VERSION_UNKNOWN},
	{"table 0", 1, 0, BERTH_CLUSTER_RECORD_TABLE},
	{"table 6", 1, 6, BERTH_CLUSTER_RECORD_TABLE},
	{"a move that failed over", 1, 4, BERTH_CLUSTER_RECORD_STATE},
	{"a clear with a reason", 1, 5, BERTH_CLUSTER_RECORD_STATE},
	{"a flow with a client", 1, 1, BERTH_CLUSTER_RECORD_LENGTH},
	{"a pin that failed over", 1, 3, BERTH_CLUSTER_RECORD_STATE},
	{"another format of words", 2, 2, BERTH_CLUSTER_RECORD_WORD_FORMAT},
	{"a claim", 3, 0, BERTH_CLUSTER_RECORD_STATE},
	{"a flow's state", 3, 3, BERTH_CLUSTER_RECORD_STATE},
	{"state 8", 3, 8, BERTH_CLUSTER_RECORD_STATE},
	{"state 255", 3, 255, BERTH_CLUSTER_RECORD_STATE},
	{"no reason", 4, 0, BERTH_CLUSTER_RECORD_STATE},
	{"a pinned session", 4, 6, BERTH_CLUSTER_RECORD_STATE},
	{"reason 7", 4, 7, BERTH_CLUSTER_RECORD_STATE},
	{"33 low bits", 5, 33, BERTH_CLUSTER_RECORD_HASH},
	{"fewer low bits than it has", 5, 19, BERTH_CLUSTER_RECORD_HASH},
	{"a prefix of 129", 6, 129, BERTH_CLUSTER_RECORD_CLIENT},
	{"bits beyond the prefix", 6, 54, BERTH_CLUSTER_RECORD_CLIENT},
	{"padding", 7, 1, BERTH_CLUSTER_RECORD_PADDING},
	{"an age of 12 days", 9, 0x10, BERTH_CLUSTER_RECORD_AGE},
	{"a tag of 29 bits", 12, 0x1a, BERTH_CLUSTER_RECORD_HASH},
};

static void each_impossible_member_is_refused(void **state)
{
	(void)state;
	uint8_t golden[BERTH_CLUSTER_RECORD_MAX_BYTES], bytes[BERTH_CLUSTER_RECORD_MAX_BYTES];
	session_golden_bytes(golden);
	assert_int_equal(decode(golden, 80), BERTH_CLUSTER_RECORD_VALID);
	for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
		memcpy(bytes, golden, sizeof(bytes));
		bytes[damages[i].at] = damages[i].value;
		const enum berth_cluster_record_fault fault = decode(bytes, 80);
		if (fault != damages[i].fault)
			fail_msg("%s: %s", damages[i].name, berth_cluster_record_fault_text(fault));
	}
	for (size_t id = 0; id < 2; id++) {
		memcpy(bytes, golden, sizeof(bytes));
		memset(bytes + 24 + 8 * id, 0, 8);
		assert_int_equal(decode(bytes, 80), BERTH_CLUSTER_RECORD_ID);
	}
	memcpy(bytes, golden, sizeof(bytes));
	memset(bytes + 20, 0, 4);
	assert_int_equal(decode(bytes, 80), BERTH_CLUSTER_RECORD_ID);
}

static void every_other_length_is_refused(void **state)
{
	(void)state;
	uint8_t session_bytes[BERTH_CLUSTER_RECORD_MAX_BYTES];
	session_golden_bytes(session_bytes);
	for (size_t size = 0; size <= 200; size++) {
		uint8_t *bytes = calloc(1, size + 1);
		memcpy(bytes, session_bytes, size < 80 ? size : 80);
		assert_int_equal(decode(bytes, size) == BERTH_CLUSTER_RECORD_VALID, size == 80);
		memcpy(bytes, flow_bytes, size < 64 ? size : 64);
		assert_int_equal(decode(bytes, size) == BERTH_CLUSTER_RECORD_VALID, size == 64);
		free(bytes);
	}
}

static void an_invalid_record_is_not_written(void **state)
{
	(void)state;
	uint8_t bytes[BERTH_CLUSTER_RECORD_MAX_BYTES];
	struct berth_cluster_record record = flow;
	record.low_bits = 3;
	assert_int_equal(berth_cluster_record_encode(&record, bytes), 0);
	record = flow;
	record.client.byte[15] = 1;
	assert_int_equal(berth_cluster_record_encode(&record, bytes), 0);
	record = session();
	record.reason = BERTH_REASON_PINNED;
	assert_int_equal(berth_cluster_record_encode(&record, bytes), 0);
}

/* Half of the inputs are random, the others valid records with up to three damaged bytes and another length. */
static size_t make_input(unsigned int number, uint8_t bytes[96])
{
	size_t size = (size_t)rand() % 97;
	for (size_t i = 0; i < 96; i++)
		bytes[i] = (uint8_t)rand();
	if (number % 2)
		return size;
	if (number % 4)
		session_golden_bytes(bytes);
	else
		memcpy(bytes, flow_bytes, sizeof(flow_bytes));
	if (number % 8 < 6)
		size = number % 4 ? 80 : 64;
	for (int n = rand() % 4; n > 0; n--)
		bytes[rand() % 80] = (uint8_t)rand();
	if (number % 16 == 8)
		memset(bytes + 24, 0, 8);
	return size;
}

static void a_million_damaged_inputs_are_refused_or_have_one_encoding(void **state)
{
	(void)state;
	unsigned int counts[BERTH_CLUSTER_RECORD_FAULT_COUNT] = {0};
	srand(1);
	for (unsigned int number = 0; number < INPUTS; number++) {
		uint8_t input[96], bytes[BERTH_CLUSTER_RECORD_MAX_BYTES];
		struct berth_cluster_record record;
		const size_t size = make_input(number, input);
		const enum berth_cluster_record_fault fault = berth_cluster_record_decode(&record, input, size);
		counts[fault]++;
		if (fault != BERTH_CLUSTER_RECORD_VALID)
			continue;
		assert_int_equal(berth_cluster_record_encode(&record, bytes), size);
		assert_memory_equal(bytes, input, size);
	}
	for (int fault = 0; fault < BERTH_CLUSTER_RECORD_FAULT_COUNT; fault++)
		if (!counts[fault])
			fail_msg("no input was \"%s\"", berth_cluster_record_fault_text(fault));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_have_their_golden_bytes),
		cmocka_unit_test(commands_have_no_bits_of_a_hash_and_a_clear_may_be_of_all_backends),
		cmocka_unit_test(a_record_is_read_as_it_was_written),
		cmocka_unit_test(each_impossible_member_is_refused),
		cmocka_unit_test(every_other_length_is_refused),
		cmocka_unit_test(an_invalid_record_is_not_written),
		cmocka_unit_test(a_million_damaged_inputs_are_refused_or_have_one_encoding),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
