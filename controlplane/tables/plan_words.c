// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/tables/plan_words.h"

#include "controlplane/tables/exception.h"
#include "controlplane/tables/scan.h"
#include "dataplane/core/session.h"

/* The effect of the change on a word. */
enum outcome {
	STAYS,
	LEAVES, /* its backend */
	CLEARED,
	NOT_LIVE, /* before the change */
};

static const struct berth_service *service_of(const struct berth_view *view, const struct berth_backend *backend)
{
	return backend && backend->id ? berth_service_of(view, backend->service) : NULL;
}

/* For a word that needs the eligibility bit `bit` of its backend. */
static enum outcome outcome_of(const struct berth_plan_words *words, uint64_t word, uint8_t bit)
{
	uint32_t number = berth_word_backend(word);
	const struct berth_service *before = service_of(&words->before, berth_backend_of(&words->before, number));
	const struct berth_service *after = service_of(&words->after, berth_backend_of(&words->after, number));
	if (!before || berth_word_is_expired(word, words->before.now, before) ||
	    !(berth_eligibility(&words->before, number) & bit))
		return NOT_LIVE;
	if (!after || !(berth_eligibility(&words->after, number) & bit))
		return LEAVES;
	return berth_word_is_expired(word, words->after.now, after) ? CLEARED : STAYS;
}

static void count_arrival(const struct berth_plan_words *words, uint32_t number, bool session)
{
	struct berth_plan_backend *to = number ? words->by_number[number] : NULL;
	if (!to)
		return;
	if (session) {
		to->sessions.arriving++;
		return;
	}
	to->flows.arriving++;
	to->flows_after++;
}

/* The number and the new record of the service of a word's backend. 0: the change removes the service. */
static uint32_t service_after(const struct berth_plan_words *words, uint64_t word,
			      const struct berth_service **after)
{
	const struct berth_backend *backend = berth_backend_of(&words->before, berth_word_backend(word));
	const struct berth_service *before = service_of(&words->before, backend);
	*after = before ? berth_service_of(&words->after, backend->service) : NULL;
	return *after && (*after)->id == before->id ? backend->service : 0;
}

/* Of a word that stays. */
static void count_exception(const struct berth_plan_words *words, struct berth_plan_backend *entry,
			    enum berth_table table, uint64_t word)
{
	entry->exceptions += berth_is_exception(&words->before, table, word);
	entry->exceptions_after += berth_is_exception(&words->after, table, word);
}

static void count_flow(const struct berth_plan_words *words, uint64_t word)
{
	struct berth_plan_backend *entry = words->by_number[berth_word_backend(word)];
	const struct berth_service *after;
	enum outcome outcome = outcome_of(words, word, BERTH_ELIGIBLE_FLOWS);
	if (berth_word_state(word) == BERTH_STATE_FRAGMENT || !entry || outcome == NOT_LIVE)
		return;
	entry->flows.live++;
	if (outcome == STAYS) {
		entry->flows_after += !berth_scan_is_closing(berth_word_state(word));
		count_exception(words, entry, BERTH_TABLE_FLOWS, word);
		return;
	}
	entry->flows.leaving++;
	uint32_t service = service_after(words, word, &after);
	entry->lost_flows += service == 0;
	if (service && after->affinity == BERTH_AFFINITY_FLOW)
		count_arrival(words, (uint32_t)berth_select_stateless(&words->after, service, berth_word_tag(word)),
			      false);
}

/* Whether a lookup after the change finds the session: same hash, and the same service for its number. */
static bool stays_found(const struct berth_plan_words *words, uint64_t word)
{
	const struct berth_service *before = service_of(&words->before,
							berth_backend_of(&words->before, berth_word_backend(word)));
	const struct berth_service *after;
	uint32_t service = service_after(words, word, &after);
	return service && after->affinity == BERTH_AFFINITY_CLIENT && after->session_service == service &&
	       after->session_key == before->session_key && after->prefix4 == before->prefix4 &&
	       after->prefix6 == before->prefix6;
}

static void count_session(const struct berth_plan_words *words, uint64_t word, const struct berth_client *client)
{
	uint32_t number = berth_word_backend(word);
	struct berth_plan_backend *entry = words->by_number[number];
	enum outcome outcome = outcome_of(words, word, BERTH_ELIGIBLE_SESSIONS);
	/* Unconfirmed sessions are gone within seconds. */
	if (!entry || outcome == NOT_LIVE || berth_word_state(word) == BERTH_STATE_UNCONFIRMED)
		return;
	entry->sessions.live++;
	if (outcome == CLEARED && berth_pinned_backend(client, berth_word_tag(word)))
		outcome = STAYS;
	const struct berth_service *after;
	uint32_t service = service_after(words, word, &after);
	/* Its group ends, and the server stays in a service of that group. */
	if (!service && entry->change == BERTH_PLAN_KEPT)
		outcome = CLEARED;
	if (outcome != LEAVES) {
		const bool is_cleared = outcome == CLEARED || !stays_found(words, word);
		entry->cleared += is_cleared;
		if (!is_cleared)
			count_exception(words, entry, BERTH_TABLE_SESSIONS, word);
		return;
	}
	const struct berth_backend *backend = berth_backend_of(&words->after, number);
	entry->sessions.leaving++;
	if (backend && backend->id && berth_accepts_session(&words->after, backend->backup))
		count_arrival(words, backend->backup, true);
	else if (service)
		count_arrival(words, berth_select(&words->after, words->selecting[service], berth_word_tag(word)),
			      true);
}

void berth_plan_count_flows(const struct berth_plan_words *words, const struct berth_bucket *flows, uint32_t n)
{
	for (uint32_t b = 0; b < n; b++)
		for (uint32_t i = 0; i < BERTH_BUCKET_WORDS; i++) {
			uint64_t word = BERTH_LOAD(&flows[b].word[i]);
			if (word && berth_word_backend(word) < words->n_numbers)
				count_flow(words, word);
		}
}

void berth_plan_count_sessions(const struct berth_plan_words *words, const struct berth_bucket *sessions,
			       const struct berth_client *clients, uint32_t n)
{
	for (uint32_t b = 0; b < n; b++)
		for (uint32_t i = 0; i < BERTH_BUCKET_WORDS; i++) {
			uint64_t word = BERTH_LOAD(&sessions[b].word[i]);
			if (word && berth_word_backend(word) < words->n_numbers)
				count_session(words, word, &clients[b * BERTH_BUCKET_WORDS + i]);
		}
}
