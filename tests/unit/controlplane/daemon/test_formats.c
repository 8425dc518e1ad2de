// SPDX-License-Identifier: BSD-3-Clause
/*
 * What one release leaves for another has the bytes that it had. A change here needs another format version: of
 * words (BERTH_WORD_FORMAT), of the record (BERTH_RECORD_VERSION), of a state file (its VERSION); and code that
 * reads the former one, or refuses it before anything is replaced.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controlplane/dns/state.h"
#include "controlplane/engine/record_file.h"
#include "controlplane/saved/operator_state.h"
#include "controlplane/saved/sealed_json.h"
#include "controlplane/saved/secret.h"
#include "dataplane/core/flowtab.h"
#include "dataplane/core/hash.h"
#include "dataplane/core/word.h"
#include "dataplane/interface/store.h"

#define AT(type, member, offset) _Static_assert(offsetof(struct type, member) == (offset), #type "." #member)

/* --- words, by BERTH_WORD_FORMAT --- */

_Static_assert(BERTH_WORD_FORMAT == 1, "another format has other golden values");
_Static_assert(BERTH_STATE_CLAIMED == 0 && BERTH_STATE_UNCONFIRMED == 1 && BERTH_STATE_CONFIRMED == 2 &&
		       BERTH_STATE_PROVEN == 3 && BERTH_STATE_CLOSING == 4 && BERTH_STATE_CLOSED == 5 &&
		       BERTH_STATE_SESSION == 6 && BERTH_STATE_FRAGMENT == 7,
	       "states of words");
_Static_assert(BERTH_REASON_SELECTED == 1 && BERTH_REASON_SPILLED == 2 && BERTH_REASON_FAILED_OVER == 3 &&
		       BERTH_REASON_RETURNED == 4 && BERTH_REASON_MOVED == 5 && BERTH_REASON_PINNED == 6,
	       "reasons of clients");
BERTH_ASSERT_SIZE(struct berth_bucket, 64);
BERTH_ASSERT_SIZE(struct berth_client, 32);
AT(berth_client, addr, 0);
AT(berth_client, since, 16);
AT(berth_client, flows, 20);
AT(berth_client, tag, 24);
AT(berth_client, from, 28);
AT(berth_client, reason, 30);

static void words_and_hashes_have_their_golden_values(void **state)
{
	(void)state;
	uint8_t secret[BERTH_SECRET_BYTES];
	for (size_t i = 0; i < sizeof(secret); i++)
		secret[i] = (uint8_t)(i * 7 + 1);
	struct berth_packet flow4 = {
		.src = {.byte = {[10] = 0xff, 0xff, 198, 51, 100, 7}},
		.dst = {.byte = {[10] = 0xff, 0xff, 203, 0, 113, 10}},
		.sport = berth_to_be16(40000),
		.dport = berth_to_be16(80),
		.service = 3,
		.flow_key = 3,
		.protocol = BERTH_PROTO_TCP,
	};
	struct berth_packet flow6 = flow4;
	flow6.src = (union berth_addr){.byte = {0x20, 1, 0xd, 0xb8, [15] = 7}};
	flow6.is6 = 1;
	const struct berth_service service = {.prefix4 = 24, .prefix6 = 56, .session_key = 5};
	assert_int_equal(berth_word_make(0xabcdef1, 0x1234, 0x1fffe, BERTH_STATE_PROVEN),
			 UINT64_C(0xabcdef11234ffff3));
	assert_int_equal(berth_word_claim(0xabcdef1, 0x1234, 700, 5), UINT64_C(0xabcdef11234015e0));
	assert_int_equal(berth_hash_flow(secret, &flow4), UINT64_C(0x3a645e0373b8b1a5));
	assert_int_equal(berth_hash_flow(secret, &flow6), UINT64_C(0xc7cea0918e53d007));
	assert_int_equal(berth_hash_session(secret, &flow4, &service), UINT64_C(0x7e11d07d160ab527));
	assert_int_equal(berth_hash_session(secret, &flow6, &service), UINT64_C(0xc07360e2ced4b909));
	assert_int_equal(berth_hash_datagram(secret, &flow4, 77), UINT64_C(0x51c1b8d441eadb3e));
	assert_int_equal(berth_second_bucket(UINT64_C(0x0123456789abcdef), 0xffff), 0x5740);
}

/* --- stores: what files, pins and maps are called, and how large their elements are --- */

static void stores_have_their_names_and_elements(void **state)
{
	(void)state;
	static const struct {
		const char *path;
		uint64_t bytes;
	} golden[BERTH_STORES] = {
		{"/dev/shm/berth/x.image.flows-8", 8 * 64},    {"/dev/shm/berth/x.image.sessions-4", 4 * 64},
		{"/dev/shm/berth/x.image.clients-4", 32 * 32}, {"/dev/shm/berth/x.image.flows-2", 2 * 64},
		{"/dev/shm/berth/x.image.sessions-1", 64},     {"/dev/shm/berth/x.image.clients-1", 8 * 32},
	};
	const struct berth_store_sizes sizes = {.flows = 8, .sessions = 4, .former_flows = 2, .former_sessions = 1};
	struct berth_image image;
	struct berth_store stores[BERTH_STORES];
	char path[BERTH_STORE_PATH_BYTES];
	berth_stores_list(&image, &sizes, stores);
	for (int i = 0; i < BERTH_STORES; i++) {
		berth_store_path("/dev/shm/berth/x.image", &stores[i], 0, path);
		assert_string_equal(path, golden[i].path);
		assert_int_equal(berth_store_bytes(&stores[i]), golden[i].bytes);
	}
}

/* --- the record, by BERTH_RECORD_VERSION --- */

_Static_assert(BERTH_RECORD_VERSION == 1, "another version has other offsets");
_Static_assert(BERTH_RECORD_MAGIC == UINT64_C(0x6472636572687462), "the same in all versions");
AT(berth_record, magic, 0);
AT(berth_record, version, 8);
AT(berth_record, word_format, 12);
AT(berth_record, engine, 16);
AT(berth_record, n_services, 20);
AT(berth_record, n_backends, 24);
AT(berth_record, flow_buckets, 28);
AT(berth_record, session_buckets, 32);
AT(berth_record, former_flow_buckets, 36);
AT(berth_record, former_session_buckets, 40);
AT(berth_record, is_sealed, 44);
AT(berth_record, flow_words, 48);
AT(berth_record, session_words, 56);
AT(berth_record, secret, 64);
BERTH_ASSERT_SIZE(struct berth_record, 256);
AT(berth_record_backend, id, 0);
AT(berth_record_backend, address, 8);
AT(berth_record_backend, service, 24);
AT(berth_record_backend, evict_at, 28);
AT(berth_record_backend, eligibility, 32);
AT(berth_record_backend, health, 33);
AT(berth_record_backend, forced, 34);
AT(berth_record_backend, admin, 35);
AT(berth_record_backend, ifindex, 36);
AT(berth_record_backend, dst_mac, 40);
AT(berth_record_backend, src_mac, 46);
AT(berth_record_backend, mtu, 52);
AT(berth_record_backend, is_resolved, 54);
AT(berth_record_backend, source, 64);
BERTH_ASSERT_SIZE(struct berth_record_backend, 80);
_Static_assert(BERTH_RECORD_XDP == 1 && BERTH_RECORD_DPDK == 2, "engines of records");
_Static_assert(BERTH_HEALTH_UP == 1 && BERTH_HEALTH_DOWN == 2, "health in records");
_Static_assert(BERTH_FORCED_UP == 1 && BERTH_FORCED_DOWN == 2, "forced health in records");
_Static_assert(BERTH_ADMIN_DRAINING == 1 && BERTH_ADMIN_DISABLED == 2 && BERTH_ADMIN_FLOWS_ONLY == 3 &&
		       BERTH_ADMIN_EVICTED == 4,
	       "admin states in records");

/* The ids of words and files: a service is its address, a backend its name. */
static void ids_have_their_golden_values(void **state)
{
	(void)state;
	const uint64_t id = berth_backend_id(UINT64_C(0x1122334455667788), "b1");
	assert_int_equal(id, UINT64_C(0x7dc3125e3f5f9da7));
}

/* --- state files --- */

static void operator_json_of_the_former_release_is_read(void **state)
{
	(void)state;
	static const char golden[] =
		"{\"version\": 1, \"backends\": [{\"service\": \"web\", \"backend\": \"b1\", \"admin\": "
		"\"draining\", \"forced\": \"no\", \"evict_at\": 1700000000}, {\"service\": \"web\", \"backend\": "
		"\"b2\", \"admin\": \"flows-only\", \"forced\": \"down\", \"evict_at\": 0}], \"pins\": "
		"[{\"group\": "
		"\"shop\", \"backend\": \"b1\", \"client\": \"198.51.100.0/24\"}]}";
	struct berth_operator_state set;
	assert_int_equal(berth_operator_state_parse(&set, golden, sizeof(golden) - 1), 0);
	char *text = berth_operator_state_format(&set);
	/* The former release reads it: it has the same members, and ignores another one. */
	json_t *expected = json_loads(golden, 0, NULL), *written = json_loads(text, 0, NULL);
	assert_int_equal(json_object_del(written, "digest"), 0);
	assert_true(json_equal(expected, written));
	json_decref(expected);
	json_decref(written);
	free(text);
	berth_operator_state_clear(&set);
}

static void dns_json_of_the_former_release_is_read(void **state)
{
	(void)state;
	static const char golden[] = "{\"answers\":{\"a.b\":[\"192.0.2.1\",\"2001:db8::1\"]},\"backends\":["
				     "\"0123456789abcdef p 192.0.2.1\"],\"version\":1}";
	struct berth_dns_state known;
	assert_int_equal(berth_dns_state_parse(&known, golden, sizeof(golden) - 1), 0);
	char *text = berth_dns_state_format(&known);
	json_t *expected = json_loads(golden, 0, NULL), *written = json_loads(text, 0, NULL);
	assert_int_equal(json_object_del(written, "digest"), 0);
	json_t *answers = json_object_get(json_object_get(written, "answers"), "a.b");
	assert_int_equal(json_array_size(answers), 2);
	assert_true(json_equal(json_object_get(expected, "backends"), json_object_get(written, "backends")));
	assert_true(json_equal(json_object_get(expected, "version"), json_object_get(written, "version")));
	json_decref(expected);
	json_decref(written);
	free(text);
	berth_dns_state_clear(&known);
}

static void a_secret_is_a_line_of_its_digits(void **state)
{
	(void)state;
	uint8_t secret[BERTH_SECRET_BYTES], again[BERTH_SECRET_BYTES];
	char text[BERTH_SECRET_TEXT], error[BERTH_ERROR_BYTES];
	for (size_t i = 0; i < sizeof(secret); i++)
		secret[i] = (uint8_t)i;
	berth_secret_format(secret, text);
	assert_memory_equal(text, "000102030405060708090a0b0c0d0e0f", 32);
	assert_int_equal(strlen(text), 385);
	assert_int_equal(berth_secret_parse(again, text, strlen(text), error), 0);
	assert_memory_equal(again, secret, sizeof(secret));
	/* From 32 bytes all others are derived. */
	assert_int_equal(berth_secret_parse(again, text, 64, error), 0);
	static const uint8_t derived[] = {0x05, 0x4c, 0x6e, 0xe9, 0x1f, 0x58, 0x23, 0x35};
	assert_memory_equal(again, derived, sizeof(derived));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_and_hashes_have_their_golden_values),
		cmocka_unit_test(stores_have_their_names_and_elements),
		cmocka_unit_test(ids_have_their_golden_values),
		cmocka_unit_test(operator_json_of_the_former_release_is_read),
		cmocka_unit_test(dns_json_of_the_former_release_is_read),
		cmocka_unit_test(a_secret_is_a_line_of_its_digits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
