// SPDX-License-Identifier: BSD-3-Clause
/* The seal of a record (record.h): uint32_t digests of services and backends by number, then struct seal. */
#include "controlplane/model/record.h"

#include <string.h>
#include <xxhash.h>

#include "dataplane/core/atomic.h"

#define MAGIC UINT64_C(0x6c61657372687462)

/* At the end of the file, where it is found whatever the head says. */
struct seal {
	uint32_t open; /* the part that is being written; 0: none */
	uint32_t head; /* its digest */
	uint64_t magic;
};
BERTH_ASSERT_SIZE(struct seal, 16);

static uint64_t digest_bytes(uint32_t n_services, uint32_t n_backends)
{
	const uint64_t bytes = ((uint64_t)n_services + n_backends) * sizeof(uint32_t);
	return (bytes + 7) & ~UINT64_C(7);
}

uint64_t berth_record_sealed_bytes(uint32_t n_services, uint32_t n_backends)
{
	return berth_record_bytes(n_services, n_backends) + digest_bytes(n_services, n_backends) +
	       sizeof(struct seal);
}

static uint32_t *digests_of(const struct berth_record *record)
{
	return (uint32_t *)(void *)(berth_record_backends(record) + record->n_backends);
}

static struct seal *seal_of(const struct berth_record *record, uint64_t bytes)
{
	return (struct seal *)(uintptr_t)((const uint8_t *)record + bytes - sizeof(struct seal));
}

static struct seal *own_seal(const struct berth_record *record)
{
	return seal_of(record, berth_record_sealed_bytes(record->n_services, record->n_backends));
}

/* The seed makes equal entries of two numbers differ. */
static uint32_t digest(const struct berth_record *record, uint32_t part)
{
	const uint32_t n = part - BERTH_RECORD_SERVICE(0);
	const void *at = record;
	size_t bytes = sizeof(*record);
	if (part != BERTH_RECORD_HEAD && n < record->n_services) {
		at = &berth_record_services(record)[n];
		bytes = sizeof(uint64_t);
	} else if (part != BERTH_RECORD_HEAD) {
		at = &berth_record_backends(record)[n - record->n_services];
		bytes = sizeof(struct berth_record_backend);
	}
	return (uint32_t)XXH3_64bits_withSeed(at, bytes, part);
}

static uint32_t *digest_at(const struct berth_record *record, uint32_t part)
{
	return part == BERTH_RECORD_HEAD ? &own_seal(record)->head
					 : &digests_of(record)[part - BERTH_RECORD_SERVICE(0)];
}

static uint32_t end_of_parts(const struct berth_record *record)
{
	return BERTH_RECORD_BACKEND(record, record->n_backends);
}

void berth_record_seal(struct berth_record *record)
{
	struct seal *seal = own_seal(record);
	record->is_sealed = 1;
	*seal = (struct seal){.magic = MAGIC};
	for (uint32_t part = BERTH_RECORD_HEAD; part < end_of_parts(record); part++)
		*digest_at(record, part) = digest(record, part);
}

void berth_record_open_part(struct berth_record *record, uint32_t part)
{
	if (!record->is_sealed)
		return;
	BERTH_STORE(&own_seal(record)->open, part);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void berth_record_close_part(struct berth_record *record, uint32_t part)
{
	if (!record->is_sealed)
		return;
	BERTH_STORE(digest_at(record, part), digest(record, part));
	BERTH_STORE(&own_seal(record)->open, 0);
}

void berth_record_set_engine(struct berth_record *record, uint32_t engine)
{
	berth_record_open_part(record, BERTH_RECORD_HEAD);
	BERTH_STORE(&record->engine, engine);
	berth_record_close_part(record, BERTH_RECORD_HEAD);
}

void berth_record_set_secret(struct berth_record *record, const uint8_t secret[BERTH_SECRET_BYTES])
{
	berth_record_open_part(record, BERTH_RECORD_HEAD);
	memcpy(record->secret, secret, sizeof(record->secret));
	berth_record_close_part(record, BERTH_RECORD_HEAD);
}

bool berth_record_head_is_intact(const struct berth_record *record, uint64_t bytes)
{
	const struct seal *seal = seal_of(record, bytes);
	if (bytes % sizeof(uint64_t) || seal->magic != MAGIC)
		return !record->is_sealed;
	return seal->open == BERTH_RECORD_HEAD || seal->head == digest(record, BERTH_RECORD_HEAD);
}

bool berth_record_is_intact(const struct berth_record *record, uint64_t bytes)
{
	const bool has_room = bytes == berth_record_sealed_bytes(record->n_services, record->n_backends);
	if (!record->is_sealed)
		return bytes == berth_record_bytes(record->n_services, record->n_backends);
	if (record->is_sealed != 1 || !has_room || !berth_record_head_is_intact(record, bytes))
		return false;
	const uint32_t open = own_seal(record)->open;
	bool is_intact = open < end_of_parts(record);
	for (uint32_t part = BERTH_RECORD_SERVICE(0); is_intact && part < end_of_parts(record); part++)
		is_intact = part == open || *digest_at(record, part) == digest(record, part);
	return is_intact;
}
