// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/server/reader.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "controlplane/server/format.h"
#include "controlplane/server/private.h"

enum {
	LONG_REQUEST = 64 << 10, /* bytes; a shorter one takes less than a millisecond */
	MOST_JOBS = 8,		 /* their texts are in memory; the loop itself parses what comes then */
};

/* A request. The thread has the job until it has written `done`. */
struct job {
	TAILQ_ENTRY(job) entry;
	struct server_client *client; /* NULL: it has gone */
	char *line;
	size_t length;
	json_t *request;
	bool is_parsed; /* by the loop */
	int done;	/* the reader's */
};

/* The first job is the thread's. */
struct berth_server_reader {
	TAILQ_HEAD(, job) jobs;
	unsigned int n;
	pthread_t thread;
	bool is_running;
	int done; /* eventfd */
	struct event *ended;
};

static void job_free(struct job *job)
{
	json_decref(job->request);
	free(job->line);
	free(job);
}

static void *run_in_thread(void *arg)
{
	struct job *job = arg;
	const uint64_t one = 1;
	job->request = berth_server_parse_request(job->line, job->length);
	if (write(job->done, &one, sizeof(one)) != sizeof(one))
		abort(); /* an eventfd takes 2^64 - 2 of them */
	return NULL;
}

static void start_next(struct berth_server_reader *reader)
{
	struct job *job = TAILQ_FIRST(&reader->jobs);
	if (reader->is_running || !job || job->is_parsed)
		return;
	reader->is_running = !pthread_create(&reader->thread, NULL, run_in_thread, job);
	if (reader->is_running)
		return;
	/* Without a thread it takes the loop's time. */
	run_in_thread(job);
	job->is_parsed = true;
}

static void run_request(struct job *job)
{
	struct server_client *client = job->client;
	json_t *request = job->request;
	job->request = NULL;
	client->cancel = NULL;
	berth_server_client_run(client, request);
}

/* The thread has written `done`. */
static void on_ended(evutil_socket_t fd, short what, void *arg)
{
	struct berth_server_reader *reader = arg;
	struct job *job = TAILQ_FIRST(&reader->jobs);
	eventfd_t count;
	(void)what;
	if (eventfd_read(fd, &count) || !job)
		return;
	if (reader->is_running)
		pthread_join(reader->thread, NULL);
	reader->is_running = false;
	TAILQ_REMOVE(&reader->jobs, job, entry);
	reader->n--;
	start_next(reader);
	if (job->client)
		run_request(job);
	job_free(job);
}

static void on_cancel(void *arg)
{
	((struct job *)arg)->client = NULL;
}

bool berth_server_reader_take(struct berth_server_reader *reader, struct server_client *client, size_t length)
{
	struct evbuffer *input = bufferevent_get_input(client->stream);
	if (length < LONG_REQUEST || reader->n == MOST_JOBS)
		return false;
	struct job *job = calloc(1, sizeof(*job));
	if (job)
		job->line = malloc(length);
	if (!job || !job->line) {
		free(job);
		return false;
	}
	job->length = length;
	job->client = client;
	job->done = reader->done;
	evbuffer_remove(input, job->line, length);
	evbuffer_drain(input, 1);
	client->cancel = on_cancel;
	client->cancel_arg = job;
	TAILQ_INSERT_TAIL(&reader->jobs, job, entry);
	reader->n++;
	start_next(reader);
	return true;
}

struct berth_server_reader *berth_server_reader_new(struct event_base *base)
{
	struct berth_server_reader *reader = calloc(1, sizeof(*reader));
	if (!reader)
		return NULL;
	TAILQ_INIT(&reader->jobs);
	reader->done = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (reader->done >= 0)
		reader->ended = event_new(base, reader->done, EV_READ | EV_PERSIST, on_ended, reader);
	if (reader->ended && event_add(reader->ended, NULL) == 0)
		return reader;
	berth_server_reader_free(reader);
	return NULL;
}

void berth_server_reader_free(struct berth_server_reader *reader)
{
	struct job *job;
	if (!reader)
		return;
	if (reader->is_running)
		pthread_join(reader->thread, NULL);
	while ((job = TAILQ_FIRST(&reader->jobs))) {
		TAILQ_REMOVE(&reader->jobs, job, entry);
		job_free(job);
	}
	if (reader->ended)
		event_free(reader->ended);
	if (reader->done >= 0)
		close(reader->done);
	free(reader);
}
