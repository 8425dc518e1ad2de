/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Makes plans in turns of the event loop, one plan at a time, since one has an image of its own: millions of flows
 * are counted while the loop goes on. All functions run on its thread.
 */
#pragma once

#include "controlplane/cmd/cmd.h"
#include "controlplane/tables/plan.h"

/* What is known so far. */
struct berth_plan_work {
	const struct berth_daemon_state *state;
	struct berth_config *config; /* NULL: `planning` has it */
	json_t *changes, *warnings, *engine;
	struct berth_planning *planning;
	struct berth_plan *plan; /* when it is DONE */
	size_t written;		 /* backends of the plan in an answer in parts */
	uint64_t installs;	 /* so many when it was asked for */
};

enum berth_plan_turn {
	BERTH_PLAN_GOES_ON,
	BERTH_PLAN_DONE,
	BERTH_PLAN_FAILED,
	BERTH_PLAN_OUTDATED, /* another configuration is in force now: begin again */
};

/* One turn, of some milliseconds. DONE with `plan`; FAILED with one line in `error`. */
enum berth_plan_turn berth_plan_work_turn(struct berth_plan_work *work, char error[BERTH_ERROR_BYTES]);
/* The answer of a plan that is done. NULL: out of memory. */
json_t *berth_plan_work_result(struct berth_plan_work *work);
/* The same as text, in parts of at most BERTH_PLAN_ROWS backends: berth_server_part_fn. */
enum {
	BERTH_PLAN_ROWS = 400, /* some 2 ms */
};
int berth_plan_work_write(struct berth_plan_work *work, struct evbuffer *out);
void berth_plan_work_clear(struct berth_plan_work *work);

/* NULL: out of memory. */
struct berth_cmd_planner *berth_cmd_planner_new(struct event_base *base);
/* To be called after the server is freed: until then its requests may wait for a plan. */
void berth_cmd_planner_free(struct berth_cmd_planner *planner);

/* Answers the request that is being run with the plan of `config`, which it takes: later, if there is a planner.
 * BUSY: too many plans are under way or unread. */
enum berth_code berth_cmd_plan_config(const struct berth_cmd_context *context, struct berth_config *config,
				      json_t **result, char error[BERTH_ERROR_BYTES]);
