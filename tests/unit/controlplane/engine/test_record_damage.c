// SPDX-License-Identifier: BSD-3-Clause
/* A damaged record is refused as damaged, or what is read of it is what was written. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "controlplane/compile/generation.h"
#include "controlplane/engine/kept.h"
#include "controlplane/engine/record_file.h"
#include "tests/support/damage.h"

enum {
	DAMAGES = 1000,
	N_SERVICES = 9,
	N_BACKENDS = 64,
};

static char instance[32], path[64];

static void open_whole(struct berth_record_file *file)
{
	char error[BERTH_ERROR_BYTES] = "";
	if (berth_record_file_open(file, instance, error))
		fail_msg("%s", error);
}

static int set_up(void **state)
{
	(void)state;
	struct berth_record_file file;
	char error[BERTH_ERROR_BYTES];
	struct berth_record head = {.engine = BERTH_RECORD_XDP,
				    .n_services = berth_record_services_for(N_SERVICES),
				    .n_backends = N_BACKENDS,
				    .flow_buckets = 64,
				    .session_buckets = 32,
				    .is_sealed = 1};
	memset(head.secret, 0x5a, sizeof(head.secret));
	if (berth_record_file_create(&file, instance, &head, NULL, error) ||
	    berth_record_file_install(instance, error))
		return -1;
	for (uint32_t n = 1; n < N_SERVICES; n++) {
		berth_record_open_part(file.record, BERTH_RECORD_SERVICE(n));
		berth_record_services(file.record)[n] = n * 1000;
		berth_record_close_part(file.record, BERTH_RECORD_SERVICE(n));
	}
	for (uint32_t n = 1; n < N_BACKENDS; n++) {
		struct berth_record_backend *backend = &berth_record_backends(file.record)[n];
		berth_record_open_part(file.record, BERTH_RECORD_BACKEND(file.record, n));
		*backend = (struct berth_record_backend){
			.id = n, .service = n % N_SERVICES, .health = 1, .ifindex = 2};
		berth_record_close_part(file.record, BERTH_RECORD_BACKEND(file.record, n));
	}
	berth_record_file_close(&file);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	berth_record_file_drop(instance);
	berth_record_file_remove(instance);
	return 0;
}

static void put(const uint8_t *bytes, uint64_t n)
{
	int fd = open(path, O_WRONLY);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, n, 0), n);
	close(fd);
}

static void a_damaged_record_is_refused_or_is_what_was_written(void **state)
{
	(void)state;
	struct berth_record_file file;
	uint32_t refused = 0;
	open_whole(&file);
	const uint64_t bytes = file.bytes;
	const uint64_t content = berth_record_bytes(file.record->n_services, file.record->n_backends);
	uint8_t *intact = malloc(bytes), *damaged = malloc(bytes);
	memcpy(intact, file.record, bytes);
	berth_record_file_close(&file);
	for (uint64_t seed = 0; seed < DAMAGES; seed++) {
		char error[BERTH_ERROR_BYTES] = "";
		memcpy(damaged, intact, bytes);
		test_damage(damaged, bytes, seed);
		put(damaged, bytes);
		const int err = berth_record_file_open(&file, instance, error);
		if (err && (err != -EINVAL || strcmp(error, "their record is damaged") != 0))
			fail_msg("seed %llu: %d, %s", (unsigned long long)seed, err, error);
		if (!err && memcmp(file.record, intact, content) != 0)
			fail_msg("seed %llu: it is used", (unsigned long long)seed);
		refused += err != 0;
		berth_record_file_close(&file);
	}
	put(intact, bytes);
	print_message("%u of %u refused\n", refused, DAMAGES);
	assert_true(refused > DAMAGES / 2);
	free(intact);
	free(damaged);
}

/* berthd can be killed between any two stores. */
static void a_record_whose_writer_ended_within_a_change_is_used(void **state)
{
	(void)state;
	struct berth_record_file file;
	open_whole(&file);
	struct berth_record_backend *backend = &berth_record_backends(file.record)[7], before = *backend;
	berth_record_open_part(file.record, BERTH_RECORD_BACKEND(file.record, 7));
	backend->ifindex = 9;
	berth_record_file_close(&file);
	open_whole(&file);
	backend = &berth_record_backends(file.record)[7];
	assert_int_equal(backend->ifindex, 9);
	*backend = before;
	berth_record_close_part(file.record, BERTH_RECORD_BACKEND(file.record, 7));
	berth_record_open_part(file.record, BERTH_RECORD_HEAD);
	file.record->flow_words = 5;
	berth_record_file_close(&file);
	open_whole(&file);
	berth_record_close_part(file.record, BERTH_RECORD_HEAD);
	berth_record_file_close(&file);
	open_whole(&file);
	berth_record_file_close(&file);
}

/* Of a release that has no seals. */
static void a_record_without_a_seal_is_used(void **state)
{
	(void)state;
	struct berth_record_file file;
	open_whole(&file);
	const uint64_t content = berth_record_bytes(file.record->n_services, file.record->n_backends);
	file.record->is_sealed = 0;
	berth_record_services(file.record)[1] = 77;
	berth_record_file_close(&file);
	assert_int_equal(truncate(path, (off_t)content), 0);
	open_whole(&file);
	assert_int_equal(berth_record_services(file.record)[1], 77);
	berth_record_open_part(file.record, BERTH_RECORD_HEAD);
	berth_record_close_part(file.record, BERTH_RECORD_HEAD);
	berth_record_file_close(&file);
}

/* The limits of a configuration end one below the numbers of a record, so that each record has room for its seal.
 */
static void a_record_of_the_largest_limits_is_sealed(void **state)
{
	(void)state;
	const struct berth_limits limits = {.flows = 1024,
					    .sessions = 1024,
					    .services = BERTH_MAX_SERVICES - 1,
					    .backends = BERTH_MAX_BACKENDS - 1};
	struct berth_geometry geometry = berth_geometry_of(&limits, 251, 1);
	const struct berth_engine_paths paths = {.instance = instance};
	struct berth_record_file file;
	struct berth_kept kept;
	char error[BERTH_ERROR_BYTES] = "";
	assert_int_equal(berth_kept_open(&kept, &paths, BERTH_RECORD_XDP, &geometry, error), 0);
	assert_int_equal(berth_record_file_install(instance, error), 0);
	struct berth_record *record = kept.current.record;
	const uint32_t last = BERTH_RECORD_SERVICE(BERTH_MAX_SERVICES - 1);
	berth_record_open_part(record, last);
	berth_record_services(record)[BERTH_MAX_SERVICES - 1] = 77;
	berth_record_close_part(record, last);
	open_whole(&file);
	berth_record_services(file.record)[BERTH_MAX_SERVICES - 1] ^= 1;
	berth_record_file_close(&file);
	assert_int_equal(berth_record_file_open(&file, instance, error), -EINVAL);
	assert_string_equal(error, "their record is damaged");
	berth_record_file_close(&kept.current);
	berth_kept_close(&kept);
}

int main(void)
{
	snprintf(instance, sizeof(instance), "damage-%d", (int)getpid());
	snprintf(path, sizeof(path), "/dev/shm/berth/%s.record", instance);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_damaged_record_is_refused_or_is_what_was_written, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_record_whose_writer_ended_within_a_change_is_used, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(a_record_without_a_seal_is_used, set_up, tear_down),
		cmocka_unit_test_teardown(a_record_of_the_largest_limits_is_sealed, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
