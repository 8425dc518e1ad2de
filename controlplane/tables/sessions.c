// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/tables/sessions.h"

#include <errno.h>

#include "controlplane/util/address.h"
#include "dataplane/core/session.h"

enum {
	MAX_TRIES = 64, /* of a change that workers are quicker than; each of them is one touch or move */
};

struct berth_view berth_sessions_view(const struct berth_image *image, uint32_t now)
{
	return berth_image_view(image, BERTH_CONTROL_WORKER, now);
}

uint8_t berth_sessions_bits(const struct berth_service *service, const union berth_addr *client)
{
	return berth_addr_is4(client) ? (uint8_t)(BERTH_ADDRESS_BITS4 + service->prefix4) : service->prefix6;
}

static uint64_t *word_at(const struct berth_view *view, uint32_t at)
{
	return &berth_at_sessions(view, at / BERTH_BUCKET_WORDS)->word[at % BERTH_BUCKET_WORDS];
}

/*
 * Reads the line beside a word. It is written after its word and its tag after the address, so it is this word's if
 * it has the word's tag before it is copied, and the word stands unchanged afterwards.
 */
static void read_client(const struct berth_view *view, struct berth_session *session)
{
	const struct berth_client *client = berth_at_clients(view, session->at);
	uint32_t tag = berth_word_tag(session->word);
	session->known = false;
	if (BERTH_LOAD(&client->tag) != tag)
		return;
	session->client = *client;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	uint64_t now = BERTH_LOAD(word_at(view, session->at));
	session->known = session->client.reason != BERTH_REASON_NONE && berth_word_tag(now) == tag &&
			 berth_word_backend(now) == berth_word_backend(session->word);
	/* The backend that it was pinned to is no more. */
	if (session->client.reason == BERTH_REASON_PINNED && !session->client.from)
		session->client.reason = BERTH_REASON_FAILED_OVER;
}

static bool is_pinned(const struct berth_session *session)
{
	return session->known && session->client.reason == BERTH_REASON_PINNED;
}

static bool is_clients(const struct berth_session_filter *filter, const struct berth_service *service,
		       const struct berth_session *session)
{
	const union berth_addr *addr = &session->client.addr;
	if (!session->known || berth_addr_is4(addr) != berth_addr_is4(&filter->prefix))
		return false;
	uint8_t bits = berth_sessions_bits(service, addr);
	if (filter->bits < bits)
		bits = filter->bits;
	union berth_addr prefix = berth_prefix_of(&filter->prefix, bits);
	return berth_prefix_holds(&prefix, bits, addr);
}

/* Whether a word is a living session that is meant; if so, reads it. */
static bool is_meant(const struct berth_view *view, const struct berth_session_filter *filter,
		     struct berth_session *session)
{
	uint32_t number = berth_word_backend(session->word);
	if (berth_word_state(session->word) != BERTH_STATE_SESSION ||
	    (filter->backend && number != filter->backend))
		return false;
	const struct berth_backend *backend = berth_backend_of(view, number);
	if (!backend || !backend->id || (filter->service && backend->service != filter->service))
		return false;
	const struct berth_service *service = berth_service_of(view, backend->service);
	if (!service)
		return false;
	read_client(view, session);
	return (!filter->by_client || is_clients(filter, service, session)) &&
	       (!berth_word_is_expired(session->word, view->now, service) || is_pinned(session));
}

bool berth_sessions_next(const struct berth_view *view, const struct berth_session_filter *filter, uint32_t *at,
			 uint32_t end, struct berth_session *found)
{
	while (*at < end) {
		found->at = (*at)++;
		found->word = BERTH_LOAD(word_at(view, found->at));
		if (found->word != 0 && is_meant(view, filter, found))
			return true;
	}
	return false;
}

/* Lets the line beside a word say nothing more, so that nobody finds there a pin or a way back that was the
 * session's before the change that follows. */
static void hush(const struct berth_view *view, uint32_t at, uint32_t tag)
{
	struct berth_client *client = berth_at_clients(view, at);
	if (client->tag == tag)
		BERTH_STORE(&client->reason, (uint8_t)BERTH_REASON_NONE);
}

bool berth_sessions_clear(const struct berth_view *view, const struct berth_session *session)
{
	uint64_t *place = word_at(view, session->at);
	for (int i = 0; i < MAX_TRIES; i++) {
		uint64_t word = BERTH_LOAD(place);
		if (berth_word_tag(word) != berth_word_tag(session->word) ||
		    berth_word_backend(word) != berth_word_backend(session->word))
			return false;
		hush(view, session->at, berth_word_tag(word));
		if (berth_swap(place, word, 0))
			return true;
	}
	return false;
}

/* A packet of the client, as far as sessions look at packets. */
static struct berth_packet packet_of(const union berth_addr *client, uint32_t service)
{
	return (struct berth_packet){
		.src = *client,
		.is6 = !berth_addr_is4(client),
		.service = (uint16_t)service,
	};
}

/* Writes the word where `entry` is, or where there is room; `entry` becomes it. -EBUSY: somebody was first.
 * -ENOSPC: no room, or a worker inserted the same and both gave way. */
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
		/* A worker was held up between its claim and settling it. */
		berth_flowtab_settle(view, key, BERTH_STATE_SESSION, entry);
		return -EBUSY;
	}
	uint64_t word = berth_word_make(key->tag, backend, view->now, BERTH_STATE_SESSION);
	hush(view, entry->at, key->tag);
	if (!berth_entry_swap(view, key, entry, word))
		return -EBUSY;
	entry->value = word;
	return 0;
}

int berth_sessions_place(const struct berth_view *view, const union berth_addr *client, uint32_t number,
			 uint32_t backend, enum berth_reason reason, struct berth_session *placed)
{
	const struct berth_service *service = berth_service_of(view, number);
	const struct berth_packet packet = packet_of(client, number);
	const struct berth_key key = berth_session_key(view, &packet, service);
	int err = -EBUSY;
	for (int i = 0; i < MAX_TRIES; i++) {
		struct berth_session before;
		struct berth_entry entry;
		bool had = berth_sessions_find(view, client, number, &before);
		if (!had && reason == BERTH_REASON_MOVED)
			return -ENOENT;
		berth_flowtab_lookup(view, &key, &entry);
		err = write_word(view, &key, &entry, backend);
		if (err)
			continue;
		uint32_t from = reason == BERTH_REASON_PINNED ? backend : berth_word_backend(before.word);
		berth_client_write(view, &packet, &key, entry.at, (uint32_t)reason | from << 8);
		berth_at_clients(view, entry.at)->flows = 0;
		*placed = (struct berth_session){.word = entry.value, .at = entry.at};
		read_client(view, placed);
		return 0;
	}
	return err;
}

bool berth_sessions_find(const struct berth_view *view, const union berth_addr *client, uint32_t number,
			 struct berth_session *found)
{
	const struct berth_service *service = berth_service_of(view, number);
	const struct berth_packet packet = packet_of(client, number);
	const struct berth_key key = berth_session_key(view, &packet, service);
	struct berth_entry entry;
	berth_flowtab_lookup(view, &key, &entry);
	*found = (struct berth_session){.word = entry.value, .at = entry.at};
	const struct berth_session_filter any = {0};
	return entry.at != BERTH_NOT_FOUND && is_meant(view, &any, found);
}
