// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/cmd/config/parser.h"

#include <errno.h>
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

/* Texts and what they were parsed to. The thread has the job until it has written `done`. */
struct job {
	TAILQ_ENTRY(job) entry;
	struct berth_server_pending *pending; /* of a request; NULL: its client has gone, or there is none */
	berth_cmd_parsed_fn *fn;	      /* without a request */
	void *arg;
	struct berth_cmd_source sources[BERTH_CMD_SOURCES]; /* copies */
	struct berth_cmd_parsed parsed[BERTH_CMD_SOURCES];
	size_t n;
	bool is_parsed;
	int done; /* the parser's */
	struct berth_cmd_preparer preparer;
};

/* The first job is the thread's; when that has parsed it, it is prepared in turns of the loop. */
struct berth_cmd_parser {
	TAILQ_HEAD(, job) jobs;
	unsigned int n;
	pthread_t thread;
	bool is_running;
	int done; /* eventfd */
	struct event *ended;
	struct berth_cmd_preparer preparer; /* zeros: none */
	struct event *turn;		    /* of the preparer: the first job is parsed */
	struct job *ready;		    /* of the request that is run again */
};

static void add_error(void *arg, const char *error)
{
	json_array_append_new(arg, json_string(error));
}

static void parse(const struct berth_cmd_source *source, struct berth_cmd_parsed *parsed)
{
	*parsed = (struct berth_cmd_parsed){.errors = json_array()};
	parsed->config = berth_config_parse_all(source->name, source->text, source->length, add_error,
						parsed->errors, parsed->error);
}

void berth_cmd_parsed_clear(struct berth_cmd_parsed *parsed)
{
	berth_config_free(parsed->config);
	json_decref(parsed->errors);
	*parsed = (struct berth_cmd_parsed){.config = NULL};
}

static void job_free(struct job *job)
{
	for (size_t i = 0; i < job->n; i++) {
		berth_cmd_parsed_clear(&job->parsed[i]);
		free((char *)job->sources[i].name);
		free((char *)job->sources[i].text);
	}
	free(job);
}

static void *run_in_thread(void *arg)
{
	struct job *job = arg;
	const uint64_t one = 1;
	for (size_t i = 0; i < job->n; i++)
		parse(&job->sources[i], &job->parsed[i]);
	if (job->sources[0].saves && job->parsed[0].config && job->preparer.in_thread)
		job->preparer.in_thread(job->preparer.arg, job->sources[0].text, job->sources[0].length);
	if (write(job->done, &one, sizeof(one)) != sizeof(one))
		abort(); /* an eventfd takes 2^64 - 2 of them */
	return NULL;
}

static void start_next(struct berth_cmd_parser *parser)
{
	struct job *job = TAILQ_FIRST(&parser->jobs);
	if (parser->is_running || !job || job->is_parsed)
		return;
	parser->is_running = !pthread_create(&parser->thread, NULL, run_in_thread, job);
	/* Without a thread it takes the loop's time. */
	if (!parser->is_running) {
		run_in_thread(job);
		job->is_parsed = true;
	}
}

static void go_on(struct berth_cmd_parser *parser, struct job *job)
{
	parser->ready = job;
	if (job->pending)
		berth_server_run_again(job->pending);
	parser->ready = NULL;
	if (job->fn)
		job->fn(job->arg, &job->sources[0], &job->parsed[0]);
}

/* The first job is parsed, and prepared. */
static void finish(struct berth_cmd_parser *parser)
{
	struct job *job = TAILQ_FIRST(&parser->jobs);
	TAILQ_REMOVE(&parser->jobs, job, entry);
	parser->n--;
	go_on(parser, job);
	if (parser->preparer.end)
		parser->preparer.end(parser->preparer.arg);
	start_next(parser);
	job_free(job);
}

static bool is_wanted(const struct job *job)
{
	return job->pending || job->fn;
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval now = {0, 0};
	struct berth_cmd_parser *parser = arg;
	const struct job *job = TAILQ_FIRST(&parser->jobs);
	(void)fd;
	(void)what;
	if (job->sources[0].applies && job->parsed[0].config && is_wanted(job) && parser->preparer.turn &&
	    parser->preparer.turn(parser->preparer.arg, job->parsed[0].config))
		event_add(parser->turn, &now);
	else
		finish(parser);
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
	job->is_parsed = true;
	on_turn(-1, EV_TIMEOUT, parser);
}

static void on_cancel(void *arg)
{
	((struct job *)arg)->pending = NULL;
}

static int copy_source(struct berth_cmd_source *copy, const struct berth_cmd_source *source)
{
	char *text = malloc(source->length + 1);
	*copy = (struct berth_cmd_source){.name = strdup(source->name),
					  .text = text,
					  .length = source->length,
					  .applies = source->applies,
					  .saves = source->saves};
	if (!copy->name || !text)
		return -ENOMEM;
	memcpy(text, source->text, source->length);
	return 0;
}

/* A job in place of this turn of the loop. NULL: the texts are short, or there is no room. */
static struct job *job_new(struct berth_cmd_parser *parser, const struct berth_cmd_source *sources, size_t n)
{
	size_t length = 0;
	for (size_t i = 0; i < n; i++)
		length += sources[i].length;
	if (!parser || length < LONG_TEXT || parser->n == MOST_JOBS)
		return NULL;
	struct job *job = calloc(1, sizeof(*job));
	if (!job)
		return NULL;
	job->done = parser->done;
	job->preparer = parser->preparer;
	while (job->n < n) {
		const size_t at = job->n++; /* before a failure, so that it is freed */
		if (copy_source(&job->sources[at], &sources[at])) {
			job_free(job);
			return NULL;
		}
	}
	return job;
}

static void add(struct berth_cmd_parser *parser, struct job *job)
{
	TAILQ_INSERT_TAIL(&parser->jobs, job, entry);
	parser->n++;
	start_next(parser);
}

/* False: no client that can wait, or as job_new. */
static bool defer(const struct berth_cmd_context *context, const struct berth_cmd_source *sources, size_t n)
{
	struct job *job = job_new(context->parser, sources, n);
	if (!job)
		return false;
	job->pending = berth_server_defer(context->server, on_cancel, job);
	if (!job->pending) {
		job_free(job);
		return false;
	}
	add(context->parser, job);
	return true;
}

/* Whether the job has parsed this text, which an edit makes anew each time. */
static bool has_parsed(const struct job *job, size_t at, const struct berth_cmd_source *source)
{
	return at < job->n && job->parsed[at].errors && job->sources[at].length == source->length &&
	       strcmp(job->sources[at].name, source->name) == 0 &&
	       memcmp(job->sources[at].text, source->text, source->length) == 0;
}

/* Takes what the job has parsed. False: it has parsed other texts. */
static bool take(struct job *job, const struct berth_cmd_source *sources, size_t n, struct berth_cmd_parsed *parsed)
{
	for (size_t i = 0; i < n; i++)
		if (!job || !has_parsed(job, i, &sources[i]))
			return false;
	for (size_t i = 0; i < n; i++) {
		parsed[i] = job->parsed[i];
		job->parsed[i] = (struct berth_cmd_parsed){.config = NULL};
	}
	return true;
}

bool berth_cmd_parse_all(const struct berth_cmd_context *context, const struct berth_cmd_source *sources, size_t n,
			 struct berth_cmd_parsed *parsed)
{
	if (take(context->parser ? context->parser->ready : NULL, sources, n, parsed))
		return true;
	if (defer(context, sources, n))
		return false;
	for (size_t i = 0; i < n; i++)
		parse(&sources[i], &parsed[i]);
	return true;
}

bool berth_cmd_parse(const struct berth_cmd_context *context, const char *name, const char *text, size_t length,
		     struct berth_cmd_parsed *parsed)
{
	const struct berth_cmd_source source = {.name = name, .text = text, .length = length};
	return berth_cmd_parse_all(context, &source, 1, parsed);
}

bool berth_cmd_has_other_text(const struct berth_cmd_context *context, const struct berth_cmd_source *source)
{
	const struct job *ready = context->parser ? context->parser->ready : NULL;
	return ready && !has_parsed(ready, 0, source);
}

void berth_cmd_parse_then(struct berth_cmd_parser *parser, const struct berth_cmd_source *source,
			  berth_cmd_parsed_fn *fn, void *arg)
{
	struct job *job = job_new(parser, source, 1);
	if (job) {
		job->fn = fn;
		job->arg = arg;
		add(parser, job);
		return;
	}
	struct berth_cmd_parsed parsed;
	parse(source, &parsed);
	fn(arg, source, &parsed);
	berth_cmd_parsed_clear(&parsed);
}

void berth_cmd_parser_set_preparer(struct berth_cmd_parser *parser, const struct berth_cmd_preparer *preparer)
{
	parser->preparer = *preparer;
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
	parser->turn = evtimer_new(base, on_turn, parser);
	if (parser->ended && parser->turn && event_add(parser->ended, NULL) == 0)
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
	if (parser->turn)
		event_free(parser->turn);
	if (parser->done >= 0)
		close(parser->done);
	free(parser);
}
