// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/daemon/publication.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/compile/compile.h"
#include "controlplane/daemon/private.h"
#include "controlplane/model/agent.h"
#include "controlplane/tables/record.h"
#include "controlplane/util/clock.h"
#include "controlplane/util/log.h"

enum {
	FIRST_WAIT_MS = 1, /* for a worker; doubled up to the longest */
	LONGEST_WAIT_MS = 32,
	RETRY_MS = 1000, /* after an error */
	ALARM_MS = 1000,
	SETTLE_MS = 200,
	SETTLE_STEP_US = 200,
	/* Rows of a turn of the loop; some milliseconds. */
	ROWS_PER_TURN = 65536,
	LINES_PER_TURN = 16384, /* that are copied; likewise */
};

/* Requests are numbered: a change is in force when the number of its request is. */
struct berth_publication_queue {
	struct berth_generation *generation; /* compiled and not published yet; NULL: none */
	struct berth_compile_ahead ahead;
	uint64_t requested;
	uint64_t compiled; /* the request that `generation` contains */
	uint64_t published;
	uint64_t in_force;
	uint64_t pending_ms; /* CLOCK_MONOTONIC since when a request is not in force */
	uint32_t wait_ms;    /* of the next timer */
	uint32_t timer_ms;   /* of the one that runs */
	struct event *timer;
	LIST_HEAD(, berth_publication_waiter) waiters;
};

static void start_timer(struct berth_publication_queue *queue)
{
	const struct timeval wait = {.tv_sec = queue->wait_ms / 1000, .tv_usec = queue->wait_ms % 1000 * 1000};
	queue->timer_ms = queue->wait_ms;
	event_add(queue->timer, &wait);
}

static void add_request(struct berth_daemon *daemon)
{
	struct berth_publication_queue *queue = daemon->publication;
	if (queue->in_force == queue->requested)
		queue->pending_ms = berth_clock_ms();
	queue->requested++;
	queue->wait_ms = FIRST_WAIT_MS;
	daemon->state.publication.is_pending = true;
}

uint64_t berth_publication_requests(const struct berth_daemon *daemon)
{
	return daemon->publication->requested;
}

void berth_publication_request(struct berth_daemon *daemon)
{
	struct berth_publication_queue *queue = daemon->publication;
	add_request(daemon);
	/* A running first timer is not started again: requests could postpone it for ever. */
	if (!event_pending(queue->timer, EV_TIMEOUT, NULL) || queue->timer_ms > queue->wait_ms)
		start_timer(queue);
}

/* The eligibility for new clients that the image has. With second hops, and as long as a backend keeps its flows,
 * it changes with the generation in which the rows name the backend before: until then a packet of another node's
 * connection would become a flow of its own elsewhere. */
static uint8_t keep_until_rows(const struct berth_daemon *daemon, const struct berth_model_backend *backend,
			       uint8_t eligibility)
{
	const struct berth_eligibility_line *line =
		&daemon->engine->image.eligibility[backend->number / BERTH_ELIGIBILITY_PER_LINE];
	const uint8_t now = line->backend[backend->number % BERTH_ELIGIBILITY_PER_LINE];
	struct berth_model_service *service = NULL;
	if (!(eligibility & BERTH_ELIGIBLE_FLOWS) ||
	    !berth_model_backend_by_id(&daemon->model, backend->id, &service) || !service->config.second_hop_s)
		return eligibility;
	return (uint8_t)((eligibility & ~BERTH_ELIGIBLE_NEW) | (now & BERTH_ELIGIBLE_NEW));
}

void berth_publication_eligibility(const struct berth_daemon *daemon, const struct berth_model_backend *backend)
{
	const uint8_t eligibility = keep_until_rows(daemon, backend, berth_model_eligibility(backend));
	berth_publish_eligibility(daemon->publisher, backend->number, eligibility);
}

void berth_publication_agent(const struct berth_daemon *daemon, const struct berth_model_backend *backend)
{
	struct berth_record_agent agent;
	berth_agent_save(backend, &agent);
	berth_record_set_agent(daemon->engine->record, backend->number, &agent);
}

/* What agents say, for the next berthd; clears unused numbers. */
static void record_agents(const struct berth_daemon *daemon)
{
	static const struct berth_record_agent none;
	const struct berth_model *model = &daemon->model;
	for (uint32_t n = 1; n < model->backend_numbers.size; n++)
		if (!model->backend_numbers.id[n])
			berth_record_set_agent(daemon->engine->record, n, &none);
	for (size_t i = 0; i < model->n_services; i++)
		for (size_t j = 0; j < model->services[i].n_backends; j++)
			berth_publication_agent(daemon, &model->services[i].backends[j]);
}

/* Writes the eligibility of all backends, and clears unused numbers. No table word holds a new number before the
 * generation that brings it. */
static void publish_eligibility(struct berth_publisher *publisher, const struct berth_model *model)
{
	for (uint32_t n = 1; n < model->backend_numbers.size; n++)
		if (!model->backend_numbers.id[n])
			berth_publish_eligibility(publisher, n, 0);
	for (size_t i = 0; i < model->n_services; i++)
		for (size_t j = 0; j < model->services[i].n_backends; j++) {
			const struct berth_model_backend *backend = &model->services[i].backends[j];
			berth_publish_eligibility(publisher, backend->number, berth_model_eligibility(backend));
		}
}

int berth_publication_fill(struct berth_publisher *publisher, const struct berth_model *model,
			   const struct berth_generation *generation, char error[BERTH_ERROR_BYTES])
{
	int err = berth_publish(publisher, generation, error);
	if (!err)
		publish_eligibility(publisher, model);
	return err;
}

static void fail(struct berth_daemon *daemon, const char *error)
{
	struct berth_publication *publication = &daemon->state.publication;
	publication->failures++;
	if (strcmp(publication->error, error) != 0)
		berth_log("cannot publish: %s", error);
	snprintf(publication->error, sizeof(publication->error), "%s", error);
	daemon->publication->wait_ms = RETRY_MS;
}

static void replace_generation(struct berth_publication_queue *queue, struct berth_generation *generation)
{
	berth_generation_free(queue->generation);
	queue->generation = generation;
	queue->compiled = queue->requested;
}

/* A generation of the model as it is now. False: out of memory, or it does not fit. */
static bool compile(struct berth_daemon *daemon, char error[BERTH_ERROR_BYTES])
{
	struct berth_publication_queue *queue = daemon->publication;
	if (queue->generation && queue->compiled == queue->requested)
		return true;
	/* Compiling may write the selection tables that the former generation points to. */
	replace_generation(queue, NULL);
	queue->generation = berth_compile(&daemon->model, &daemon->engine->image.geometry, error);
	return queue->generation != NULL;
}

/* Many tables are built in many turns of the loop, between which commands and probes have theirs. True: at least
 * most of them are built, or there is no memory, which berth_compile says. */
static bool build_ahead(struct berth_daemon *daemon)
{
	struct berth_publication_queue *queue = daemon->publication;
	if (queue->generation && queue->compiled == queue->requested)
		return true;
	/* It points to the tables. */
	replace_generation(queue, NULL);
	const bool is_built = berth_compile_ahead(&daemon->model, &queue->ahead, ROWS_PER_TURN) != -EAGAIN;
	queue->wait_ms = is_built ? FIRST_WAIT_MS : 0;
	return is_built;
}

static void publish(struct berth_daemon *daemon)
{
	struct berth_publication_queue *queue = daemon->publication;
	char error[BERTH_ERROR_BYTES] = "";
	if (!berth_publisher_is_quiescent(daemon->publisher) || !build_ahead(daemon))
		return;
	if (!compile(daemon, error)) {
		fail(daemon, error);
		return;
	}
	int err = berth_publish(daemon->publisher, queue->generation, error);
	if (err == -EAGAIN)
		return;
	if (err < 0) {
		fail(daemon, error);
		return;
	}
	publish_eligibility(daemon->publisher, &daemon->model);
	record_agents(daemon);
	queue->wait_ms = FIRST_WAIT_MS;
	queue->published = queue->compiled;
	replace_generation(queue, NULL);
	daemon->state.publication.error[0] = '\0';
}

static void call_waiters(struct berth_publication_queue *queue)
{
	struct berth_publication_waiter *next;
	for (struct berth_publication_waiter *one = LIST_FIRST(&queue->waiters); one; one = next) {
		next = LIST_NEXT(one, entry);
		if (one->request > queue->in_force || one->is_rejected)
			continue;
		berth_publication_cancel(one);
		one->in_force(one->arg);
	}
}

void berth_publication_reject(struct berth_daemon *daemon)
{
	for (struct berth_publication_waiter *one = LIST_FIRST(&daemon->publication->waiters); one;
	     one = LIST_NEXT(one, entry))
		one->is_rejected = one->failed != NULL;
}

void berth_publication_fail(struct berth_daemon *daemon, const char *error)
{
	struct berth_publication_waiter *next;
	for (struct berth_publication_waiter *one = LIST_FIRST(&daemon->publication->waiters); one; one = next) {
		next = LIST_NEXT(one, entry);
		if (!one->is_rejected)
			continue;
		berth_publication_cancel(one);
		one->failed(one->arg, error);
	}
}

static const char *reason_of_delay(const struct berth_daemon *daemon)
{
	if (daemon->state.publication.error[0])
		return daemon->state.publication.error;
	return berth_engine_is_awaited(daemon->engine) ? "the engine does not forward yet"
						       : "a worker still uses the former generation";
}

static void update_alarm(struct berth_daemon *daemon, uint64_t now_ms)
{
	struct berth_publication_queue *queue = daemon->publication;
	struct berth_publication *publication = &daemon->state.publication;
	bool is_late = queue->in_force != queue->requested && now_ms - queue->pending_ms >= ALARM_MS;
	if (is_late && !publication->is_late)
		berth_log("ALARM: a change is not in force after %u ms: %s", ALARM_MS, reason_of_delay(daemon));
	else if (publication->is_late && queue->in_force == queue->requested)
		berth_log("alarm over: all changes are in force");
	publication->is_late = is_late || (publication->is_late && queue->in_force != queue->requested);
}

/* Between publications, in many turns of the loop. True: more is left. */
static bool copies_ahead(struct berth_daemon *daemon)
{
	const bool is_done = !berth_publisher_is_quiescent(daemon->publisher) ||
			     berth_publisher_copy_ahead(daemon->publisher, LINES_PER_TURN);
	daemon->publication->wait_ms = FIRST_WAIT_MS;
	return !is_done;
}

/* One step towards the last request: publishes if that is due, and notes what is in force. */
static void advance(struct berth_daemon *daemon)
{
	struct berth_publication_queue *queue = daemon->publication;
	const uint64_t now_ms = berth_clock_ms();
	if (queue->published != queue->requested)
		publish(daemon);
	if (queue->in_force != queue->published && berth_publisher_is_quiescent(daemon->publisher) &&
	    !berth_engine_is_awaited(daemon->engine)) {
		queue->in_force = queue->published;
		queue->pending_ms = now_ms;
	}
	daemon->state.publication.is_pending = queue->in_force != queue->requested;
	update_alarm(daemon, now_ms);
	if (daemon->state.publication.is_pending || copies_ahead(daemon))
		start_timer(queue);
	if (queue->wait_ms < LONGEST_WAIT_MS)
		queue->wait_ms *= 2;
}

void berth_publication_advance(struct berth_daemon *daemon)
{
	advance(daemon);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct berth_daemon *daemon = arg;
	advance(daemon);
	call_waiters(daemon->publication);
}

void berth_publication_start(struct berth_daemon *daemon, struct berth_generation *generation)
{
	add_request(daemon);
	if (generation)
		replace_generation(daemon->publication, generation);
	advance(daemon);
}

void berth_publication_put(struct berth_daemon *daemon, struct berth_generation *generation)
{
	struct berth_publication_queue *queue = daemon->publication;
	add_request(daemon);
	replace_generation(queue, generation);
	queue->wait_ms = 0;
	start_timer(queue);
	queue->wait_ms = FIRST_WAIT_MS;
}

void berth_publication_replace(struct berth_daemon *daemon, struct berth_publisher *publisher)
{
	struct berth_publication_queue *queue = daemon->publication;
	berth_publisher_free(daemon->publisher);
	daemon->publisher = publisher;
	add_request(daemon);
	replace_generation(queue, NULL);
	queue->published = queue->requested;
	daemon->state.publication.error[0] = '\0';
	start_timer(queue);
}

void berth_publication_settle(struct berth_daemon *daemon)
{
	const uint64_t until_ms = berth_clock_ms() + SETTLE_MS;
	const struct berth_publication_queue *queue = daemon->publication;
	while (queue->published != queue->requested && berth_clock_ms() < until_ms) {
		usleep(SETTLE_STEP_US);
		advance(daemon);
	}
}

void berth_publication_wait(struct berth_daemon *daemon, struct berth_publication_waiter *waiter)
{
	struct berth_publication_queue *queue = daemon->publication;
	waiter->request = queue->requested;
	waiter->is_waiting = true;
	LIST_INSERT_HEAD(&queue->waiters, waiter, entry);
	if (!event_pending(queue->timer, EV_TIMEOUT, NULL))
		start_timer(queue);
}

void berth_publication_cancel(struct berth_publication_waiter *waiter)
{
	if (waiter->is_waiting)
		LIST_REMOVE(waiter, entry);
	waiter->is_waiting = false;
}

int berth_publication_open(struct berth_daemon *daemon)
{
	daemon->publisher = berth_publisher_new(daemon->engine);
	daemon->publication = calloc(1, sizeof(*daemon->publication));
	if (!daemon->publisher || !daemon->publication)
		return -ENOMEM;
	LIST_INIT(&daemon->publication->waiters);
	daemon->publication->timer = evtimer_new(daemon->base, on_timer, daemon);
	return daemon->publication->timer ? 0 : -ENOMEM;
}

void berth_publication_close(struct berth_daemon *daemon)
{
	struct berth_publication_queue *queue = daemon->publication;
	berth_publisher_free(daemon->publisher);
	if (!queue)
		return;
	while (!LIST_EMPTY(&queue->waiters))
		berth_publication_cancel(LIST_FIRST(&queue->waiters));
	if (queue->timer)
		event_free(queue->timer);
	berth_generation_free(queue->generation);
	free(queue);
}
