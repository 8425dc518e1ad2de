// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "controlplane/health/types.h"
#include "controlplane/helper_program/serve.h"
#include "controlplane/util/wheel.h"

enum {
	/* A timeout that comes so late says nothing about the server: this process was stopped or starved. */
	STALL_MS = 500,
	BUCKETS = 4096,
};

LIST_HEAD(bucket, work);

struct berth_serve_probes {
	struct event_base *base;
	struct berth_wheel *wheel;
	struct berth_stream *stream;
	void *shared[BERTH_HEALTH_TYPES];
	struct bucket buckets[BUCKETS]; /* pending probes, by id */
};

struct work {
	struct berth_probe probe; /* first member */
	uint64_t id;
	LIST_ENTRY(work) entry;
	struct berth_serve_probes *probes;
	const struct berth_probe_ops *ops;
	struct berth_wheel_timer timer;
	uint64_t due_us;
	/* The probe's configuration follows: berth_helper_check_bytes of it. */
};

static struct bucket *bucket_of(struct berth_serve_probes *probes, uint64_t id)
{
	return &probes->buckets[id % BUCKETS];
}

static struct work *find(struct berth_serve_probes *probes, uint64_t id)
{
	struct work *work;
	LIST_FOREACH(work, bucket_of(probes, id), entry)
	if (work->id == id)
		return work;
	return NULL;
}

static void free_work(struct work *work)
{
	berth_wheel_cancel(work->probes->wheel, &work->timer);
	if (work->probe.given_fd >= 0)
		close(work->probe.given_fd);
	if (work->probe.ca_fd >= 0)
		close(work->probe.ca_fd);
	LIST_REMOVE(work, entry);
	free(work);
}

/* If it cannot be sent, berthd takes the probe for lost, which is no fault of the server. */
static void answer(struct work *work, enum berth_probe_result result)
{
	struct berth_helper_probed message = {
		.header = {.type = BERTH_HELPER_PROBED, .id = work->id},
		.result = result,
		.duration_us = (uint32_t)(berth_probe_now_us() - work->probe.started_us),
		.agent = work->probe.agent,
		.is_refused = work->probe.is_refused,
	};
	memcpy(message.reason, work->probe.reason, sizeof(message.reason));
	berth_stream_send(work->probes->stream, &message.header, sizeof(message), NULL, 0);
	free_work(work);
}

static void on_done(struct berth_probe *probe, enum berth_probe_result result)
{
	answer((struct work *)probe, result);
}

static void on_timeout(void *arg)
{
	struct work *work = arg;
	const uint64_t now_us = berth_probe_now_us(); /* the event loop's clock may be a little ahead */
	const uint64_t late_ms = now_us > work->due_us ? (now_us - work->due_us) / 1000 : 0;
	work->ops->cancel(&work->probe);
	if (late_ms > STALL_MS)
		berth_probe_set_reason(&work->probe, "berth's helper for probes was stopped for %u ms",
				       (unsigned int)late_ms);
	else
		berth_probe_set_timeout(&work->probe);
	answer(work, late_ms > STALL_MS ? BERTH_PROBE_HOST_ERROR : BERTH_PROBE_TIMED_OUT);
}

static enum berth_probe_result start(struct work *work)
{
	void **shared = &work->probes->shared[work->probe.key.check->type];
	if (!*shared && work->ops->open)
		*shared = work->ops->open(work->probes->base);
	if (!*shared && work->ops->open)
		return berth_probe_fail(&work->probe, ENOMEM);
	work->probe.shared = *shared;
	return work->ops->start(&work->probe);
}

static struct work *create(struct berth_serve_probes *probes, const struct berth_helper_probe *message)
{
	const size_t check_bytes = berth_helper_check_bytes(message->check.type);
	struct work *work = calloc(1, sizeof(*work) + check_bytes);
	if (!work)
		return NULL;
	work->id = message->header.id;
	work->probes = probes;
	work->ops = berth_probe_types[message->check.type];
	memcpy(work + 1, &message->check, check_bytes);
	work->probe.key.address = message->address;
	work->probe.key.port = message->port;
	work->probe.key.check = (const struct berth_health_config *)(work + 1);
	work->probe.key.tunnel_target = message->flags & BERTH_HELPER_IS_TUNNEL;
	work->probe.base = probes->base;
	work->probe.done = on_done;
	work->probe.timeout_reason = "no answer";
	work->probe.is_raw = message->flags & BERTH_HELPER_IS_RAW;
	work->probe.given_fd = work->probe.ca_fd = -1;
	work->timer = (struct berth_wheel_timer){.fn = on_timeout, .arg = work};
	LIST_INSERT_HEAD(bucket_of(probes, work->id), work, entry);
	return work;
}

static void start_timer(struct work *work)
{
	const uint32_t ms = work->probe.key.check->timeout_ms ? work->probe.key.check->timeout_ms : 1;
	work->probe.started_us = berth_probe_now_us();
	work->due_us = work->probe.started_us + UINT64_C(1000) * ms;
	berth_wheel_set(work->probes->wheel, &work->timer, UINT64_C(1000) * ms);
}

static size_t expected_fds(const struct berth_helper_probe *message)
{
	return !!(message->flags & BERTH_HELPER_HAS_SOCKET) + (size_t) !!(message->flags & BERTH_HELPER_HAS_CA);
}

static bool is_valid(struct berth_serve_probes *probes, const struct berth_helper_probe *message, size_t n_fds)
{
	const size_t least = offsetof(struct berth_helper_probe, check) + sizeof(message->check.type);
	return message->header.bytes >= least && message->check.type > BERTH_HEALTH_NONE &&
	       message->check.type < BERTH_HEALTH_TYPES && message->check.type != BERTH_HEALTH_EXEC &&
	       message->header.bytes == berth_helper_probe_bytes(message->check.type) &&
	       expected_fds(message) == n_fds && !find(probes, message->header.id);
}

bool berth_serve_probe(struct berth_serve_probes *probes, const struct berth_helper_header *header, const int *fds,
		       size_t n_fds)
{
	const struct berth_helper_probe *message = (const struct berth_helper_probe *)header;
	struct work *work = is_valid(probes, message, n_fds) ? create(probes, message) : NULL;
	if (!work) {
		for (size_t i = 0; i < n_fds; i++)
			close(fds[i]);
		return false;
	}
	if (message->flags & BERTH_HELPER_HAS_SOCKET)
		work->probe.given_fd = fds[0];
	if (message->flags & BERTH_HELPER_HAS_CA)
		work->probe.ca_fd = fds[n_fds - 1];
	start_timer(work);
	enum berth_probe_result result = start(work);
	if (result != BERTH_PROBE_PENDING)
		answer(work, result);
	return true;
}

void berth_serve_probes_cancel(struct berth_serve_probes *probes, uint64_t id)
{
	struct work *work = find(probes, id);
	if (!work)
		return;
	work->ops->cancel(&work->probe);
	free_work(work);
}

struct berth_serve_probes *berth_serve_probes_new(struct event_base *base)
{
	struct berth_serve_probes *probes = calloc(1, sizeof(*probes));
	if (!probes)
		return NULL;
	probes->base = base;
	probes->wheel = berth_wheel_new(base);
	void **tcp = &probes->shared[BERTH_HEALTH_TCP];
	*tcp = berth_probe_tcp.open(base);
	if (probes->wheel && *tcp)
		return probes;
	if (probes->wheel)
		berth_wheel_free(probes->wheel);
	if (*tcp)
		berth_probe_tcp.close(*tcp);
	free(probes);
	return NULL;
}

void berth_serve_probes_set_stream(struct berth_serve_probes *probes, struct berth_stream *stream)
{
	probes->stream = stream;
}
