/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The backends that the rows of a selection table gave before their last change, for services with second-hop. A
 * packet of an unknown connection may be of one that another node has put there. Each is kept for the time that the
 * configuration says, and as long as its backend is in the service. What a row gave for less than a minute does not
 * take the place of the backend before it. Pure: time is an argument.
 */
#pragma once

#include "controlplane/model/model.h"

/* Allocated with its arrays, one element a row. */
struct berth_former_rows {
	uint32_t n_rows;
	uint32_t n;		/* rows with a former backend */
	bool has_begun;		/* changes are recorded: the first health checks of the backends are done */
	bool is_due;		/* a change has no time yet */
	uint32_t now_s;		/* of the last berth_former_rows_step */
	uint32_t end_s;		/* when the first of them ends */
	uint32_t *since_s;	/* of the change; 0: berth_former_rows_step gives it one */
	struct berth_row *rows; /* `primary`: the former backend; 0: none */
	uint16_t *selected;	/* what the row gives new flows: its primary, or its alternate; 0: not known */
};

/* After the rows of a service, or what its backends are eligible for, have changed: records what changed. Without
 * second-hop it does nothing. -ENOMEM. */
int berth_former_rows_update(struct berth_model_service *service);

/* While what was compiled last is in force, and at no other time: later changes are recorded if the first health
 * checks are done. */
void berth_former_rows_begin(struct berth_model_service *service);

/* How many rows have a former backend that is to be published. */
uint32_t berth_former_rows_count(const struct berth_model_service *service);

/* Once in a while, in the model in force: gives changes their time, and ends those that are too old. True: a
 * generation is due. */
bool berth_former_rows_step(struct berth_model *model, uint32_t now_s);

/* Before the first compilation of a model whose numbers are those of an existing image: takes what its current
 * generation has, so that a change across a restart of berthd is one, too. The time of each begins anew. -ENOMEM.
 */
int berth_former_rows_adopt(struct berth_model *model, const struct berth_image *image);
