// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/cmd/config/planner.h"

#include <event2/event.h>
#include <stdlib.h>
#include <sys/queue.h>

enum {
	MOST_JOBS =
		8, /* each has a configuration in memory; plans that are asked for beyond them are made at once */
};

/* A request for a plan. */
struct job {
	TAILQ_ENTRY(job) entry;
	struct berth_cmd_planner *planner;
	bool is_made; /* and not in the planner's list */
	struct berth_server_pending *pending;
	struct berth_plan_work work;
};

/* The first job is the one that is worked at. `n` has those, too, that are being read. */
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

static void job_free(void *arg)
{
	struct job *job = arg;
	if (!job->is_made)
		TAILQ_REMOVE(&job->planner->jobs, job, entry);
	job->planner->n--;
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
	TAILQ_REMOVE(&job->planner->jobs, job, entry);
	job->is_made = true;
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

/* Takes the work. False: there is no client that can wait, or too many do. */
static bool defer(const struct berth_cmd_context *context, const struct berth_plan_work *work)
{
	struct berth_cmd_planner *planner = context->planner;
	struct job *job = planner && planner->n < MOST_JOBS && context->server ? calloc(1, sizeof(*job)) : NULL;
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

enum berth_code berth_cmd_plan_config(const struct berth_cmd_context *context, struct berth_config *config,
				      json_t **result, char error[BERTH_ERROR_BYTES])
{
	struct berth_plan_work work = {
		.state = context->state, .config = config, .installs = context->state->installs};
	enum berth_plan_turn turn;
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
