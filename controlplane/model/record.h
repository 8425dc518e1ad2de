/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The record of an instance's tables: what the words in the stores mean. A berthd of another version, whose structs
 * have another layout, can read it. It is in shared memory beside the stores (engine/record_file.h), is written
 * where the numbers of a generation are (tables/record.h), and is all that a new berthd reads of the one before.
 *
 * Its layout has a version of its own. Integers are in host order.
 *
 * A record may be sealed: digests of its head, of each service and of each backend are behind it, so that damage is
 * noticed (record.c). A part is opened before it is written and closed after it: berthd can end between any two
 * stores. A release without seals makes a record of its own, which is not sealed, because a sealed one has room for
 * one service more than its limits.
 */
#pragma once

#include "dataplane/core/word.h"

#define BERTH_RECORD_MAGIC UINT64_C(0x6472636572687462)
#define BERTH_RECORD_VERSION 1

/* The kind of engine that has the stores. */
enum berth_record_engine {
	BERTH_RECORD_NONE, /* no stores yet */
	BERTH_RECORD_XDP,
	BERTH_RECORD_DPDK,
};

/* What its agent says (model/agent.h). */
struct berth_record_agent {
	uint16_t percent;
	uint16_t withheld; /* around 2^15; 0: the agent has not spoken */
	uint16_t of;	   /* the last bits of the backend's id */
	uint8_t said;
	uint8_t pad;
};
BERTH_ASSERT_SIZE(struct berth_record_agent, 8);

/* What is recorded of a backend number. Times as in the words. */
struct berth_record_backend {
	uint64_t id; /* 0: the number is free */
	union berth_addr address;
	uint32_t service; /* its service number */
	uint32_t evict_at;
	uint8_t eligibility;
	uint8_t health;
	uint8_t forced;
	uint8_t admin;
	/* Next hop: */
	uint32_t ifindex;
	uint8_t dst_mac[6];
	uint8_t src_mac[6];
	uint16_t mtu;
	uint8_t is_resolved;
	uint8_t pad;
	struct berth_record_agent agent;
	union berth_addr source;
};
BERTH_ASSERT_SIZE(struct berth_record_backend, 80);

struct berth_record {
	uint64_t magic; /* written last */
	uint32_t version;
	uint32_t word_format;
	uint32_t engine; /* enum berth_record_engine */
	uint32_t n_services;
	uint32_t n_backends;
	/* Buckets of the stores; of the former ones (core/former.h), 0: none. */
	uint32_t flow_buckets;
	uint32_t session_buckets;
	uint32_t former_flow_buckets;
	uint32_t former_session_buckets;
	uint32_t is_sealed;
	/* Words in use, by the last whole scan. */
	uint64_t flow_words;
	uint64_t session_words;
	uint8_t secret[BERTH_SECRET_BYTES];
	/* Behind it: uint64_t of services (their ids; 0: free) and struct berth_record_backend, by number. */
};
BERTH_ASSERT_SIZE(struct berth_record, 256);

static inline uint64_t *berth_record_services(const struct berth_record *record)
{
	return (uint64_t *)(uintptr_t)(record + 1);
}

static inline struct berth_record_backend *berth_record_backends(const struct berth_record *record)
{
	return (struct berth_record_backend *)(void *)(berth_record_services(record) + record->n_services);
}

static inline uint64_t berth_record_bytes(uint32_t n_services, uint32_t n_backends)
{
	return sizeof(struct berth_record) + n_services * sizeof(uint64_t) +
	       n_backends * sizeof(struct berth_record_backend);
}

/* What is opened: the head, or a number. */
#define BERTH_RECORD_HEAD UINT32_C(1)
#define BERTH_RECORD_SERVICE(n) (UINT32_C(2) + (n))
#define BERTH_RECORD_BACKEND(record, n) (UINT32_C(2) + (record)->n_services + (n))

/* The service numbers of a new, sealed record for so many: at most BERTH_MAX_SERVICES, which `limits` keeps to. */
static inline uint32_t berth_record_services_for(uint32_t services)
{
	return services + 1;
}

/* With its seal. */
uint64_t berth_record_sealed_bytes(uint32_t n_services, uint32_t n_backends);
/* Seals a record that is complete, in a file of berth_record_sealed_bytes. */
void berth_record_seal(struct berth_record *record);
/* Around each change of a part. No effect without a seal. */
void berth_record_open_part(struct berth_record *record, uint32_t part);
void berth_record_close_part(struct berth_record *record, uint32_t part);
void berth_record_set_engine(struct berth_record *record, uint32_t engine);
void berth_record_set_secret(struct berth_record *record, const uint8_t secret[BERTH_SECRET_BYTES]);
/* Whether the head is as it was written, of a file of `bytes`; true without a seal. Reads nothing else, so that it
 * can be asked of a record of another version. */
bool berth_record_head_is_intact(const struct berth_record *record, uint64_t bytes);
/* The same for the whole record, whose numbers have been checked. The part that berthd wrote when it ended is not
 * checked.
 */
bool berth_record_is_intact(const struct berth_record *record, uint64_t bytes);
