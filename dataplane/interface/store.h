/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The stores of an image, one array each: the flow table, the session table, its clients, and the same of the
 * former tables (core/former.h). They outlive an image. Their names have their sizes, so that two of a kind exist
 * side by side: maps of the XDP engine are pinned as NAME-BUCKETS, files of the DPDK engine are beside the image,
 * or in the other directory of images, as IMAGE.NAME-BUCKETS.
 */
#pragma once

#include <stdio.h>
#include <string.h>

#include "dataplane/core/image.h"

#define BERTH_HUGE_DIRECTORY "/dev/hugepages/berth"
#define BERTH_SHM_DIRECTORY "/dev/shm/berth"

enum {
	BERTH_STORES = 6,
	BERTH_STORE_PLACES = 3, /* where a store of a DPDK image can be */
	BERTH_STORE_PATH_BYTES = 320,
};

/* Sizes in buckets; 0: there is no such table. */
struct berth_store_sizes {
	uint32_t flows;
	uint32_t sessions;
	uint32_t former_flows;
	uint32_t former_sessions;
};

struct berth_store {
	const char *section; /* in the image: "flows", "former_flows", ... */
	const char *name;    /* of both: "flows" */
	uint64_t element;    /* bytes */
	uint64_t count;	     /* 0: there is no such store */
	uint32_t buckets;    /* of its table */
	void **memory;	     /* the image's pointer to it */
};

/* The bits of a former table's size in ctl and views. */
static inline uint8_t berth_store_bits(uint32_t buckets)
{
	return buckets ? (uint8_t)(32 - __builtin_clz(buckets)) : 0;
}

/* Lists the stores, and sets the sizes of the former tables in the image. */
static inline void berth_stores_list(struct berth_image *image, const struct berth_store_sizes *sizes,
				     struct berth_store stores[BERTH_STORES])
{
	const struct {
		const char *section;
		uint64_t element, words;
		uint32_t buckets;
		void **memory;
	} all[BERTH_STORES] = {
		{"flows", sizeof(struct berth_bucket), 1, sizes->flows, (void **)(void *)&image->flows},
		{"sessions", sizeof(struct berth_bucket), 1, sizes->sessions, (void **)(void *)&image->sessions},
		{"clients", sizeof(struct berth_client), BERTH_BUCKET_WORDS, sizes->sessions,
		 (void **)(void *)&image->clients},
		{"former_flows", sizeof(struct berth_bucket), 1, sizes->former_flows,
		 (void **)(void *)&image->former_flows},
		{"former_sessions", sizeof(struct berth_bucket), 1, sizes->former_sessions,
		 (void **)(void *)&image->former_sessions},
		{"former_clients", sizeof(struct berth_client), BERTH_BUCKET_WORDS, sizes->former_sessions,
		 (void **)(void *)&image->former_clients},
	};
	for (int i = 0; i < BERTH_STORES; i++)
		stores[i] = (struct berth_store){
			.section = all[i].section,
			.name = all[i % (BERTH_STORES / 2)].section,
			.element = all[i].element,
			.count = all[i].words * all[i].buckets,
			.buckets = all[i].buckets,
			.memory = all[i].memory,
		};
	image->former_flow_bits = berth_store_bits(sizes->former_flows);
	image->former_session_bits = berth_store_bits(sizes->former_sessions);
}

static inline uint64_t berth_store_bytes(const struct berth_store *store)
{
	return store->element * store->count;
}

/* Path number `place` (below BERTH_STORE_PLACES) where the store of an image can be; the first is beside it. */
static inline void berth_store_path(const char *image, const struct berth_store *store, int place,
				    char path[BERTH_STORE_PATH_BYTES])
{
	static const char *const directories[BERTH_STORE_PLACES] = {"", BERTH_HUGE_DIRECTORY "/",
								    BERTH_SHM_DIRECTORY "/"};
	const char *slash = strrchr(image, '/');
	const char *name = place && slash ? slash + 1 : image;
	snprintf(path, BERTH_STORE_PATH_BYTES, "%s%s.%s-%u", directories[place], name, store->name, store->buckets);
}
