// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/tables/exception.h"

enum {
	/* More than 16 scans of the largest tables, one of which shows it. */
	RETURNED_S = 300,
	LASTING_STATES = 1 << BERTH_STATE_CONFIRMED | 1 << BERTH_STATE_PROVEN | 1 << BERTH_STATE_CLOSING |
			 1 << BERTH_STATE_SESSION,
};

/* Whether each node selects this backend of the service for the tag. Loads differ between nodes, so they are left
 * out.
 */
static bool is_computed(const struct berth_view *view, uint32_t number, uint32_t service, uint32_t tag)
{
	const struct berth_service *at = berth_service_of(view, service);
	return at && at->scheduler == BERTH_SCHEDULER_MAGLEV &&
	       (uint32_t)berth_select_stateless(view, service, tag) == number;
}

/* Of a session: in a group, whether each service selects this server in which it is a backend. The group itself has
 * no rows. */
static bool is_computed_session(const struct berth_view *view, uint32_t first, uint32_t tag)
{
	const struct berth_backend *backend = berth_backend_of(view, first);
	uint32_t number = first;
	for (uint32_t i = 0; backend && i <= BERTH_MAX_GROUP; i++) {
		const struct berth_service *service = berth_service_of(view, backend->service);
		if (service && service->rows && !is_computed(view, number, backend->service, tag))
			return false;
		number = backend->sibling;
		backend = number && number != first ? berth_backend_of(view, number) : NULL;
	}
	return true;
}

static bool is_flow_exception(const struct berth_view *view, uint32_t number, uint32_t service, uint32_t tag)
{
	const struct berth_service *at = berth_service_of(view, service);
	const uint32_t eligibility = berth_eligibility(view, number);
	if (!at || !(eligibility & BERTH_ELIGIBLE_FLOWS))
		return false;
	return at->affinity == BERTH_AFFINITY_CLIENT ? !(eligibility & BERTH_ELIGIBLE_SESSIONS)
						     : !is_computed(view, number, service, tag);
}

bool berth_is_proven_entry(uint64_t word)
{
	return LASTING_STATES >> berth_word_state(word) & 1;
}

bool berth_has_returned(const struct berth_view *view, const struct berth_client *client, uint64_t word)
{
	return client->tag == berth_word_tag(word) && client->reason == BERTH_REASON_RETURNED &&
	       view->now - client->since <= RETURNED_S && berth_is_proven_entry(word);
}

bool berth_is_exception(const struct berth_view *view, enum berth_table table, uint64_t word)
{
	const uint32_t number = berth_word_backend(word), tag = berth_word_tag(word);
	const struct berth_backend *backend = berth_backend_of(view, number);
	if (!backend || !backend->id || !berth_is_proven_entry(word))
		return false;
	if (table == BERTH_TABLE_FLOWS)
		return is_flow_exception(view, number, backend->service, tag);
	return berth_eligibility(view, number) & BERTH_ELIGIBLE_SESSIONS && !is_computed_session(view, number, tag);
}
