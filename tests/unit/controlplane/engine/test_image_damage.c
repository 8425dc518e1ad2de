// SPDX-License-Identifier: BSD-3-Clause
/*
 * A damaged image is refused, or packets go where they went before: random damages of each section. Each section
 * has a mapping of its own that ends at an unmapped page, so that an access outside of it ends the test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "controlplane/engine/engine.h"
#include "controlplane/model/model.h"
#include "controlplane/tables/scan.h"
#include "dataplane/interface/image_check.h"
#include "tests/support/damage.h"
#include "tests/support/frame.h"
#include "tests/support/image.h"
#include "tests/support/send.h"

enum {
	DAMAGES = 1000, /* of each section */
	N_PACKETS = 64,
	N_SECTIONS = 0
#define X(name, type, count) +1
		BERTH_SECTIONS(X)
#undef X
		,
	WEB = 1,
	DNS = 2,
};

struct section {
	const char *name;
	uint8_t *at;
	uint64_t bytes;
	uint8_t *intact;
	/* Published configuration: damage of it is refused, or is of no consequence. The other sections change with
	 * every packet, and damage there can move flows between backends of their service. */
	bool is_published;
};

static struct section sections[N_SECTIONS];
static struct berth_image image;

static void *map_before_a_hole(uint64_t bytes)
{
	const uint64_t whole = (bytes + 4095) & ~UINT64_C(4095);
	uint8_t *at = mmap(NULL, whole + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(at, MAP_FAILED);
	assert_int_equal(mprotect(at + whole, 4096, PROT_NONE), 0);
	return at + whole - bytes;
}

static bool is_published(const char *name)
{
	static const char *const names[] = {"ctl", "services", "backends", "vips", "globals", "rows"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

static void place_sections(void)
{
	const struct berth_geometry *g = &fixture_geometry;
	size_t n = 0;
	image.geometry = *g;
#define X(one, type, count)                                                                                        \
	sections[n] = (struct section){.name = #one, .bytes = sizeof(type) * (uint64_t)(count)};                   \
	sections[n].at = map_before_a_hole(sections[n].bytes);                                                     \
	sections[n].intact = malloc(sections[n].bytes);                                                            \
	sections[n].is_published = is_published(#one);                                                             \
	image.one = (type *)(void *)sections[n++].at;
	BERTH_SECTIONS(X)
#undef X
}

static struct fixture_packet packet_of(uint32_t i)
{
	return (struct fixture_packet){
		.src = i % 4 < 2 ? "198.51.100.7" : "2001:db8:9::7",
		.dst = i % 4 < 2 ? "203.0.113.10" : "2001:db8:f::10",
		.sport = (uint16_t)(1024 + i),
		.dport = i % 2 ? 80 : 53,
		.protocol = i % 2 ? BERTH_PROTO_TCP : BERTH_PROTO_UDP,
		.tcp_flags = i % 8 < 4 ? BERTH_TCP_SYN : 0,
		.payload = 100,
	};
}

/* What became of a packet. */
struct outcome {
	enum berth_verdict verdict;
	uint32_t port;
	uint8_t destination[6];
};

static struct outcome send_one(uint32_t i)
{
	const struct berth_view view = fixture_view(&image, FIXTURE_NOW + 1);
	const struct fixture_packet packet = packet_of(i);
	struct fixture_frame frame;
	struct outcome outcome = {0};
	fixture_build(&frame, &packet);
	outcome.verdict = berth_forward(&view, &frame.frame, &(struct berth_packet){0}, frame.bytes, &outcome.port);
	memcpy(outcome.destination, frame.frame.data, sizeof(outcome.destination));
	return outcome;
}

static void set_up_services(void)
{
	fixture_write_header(&image);
	for (uint32_t i = 0; i < 2; i++) {
		const uint32_t service = i ? DNS : WEB;
		const uint8_t protocol = i ? BERTH_PROTO_UDP : BERTH_PROTO_TCP;
		const uint16_t port = i ? 53 : 80;
		fixture_service(&image, service, "203.0.113.10", protocol, port,
				i ? BERTH_AFFINITY_FLOW : BERTH_AFFINITY_CLIENT);
		fixture_vip(&image, "2001:db8:f::10", protocol, port, service);
		uint16_t numbers[3];
		for (uint16_t n = 0; n < 3; n++) {
			numbers[n] = (uint16_t)(1 + i * 3 + n);
			fixture_backend(&image, numbers[n], service, i ? BERTH_MODE_L2 : BERTH_MODE_IPIP,
					"192.0.2.1");
		}
		fixture_rows(&image, service, numbers, 3);
		struct berth_service *entry = fixture_service_at(&image, service);
		entry->rows_digest = berth_rows_digest(image.rows[entry->row_line].row, NULL, entry->rows);
	}
	fixture_least_timeouts(&image, FIXTURE_GENERATION & 1);
	berth_generation_seal(&image, FIXTURE_GENERATION);
}

static void restore(void)
{
	for (size_t i = 0; i < N_SECTIONS; i++)
		memcpy(sections[i].at, sections[i].intact, sections[i].bytes);
}

/* berthd knows the secret from the state directory. */
static bool is_adopted(void)
{
	uint8_t secret[BERTH_SECRET_BYTES];
	char reason[BERTH_ERROR_BYTES];
	const struct berth_ctl *intact = (const struct berth_ctl *)(const void *)sections[0].intact;
	memcpy(secret, intact->secret, sizeof(secret));
	return berth_image_is_compatible(&image, secret, reason);
}

/* Reads and writes all that berthd does with tables that it adopts. */
static void adopt(void)
{
	struct berth_model model = {0};
	struct berth_scan *scan = berth_scan_new(&image);
	struct berth_record *record = calloc(1,
					     berth_record_bytes(image.geometry.services, image.geometry.backends));
	assert_non_null(scan);
	assert_non_null(record);
	record->n_services = image.geometry.services;
	record->n_backends = image.geometry.backends;
	assert_int_equal(berth_model_init(&model, &image.geometry), 0);
	assert_int_equal(berth_model_adopt(&model, record, &image), 0);
	uint32_t steps = 0;
	while (!berth_scan_step(scan, 4, FIXTURE_NOW + 1))
		assert_true(++steps < 1000);
	berth_scan_free(scan);
	berth_model_clear(&model);
	free(record);
}

static bool is_backend_of(const struct outcome *outcome, uint32_t i)
{
	const uint8_t number = outcome->destination[5];
	static const uint8_t prefix[5] = {2, 0, 0, 0, 2};
	return memcmp(outcome->destination, prefix, sizeof(prefix)) == 0 &&
	       (i % 2 ? number >= 1 && number <= 3 : number >= 4 && number <= 6);
}

static void check_packets(const struct section *section, const struct outcome *expected, uint64_t seed)
{
	for (uint32_t i = 0; i < N_PACKETS; i++) {
		const struct outcome outcome = send_one(i);
		if (BERTH_VERDICT_CLASS(outcome.verdict) == BERTH_CLASS_FORWARD && !is_backend_of(&outcome, i))
			fail_msg("%s: seed %llu: packet %u goes to a wrong place", section->name,
				 (unsigned long long)seed, i);
		if (section->is_published && memcmp(outcome.destination, expected[i].destination, 6) != 0)
			fail_msg("%s: seed %llu: packet %u has moved", section->name, (unsigned long long)seed, i);
	}
}

static void a_damaged_section_is_refused_or_packets_go_where_they_went(void **state)
{
	(void)state;
	struct outcome expected[N_PACKETS];
	place_sections();
	set_up_services();
	for (uint32_t i = 0; i < N_PACKETS; i++)
		expected[i] = send_one(i);
	for (size_t i = 0; i < N_SECTIONS; i++)
		memcpy(sections[i].intact, sections[i].at, sections[i].bytes);
	assert_true(is_adopted());
	for (size_t i = 0; i < N_SECTIONS; i++) {
		uint32_t refused = 0;
		for (uint64_t n = 0; n < DAMAGES; n++) {
			restore();
			test_damage(sections[i].at, sections[i].bytes, n * 1000 + i);
			if (!is_adopted()) {
				refused++;
				continue;
			}
			check_packets(&sections[i], expected, n * 1000 + i);
			adopt();
		}
		print_message("%-12s %u of %u refused\n", sections[i].name, refused, DAMAGES);
		assert_true(sections[i].is_published || refused == 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_damaged_section_is_refused_or_packets_go_where_they_went),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
