// SPDX-License-Identifier: BSD-3-Clause
/* Input of the oracle, and its findings. */
#include "tests/soak/oracle/oracle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/soak/oracle/state.h"

static void *allocate(size_t n, size_t bytes)
{
	void *memory = calloc(n, bytes);
	if (!memory) {
		fprintf(stderr, "oracle: no memory\n");
		exit(1);
	}
	return memory;
}

/* Expired for so long that no change of timeouts revives it. */
static bool is_long_ago(const struct oracle *oracle, uint32_t seen)
{
	return oracle->now - seen > 2 * oracle->longest + 60;
}

static bool flow_is_over(const void *arg, const void *record)
{
	return is_long_ago(arg, ((const struct flow *)record)->seen);
}

static bool session_is_over(const void *arg, const void *record)
{
	const struct session *session = record;
	for (uint32_t i = 0; i < session->n; i++)
		if (session->may[i].seat && !is_long_ago(arg, session->may[i].seen))
			return false;
	return true;
}

struct oracle *oracle_new(const uint8_t secret[ORACLE_SECRET_BYTES], uint32_t flow_buckets)
{
	struct oracle *oracle = allocate(1, sizeof(*oracle));
	memcpy(oracle->secret, secret, ORACLE_SECRET_BYTES);
	oracle->bucket_mask = flow_buckets - 1;
	oracle->last_eviction = allocate(flow_buckets, sizeof(*oracle->last_eviction));
	oracle_map_init(&oracle->flows, sizeof(struct flow), flow_is_over, oracle);
	oracle_map_init(&oracle->sessions, sizeof(struct session), session_is_over, oracle);
	return oracle;
}

void oracle_free(struct oracle *oracle)
{
	for (uint32_t i = 0; i < ORACLE_SERVICES; i++)
		free((void *)(uintptr_t)oracle->services[i].facts.rows);
	oracle_map_clear(&oracle->flows);
	oracle_map_clear(&oracle->sessions);
	free(oracle->last_eviction);
	free(oracle);
}

void oracle_set_time(struct oracle *oracle, uint32_t now)
{
	oracle->now = now;
}

enum expiry oracle_expiry(const struct oracle *oracle, uint32_t service, enum oracle_state state, uint32_t seen)
{
	const struct service *of = &oracle->services[service];
	uint32_t last = of->n_edits - 1;
	if (oracle->now - seen > of->edits[last].timeout[state])
		return EXPIRED;
	for (uint32_t i = 0; i < last; i++) {
		/* In force until the next edit. */
		uint32_t until = of->edits[i + 1].at;
		if (until > seen && until - seen > of->edits[i].timeout[state])
			return PERHAPS_EXPIRED;
	}
	return NOT_EXPIRED;
}

static void note_timeouts(struct oracle *oracle, struct service *service)
{
	const uint32_t *timeout = service->facts.timeout;
	if (service->n_edits &&
	    memcmp(service->edits[service->n_edits - 1].timeout, timeout, sizeof(service->facts.timeout)) == 0)
		return;
	if (service->n_edits == EDITS) {
		memmove(service->edits, service->edits + 1, (EDITS - 1) * sizeof(*service->edits));
		service->n_edits--;
	}
	struct edit *edit = &service->edits[service->n_edits++];
	edit->at = oracle->now;
	memcpy(edit->timeout, timeout, sizeof(edit->timeout));
	/* A longer timeout revives expired entries. */
	service->passes = 0;
	for (uint32_t i = 0; i < ORACLE_STATES; i++)
		oracle->longest = timeout[i] > oracle->longest ? timeout[i] : oracle->longest;
}

static bool has_same_servers(const struct oracle_service *a, const struct oracle_service *b)
{
	if (a->n_rows != b->n_rows || a->scheduler != b->scheduler)
		return false;
	for (uint32_t i = 0; i < ORACLE_SERVERS; i++)
		if (a->server[i].present != b->server[i].present || a->server[i].counts != b->server[i].counts)
			return false;
	return true;
}

/* Primaries depend on names and weights alone, so that a failure moves no other client; an alternate differs. */
static void check_rows(const struct oracle_service *old, const struct oracle_service *new, uint32_t number,
		       char error[256])
{
	bool same = new->scheduler != ORACLE_ROUND_ROBIN &&has_same_servers(old, new);
	for (uint32_t i = 0; i < new->n_rows && !error[0]; i++) {
		const struct oracle_row row = new->rows[i];
		if (same && row.first != old->rows[i].first)
			snprintf(error, 256, "service %u, row %u: first choice %u was %u, with the same servers",
				 number, i, row.first, old->rows[i].first);
		if (row.second == row.first && row.first != ORACLE_NO_SERVER)
			snprintf(error, 256, "service %u, row %u: both choices are %u", number, i, row.first);
		if (row.first != ORACLE_NO_SERVER && !new->server[row.first].present)
			snprintf(error, 256, "service %u, row %u: first choice %u is not there", number, i,
				 row.first);
		if (row.second != ORACLE_NO_SERVER && !new->server[row.second].present)
			snprintf(error, 256, "service %u, row %u: second choice %u is not there", number, i,
				 row.second);
	}
}

static void count_takers(struct oracle *oracle, uint32_t service)
{
	struct service *of = &oracle->services[service];
	of->n_takers = 0;
	for (uint32_t i = 0; i < ORACLE_SERVERS; i++)
		if (takes_new_clients(place_at(oracle, service, i)))
			of->takers[of->n_takers++] = (uint8_t)i;
}

static void publish_server(struct place *place, const struct oracle_server *server, uint64_t packet)
{
	if (server->present && !place->present) {
		/* The server before may have been evicted, and its sessions may be on its backup. */
		const bool evicted = place->evicted_at == UINT64_MAX;
		*place = (struct place){.life = place->life + 1,
					.evicted_at = evicted ? packet + 1 : place->evicted_at};
	}
	place->present = server->present;
	if (!server->present)
		return;
	place->weight = server->weight;
	place->backup = server->backup;
	place->max_flows = server->max_flows;
	/* A scan knows an eviction until the next generation. */
	if (place->admin == ORACLE_ADMIN_EVICTED || place->evicted_at == UINT64_MAX)
		place->evicted_at = place->admin == ORACLE_ADMIN_EVICTED ? UINT64_MAX : packet + 1;
}

void oracle_publish(struct oracle *oracle, const struct oracle_service services[ORACLE_SERVICES], char error[256])
{
	error[0] = 0;
	for (uint32_t i = 0; i < ORACLE_SERVICES; i++) {
		struct service *service = &oracle->services[i];
		struct oracle_row *rows = allocate(services[i].n_rows + 1, sizeof(*rows));
		if (services[i].n_rows)
			memcpy(rows, services[i].rows, services[i].n_rows * sizeof(*rows));
		if (service->facts.present && services[i].present)
			check_rows(&service->facts, &services[i], i, error);
		else
			service->passes = 0;
		free((void *)(uintptr_t)service->facts.rows);
		service->facts = services[i];
		service->facts.rows = rows;
		if (services[i].present)
			note_timeouts(oracle, service);
		for (uint32_t j = 0; j < ORACLE_SERVERS; j++) {
			service->reweighed |= oracle->places[place_of(i, j)].present !=
					      services[i].server[j].present;
			publish_server(&oracle->places[place_of(i, j)], &services[i].server[j], oracle->packet);
		}
		count_takers(oracle, i);
	}
}

void oracle_set_health(struct oracle *oracle, uint32_t service, uint32_t server, bool up)
{
	oracle->places[place_of(service, server)].up = up;
	count_takers(oracle, service);
}

void oracle_set_admin(struct oracle *oracle, uint32_t service, uint32_t server, enum oracle_admin admin)
{
	struct place *place = &oracle->places[place_of(service, server)];
	place->admin = admin;
	if (admin == ORACLE_ADMIN_EVICTED)
		place->evicted_at = UINT64_MAX;
	count_takers(oracle, service);
}

void oracle_set_load(struct oracle *oracle, uint32_t service, uint32_t server, uint32_t counts, bool full,
		     bool limit)
{
	struct place *place = &oracle->places[place_of(service, server)];
	oracle->services[service].reweighed |= place->counts != counts;
	place->counts = counts;
	place->full = full;
	place->limit = limit;
}

void oracle_set_response(struct oracle *oracle, uint32_t service, uint32_t server, uint32_t us, bool by_connections)
{
	struct place *place = &oracle->places[place_of(service, server)];
	place->response_us = us;
	place->by_connections = by_connections;
}

void oracle_set_stale(struct oracle *oracle, bool stale)
{
	oracle->stale = stale;
}

static void note_peak(double *peak, uint64_t *broken, uint64_t live)
{
	double share = live ? (double)*broken / (double)live : 0;
	*peak = share > *peak ? share : *peak;
	*broken = 0;
}

void oracle_second(struct oracle *oracle, uint64_t live)
{
	note_peak(&oracle->findings.peak, &oracle->broken_now, live);
	for (uint32_t i = 0; i < ORACLE_PLAINS; i++)
		note_peak(&oracle->findings.plain_peak[i], &oracle->plain_now[i], live);
}

const struct oracle_findings *oracle_findings(const struct oracle *oracle)
{
	return &oracle->findings;
}

const char *oracle_why(const struct oracle *oracle)
{
	return oracle->why;
}

const char *oracle_allowance_name(enum oracle_allowance allowance)
{
	static const char *const names[] = {"within",
#define X(symbol, name) name,
					    ORACLE_ALLOWANCES(X)
#undef X
	};
	return names[allowance];
}

const char *oracle_reason_name(enum oracle_reason reason)
{
	static const char *const names[] = {
#define X(symbol, name, avoidable) name,
		ORACLE_REASONS(X)
#undef X
	};
	return names[reason];
}
