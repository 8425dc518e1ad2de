// SPDX-License-Identifier: BSD-3-Clause
/*
 * `events`: pages of the last events. With --follow an answer waits for the next event, so that a client has one
 * answer at a time and berthd no unread output, however slowly it reads; what leaves the ring before it asks is
 * counted.
 */
#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "controlplane/cmd/cmd.h"
#include "controlplane/util/glob.h"
#include "controlplane/util/log.h"
#include "controlplane/util/log_ring.h"

enum {
	HOLD_MS = 900, /* an answer with --follow waits so long; shorter than the least timeout of a client */
};

/* What a request asks for. */
struct query {
	const char *service; /* a glob; NULL: all */
	int64_t since_unix_ms;
	uint64_t next; /* number of the event that it begins with; 0: the oldest */
	bool follow;
};

/* A request that waits. */
struct follower {
	struct query query; /* its text belongs to `arguments` */
	json_t *arguments;
	struct berth_log_waiter waiter;
	struct berth_server_pending *pending;
	struct event *wake; /* there is a new event */
	struct event *timeout;
};

static int64_t now_unix_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static json_t *event_json(const struct berth_log_event *event)
{
	char seconds[32];
	struct tm utc;
	const time_t time = (time_t)(event->unix_ms / 1000);
	gmtime_r(&time, &utc);
	strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &utc);
	return json_pack("{s:o, s:o, s:s, s:s?, s:s?, s:s}", "number", berth_cmd_count(event->number), "time",
			 json_sprintf("%s.%03dZ", seconds, (int)(event->unix_ms % 1000)), "priority",
			 berth_log_priority_word(event->priority), "service", event->service, "backend",
			 event->backend, "text", event->text);
}

static bool matches(const struct query *query, const struct berth_log_event *event)
{
	return event->unix_ms >= query->since_unix_ms &&
	       (!query->service || (event->service && berth_glob_match(query->service, event->service)));
}

/* A page. `query` goes on behind it. */
static json_t *page_json(struct query *query)
{
	const uint64_t first = berth_log_ring_first(), end = berth_log_ring_end();
	const bool is_restarted = query->next > end; /* the cursor is of an earlier berthd */
	uint64_t lost = 0;
	json_t *rows = json_array();
	if (query->next && !is_restarted && query->next < first)
		lost = first - query->next;
	if (query->next < first || is_restarted)
		query->next = first;
	for (; query->next < end && json_array_size(rows) < BERTH_WIRE_ROWS; query->next++) {
		const struct berth_log_event *event = berth_log_ring_get(query->next);
		lost += !event;
		if (event && matches(query, event))
			json_array_append_new(rows, event_json(event));
	}
	const bool has_more = query->follow || query->next < end;
	return json_pack("{s:o, s:o, s:o}", "events", rows, "lost_events", berth_cmd_count(lost), "next",
			 has_more ? json_sprintf("%" PRIu64, query->next) : json_null());
}

static bool is_empty(const json_t *page)
{
	return json_array_size(json_object_get(page, "events")) == 0 &&
	       json_integer_value(json_object_get(page, "lost_events")) == 0;
}

static void follower_free(void *arg)
{
	struct follower *follower = arg;
	berth_log_ring_cancel(&follower->waiter);
	if (follower->wake)
		event_free(follower->wake);
	if (follower->timeout)
		event_free(follower->timeout);
	json_decref(follower->arguments);
	free(follower);
}

/* In a turn of the loop after the event, which may have been logged anywhere. */
static void on_added(void *arg)
{
	const struct follower *follower = arg;
	event_active(follower->wake, EV_READ, 0);
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct follower *follower = arg;
	char no_error[BERTH_ERROR_BYTES] = "";
	json_t *page = page_json(&follower->query);
	(void)fd;
	if (is_empty(page) && !(what & EV_TIMEOUT)) {
		json_decref(page);
		return;
	}
	berth_server_answer(follower->pending, BERTH_CODE_OK, page, no_error);
	follower_free(follower);
}

/* Whether the answer follows later. */
static bool hold(const struct berth_cmd_context *context, const json_t *arguments, const struct query *query)
{
	const struct timeval limit = {.tv_usec = HOLD_MS * 1000};
	struct follower *follower = calloc(1, sizeof(*follower));
	if (!follower)
		return false;
	follower->query = *query;
	follower->arguments = json_deep_copy(arguments);
	follower->query.service = berth_cmd_text(follower->arguments, "service");
	follower->waiter = (struct berth_log_waiter){.added = on_added, .arg = follower};
	follower->wake = event_new(context->base, -1, 0, on_ready, follower);
	follower->timeout = evtimer_new(context->base, on_ready, follower);
	berth_log_ring_wait(&follower->waiter);
	if (follower->wake && follower->timeout && follower->arguments &&
	    evtimer_add(follower->timeout, &limit) == 0)
		follower->pending = berth_server_defer(context->server, follower_free, follower);
	if (follower->pending)
		return true;
	follower_free(follower);
	return false;
}

static enum berth_code parse_query(const json_t *arguments, struct query *query, char error[BERTH_ERROR_BYTES])
{
	uint64_t since_ms = 0;
	*query = (struct query){.service = berth_cmd_text(arguments, "service"),
				.follow = json_is_true(json_object_get(arguments, "follow"))};
	enum berth_code code = berth_cmd_parse_cursor(arguments, &query->next, error);
	if (!code)
		code = berth_cmd_parse_duration(arguments, "since", &since_ms, error);
	if (!code && since_ms)
		query->since_unix_ms = now_unix_ms() - (int64_t)since_ms;
	return code;
}

enum berth_code berth_cmd_events(const struct berth_cmd_context *context, const json_t *arguments, json_t **result,
				 char error[BERTH_ERROR_BYTES])
{
	struct query query;
	enum berth_code code = parse_query(arguments, &query, error);
	if (code)
		return code;
	json_t *page = page_json(&query);
	if (query.follow && is_empty(page) && hold(context, arguments, &query)) {
		json_decref(page);
		return BERTH_CODE_OK;
	}
	*result = page;
	return BERTH_CODE_OK;
}
