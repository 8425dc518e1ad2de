// SPDX-License-Identifier: BSD-3-Clause
/* A damaged state file is refused, or what is read of it is what was written: random damages of each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controlplane/dns/state.h"
#include "controlplane/saved/operator_state.h"
#include "controlplane/saved/sealed_json.h"
#include "controlplane/saved/secret.h"
#include "tests/support/damage.h"

enum {
	DAMAGES = 1000,
};

/* What is read of a file, written again; NULL: the file is refused. */
typedef char *read_fn(const char *text, size_t length);

static char *read_operator_state(const char *text, size_t length)
{
	struct berth_operator_state state;
	if (berth_operator_state_parse(&state, text, length))
		return NULL;
	char *again = berth_operator_state_format(&state);
	berth_operator_state_clear(&state);
	return again;
}

static char *read_dns(const char *text, size_t length)
{
	struct berth_dns_state state;
	if (berth_dns_state_parse(&state, text, length))
		return NULL;
	char *again = berth_dns_state_format(&state);
	berth_dns_state_clear(&state);
	return again;
}

static char *read_engine(const char *text, size_t length)
{
	json_t *root = berth_sealed_json_parse(text, length);
	const json_int_t pause_ms = json_integer_value(json_object_get(root, "pause_ms"));
	json_decref(root);
	return pause_ms > 0 ? berth_sealed_json_format(json_pack("{s:I}", "pause_ms", pause_ms), JSON_COMPACT)
			    : NULL;
}

static void expect_refusal_or_the_same(const char *what, const char *intact, read_fn *read)
{
	const size_t length = strlen(intact);
	char *damaged = malloc(length + 1), *same = read(intact, length);
	uint32_t refused = 0;
	assert_non_null(same);
	assert_string_equal(same, intact);
	for (uint64_t seed = 0; seed < DAMAGES; seed++) {
		memcpy(damaged, intact, length + 1);
		test_damage((uint8_t *)damaged, length, seed);
		char *again = read(damaged, length);
		refused += again == NULL;
		if (again && strcmp(again, same) != 0)
			fail_msg("%s: seed %llu: %.*s is used", what, (unsigned long long)seed, (int)length,
				 damaged);
		free(again);
	}
	print_message("%-14s %u of %u refused\n", what, refused, DAMAGES);
	assert_true(refused > DAMAGES / 2);
	free(damaged);
	free(same);
}

static void a_damaged_operator_json_is_refused_or_is_what_was_written(void **state)
{
	(void)state;
	struct berth_saved_backend backends[] = {
		{.service = "web", .backend = "b1", .admin = BERTH_ADMIN_DRAINING, .evict_at = 1700000000},
		{.service = "web", .backend = "b2", .forced = BERTH_FORCED_UP},
	};
	struct berth_saved_pin pins[] = {
		{.service = "web", .backend = "b1", .client = {.byte = {[15] = 7}}, .bits = 128},
	};
	const struct berth_operator_state set = {.backends = backends, .n_backends = 2, .pins = pins, .n_pins = 1};
	char *text = berth_operator_state_format(&set);
	expect_refusal_or_the_same("operator.json", text, read_operator_state);
	free(text);
}

static void a_damaged_dns_json_is_refused_or_is_what_was_written(void **state)
{
	(void)state;
	static const char plain[] =
		"{\"version\":1,\"answers\":{\"a.b\":[\"192.0.2.1\",\"2001:db8::1\"]},\"backends\":["
		"\"0123456789abcdef p 192.0.2.1\",\"0123456789abcdef p 2001:db8::1\"]}";
	char *text = read_dns(plain, sizeof(plain) - 1);
	expect_refusal_or_the_same("dns.json", text, read_dns);
	free(text);
}

static void a_damaged_engine_json_is_refused_or_is_what_was_written(void **state)
{
	(void)state;
	char *text = berth_sealed_json_format(json_pack("{s:i}", "pause_ms", 312), JSON_COMPACT);
	expect_refusal_or_the_same("engine.json", text, read_engine);
	free(text);
}

static char secret_digest[BERTH_SECRET_DIGEST_TEXT];

static char *read_secret(const char *text, size_t length)
{
	uint8_t secret[BERTH_SECRET_BYTES];
	char error[BERTH_ERROR_BYTES], digest[BERTH_SECRET_DIGEST_TEXT], again[BERTH_SECRET_TEXT];
	berth_secret_digest_format(text, length, digest);
	if (berth_secret_parse(secret, text, length, error) || strcmp(digest, secret_digest) != 0)
		return NULL;
	berth_secret_format(secret, again);
	return strdup(again);
}

static void a_damaged_secret_is_refused_and_damage_of_its_digest_is_no_damage_of_it(void **state)
{
	(void)state;
	uint8_t secret[BERTH_SECRET_BYTES];
	char text[BERTH_SECRET_TEXT], damaged[BERTH_SECRET_DIGEST_TEXT];
	for (size_t i = 0; i < sizeof(secret); i++)
		secret[i] = (uint8_t)(i * 37);
	berth_secret_format(secret, text);
	berth_secret_digest_format(text, strlen(text), secret_digest);
	assert_true(berth_secret_digest_is_whole(secret_digest, strlen(secret_digest)));
	expect_refusal_or_the_same("secret", text, read_secret);
	for (uint64_t seed = 0; seed < DAMAGES; seed++) {
		memcpy(damaged, secret_digest, sizeof(damaged));
		test_damage((uint8_t *)damaged, sizeof(damaged) - 1, seed);
		/* Zeros and ones everywhere are two equal copies, and digits of no digest. */
		if (berth_secret_digest_is_whole(damaged, sizeof(damaged) - 1) &&
		    memcmp(damaged, secret_digest, 16) != 0)
			fail_msg("seed %llu: %s is whole", (unsigned long long)seed, damaged);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_damaged_operator_json_is_refused_or_is_what_was_written),
		cmocka_unit_test(a_damaged_dns_json_is_refused_or_is_what_was_written),
		cmocka_unit_test(a_damaged_engine_json_is_refused_or_is_what_was_written),
		cmocka_unit_test(a_damaged_secret_is_refused_and_damage_of_its_digest_is_no_damage_of_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
