// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/cmd/config/parser.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <unistd.h>

#include "controlplane/config/parse.h"

enum {
	LONG_TEXT = 64 << 10, /* bytes; a shorter one takes some milliseconds */
	MOST_JOBS = 8,	      /* their texts are in memory; the loop itself parses what comes then */
};

/* A text and what it was parsed to. The thread has the job until it has written `done`. */
struct job {
	TAILQ_ENTRY(job) entry;
	struct berth_server_pending *pending; /* NULL: the client has gone */
	char *name;
	char *text;
	size_t length;
	struct berth_cmd_parsed parsed;
	int done; /* the parser's */
};

/* The first job is the thread's. */
struct berth_cmd_parser {
	TAILQ_HEAD(, job) jobs;
	unsigned int n;
	pthread_t thread;
	bool is_running;
	int done; /* eventfd */
	struct event *ended;
	struct job *ready; /* of the request that is run again */
};

static void add_error(void *arg, const char *error)
{
	json_array_append_new(arg, json_string(error));
}

static void parse(struct berth_cmd_parsed *parsed, const char *name, const char *text, size_t length)
{
	*parsed = (struct berth_cmd_parsed){.errors = json_array()};
	parsed->config = berth_config_parse_all(name, text, length, add_error, parsed->errors, parsed->error);
}

void berth_cmd_parsed_clear(struct berth_cmd_parsed *parsed)
{
	berth_config_free(parsed->config);
	json_decref(parsed->errors);
	*parsed = (struct berth_cmd_parsed){.config = NULL};
}

static void job_free(struct job *job)
{
	berth_cmd_parsed_clear(&job->parsed);
	free(job->name);
	free(job->text);
	free(job);
}

static void *run_in_thread(void *arg)
{
	struct job *job = arg;
	const uint64_t one = 1;
	parse(&job->parsed, job->name, job->text, job->length);
	if (write(job->done, &one, sizeof(one)) != sizeof(one))
		abort(); /* an eventfd takes 2^64 - 2 of them */
	return NULL;
}

static void start_next(struct berth_cmd_parser *parser)
{
	struct job *job = TAILQ_FIRST(&parser->jobs);
	if (parser->is_running || !job)
		return;
	parser->is_running = !pthread_create(&parser->thread, NULL, run_in_thread, job);
	/* Without a thread it takes the loop's time. */
	if (!parser->is_running)
		run_in_thread(job);
}

/* The thread has written `done`. */
static void on_ended(evutil_socket_t fd, short what, void *arg)
{
	struct berth_cmd_parser *parser = arg;
	struct job *job = TAILQ_FIRST(&parser->jobs);
	eventfd_t count;
	(void)what;
	if (eventfd_read(fd, &count) || !job)
		return;
	if (parser->is_running)
		pthread_join(parser->thread, NULL);
	parser->is_running = false;
	TAILQ_REMOVE(&parser->jobs, job, entry);
	parser->n--;
	parser->ready = job;
	if (job->pending)
		berth_server_run_again(job->pending);
	parser->ready = NULL;
	start_next(parser);
	job_free(job);
}

static void on_cancel(void *arg)
{
	((struct job *)arg)->pending = NULL;
}

/* NULL: out of memory, or no client that can wait. */
static struct job *job_new(const struct berth_cmd_context *context, const char *name, const char *text,
			   size_t length)
{
	struct job *job = calloc(1, sizeof(*job));
	if (!job)
		return NULL;
	job->name = strdup(name);
	job->text = malloc(length);
	if (job->name && job->text)
		job->pending = berth_server_defer(context->server, on_cancel, job);
	if (!job->pending) {
		job_free(job);
		return NULL;
	}
	memcpy(job->text, text, length);
	job->length = length;
	job->done = context->parser->done;
	return job;
}

static bool defer(const struct berth_cmd_context *context, const char *name, const char *text, size_t length)
{
	struct berth_cmd_parser *parser = context->parser;
	if (!parser || length < LONG_TEXT || parser->n == MOST_JOBS)
		return false;
	struct job *job = job_new(context, name, text, length);
	if (!job)
		return false;
	TAILQ_INSERT_TAIL(&parser->jobs, job, entry);
	parser->n++;
	start_next(parser);
	return true;
}

/* Whether the job has parsed this text, which an edit makes anew each time. */
static bool has_parsed(const struct job *job, const char *name, const char *text, size_t length)
{
	return job && job->parsed.errors && job->length == length && strcmp(job->name, name) == 0 &&
	       memcmp(job->text, text, length) == 0;
}

bool berth_cmd_parse(const struct berth_cmd_context *context, const char *name, const char *text, size_t length,
		     struct berth_cmd_parsed *parsed)
{
	struct job *ready = context->parser ? context->parser->ready : NULL;
	if (has_parsed(ready, name, text, length)) {
		*parsed = ready->parsed;
		ready->parsed = (struct berth_cmd_parsed){.config = NULL};
		return true;
	}
	if (defer(context, name, text, length))
		return false;
	parse(parsed, name, text, length);
	return true;
}

struct berth_cmd_parser *berth_cmd_parser_new(struct event_base *base)
{
	struct berth_cmd_parser *parser = calloc(1, sizeof(*parser));
	if (!parser)
		return NULL;
	TAILQ_INIT(&parser->jobs);
	parser->done = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (parser->done >= 0)
		parser->ended = event_new(base, parser->done, EV_READ | EV_PERSIST, on_ended, parser);
	if (parser->ended && event_add(parser->ended, NULL) == 0)
		return parser;
	berth_cmd_parser_free(parser);
	return NULL;
}

void berth_cmd_parser_free(struct berth_cmd_parser *parser)
{
	struct job *job;
	if (!parser)
		return;
	if (parser->is_running)
		pthread_join(parser->thread, NULL);
	while ((job = TAILQ_FIRST(&parser->jobs))) {
		TAILQ_REMOVE(&parser->jobs, job, entry);
		job_free(job);
	}
	if (parser->ended)
		event_free(parser->ended);
	if (parser->done >= 0)
		close(parser->done);
	free(parser);
}
