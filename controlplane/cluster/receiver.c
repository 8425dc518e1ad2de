// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/cluster/receiver.h"

#include <errno.h>
#include <stdlib.h>

#include "controlplane/cluster/clears.h"
#include "controlplane/tables/former_words.h"
#include "controlplane/tables/sessions.h"

enum {
	/* So long after it was told a record of this node can come back for the first time: twice this at most.
	 * What comes later is read again, since the store was lost, or has waited for the store: a session in it is
	 * not cleared once more. */
	RECENT_S = 10,
	MISSED = 64,
};

struct berth_receiver {
	struct berth_sender *sender;
	const struct berth_image *image; /* of the batch */
	const struct berth_receiver_batch *batch;
	struct berth_ids numbers;
	struct berth_clears clears;
	/* This node's sequence RECENT_S ago or earlier, that of at most RECENT_S ago, and when that was. */
	uint64_t sequence_before, sequence;
	uint32_t sequence_s;
	struct berth_receiver_counts counts;
	bool has_all; /* of the batch: each of its services and backends is known */
	/* Of records that could not be taken, each pair once; beyond MISSED: of any. */
	struct missed {
		uint64_t service;
		uint64_t backend; /* 0: none */
	} missed[MISSED];
	uint32_t n_missed;
	uint64_t missed_digest; /* of the ids that were known last */
};

struct berth_receiver *berth_receiver_new(struct berth_sender *sender)
{
	struct berth_receiver *receiver = calloc(1, sizeof(*receiver));
	if (receiver)
		receiver->sender = sender;
	return receiver;
}

void berth_receiver_free(struct berth_receiver *receiver)
{
	if (!receiver)
		return;
	berth_ids_free(&receiver->numbers);
	berth_clears_free(&receiver->clears);
	free(receiver);
}

/* --- records --- */

static uint32_t idle_s(const struct berth_receiver *receiver, const struct berth_cluster_record *record)
{
	const uint64_t idle = (uint64_t)record->age_s + receiver->batch->age_s;
	return idle < UINT32_MAX ? (uint32_t)idle : UINT32_MAX;
}

static void miss(struct berth_receiver *receiver, const struct berth_cluster_record *record)
{
	receiver->counts.unknown++;
	receiver->has_all = false;
	if (!receiver->n_missed)
		receiver->missed_digest = receiver->numbers.digest;
	for (uint32_t i = 0; i < receiver->n_missed && i < MISSED; i++)
		if (receiver->missed[i].service == record->service &&
		    receiver->missed[i].backend == record->backend)
			return;
	if (receiver->n_missed < MISSED)
		receiver->missed[receiver->n_missed] = (struct missed){record->service, record->backend};
	receiver->n_missed += receiver->n_missed <= MISSED;
}

static bool is_known(const struct berth_receiver *receiver, uint64_t service, uint64_t backend)
{
	return berth_ids_service(&receiver->numbers, service) &&
	       (!backend || berth_ids_backend(&receiver->numbers, backend));
}

/* What it is here. False: unknown. */
static bool translate(const struct berth_receiver *receiver, const struct berth_view *view,
		      const struct berth_cluster_record *record, struct berth_received *received)
{
	const uint32_t service = berth_ids_service(&receiver->numbers, record->service);
	const uint32_t number = berth_ids_backend(&receiver->numbers, record->backend);
	const struct berth_backend *backend = number ? berth_backend_of(view, number) : NULL;
	const bool is_session = record->table != BERTH_CLUSTER_FLOW;
	if (!service || !backend || backend->service != service)
		return false;
	*received = (struct berth_received){
		.table = is_session ? BERTH_TABLE_SESSIONS : BERTH_TABLE_FLOWS,
		.service = service,
		.backend = number,
		.tag = record->tag,
		.low = record->low,
		.low_bits = record->low_bits,
		.state = (enum berth_state)record->state,
		.idle_s = idle_s(receiver, record),
		.told_s = receiver->batch->age_s,
		.is_again = receiver->batch->is_again,
		.reason = record->table == BERTH_CLUSTER_PIN ? BERTH_REASON_MOVED
							     : (enum berth_reason)record->reason,
		.client = record->client,
		.has_held = is_session && record->low_bits == BERTH_CLUSTER_RECORD_LOW_BITS,
	};
	if (received->has_held)
		received->held_s = berth_sender_held_s(receiver->sender, view, record->low);
	return true;
}

/* Before a session is written: after the clears that came before it, one of which may be under way. */
static void keep_order(struct berth_receiver *receiver, const struct berth_view *view,
		       const struct berth_received *received)
{
	if (berth_clears_precede(&receiver->clears, &receiver->numbers, view, received->service, &received->client))
		return;
	while (berth_clears_step(&receiver->clears, &receiver->numbers, view,
				 berth_sender_sequence(receiver->sender)))
		;
}

static void put(struct berth_receiver *receiver, const struct berth_view *view,
		const struct berth_cluster_record *record)
{
	struct berth_received received;
	struct berth_received_places places;
	if (!translate(receiver, view, record, &received)) {
		miss(receiver, record);
		return;
	}
	const bool is_session = received.table == BERTH_TABLE_SESSIONS;
	if (is_session)
		keep_order(receiver, view, &received);
	receiver->counts.put[berth_received_put(view, &received, &places)]++;
	for (uint32_t i = 0; i < places.n; i++) {
		berth_sender_receive(receiver->sender, view, received.table, &places.entry[i], received.idle_s);
		if (is_session)
			berth_clears_spare(&receiver->clears, places.entry[i].at);
	}
	if (places.has_other)
		berth_sender_answer(receiver->sender, view, received.table, &places.other);
}

/* --- commands --- */

/* Gives the client its session on this backend. It may have none here: that it had was told as a pin, and the pin's
 * end was received first. */
static bool place(const struct berth_view *view, const struct berth_received *received,
		  struct berth_session *placed)
{
	const struct berth_session_record record = {.client = received->client,
						    .service = received->service,
						    .backend = received->backend,
						    .reason = BERTH_REASON_MOVED};
	const int err = berth_sessions_assign(view, &received->client, received->service, received->backend,
					      BERTH_REASON_MOVED, placed);
	if (err != -ENOENT)
		return !err;
	return !berth_sessions_restore(view, &record) &&
	       berth_sessions_lookup(view, &received->client, received->service, placed);
}

/* Whether the client's session had packets since the command was told, which may have been carried out then. */
static bool has_moved_on(const struct berth_receiver *receiver, const struct berth_view *view,
			 const struct berth_received *received)
{
	struct berth_session session;
	return receiver->batch->is_again &&
	       berth_sessions_lookup(view, &received->client, received->service, &session) &&
	       berth_word_age(session.word, view->now) < receiver->batch->age_s;
}

static void move(struct berth_receiver *receiver, const struct berth_view *view,
		 const struct berth_cluster_record *record)
{
	struct berth_received received;
	struct berth_session placed;
	if (!translate(receiver, view, record, &received)) {
		miss(receiver, record);
		return;
	}
	berth_former_words_empty(receiver->image, BERTH_TABLE_SESSIONS, view->now);
	keep_order(receiver, view, &received);
	if (has_moved_on(receiver, view, &received))
		return;
	if (!place(view, &received, &placed)) {
		receiver->counts.put[BERTH_RECEIVED_NO_ROOM]++;
		return;
	}
	receiver->counts.commands += !berth_sender_is_own(receiver->sender, record);
	berth_clears_spare(&receiver->clears, placed.at);
	const struct berth_entry entry = {.value = placed.word, .at = placed.at};
	berth_sender_receive(receiver->sender, view, BERTH_TABLE_SESSIONS, &entry,
			     berth_word_age(placed.word, view->now));
}

static void clear(struct berth_receiver *receiver, const struct berth_view *view,
		  const struct berth_cluster_record *record)
{
	const struct berth_clear wanted = {.service = record->service,
					   .backend = record->backend,
					   .client = record->client,
					   .client_bits = record->client_bits,
					   .spares_later = receiver->batch->is_again,
					   .told_s = view->now - receiver->batch->age_s};
	if (!is_known(receiver, record->service, record->backend)) {
		miss(receiver, record);
		return;
	}
	berth_former_words_empty(receiver->image, BERTH_TABLE_SESSIONS, view->now);
	if (berth_clears_add(&receiver->clears, &wanted, &receiver->numbers, view,
			     berth_sender_sequence(receiver->sender)))
		receiver->counts.commands += !berth_sender_is_own(receiver->sender, record);
	else
		receiver->counts.put[BERTH_RECEIVED_NO_ROOM]++;
}

static void age_sequence(struct berth_receiver *receiver, uint32_t now)
{
	if (now - receiver->sequence_s < RECENT_S)
		return;
	receiver->sequence_before = receiver->sequence;
	receiver->sequence = berth_sender_sequence(receiver->sender);
	receiver->sequence_s = now;
}

bool berth_receiver_step(struct berth_receiver *receiver, const struct berth_image *image, uint32_t now)
{
	age_sequence(receiver, now);
	if (!berth_clears_are_under_way(&receiver->clears))
		return false;
	berth_ids_read(&receiver->numbers, image);
	berth_former_words_empty(image, BERTH_TABLE_SESSIONS, now);
	const struct berth_view view = berth_sessions_view(image, now);
	return berth_clears_step(&receiver->clears, &receiver->numbers, &view,
				 berth_sender_sequence(receiver->sender));
}

/* --- this node's own --- */

/* Others have taken the session after they had cleared it: this node told it before it had heard of that. */
static void clear_again(struct berth_receiver *receiver, const struct berth_cluster_record *session)
{
	const struct berth_cluster_record command = {.table = BERTH_CLUSTER_CLEAR,
						     .service = session->service,
						     .backend = session->backend,
						     .client = session->client,
						     .client_bits = session->client_bits};
	berth_sender_command(receiver->sender, &command);
}

/* Sessions alone: of two flows the one with later traffic is told again. */
static void hear_own(struct berth_receiver *receiver, const struct berth_view *view,
		     const struct berth_cluster_record *record)
{
	struct berth_received received;
	struct berth_session session;
	if (record->table != BERTH_CLUSTER_SESSION || !berth_sender_has_answers(receiver->sender) ||
	    !translate(receiver, view, record, &received) ||
	    !berth_sessions_lookup(view, &received.client, received.service, &session) ||
	    berth_word_backend(session.word) != received.backend)
		return;
	const struct berth_entry entry = {.value = session.word, .at = session.at};
	berth_sender_heard(receiver->sender, view, BERTH_TABLE_SESSIONS, &entry);
}

/* A clear of this node is carried out again in the order of the store: what others told before it may have come
 * since, the more so if it is read again. So is a move that was done here before a clear that comes before it. A
 * session that is read again may come before a clear that is remembered from the first time. One that is told
 * before an old clear is read again, because the store has failed over, stays as it does in the table. */
static void take_own(struct berth_receiver *receiver, const struct berth_view *view,
		     const struct berth_cluster_record *record)
{
	receiver->counts.own++;
	hear_own(receiver, view, record);
	const bool is_clear = record->table == BERTH_CLUSTER_CLEAR;
	const uint32_t last_s = view->now - idle_s(receiver, record);
	if (record->sequence <= receiver->sequence_before && !(is_clear && receiver->batch->is_again))
		return;
	if (is_clear)
		clear(receiver, view, record);
	else if (record->table == BERTH_CLUSTER_MOVE && berth_clears_has(&receiver->clears, record, NULL))
		move(receiver, view, record);
	else if (record->table == BERTH_CLUSTER_SESSION && !receiver->batch->is_again &&
		 berth_clears_has(&receiver->clears, record, &last_s))
		clear_again(receiver, record);
}

/* --- a batch --- */

static void take(struct berth_receiver *receiver, const struct berth_view *view, uint64_t service,
		 const struct berth_cluster_record *record)
{
	if (record->service != service)
		receiver->counts.refused[BERTH_CLUSTER_RECORD_ID]++;
	else if (berth_sender_is_own(receiver->sender, record))
		take_own(receiver, view, record);
	else if (record->table == BERTH_CLUSTER_MOVE)
		move(receiver, view, record);
	else if (record->table == BERTH_CLUSTER_CLEAR)
		clear(receiver, view, record);
	else
		put(receiver, view, record);
}

bool berth_receiver_may_take_more(struct berth_receiver *receiver, const struct berth_image *image)
{
	if (!receiver->n_missed)
		return false;
	berth_ids_read(&receiver->numbers, image);
	if (receiver->numbers.digest == receiver->missed_digest)
		return false;
	receiver->missed_digest = receiver->numbers.digest;
	bool may_take = receiver->n_missed > MISSED;
	for (uint32_t i = 0; i < receiver->n_missed && i < MISSED; i++)
		may_take |= is_known(receiver, receiver->missed[i].service, receiver->missed[i].backend);
	receiver->n_missed = may_take ? 0 : receiver->n_missed;
	return may_take;
}

bool berth_receiver_take(struct berth_receiver *receiver, const struct berth_image *image, uint32_t now,
			 const struct berth_receiver_batch *batch)
{
	const struct berth_view view = berth_sessions_view(image, now);
	berth_ids_read(&receiver->numbers, image);
	receiver->image = image;
	receiver->batch = batch;
	receiver->has_all = true;
	age_sequence(receiver, now);
	for (size_t at = 0, size; at < batch->bytes; at += size) {
		struct berth_cluster_record record;
		const uint8_t *bytes = batch->records + at;
		const size_t left = batch->bytes - at;
		size = berth_cluster_record_size(bytes, left);
		const enum berth_cluster_record_fault fault = berth_cluster_record_decode(&record, bytes,
											  size ? size : left);
		if (fault == BERTH_CLUSTER_RECORD_VALID)
			take(receiver, &view, batch->service, &record);
		else
			receiver->counts.refused[fault]++;
		/* Where the next one begins is not known. */
		if (!size)
			break;
	}
	return receiver->has_all;
}

const struct berth_receiver_counts *berth_receiver_counts(const struct berth_receiver *receiver)
{
	return &receiver->counts;
}

uint64_t berth_receiver_refused(const struct berth_receiver_counts *counts)
{
	uint64_t n = 0;
	for (uint32_t fault = 0; fault < BERTH_CLUSTER_RECORD_FAULT_COUNT; fault++)
		n += counts->refused[fault];
	return n;
}
