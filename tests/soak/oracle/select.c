// SPDX-License-Identifier: BSD-3-Clause
/* Selection: the row of a flow or session, and the server of that row. */
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "tests/soak/oracle/oracle.h"
#include "tests/soak/oracle/state.h"

enum {
	TAG_SHIFT = 36,
	TAG_BITS = 28,
	ROWS_ASKED = 32,
};

/* XXH3 of two words. */
static uint64_t hash_words(const struct oracle *oracle, uint64_t a, uint64_t b)
{
	const uint64_t words[2] = {a, b};
	return XXH3_64bits_withSecret(words, sizeof(words), oracle->secret, ORACLE_SECRET_BYTES);
}

/* An IPv4 address is used as its four bytes in network order; an IPv6 address is hashed. */
static uint64_t hash_client(const struct oracle *oracle, const uint64_t client[2], bool is6)
{
	uint32_t word;
	if (is6)
		return hash_words(oracle, client[0], client[1]);
	memcpy(&word, (const uint8_t *)client + 12, sizeof(word));
	return word;
}

uint64_t oracle_hash_flow(const struct oracle *oracle, const struct oracle_packet *packet)
{
	uint64_t key = oracle->services[packet->service].facts.flow_key;
	return hash_words(oracle, hash_client(oracle, packet->client, packet->is6),
			  key << 32 | (uint32_t)packet->dport << 16 | packet->sport);
}

uint64_t oracle_hash_session(const struct oracle *oracle, const struct oracle_packet *packet,
			     const uint64_t client[2])
{
	uint64_t key = oracle->services[packet->service].facts.session_key;
	return hash_words(oracle, hash_client(oracle, client, packet->is6), key << 32 | packet->is6);
}

static struct oracle_row row_of(const struct oracle_service *service, uint64_t hash)
{
	if (!service->n_rows)
		return (struct oracle_row){ORACLE_NO_SERVER, ORACLE_NO_SERVER};
	return service->rows[(hash >> TAG_SHIFT) * service->n_rows >> TAG_BITS];
}

typedef bool takes_fn(const struct place *place);

static bool does(const struct oracle *oracle, uint32_t service, uint32_t server, takes_fn *takes)
{
	return server != ORACLE_NO_SERVER && takes(place_at(oracle, service, server));
}

static bool any_server_is(const struct oracle *oracle, uint32_t service, takes_fn *takes)
{
	for (uint32_t i = 0; i < ORACLE_SERVERS; i++)
		if (takes(place_at(oracle, service, i)))
			return true;
	return false;
}

/* Whether `server` may be selected from a row. If both servers of the row are ineligible, other rows are read; the
 * oracle then allows every eligible server. The same holds while the selection table is stale or loads are unknown.
 */
static bool row_may_select(const struct oracle *oracle, uint32_t service, struct oracle_row row, takes_fn *takes,
			   bool stale, uint32_t server, bool *decided)
{
	*decided = true;
	if (does(oracle, service, row.first, takes))
		return server == row.first;
	if (does(oracle, service, row.second, takes))
		return server == row.second;
	if (!any_server_is(oracle, service, takes)) {
		*decided = false;
		return false;
	}
	if (does(oracle, service, server, takes))
		return true;
	*decided = !stale;
	return false;
}

static bool may_select_turn(const struct oracle *oracle, uint32_t service, uint32_t server)
{
	if (any_server_is(oracle, service, is_below_share))
		return does(oracle, service, server, is_below_share) ||
		       (oracle->stale && !does(oracle, service, server, takes_new_clients));
	return does(oracle, service, server, is_below_limit) ||
	       (server == ORACLE_NO_SERVER && !any_server_is(oracle, service, is_below_limit));
}

bool oracle_may_select(const struct oracle *oracle, uint32_t service, uint64_t hash, bool remembered,
		       uint32_t server)
{
	const struct oracle_service *facts = &oracle->services[service].facts;
	const struct oracle_row row = row_of(facts, hash);
	bool decided, full = false;
	for (uint32_t i = 0; i < ORACLE_SERVERS; i++)
		full |= place_at(oracle, service, i)->full || place_at(oracle, service, i)->limit;
	if (!remembered) {
		bool may = row_may_select(oracle, service, row, takes_new_clients, oracle->stale, server, &decided);
		return may || (!decided && server == ORACLE_NO_SERVER);
	}
	if (facts->scheduler == ORACLE_ROUND_ROBIN)
		return may_select_turn(oracle, service, server);
	if (facts->scheduler == ORACLE_LEAST_CONN && does(oracle, service, row.first, is_below_share) &&
	    does(oracle, service, row.second, is_below_share))
		return (server == row.first && !oracle_bound_is_busier(oracle, service, row.first, row.second)) ||
		       (server == row.second && !oracle_bound_is_busier(oracle, service, row.second, row.first));
	bool may = row_may_select(oracle, service, row, is_below_share, oracle->stale || full, server, &decided);
	if (may || decided)
		return may;
	may = row_may_select(oracle, service, row, is_below_limit, oracle->stale || full, server, &decided);
	return may || (!decided && server == ORACLE_NO_SERVER);
}

bool oracle_may_select_by_hash(const struct oracle *oracle, uint32_t service, uint64_t hash, uint32_t server)
{
	return oracle->services[service].facts.scheduler == ORACLE_LEAST_CONN &&
	       does(oracle, service, server, is_below_share) &&
	       oracle_may_select(oracle, service, hash, false, server);
}

bool oracle_is_alone(const struct oracle *oracle, uint32_t service)
{
	const struct oracle_service *facts = &oracle->services[service].facts;
	const double never = 1e-9;
	uint32_t n = 0;
	if (!facts->bound)
		return true;
	for (uint32_t i = 0; i < facts->n_rows; i++)
		n += does(oracle, service, facts->rows[i].first, is_below_share) ||
		     does(oracle, service, facts->rows[i].second, is_below_share);
	double missed = 1;
	for (uint32_t i = 0; i < ROWS_ASKED && facts->n_rows; i++)
		missed *= 1 - (double)n / facts->n_rows;
	return missed > never;
}

uint32_t oracle_plain(const struct oracle *oracle, uint32_t service, uint64_t hash, enum oracle_plain plain)
{
	const struct service *of = &oracle->services[service];
	if (plain == ORACLE_MODULO)
		return of->n_takers ? of->takers[hash % of->n_takers] : ORACLE_NO_SERVER;
	const struct oracle_row row = row_of(&of->facts, hash);
	return does(oracle, service, row.first, takes_new_clients) ? row.first : row.second;
}
