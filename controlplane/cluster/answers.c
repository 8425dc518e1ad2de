// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/cluster/answers.h"

#include <stdlib.h>

enum {
	BLOCK = 1024,
};

struct berth_cluster_answers_block {
	TAILQ_ENTRY(berth_cluster_answers_block) entry;
	struct berth_cluster_answer answer[BLOCK];
};

void berth_cluster_answers_init(struct berth_cluster_answers *answers, uint32_t most)
{
	*answers = (struct berth_cluster_answers){.most = most};
	TAILQ_INIT(&answers->blocks);
}

static void remove_first_block(struct berth_cluster_answers *answers)
{
	struct berth_cluster_answers_block *block = TAILQ_FIRST(&answers->blocks);
	TAILQ_REMOVE(&answers->blocks, block, entry);
	free(block);
	answers->first = 0;
}

void berth_cluster_answers_clear(struct berth_cluster_answers *answers)
{
	while (!TAILQ_EMPTY(&answers->blocks))
		remove_first_block(answers);
	answers->n = 0;
}

bool berth_cluster_answers_push(struct berth_cluster_answers *answers, const struct berth_cluster_answer *answer)
{
	const uint32_t at = (answers->first + answers->n) % BLOCK;
	if (answers->n >= answers->most)
		return false;
	if (at == 0) {
		struct berth_cluster_answers_block *block = malloc(sizeof(*block));
		if (!block)
			return false;
		TAILQ_INSERT_TAIL(&answers->blocks, block, entry);
	}
	TAILQ_LAST(&answers->blocks, berth_cluster_answers_blocks)->answer[at] = *answer;
	answers->n++;
	return true;
}

const struct berth_cluster_answer *berth_cluster_answers_first(const struct berth_cluster_answers *answers)
{
	return &TAILQ_FIRST(&answers->blocks)->answer[answers->first];
}

struct berth_cluster_answer berth_cluster_answers_pop(struct berth_cluster_answers *answers)
{
	const struct berth_cluster_answer answer = *berth_cluster_answers_first(answers);
	answers->n--;
	if (++answers->first == BLOCK)
		remove_first_block(answers);
	return answer;
}
