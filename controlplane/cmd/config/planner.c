// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/cmd/config/planner.h"

#include <event2/event.h>
#include <stdlib.h>
#include <sys/queue.h>

/* Each has a configuration or a plan in memory. */
enum {
	MOST_PLANS = 8,	  /* that are being made, or wait for it */
	MOST_ANSWERS = 8, /* that are being read when another plan is asked for */
};

/* A request for a plan. */
struct job {
	TAILQ_ENTRY(job) entry;
	struct berth_cmd_planner *planner;
	bool is_made; /* and not in the planner's list */
	struct berth_server_pending *pending;
	struct berth_plan_work work;
};

/* The first of `n` jobs is the one that is worked at. */
struct berth_cmd_planner {
	TAILQ_HEAD(, job) jobs;
	unsigned int n;
	struct event *turn;
};

static void next_turn(const struct berth_cmd_planner *planner)
{
	static const struct timeval now = {0, 0};
	if (!TAILQ_EMPTY(&planner->jobs))
		event_add(planner->turn, &now);
}

static void leave_list(struct job *job)
{
	if (job->is_made)
		return;
	TAILQ_REMOVE(&job->planner->jobs, job, entry);
	job->planner->n--;
	job->is_made = true;
}

static void job_free(void *arg)
{
	struct job *job = arg;
	leave_list(job);
	berth_plan_work_clear(&job->work);
	free(job);
}

static int write_part(void *arg, struct evbuffer *out)
{
	return berth_plan_work_write(&((struct job *)arg)->work, out);
}

/* The plan is made: the next one may begin while the client reads it. */
static void answer(struct job *job)
{
	leave_list(job);
	berth_server_answer_in_parts(job->pending, write_part);
}

static void end_turn(struct job *job, enum berth_plan_turn turn, char error[BERTH_ERROR_BYTES])
{
	struct berth_server_pending *pending = job->pending;
	if (turn == BERTH_PLAN_GOES_ON)
		return;
	if (turn == BERTH_PLAN_DONE) {
		answer(job);
		return;
	}
	job_free(job);
	if (turn == BERTH_PLAN_OUTDATED)
		berth_server_run_again(pending);
	else
		berth_server_answer(pending, BERTH_CODE_CONFIG, NULL, error);
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	struct berth_cmd_planner *planner = arg;
	struct job *job = TAILQ_FIRST(&planner->jobs);
	char error[BERTH_ERROR_BYTES] = "";
	(void)fd;
	(void)what;
	if (!job)
		return;
	end_turn(job, berth_plan_work_turn(&job->work, error), error);
	next_turn(planner);
}

/* Takes the work. False: there is no client that can wait, or no memory. */
static bool defer(const struct berth_cmd_context *context, const struct berth_plan_work *work)
{
	struct berth_cmd_planner *planner = context->planner;
	struct job *job = planner && context->server ? calloc(1, sizeof(*job)) : NULL;
	if (!job)
		return false;
	job->pending = berth_server_defer(context->server, job_free, job);
	if (!job->pending) {
		free(job);
		return false;
	}
	job->planner = planner;
	job->work = *work;
	TAILQ_INSERT_TAIL(&planner->jobs, job, entry);
	planner->n++;
	next_turn(planner);
	return true;
}

static enum berth_code check_room(const struct berth_cmd_context *context, char error[BERTH_ERROR_BYTES])
{
	if (context->planner && context->planner->n >= MOST_PLANS)
		return berth_cmd_fail(error, BERTH_CODE_BUSY, "%d plans are under way; try again", MOST_PLANS);
	if (berth_server_in_parts(context->server, write_part) >= MOST_ANSWERS)
		return berth_cmd_fail(error, BERTH_CODE_BUSY,
				      "%d clients have not read their plans yet; try again later", MOST_ANSWERS);
	return BERTH_CODE_OK;
}

enum berth_code berth_cmd_plan_config(const struct berth_cmd_context *context, struct berth_config *config,
				      json_t **result, char error[BERTH_ERROR_BYTES])
{
	struct berth_plan_work work = {
		.state = context->state, .config = config, .installs = context->state->installs};
	enum berth_plan_turn turn;
	if (check_room(context, error)) {
		berth_plan_work_clear(&work);
		return BERTH_CODE_BUSY;
	}
	if (defer(context, &work))
		return BERTH_CODE_OK;
	do
		turn = berth_plan_work_turn(&work, error);
	while (turn == BERTH_PLAN_GOES_ON);
	if (turn == BERTH_PLAN_DONE)
		*result = berth_plan_work_result(&work);
	berth_plan_work_clear(&work);
	return turn == BERTH_PLAN_DONE ? BERTH_CODE_OK : BERTH_CODE_CONFIG;
}

struct berth_cmd_planner *berth_cmd_planner_new(struct event_base *base)
{
	struct berth_cmd_planner *planner = calloc(1, sizeof(*planner));
	if (!planner)
		return NULL;
	TAILQ_INIT(&planner->jobs);
	planner->turn = evtimer_new(base, on_turn, planner);
	if (planner->turn)
		return planner;
	free(planner);
	return NULL;
}

void berth_cmd_planner_free(struct berth_cmd_planner *planner)
{
	if (!planner)
		return;
	event_free(planner->turn);
	free(planner);
}
