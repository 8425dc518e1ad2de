// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/cluster/record.h"

#include <string.h>

#include "controlplane/util/address.h"
#include "dataplane/core/word.h"

enum {
	FLOW_STATES = 1 << BERTH_STATE_UNCONFIRMED | 1 << BERTH_STATE_CONFIRMED | 1 << BERTH_STATE_PROVEN |
		      1 << BERTH_STATE_CLOSING | 1 << BERTH_STATE_CLOSED | 1 << BERTH_STATE_FRAGMENT,
	SESSION_STATES = 1 << BERTH_STATE_UNCONFIRMED | 1 << BERTH_STATE_SESSION,
	MAX_AGE_S = BERTH_SEEN_MASK - BERTH_SEEN_AHEAD,
};

static size_t bytes_of(uint8_t table)
{
	return table == BERTH_CLUSTER_FLOW ? BERTH_CLUSTER_RECORD_BYTES : BERTH_CLUSTER_RECORD_MAX_BYTES;
}

static void put32(uint8_t *bytes, uint32_t value)
{
	const struct berth_be32 ordered = berth_to_be32(value);
	memcpy(bytes, &ordered, sizeof(ordered));
}

static void put64(uint8_t *bytes, uint64_t value)
{
	put32(bytes, (uint32_t)(value >> 32));
	put32(bytes + 4, (uint32_t)value);
}

static uint32_t get32(const uint8_t *bytes)
{
	struct berth_be32 ordered;
	memcpy(&ordered, bytes, sizeof(ordered));
	return berth_from_be32(ordered);
}

static uint64_t get64(const uint8_t *bytes)
{
	return (uint64_t)get32(bytes) << 32 | get32(bytes + 4);
}

/* --- validity --- */

static bool has_valid_state(const struct berth_cluster_record *record)
{
	const int allowed = record->table == BERTH_CLUSTER_FLOW ? FLOW_STATES : SESSION_STATES;
	if (record->state >= BERTH_STATE_COUNT || !(allowed & 1 << record->state))
		return false;
	switch (record->table) {
	case BERTH_CLUSTER_FLOW:
	case BERTH_CLUSTER_CLEAR:
		return record->reason == BERTH_REASON_NONE;
	case BERTH_CLUSTER_MOVE:
		return record->reason == BERTH_REASON_MOVED;
	case BERTH_CLUSTER_SESSION:
		return record->reason > BERTH_REASON_NONE && record->reason < BERTH_REASON_PINNED;
	default:
		return record->reason == BERTH_REASON_PINNED;
	}
}

static bool has_valid_hash(const struct berth_cluster_record *record)
{
	if (record->table >= BERTH_CLUSTER_MOVE)
		return !record->tag && !record->low && !record->low_bits;
	return record->tag >> BERTH_TAG_BITS == 0 && record->low_bits <= BERTH_CLUSTER_RECORD_LOW_BITS &&
	       (uint64_t)record->low >> record->low_bits == 0;
}

/* No bits beyond the prefix: two encodings of one client would be two clients. */
static bool has_valid_client(const struct berth_cluster_record *record)
{
	static const union berth_addr none;
	if (record->table == BERTH_CLUSTER_FLOW)
		return record->client_bits == 0 && memcmp(&record->client, &none, sizeof(none)) == 0;
	if (record->client_bits > BERTH_ADDRESS_BITS)
		return false;
	const union berth_addr prefix = berth_prefix_of(&record->client, record->client_bits);
	return memcmp(&record->client, &prefix, sizeof(prefix)) == 0;
}

static enum berth_cluster_record_fault check(const struct berth_cluster_record *record)
{
	if (record->table < BERTH_CLUSTER_FLOW || record->table >= BERTH_CLUSTER_TABLES)
		return BERTH_CLUSTER_RECORD_TABLE;
	if (!has_valid_state(record))
		return BERTH_CLUSTER_RECORD_STATE;
	if (!has_valid_hash(record))
		return BERTH_CLUSTER_RECORD_HASH;
	if (record->age_s > MAX_AGE_S)
		return BERTH_CLUSTER_RECORD_AGE;
	if (!has_valid_client(record))
		return BERTH_CLUSTER_RECORD_CLIENT;
	if (!record->service || !record->node || (!record->backend && record->table != BERTH_CLUSTER_CLEAR))
		return BERTH_CLUSTER_RECORD_ID;
	return BERTH_CLUSTER_RECORD_VALID;
}

/* --- bytes --- */

size_t berth_cluster_record_encode(const struct berth_cluster_record *record,
				   uint8_t bytes[BERTH_CLUSTER_RECORD_MAX_BYTES])
{
	if (check(record) != BERTH_CLUSTER_RECORD_VALID)
		return 0;
	bytes[0] = BERTH_CLUSTER_RECORD_VERSION;
	bytes[1] = record->table;
	bytes[2] = BERTH_WORD_FORMAT;
	bytes[3] = record->state;
	bytes[4] = record->reason;
	bytes[5] = record->low_bits;
	bytes[6] = record->client_bits;
	bytes[7] = 0;
	put32(bytes + 8, record->age_s);
	put32(bytes + 12, record->tag);
	put32(bytes + 16, record->low);
	put32(bytes + 20, record->node);
	put64(bytes + 24, record->service);
	put64(bytes + 32, record->backend);
	put64(bytes + 40, record->epoch);
	put64(bytes + 48, record->sequence);
	put64(bytes + 56, record->configuration);
	if (record->table != BERTH_CLUSTER_FLOW)
		memcpy(bytes + BERTH_CLUSTER_RECORD_BYTES, &record->client, sizeof(record->client));
	return bytes_of(record->table);
}

size_t berth_cluster_record_size(const uint8_t *bytes, size_t left)
{
	if (left < BERTH_CLUSTER_RECORD_BYTES || bytes[0] != BERTH_CLUSTER_RECORD_VERSION ||
	    bytes[1] < BERTH_CLUSTER_FLOW || bytes[1] >= BERTH_CLUSTER_TABLES || bytes_of(bytes[1]) > left)
		return 0;
	return bytes_of(bytes[1]);
}

static void read_members(struct berth_cluster_record *record, const uint8_t *bytes)
{
	*record = (struct berth_cluster_record){
		.table = bytes[1],
		.state = bytes[3],
		.reason = bytes[4],
		.low_bits = bytes[5],
		.client_bits = bytes[6],
		.age_s = get32(bytes + 8),
		.tag = get32(bytes + 12),
		.low = get32(bytes + 16),
		.node = get32(bytes + 20),
		.service = get64(bytes + 24),
		.backend = get64(bytes + 32),
		.epoch = get64(bytes + 40),
		.sequence = get64(bytes + 48),
		.configuration = get64(bytes + 56),
	};
	if (record->table != BERTH_CLUSTER_FLOW)
		memcpy(&record->client, bytes + BERTH_CLUSTER_RECORD_BYTES, sizeof(record->client));
}

enum berth_cluster_record_fault berth_cluster_record_decode(struct berth_cluster_record *record,
							    const uint8_t *bytes, size_t size)
{
	if (size < BERTH_CLUSTER_RECORD_BYTES)
		return BERTH_CLUSTER_RECORD_LENGTH;
	if (bytes[0] != BERTH_CLUSTER_RECORD_VERSION)
		return BERTH_CLUSTER_RECORD_VERSION_UNKNOWN;
	if (bytes[1] < BERTH_CLUSTER_FLOW || bytes[1] >= BERTH_CLUSTER_TABLES)
		return BERTH_CLUSTER_RECORD_TABLE;
	if (size != bytes_of(bytes[1]))
		return BERTH_CLUSTER_RECORD_LENGTH;
	if (bytes[2] != BERTH_WORD_FORMAT)
		return BERTH_CLUSTER_RECORD_WORD_FORMAT;
	if (bytes[7])
		return BERTH_CLUSTER_RECORD_PADDING;
	read_members(record, bytes);
	return check(record);
}

const char *berth_cluster_record_fault_text(enum berth_cluster_record_fault fault)
{
	static const char *const texts[] = {[BERTH_CLUSTER_RECORD_VALID] = "valid",
#define BERTH_X(symbol, text) [BERTH_CLUSTER_RECORD_##symbol] = (text),
					    BERTH_CLUSTER_RECORD_FAULTS(BERTH_X)
#undef BERTH_X
	};
	return texts[fault];
}
