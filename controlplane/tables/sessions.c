// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/tables/sessions.h"

#include <errno.h>

#include "controlplane/util/address.h"
#include "dataplane/core/session.h"

enum {
	MAX_TRIES = 64, /* of a change that a worker preceded; each worker change is one touch or move */
};

struct berth_view berth_sessions_view(const struct berth_image *image, uint32_t now)
{
	return berth_image_view(image, BERTH_CONTROL_WORKER, now);
}

uint8_t berth_sessions_prefix_bits(const struct berth_service *service, const union berth_addr *client)
{
	return berth_addr_is4(client) ? (uint8_t)(BERTH_ADDRESS_BITS4 + service->prefix4) : service->prefix6;
}

static uint64_t *word_at(const struct berth_view *view, uint32_t at)
{
	return &berth_at_sessions(view, at / BERTH_BUCKET_WORDS)->word[at % BERTH_BUCKET_WORDS];
}

/* A worker writes the client after the word, and the client's tag after its address. So the copy belongs to this
 * word if it had the word's tag before, and the word is unchanged after. */
void berth_sessions_read_client(const struct berth_view *view, struct berth_session *session)
{
	const struct berth_client *client = berth_at_clients(view, session->at);
	uint32_t tag = berth_word_tag(session->word);
	session->has_client = false;
	if (BERTH_LOAD(&client->tag) != tag)
		return;
	session->client = *client;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	uint64_t now = BERTH_LOAD(word_at(view, session->at));
	session->has_client = session->client.reason != BERTH_REASON_NONE && berth_word_tag(now) == tag &&
			      berth_word_backend(now) == berth_word_backend(session->word);
	/* The backend of the pin was removed. */
	if (session->client.reason == BERTH_REASON_PINNED && !session->client.from)
		session->client.reason = BERTH_REASON_FAILED_OVER;
}

static bool is_pinned(const struct berth_session *session)
{
	return session->has_client && session->client.reason == BERTH_REASON_PINNED;
}

static bool matches_client(const struct berth_session_filter *filter, const struct berth_service *service,
			   const struct berth_session *session)
{
	const union berth_addr *addr = &session->client.addr;
	if (!session->has_client || berth_addr_is4(addr) != berth_addr_is4(&filter->prefix))
		return false;
	uint8_t bits = berth_sessions_prefix_bits(service, addr);
	if (filter->bits < bits)
		bits = filter->bits;
	union berth_addr prefix = berth_prefix_of(&filter->prefix, bits);
	return berth_prefix_holds(&prefix, bits, addr);
}

bool berth_session_is_confirmed(const struct berth_session *session)
{
	return berth_word_state(session->word) == BERTH_STATE_SESSION;
}

/* True: the word is a session that has not expired and matches the filter; its client is read. */
static bool matches(const struct berth_view *view, const struct berth_session_filter *filter,
		    struct berth_session *session)
{
	uint32_t number = berth_word_backend(session->word);
	if (berth_word_state(session->word) == BERTH_STATE_CLAIMED ||
	    (filter->backend && number != filter->backend))
		return false;
	const struct berth_backend *backend = berth_backend_of(view, number);
	if (!backend || !backend->id || (filter->service && backend->service != filter->service))
		return false;
	const struct berth_service *service = berth_service_of(view, backend->service);
	if (!service)
		return false;
	berth_sessions_read_client(view, session);
	return (!filter->by_client || matches_client(filter, service, session)) &&
	       (!berth_word_is_expired(session->word, view->now, service) || is_pinned(session));
}

bool berth_sessions_next(const struct berth_view *view, const struct berth_session_filter *filter, uint32_t *at,
			 uint32_t end, struct berth_session *found)
{
	while (*at < end) {
		found->at = (*at)++;
		found->word = BERTH_LOAD(word_at(view, found->at));
		if (found->word != 0 && matches(view, filter, found))
			return true;
	}
	return false;
}

void berth_sessions_clear_reason(const struct berth_view *view, uint32_t at, uint32_t tag)
{
	struct berth_client *client = berth_at_clients(view, at);
	if (client->tag == tag)
		BERTH_STORE(&client->reason, (uint8_t)BERTH_REASON_NONE);
}

void berth_sessions_clear_removed(struct berth_client *client, const struct berth_view *view)
{
	uint16_t from = BERTH_LOAD(&client->from);
	const struct berth_backend *backend = from ? berth_backend_of(view, from) : NULL;
	if (from && (!backend || !backend->id))
		__atomic_compare_exchange_n(&client->from, &from, 0, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

bool berth_sessions_remove(const struct berth_view *view, const struct berth_session *session)
{
	uint64_t *place = word_at(view, session->at);
	for (int i = 0; i < MAX_TRIES; i++) {
		uint64_t word = BERTH_LOAD(place);
		if (berth_word_tag(word) != berth_word_tag(session->word) ||
		    berth_word_backend(word) != berth_word_backend(session->word))
			return false;
		berth_sessions_clear_reason(view, session->at, berth_word_tag(word));
		if (berth_swap(place, word, 0))
			return true;
	}
	return false;
}

struct berth_packet berth_sessions_packet(const union berth_addr *client, uint32_t service)
{
	return (struct berth_packet){
		.src = *client,
		.is6 = !berth_addr_is4(client),
		.service = (uint16_t)service,
	};
}

/* Writes the word in the place of `entry`, or into a free place; `entry` becomes the new word. -EBUSY: a worker
 * changed the word first. -ENOSPC: no room, or a worker inserted the same session and both inserts were undone. */
static int write_word(const struct berth_view *view, const struct berth_key *key, struct berth_entry *entry,
		      uint32_t backend)
{
	if (entry->at == BERTH_NOT_FOUND) {
		berth_flowtab_insert(view, key, backend, BERTH_STATE_SESSION, entry);
		if (entry->at == BERTH_NOT_FOUND)
			return -ENOSPC;
		return berth_word_backend(entry->value) == backend ? 0 : -EBUSY;
	}
	if (berth_word_state(entry->value) == BERTH_STATE_CLAIMED) {
		/* A worker claimed the word and has not settled it yet. */
		berth_flowtab_settle(view, key, BERTH_STATE_UNCONFIRMED, entry);
		return -EBUSY;
	}
	uint64_t word = berth_word_make(key->tag, backend, view->now, BERTH_STATE_SESSION);
	berth_sessions_clear_reason(view, entry->at, key->tag);
	if (!berth_entry_swap(view, key, entry, word))
		return -EBUSY;
	entry->value = word;
	return 0;
}

int berth_sessions_assign(const struct berth_view *view, const union berth_addr *client, uint32_t number,
			  uint32_t backend, enum berth_reason reason, struct berth_session *placed)
{
	const struct berth_service *service = berth_service_of(view, number);
	const struct berth_packet packet = berth_sessions_packet(client, number);
	const struct berth_key key = berth_session_key(view, &packet, service);
	int err = -EBUSY;
	for (int i = 0; i < MAX_TRIES; i++) {
		struct berth_session before;
		struct berth_entry entry;
		bool is_found = berth_sessions_lookup(view, client, number, &before);
		if (!is_found && reason == BERTH_REASON_MOVED)
			return -ENOENT;
		berth_flowtab_lookup(view, &key, &entry);
		err = write_word(view, &key, &entry, backend);
		if (err)
			continue;
		const struct berth_session_decision decision = {
			.reason = reason,
			.from = reason == BERTH_REASON_PINNED ? backend : berth_word_backend(before.word),
		};
		berth_client_write(view, &packet, &key, entry.at, &decision);
		berth_at_clients(view, entry.at)->flows = 0;
		*placed = (struct berth_session){.word = entry.value, .at = entry.at};
		berth_sessions_read_client(view, placed);
		return 0;
	}
	return err;
}

void berth_sessions_prefetch(const struct berth_view *view, const union berth_addr *client, uint32_t number)
{
	const struct berth_packet packet = berth_sessions_packet(client, number);
	const struct berth_key key = berth_session_key(view, &packet, berth_service_of(view, number));
	for (int i = 0; i < 2; i++) {
		BERTH_PREFETCH(berth_at_sessions(view, key.bucket[i]));
		BERTH_PREFETCH(berth_at_clients(view, key.bucket[i] * BERTH_BUCKET_WORDS));
	}
}

int berth_sessions_restore(const struct berth_view *view, const struct berth_session_record *record)
{
	const struct berth_service *service = berth_service_of(view, record->service);
	const struct berth_packet packet = berth_sessions_packet(&record->client, record->service);
	const struct berth_key key = berth_session_key(view, &packet, service);
	const struct berth_session_decision decision = {.reason = record->reason, .from = record->from};
	struct berth_entry entry;
	berth_flowtab_lookup(view, &key, &entry);
	if (entry.at != BERTH_NOT_FOUND)
		return 0;
	berth_flowtab_insert(view, &key, record->backend, BERTH_STATE_SESSION, &entry);
	if (entry.at == BERTH_NOT_FOUND)
		return -ENOSPC;
	berth_client_write(view, &packet, &key, entry.at, &decision);
	struct berth_client *client = berth_at_clients(view, entry.at);
	client->since = view->now - record->age_s;
	client->flows = record->flows;
	/* Last: an insert takes the view's time as that of the word. */
	berth_entry_swap(
		view, &key, &entry,
		berth_word_make(key.tag, record->backend, view->now - record->idle_s, BERTH_STATE_SESSION));
	return 0;
}

/* Moves a session from the former table by a lookup with its client's address; the client's next packet would do
 * the same. A word whose client is not written yet is left to that packet. */
static bool move(const struct berth_view *view, uint64_t word, const struct berth_client *client)
{
	const struct berth_backend *backend = berth_backend_of(view, berth_word_backend(word));
	const struct berth_service *service = backend && backend->id ? berth_service_of(view, backend->service)
								     : NULL;
	if (!service || BERTH_LOAD(&client->tag) != berth_word_tag(word) || client->reason == BERTH_REASON_NONE)
		return false;
	const struct berth_packet packet = berth_sessions_packet(&client->addr, backend->service);
	const struct berth_key key = berth_session_key(view, &packet, service);
	struct berth_entry entry;
	berth_flowtab_lookup(view, &key, &entry);
	return true;
}

uint32_t berth_sessions_move(const struct berth_view *view, const struct berth_bucket *bucket,
			     const struct berth_client *clients)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < BERTH_BUCKET_WORDS; i++) {
		const uint64_t word = BERTH_LOAD(&bucket->word[i]);
		n += word && move(view, word, &clients[i]);
	}
	return n;
}

bool berth_sessions_lookup(const struct berth_view *view, const union berth_addr *client, uint32_t number,
			   struct berth_session *found)
{
	const struct berth_service *service = berth_service_of(view, number);
	const struct berth_packet packet = berth_sessions_packet(client, number);
	const struct berth_key key = berth_session_key(view, &packet, service);
	struct berth_entry entry;
	berth_flowtab_lookup(view, &key, &entry);
	*found = (struct berth_session){.word = entry.value, .at = entry.at};
	const struct berth_session_filter any = {0};
	return entry.at != BERTH_NOT_FOUND && matches(view, &any, found);
}
