/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Entries to tell other nodes that have them on another backend, oldest first. Each takes 24 bytes, and only while
 * it waits: after a change of the backends that takes long, all clients of a service may need an answer at once.
 * One thread.
 */
#pragma once

#include <sys/queue.h>

#include "controlplane/cluster/exceptions.h"

struct berth_cluster_answer {
	struct berth_exception_key key;
	uint32_t at; /* in its table */
	uint32_t due_s;
	bool is_late; /* it was told a moment ago, and waits until then */
};

struct berth_cluster_answers_block;

struct berth_cluster_answers {
	TAILQ_HEAD(berth_cluster_answers_blocks, berth_cluster_answers_block) blocks;
	uint32_t first; /* in the first block */
	uint32_t n;
	uint32_t most;
};

void berth_cluster_answers_init(struct berth_cluster_answers *answers, uint32_t most);
void berth_cluster_answers_clear(struct berth_cluster_answers *answers);
/* False: there is no room, or no memory. */
bool berth_cluster_answers_push(struct berth_cluster_answers *answers, const struct berth_cluster_answer *answer);
/* The oldest one. There must be one. */
const struct berth_cluster_answer *berth_cluster_answers_first(const struct berth_cluster_answers *answers);
struct berth_cluster_answer berth_cluster_answers_pop(struct berth_cluster_answers *answers);
