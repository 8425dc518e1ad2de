// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/store/rounds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/store/failure.h"
#include "controlplane/store/outbox.h"
#include "controlplane/util/clock.h"
#include "controlplane/util/log.h"

enum {
	PERIOD_MS = 100,
	TIMEOUT_MS = 3000,
	MAX_ENTRIES = 256,	 /* of a round */
	MAX_STREAM_ENTRIES = 64, /* of one stream */
	ALARM_FAILURES = 4,	 /* one after the other */
};

struct identity {
	char epoch[BERTH_HELPER_STORE_ID_BYTES];
	char run_id[BERTH_HELPER_STORE_ID_BYTES];
};

struct berth_rounds {
	struct berth_helper *helper;
	const struct berth_cluster_config *config;
	uint64_t run;
	struct event *timer;
	struct berth_store_listener listener;
	struct berth_outbox outbox;
	struct berth_followed followed;
	struct berth_store_records status;
	struct berth_backoff backoff;
	unsigned int failures; /* one after the other */
	struct berth_store_server server;
	char password[BERTH_STORE_SECRET_BYTES];
	bool is_allowed;
	bool has_followed; /* services were named, or that there are none */
	bool is_waiting;   /* for the time of the next round, which no failure put off */
	bool is_running;
	bool reads_missed;	  /* with the next round */
	struct identity identity; /* of the store, in the last round */
	/* The round. */
	uint64_t id;
	uint64_t page[BERTH_HELPER_STORE_PAGE]; /* services */
	bool is_read[BERTH_HELPER_STORE_PAGE];
	uint32_t n;
	size_t n_tells; /* not answered */
	bool has_told;
	bool has_moved; /* something was read */
};

/* --- between rounds --- */

static void schedule(struct berth_rounds *rounds, uint64_t ms)
{
	if (rounds->is_running || !rounds->is_allowed || !rounds->has_followed)
		return;
	berth_timer_set(rounds->timer, ms);
}

static void set_alarm(struct berth_rounds *rounds, bool is_alarm)
{
	struct berth_store_records *status = &rounds->status;
	if (status->is_alarm == is_alarm)
		return;
	status->is_alarm = is_alarm;
	if (is_alarm)
		berth_log("ALARM: cluster %s: nodes cannot tell each other their exceptions (%s)",
			  rounds->config->name, status->error);
	else
		berth_log("alarm over: cluster %s: nodes tell each other their exceptions", rounds->config->name);
}

static void fail(struct berth_rounds *rounds, const char *reason)
{
	berth_failure_copy(rounds->status.error, reason);
	rounds->status.failures++;
	rounds->is_running = false;
	rounds->is_waiting = false;
	if (++rounds->failures >= ALARM_FAILURES)
		set_alarm(rounds, true);
	schedule(rounds, berth_backoff_next(&rounds->backoff));
}

/* --- what comes from the helper --- */

/* What is not known does not differ. */
static bool differs(const char *before, const char *now)
{
	return before[0] && now[0] && strcmp(before, now) != 0;
}

/* The store has other data, or another server has taken over and may lack the last writes. */
static void lose(struct berth_rounds *rounds, const char *reason)
{
	berth_log("cluster %s: %s: this node tells all its exceptions again, and reads those of all others",
		  rounds->config->name, reason);
	rounds->status.lost++;
	rounds->status.is_synchronised = false;
	berth_followed_reset(&rounds->followed);
	if (rounds->listener.on_lost)
		rounds->listener.on_lost(rounds->listener.arg);
}

static void take_identity(struct berth_rounds *rounds, const struct berth_helper_store_round_ended *answer)
{
	struct identity *identity = &rounds->identity;
	const bool is_other_data = differs(identity->epoch, answer->epoch);
	const bool is_other_server = differs(identity->run_id, answer->run_id);
	if (answer->epoch[0])
		memcpy(identity->epoch, answer->epoch, sizeof(identity->epoch));
	if (answer->run_id[0])
		memcpy(identity->run_id, answer->run_id, sizeof(identity->run_id));
	if (is_other_data)
		lose(rounds, "the store has other data");
	else if (is_other_server)
		lose(rounds, "the store runs anew, or elsewhere");
}

static bool on_told(struct berth_rounds *rounds, const struct berth_helper_header *header)
{
	const struct berth_helper_store_told *message = (const struct berth_helper_store_told *)header;
	if (header->bytes != sizeof(*message) || !rounds->n_tells)
		return false;
	const struct berth_outbox_batch *batch = STAILQ_FIRST(&rounds->outbox.queue);
	const struct berth_followed_service *service = berth_followed_find(&rounds->followed, batch->service);
	rounds->n_tells--;
	rounds->status.refused_batches += message->refused != 0;
	rounds->status.told_batches += !message->refused;
	rounds->status.told_bytes += message->refused ? 0 : batch->bytes;
	berth_outbox_pop(&rounds->outbox);
	if (!message->refused && service && berth_store_is_before(message->at, service->read))
		lose(rounds, "a stream of the store begins anew");
	return true;
}

static bool on_batch(struct berth_rounds *rounds, const struct berth_helper_header *header)
{
	const struct berth_helper_store_batch *message = (const struct berth_helper_store_batch *)header;
	if (header->bytes <= berth_helper_store_batch_bytes(0) ||
	    header->bytes != berth_helper_store_batch_bytes(message->bytes))
		return false;
	rounds->has_moved = true;
	rounds->status.read_batches += !message->is_own;
	rounds->status.read_bytes += message->is_own ? 0 : message->bytes;
	struct berth_followed_service *service = berth_followed_find(&rounds->followed, message->service);
	if (!rounds->listener.on_batch || !service || !service->is_read)
		return true;
	const struct berth_store_batch batch = {.service = message->service,
						.is_own = message->is_own,
						.is_again = berth_followed_is_again(service, message->at),
						.age_s = message->age_s,
						.records = message->records,
						.bytes = message->bytes};
	if (!rounds->listener.on_batch(rounds->listener.arg, &batch))
		berth_followed_miss(service, message->at);
	return true;
}

/* A position that went back would be read for ever. */
static bool on_read(struct berth_rounds *rounds, const struct berth_helper_header *header)
{
	const struct berth_helper_store_read *message = (const struct berth_helper_store_read *)header;
	if (header->bytes != sizeof(*message) || message->index >= rounds->n)
		return false;
	struct berth_followed_service *service = berth_followed_find(&rounds->followed,
								     rounds->page[message->index]);
	rounds->is_read[message->index] = true;
	rounds->status.refused_entries += message->refused;
	if (!service || !service->is_read || berth_store_is_before(message->after, service->read))
		return true;
	rounds->has_moved |= message->is_behind || berth_store_is_before(service->read, message->after);
	berth_followed_take(&rounds->followed, service, message->after, message->is_behind);
	return true;
}

/* What gave nothing has no more. */
static void end_page(struct berth_rounds *rounds)
{
	for (uint32_t i = 0; i < rounds->n; i++) {
		struct berth_followed_service *service = berth_followed_find(&rounds->followed, rounds->page[i]);
		if (service && !rounds->is_read[i])
			berth_followed_take(&rounds->followed, service, service->read, false);
	}
}

static void check_synchronised(struct berth_rounds *rounds)
{
	const bool was_synchronised = rounds->status.is_synchronised;
	rounds->status.is_synchronised = !rounds->followed.n_behind;
	if (rounds->status.is_synchronised && !was_synchronised && rounds->listener.on_synchronised)
		rounds->listener.on_synchronised(rounds->listener.arg);
}

static bool on_ended(struct berth_rounds *rounds, const struct berth_helper_header *header)
{
	const struct berth_helper_store_round_ended *answer = (const struct berth_helper_store_round_ended *)header;
	if (header->bytes != sizeof(*answer) || !memchr(answer->epoch, 0, sizeof(answer->epoch)) ||
	    !memchr(answer->run_id, 0, sizeof(answer->run_id)) ||
	    !memchr(answer->reason, 0, sizeof(answer->reason)))
		return false;
	if (!answer->failed)
		end_page(rounds);
	take_identity(rounds, answer);
	if (answer->failed) {
		fail(rounds, answer->reason);
		return true;
	}
	rounds->is_running = false;
	rounds->failures = 0;
	rounds->backoff = (struct berth_backoff){0};
	set_alarm(rounds, false);
	check_synchronised(rounds);
	/* What the outbox keeps back although nothing was told waits for the rate. */
	const bool has_more = (rounds->outbox.n && rounds->has_told) || rounds->followed.n_behind ||
			      rounds->has_moved || !berth_followed_is_around(&rounds->followed);
	rounds->is_waiting = true;
	schedule(rounds, has_more ? 0 : PERIOD_MS);
	return true;
}

bool berth_rounds_received(struct berth_rounds *rounds, const struct berth_helper_header *message)
{
	if (!rounds->is_running || message->id != rounds->id)
		return true;
	switch (message->type) {
	case BERTH_HELPER_STORE_TOLD:
		return on_told(rounds, message);
	case BERTH_HELPER_STORE_BATCH:
		return on_batch(rounds, message);
	case BERTH_HELPER_STORE_READ:
		return on_read(rounds, message);
	case BERTH_HELPER_STORE_ROUND_ENDED:
		return on_ended(rounds, message);
	default:
		return false;
	}
}

void berth_rounds_helper_ended(struct berth_rounds *rounds)
{
	if (rounds->is_running)
		fail(rounds, "berth's helper for the store ended");
}

/* --- a round --- */

static int send_tells(struct berth_rounds *rounds)
{
	static struct berth_helper_store_batch message;
	const uint64_t now_ms = berth_clock_ms();
	struct berth_outbox_batch *batch;
	int err = 0;
	rounds->n_tells = 0;
	rounds->has_told = false;
	STAILQ_FOREACH(batch, &rounds->outbox.queue, entry)
	{
		if (err || rounds->n_tells == BERTH_HELPER_STORE_TELLS ||
		    !berth_outbox_send(&rounds->outbox, batch, now_ms))
			break;
		message.header = (struct berth_helper_header){.type = BERTH_HELPER_STORE_TELL, .id = rounds->id};
		message.service = batch->service;
		message.horizon_s = batch->horizon_s;
		message.bytes = (uint32_t)batch->bytes;
		memcpy(message.records, batch->records, batch->bytes);
		err = berth_helper_send(rounds->helper, &message.header,
					berth_helper_store_batch_bytes(batch->bytes), NULL, 0);
		rounds->n_tells++;
		rounds->has_told = true;
	}
	return err;
}

static void fill_page(struct berth_rounds *rounds, struct berth_helper_store_round *message)
{
	const struct berth_followed_service *page[BERTH_HELPER_STORE_PAGE];
	const size_t n = berth_followed_next_page(&rounds->followed, page);
	for (size_t i = 0; i < n; i++) {
		rounds->page[i] = page[i]->id;
		rounds->is_read[i] = false;
		message->page[i] = (struct berth_helper_store_stream){.service = page[i]->id,
								      .after = page[i]->read};
	}
	rounds->n = (uint32_t)n;
	message->n = (uint32_t)n;
	message->count = (uint32_t)(n ? MAX_ENTRIES / n : 1);
	if (message->count > MAX_STREAM_ENTRIES)
		message->count = MAX_STREAM_ENTRIES;
}

static int send_round(struct berth_rounds *rounds)
{
	static struct berth_helper_store_round message;
	message.header = (struct berth_helper_header){.type = BERTH_HELPER_STORE_ROUND, .id = rounds->id};
	message.server = rounds->server;
	message.run = rounds->run;
	message.uses_tls = rounds->config->store.tls_ca[0] != 0;
	message.timeout_ms = TIMEOUT_MS;
	memcpy(message.username, rounds->config->store.username, sizeof(message.username));
	memcpy(message.password, rounds->password, sizeof(message.password));
	memcpy(message.cluster, rounds->config->name, sizeof(message.cluster));
	memcpy(message.node, rounds->config->node, sizeof(message.node));
	fill_page(rounds, &message);
	int err = berth_helper_send(rounds->helper, &message.header, berth_helper_store_round_bytes(message.n),
				    NULL, 0);
	explicit_bzero(message.password, sizeof(message.password));
	return err;
}

/* Between rounds: one under way moves positions. Once all was read: else a service that is read again and again
 * does not reach what was told since. */
static void take_missed(struct berth_rounds *rounds)
{
	if (!rounds->reads_missed || rounds->followed.n_behind)
		return;
	rounds->reads_missed = false;
	berth_followed_reset_missed(&rounds->followed);
	rounds->status.is_synchronised &= !rounds->followed.n_behind;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct berth_rounds *rounds = arg;
	if (rounds->is_running || !rounds->is_allowed)
		return;
	rounds->is_waiting = false;
	rounds->has_moved = false;
	rounds->id++;
	rounds->status.rounds++;
	take_missed(rounds);
	int err = send_tells(rounds);
	if (!err)
		err = send_round(rounds);
	rounds->is_running = !err;
	if (err)
		fail(rounds, err == -ENOTCONN ? "berth's helper for the store does not run" : strerror(-err));
}

void berth_rounds_allow(struct berth_rounds *rounds, const struct berth_store_server *server, const char *password)
{
	const bool was_allowed = rounds->is_allowed;
	rounds->server = *server;
	snprintf(rounds->password, sizeof(rounds->password), "%s", password);
	rounds->is_allowed = true;
	if (was_allowed)
		return;
	rounds->is_waiting = true;
	schedule(rounds, 0);
}

void berth_rounds_forbid(struct berth_rounds *rounds)
{
	rounds->is_allowed = false;
	rounds->failures = 0;
	event_del(rounds->timer);
}

/* --- for the user of the store --- */

bool berth_rounds_tell(struct berth_rounds *rounds, uint64_t service, const uint8_t *batch, size_t bytes)
{
	const struct berth_followed_service *followed = berth_followed_find(&rounds->followed, service);
	const bool is_valid = followed && bytes && bytes <= BERTH_HELPER_STORE_BATCH_BYTES;
	const struct berth_outbox_batch queued = {.service = service,
						  .horizon_s = is_valid ? followed->horizon_s : 0,
						  .queued_ms = berth_clock_ms(),
						  .bytes = bytes,
						  .may_join = is_valid && followed->may_join};
	const bool is_taken = is_valid && berth_outbox_push(&rounds->outbox, &queued, batch);
	rounds->status.refused_batches += !is_taken;
	if (is_taken && rounds->is_waiting)
		schedule(rounds, 0);
	return is_taken;
}

int berth_rounds_follow(struct berth_rounds *rounds, const struct berth_followed_wish *wishes, size_t n)
{
	int err = berth_followed_set(&rounds->followed, wishes, n);
	if (err)
		return err;
	const bool is_first = !rounds->has_followed;
	rounds->has_followed = true;
	rounds->status.is_synchronised &= !rounds->followed.n_behind;
	rounds->is_waiting |= is_first;
	if (rounds->is_waiting)
		schedule(rounds, 0);
	return 0;
}

/* A round under way may still move the position: it then gives what came since, and the next call is needed. */
void berth_rounds_read_again(struct berth_rounds *rounds, uint64_t service)
{
	berth_followed_reset_one(&rounds->followed, service);
	if (rounds->is_waiting)
		schedule(rounds, 0);
}

void berth_rounds_read_missed(struct berth_rounds *rounds)
{
	rounds->reads_missed = true;
	if (rounds->is_waiting)
		schedule(rounds, 0);
}

void berth_rounds_set_listener(struct berth_rounds *rounds, const struct berth_store_listener *listener)
{
	rounds->listener = *listener;
}

const struct berth_store_records *berth_rounds_status(struct berth_rounds *rounds)
{
	struct berth_store_records *status = &rounds->status;
	const struct berth_outbox_batch *oldest = STAILQ_FIRST(&rounds->outbox.queue);
	status->oldest_ms = oldest ? oldest->queued_ms : 0;
	status->queue_batches = rounds->outbox.n;
	status->queue_bytes = rounds->outbox.bytes;
	status->services = rounds->followed.n;
	status->read_services = rounds->followed.n_read;
	status->behind = rounds->followed.n_behind;
	return status;
}

struct berth_rounds *berth_rounds_new(struct event_base *base, struct berth_helper *helper,
				      const struct berth_cluster_config *config, uint64_t run)
{
	struct berth_rounds *rounds = calloc(1, sizeof(*rounds));
	if (!rounds)
		return NULL;
	*rounds = (struct berth_rounds){.helper = helper, .config = config, .run = run};
	berth_outbox_init(&rounds->outbox);
	rounds->timer = evtimer_new(base, on_timer, rounds);
	if (rounds->timer)
		return rounds;
	free(rounds);
	return NULL;
}

void berth_rounds_free(struct berth_rounds *rounds)
{
	if (!rounds)
		return;
	event_free(rounds->timer);
	berth_outbox_clear(&rounds->outbox);
	berth_followed_free(&rounds->followed);
	explicit_bzero(rounds->password, sizeof(rounds->password));
	free(rounds);
}
