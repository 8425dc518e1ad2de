// SPDX-License-Identifier: BSD-3-Clause
/* Bounds: the least and the most flows of a server by the oracle's own count, and whether it may get more. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tests/soak/oracle/oracle.h"
#include "tests/soak/oracle/state.h"

enum {
	HUNDREDTHS = 100,
	TWINS = 2, /* flows of a server that the engines may count as one */
};

/* Flows of one server, or of all servers that take new clients. */
struct held {
	uint64_t least;
	uint64_t most;
	uint64_t counts; /* weights */
};

/* Whether berthd counts an entry in `state`: certainly, or possibly. */
static void look(const struct oracle *oracle, const struct flow *flow, enum oracle_state state, bool *surely,
		 bool *perhaps)
{
	enum expiry expiry = oracle_expiry(oracle, flow->key.service - 1u, state, flow->seen);
	bool is_live = state != ORACLE_CLOSING && expiry != EXPIRED;
	bool may_be_gone = expiry == PERHAPS_EXPIRED || oracle_may_be_evicted(oracle, flow, state);
	*surely &= is_live && !may_be_gone;
	*perhaps |= is_live;
}

static void count_flow(struct oracle *oracle, const struct flow *flow)
{
	struct place *place = &oracle->places[flow->seat % PLACES];
	bool surely = !(flow->states & NO_ENTRY) && flow->at >= place->evicted_at, perhaps = false;
	if (!is_there(oracle, flow->seat))
		return;
	for (uint32_t state = 0; state < ORACLE_STATES; state++)
		if (flow->states & STATE(state))
			look(oracle, flow, (enum oracle_state)state, &surely, &perhaps);
	place->least_at += surely && perhaps;
	place->most_at[0] += perhaps;
}

/* A scan has ended: counts all flows. */
static void count_all(struct oracle *oracle)
{
	for (uint32_t i = 0; i < PLACES; i++) {
		struct place *place = &oracle->places[i];
		place->most_at[1] = place->most_at[0];
		place->gained_at[1] = place->gained_at[0];
		place->gained_at[0] = place->gained;
		place->most_at[0] = place->least_at = 0;
	}
	for (uint32_t i = 0; i < ORACLE_SERVICES; i++) {
		oracle->services[i].passes += oracle->services[i].passes < MEASURES;
		oracle->services[i].reweighed = false;
	}
	for (const struct flow *flow = oracle_map_next(&oracle->flows, NULL); flow;
	     flow = oracle_map_next(&oracle->flows, flow))
		if (flow->seat)
			count_flow(oracle, flow);
}

/* The possible results of a count that began with the last scan but one. Flows that began during it may be counted
 * twice: berthd adds new flows to the scan's result. */
static struct held held_by(const struct place *place)
{
	uint64_t during = place->gained_at[0] - place->gained_at[1], since = place->gained - place->gained_at[0];
	return (struct held){
		.least = place->least_at + since,
		.most = place->most_at[1] + 2 * during + since + TWINS,
		.counts = place->counts,
	};
}

static uint64_t less_twins(uint64_t flows)
{
	return flows > TWINS ? flows - TWINS : 0;
}

static struct held held_by_all(const struct oracle *oracle, uint32_t service)
{
	struct held all = {0};
	for (uint32_t i = 0; i < ORACLE_SERVERS; i++) {
		const struct place *place = place_at(oracle, service, i);
		const struct held held = held_by(place);
		if (!takes_new_clients(place))
			continue;
		all.least += less_twins(held.least);
		all.most += held.most;
		all.counts += held.counts;
	}
	return all;
}

static bool is_beyond(uint64_t flows, uint64_t counts, uint64_t all, uint64_t all_counts, uint32_t bound)
{
	return flows * all_counts * HUNDREDTHS > all * counts * bound;
}

/* A figure to compare with that of `other`: with times, it has the flow to come. */
static uint64_t weigh(const struct service *of, const struct place *place, const struct place *other,
		      uint64_t flows)
{
	const uint64_t us = place->by_connections == other->by_connections ? place->response_us : 1;
	return of->facts.is_timed ? (flows + 1) * us : flows;
}

bool oracle_bound_is_busier(const struct oracle *oracle, uint32_t service, uint32_t server, uint32_t than)
{
	const struct service *of = &oracle->services[service];
	const struct place *place = place_at(oracle, service, server), *second = place_at(oracle, service, than);
	const struct held other = held_by(second);
	/* Loads are rounded to 1 in 64. */
	const uint64_t percent = 102;
	if (of->passes < MEASURES || of->reweighed || oracle->forgot)
		return false;
	if (of->facts.is_timed && (!place->response_us || !second->response_us))
		return false;
	return weigh(of, place, second, less_twins(place->least_at)) * other.counts * 100 >
	       weigh(of, second, place, other.most) * place->counts * percent;
}

static bool say(struct oracle *oracle, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* False. */
static bool say(struct oracle *oracle, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(oracle->why, sizeof(oracle->why), format, arguments);
	va_end(arguments);
	oracle->findings.beyond++;
	return false;
}

/* `all`: NULL if unknown. */
static bool check_server(struct oracle *oracle, uint32_t service, uint32_t server, const struct held *all)
{
	struct place *place = &oracle->places[place_of(service, server)];
	const uint32_t bound = oracle->services[service].facts.bound;
	place->over = place->spent = false;
	if (place->was_taking && oracle->forgot &&
	    (place->full != place->was_full || place->limit != place->was_limit))
		return say(oracle, "second %u, service %u: server %u has other bits than before berthd's restart",
			   oracle->now, service, server);
	if (!place->present || !all)
		return true;
	const struct held held = held_by(place);
	const bool shares = bound && takes_new_clients(place);
	place->over = shares && is_beyond(less_twins(held.least), held.counts, all->most, all->counts, bound);
	place->spent = place->max_flows && less_twins(held.least) >= place->max_flows;
	bool may_be_over = shares && is_beyond(held.most, held.counts, all->least, all->counts, bound);
	bool may_be_spent = place->max_flows && held.most >= place->max_flows;
	if (!(place->over && !place->full) && !(place->full && !may_be_over) && !(place->spent && !place->limit) &&
	    !(place->limit && !may_be_spent))
		return true;
	return say(
		oracle,
		"packet %llu, second %u, service %u: server %u has %llu to %llu flows, a weight of %llu, and its "
		"bound is %u; all have %llu to %llu, a weight of %llu; full %d, limit %d of %u",
		(unsigned long long)oracle->packet, oracle->now, service, server, (unsigned long long)held.least,
		(unsigned long long)held.most, (unsigned long long)held.counts, bound,
		(unsigned long long)all->least, (unsigned long long)all->most, (unsigned long long)all->counts,
		place->full, place->limit, place->max_flows);
}

bool oracle_measured(struct oracle *oracle, bool whole)
{
	bool right = true;
	if (whole)
		count_all(oracle);
	oracle->forgot &= !whole;
	for (uint32_t i = 0; i < ORACLE_SERVICES; i++) {
		struct service *service = &oracle->services[i];
		const bool is_known = service->facts.present && service->passes == MEASURES;
		const struct held all = held_by_all(oracle, i);
		for (uint32_t j = 0; j < ORACLE_SERVERS; j++)
			right &= check_server(oracle, i, j, is_known ? &all : NULL);
		oracle->findings.measures += is_known && service->facts.bound;
	}
	return right;
}

void oracle_reset_measures(struct oracle *oracle)
{
	for (uint32_t i = 0; i < ORACLE_SERVICES; i++)
		oracle->services[i].passes = 0;
	for (uint32_t i = 0; i < PLACES; i++) {
		oracle->places[i].was_taking = takes_flows(&oracle->places[i]);
		oracle->places[i].was_full = oracle->places[i].full;
		oracle->places[i].was_limit = oracle->places[i].limit;
	}
	/* Its first scan begins now. */
	count_all(oracle);
	oracle->forgot = true;
}

bool oracle_bound_gains(struct oracle *oracle, const struct oracle_packet *packet, uint32_t server,
			enum oracle_allowance allowance)
{
	struct place *place = &oracle->places[place_of(packet->service, server)];
	const uint8_t *client = (const uint8_t *)packet->client;
	place->gained++;
	if (place->over && allowance == ORACLE_WITHIN && oracle_is_alone(oracle, packet->service))
		allowance = ORACLE_ALLOWED_ALONE;
	if (!place->spent && (!place->over || allowance != ORACLE_WITHIN)) {
		oracle->findings.allowance[place->over ? allowance : ORACLE_WITHIN]++;
		return true;
	}
	return say(
		oracle,
		"packet %llu, second %u, service %u, client ..%02x%02x%02x%02x:%u: server %u, which has at least "
		"%llu flows, got another one although it %s",
		(unsigned long long)oracle->packet, oracle->now, packet->service, client[12], client[13],
		client[14], client[15], packet->sport, server, (unsigned long long)held_by(place).least,
		place->spent ? "has as many as it may have" : "has more than its bound");
}
