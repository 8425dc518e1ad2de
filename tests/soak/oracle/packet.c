// SPDX-License-Identifier: BSD-3-Clause
/* Flows: checks one packet after the other. */
#include <stdio.h>
#include <string.h>

#include "tests/soak/oracle/oracle.h"
#include "tests/soak/oracle/state.h"

enum {
	MOST_TWINS = 100,
	RECENT = 5, /* seconds without a packet after which a flow can be evicted */
};

/* The possible outcomes of a packet, over all possible states of its flow's entry. */
struct possible_outcomes {
	bool may_continue;
	bool may_be_reset;
	bool may_begin;
	uint8_t states_if_continued; /* states */
	enum oracle_reason why;	     /* the reason for a new flow although an entry existed */
};

static bool is_unconfirmed(uint32_t state)
{
	return state == ORACLE_HALF_OPEN || state == ORACLE_UNREPLIED;
}

static enum oracle_state first_state(const struct oracle *oracle, const struct oracle_packet *packet)
{
	return oracle->services[packet->service].facts.is_udp ? ORACLE_UNREPLIED : ORACLE_HALF_OPEN;
}

static enum oracle_state next_state(const struct oracle *oracle, const struct oracle_packet *packet,
				    enum oracle_state state)
{
	if (oracle->services[packet->service].facts.is_udp)
		return ORACLE_ASSURED;
	if (packet->rst || packet->fin)
		return ORACLE_CLOSING;
	bool revives = state == ORACLE_HALF_OPEN || (state == ORACLE_CLOSING && packet->data);
	return revives && !packet->any_syn ? ORACLE_ESTABLISHED : state;
}

/* A flow's home bucket, or its second one. */
static uint32_t bucket_of(const struct oracle *oracle, uint64_t hash, bool other)
{
	uint32_t home = (uint32_t)hash;
	uint32_t step = (uint32_t)(hash >> 36) * 0x9e3779b1u >> 3 | 1;
	return (other ? home ^ step : home) & oracle->bucket_mask;
}

/* A proven flow is not evicted, but which ones are proven is not known here. */
bool oracle_may_be_evicted(const struct oracle *oracle, const struct flow *flow, uint32_t state)
{
	if (!is_unconfirmed(state) && oracle->now - flow->seen <= RECENT)
		return false;
	return oracle->last_eviction[bucket_of(oracle, flow->hash, false)] > flow->at ||
	       oracle->last_eviction[bucket_of(oracle, flow->hash, true)] > flow->at;
}

/* The reason for which a server is not eligible for its flows. */
static enum oracle_reason why_not(const struct place *place)
{
	return place->admin == ORACLE_ADMIN_EVICTED    ? ORACLE_EVICTED
	       : place->admin == ORACLE_ADMIN_DISABLED ? ORACLE_DISABLED
						       : ORACLE_DOWN;
}

static void begin(struct possible_outcomes *possible_outcomes, enum oracle_reason why)
{
	possible_outcomes->may_begin = true;
	if (possible_outcomes->why <= ORACLE_NEW)
		possible_outcomes->why = why;
}

/* A packet of a flow whose entry is in `state`. */
static void find_entry_outcomes(const struct oracle *oracle, const struct oracle_packet *packet,
				const struct flow *flow, const struct session *session, enum oracle_state state,
				struct possible_outcomes *possible_outcomes)
{
	const struct oracle_service *service = &oracle->services[packet->service].facts;
	const struct place *place = place_of_seat(oracle, flow->seat);
	enum expiry expiry = oracle_expiry(oracle, packet->service, state, flow->seen);
	if (expiry != NOT_EXPIRED)
		begin(possible_outcomes, ORACLE_EXPIRED);
	if (expiry == EXPIRED)
		return;
	if (!is_there(oracle, flow->seat)) {
		begin(possible_outcomes, ORACLE_REMOVED);
		return;
	}
	if (flow->at < place->evicted_at)
		begin(possible_outcomes, ORACLE_EVICTED);
	if (oracle_may_be_evicted(oracle, flow, state))
		begin(possible_outcomes, ORACLE_YIELDED);
	if (!takes_flows(place)) {
		if (service->resets && state == ORACLE_ESTABLISHED && !packet->syn)
			possible_outcomes->may_be_reset = true;
		else
			begin(possible_outcomes, why_not(place));
		return;
	}
	bool again = service->by_client ? takes_clients(place) : takes_new_clients(place);
	if (packet->syn && (state == ORACLE_CLOSING || !again)) {
		begin(possible_outcomes, state == ORACLE_CLOSING ? ORACLE_ENDED : ORACLE_DRAINED);
		return;
	}
	if (session && packet->syn && state == ORACLE_HALF_OPEN) {
		bool may_have, may_not;
		oracle_session_left(oracle, packet, session, flow, &may_have, &may_not);
		if (may_have)
			begin(possible_outcomes, ORACLE_SESSION_LEFT);
		if (!may_not)
			return;
	}
	possible_outcomes->may_continue = true;
	possible_outcomes->states_if_continued |= (uint8_t)STATE(next_state(oracle, packet, state));
}

static struct possible_outcomes find_outcomes(const struct oracle *oracle, const struct oracle_packet *packet,
					      const struct flow *flow, const struct session *session)
{
	struct possible_outcomes possible_outcomes = {.why = ORACLE_NONE};
	uint32_t states = flow->states ? flow->states : NO_ENTRY;
	for (uint32_t state = 0; state < ORACLE_STATES; state++)
		if (states & STATE(state))
			find_entry_outcomes(oracle, packet, flow, session, (enum oracle_state)state,
					    &possible_outcomes);
	if (states & NO_ENTRY) {
		possible_outcomes.may_begin = true;
		if (possible_outcomes.why == ORACLE_NONE)
			possible_outcomes.why = ORACLE_NEW;
	}
	return possible_outcomes;
}

/* The engines cannot distinguish two flows of a service with one tag and a common bucket (6e-8 of new flows). */
static bool has_twin(const struct oracle *oracle, const struct flow *flow)
{
	const uint32_t mine[2] = {bucket_of(oracle, flow->hash, false), bucket_of(oracle, flow->hash, true)};
	for (const struct flow *other = oracle_map_next(&oracle->flows, NULL); other;
	     other = oracle_map_next(&oracle->flows, other)) {
		if (other == flow || other->key.service != flow->key.service ||
		    other->hash >> 36 != flow->hash >> 36)
			continue;
		for (uint32_t i = 0; i < 4; i++)
			if (bucket_of(oracle, other->hash, i & 1) == mine[i >> 1])
				return true;
	}
	return false;
}

static void describe(struct oracle *oracle, const struct oracle_packet *packet, const struct flow *flow,
		     const struct possible_outcomes *possible_outcomes, const struct session *session,
		     const struct oracle_seen *seen)
{
	const uint8_t *client = (const uint8_t *)packet->client;
	int n = snprintf(oracle->why, sizeof(oracle->why),
			 "packet %llu, second %u, service %u, client ..%02x%02x%02x%02x:%u, %s%s%s%s",
			 (unsigned long long)oracle->packet, oracle->now, packet->service, client[12], client[13],
			 client[14], client[15], packet->sport, packet->begins ? "begins " : "",
			 packet->syn ? "syn " : "", packet->fin ? "fin " : "", packet->rst ? "rst " : "");
	n += snprintf(oracle->why + n, sizeof(oracle->why) - (size_t)n,
		      "went to %d (what %d, known %d, full %d); entry: server %u life %u of %u, states %02x, seen "
		      "%u ago; may go on %d, be reset %d, begin %d (%s)",
		      seen->what == ORACLE_SENT ? seen->server : -1, seen->what, seen->is_known, seen->table_full,
		      server_of_seat(flow->seat), flow->seat / PLACES, place_of_seat(oracle, flow->seat)->life,
		      flow->states, oracle->now - flow->seen, possible_outcomes->may_continue,
		      possible_outcomes->may_be_reset, possible_outcomes->may_begin,
		      oracle_reason_name(possible_outcomes->why));
	for (uint32_t i = 0; session && i < session->n && n < (int)sizeof(oracle->why); i++)
		n += snprintf(oracle->why + n, sizeof(oracle->why) - (size_t)n,
			      "; session: server %u life %u of %u, seen %u ago, from %u life %u",
			      server_of_seat(session->may[i].seat), session->may[i].seat / PLACES,
			      place_of_seat(oracle, session->may[i].seat)->life, oracle->now - session->may[i].seen,
			      server_of_seat(session->may[i].from), session->may[i].from / PLACES);
}

static void remember(const struct oracle *oracle, struct flow *flow, uint8_t states, oracle_seat seat)
{
	flow->seat = seat;
	flow->states = states;
	flow->seen = oracle->now;
	flow->at = oracle->packet;
}

/* The flow began with this packet. Without an insert nothing changes. False: its server is beyond its bound. */
static bool follow_beginning(struct oracle *oracle, const struct oracle_packet *packet, struct flow *flow,
			     const struct possible_outcomes *possible_outcomes, const struct oracle_seen *seen,
			     oracle_seat seat, enum oracle_allowance allowance)
{
	if (seen->table_full)
		flow->states = NO_ENTRY;
	if (seen->what != ORACLE_SENT || packet->rst || seen->table_full)
		return true;
	if (flow->seat && flow->seat != seat && possible_outcomes->why > ORACLE_NEW)
		oracle->findings.moves[possible_outcomes->why]++;
	remember(oracle, flow, (uint8_t)STATE(first_state(oracle, packet)), seat);
	return oracle_bound_gains(oracle, packet, seen->server, allowance);
}

static bool is_avoidable(enum oracle_reason reason)
{
	static const bool avoidable[] = {
#define X(symbol, name, is) is,
		ORACLE_REASONS(X)
#undef X
	};
	return avoidable[reason];
}

/* The client's view: the connection stays on its first backend, or breaks. */
static void follow_connection(struct oracle *oracle, const struct oracle_packet *packet, struct flow *flow,
			      enum oracle_reason why, oracle_seat seat)
{
	struct oracle_findings *findings = &oracle->findings;
	if (packet->begins) {
		findings->flows++;
		flow->connection = seat;
		flow->packets = 1;
	} else if (flow->connection && flow->connection != seat) {
		/* A repeated SYN is not a connection yet. */
		if (flow->packets > 1 && !packet->syn) {
			findings->broken[why]++;
			findings->broken_avoidable += is_avoidable(why);
			findings->broken_unavoidable += !is_avoidable(why);
			oracle->broken_now++;
		}
		flow->connection = seat;
		flow->packets = 1;
	} else if (flow->packets < 2) {
		flow->packets++;
	}
}

/* The outcome with plain hashing. */
static void follow_plain(struct oracle *oracle, const struct oracle_packet *packet, struct flow *flow)
{
	for (uint32_t i = 0; i < ORACLE_PLAINS; i++) {
		uint32_t server = oracle_plain(oracle, packet->service, flow->hash, (enum oracle_plain)i);
		if (!packet->begins && server != flow->plain[i] && flow->plain[i] != ORACLE_NO_SERVER &&
		    takes_flows(place_at(oracle, packet->service, flow->plain[i]))) {
			oracle->findings.plain_broken[i]++;
			oracle->plain_now[i]++;
		}
		flow->plain[i] = (uint8_t)server;
	}
}

static struct flow *flow_of(struct oracle *oracle, const struct oracle_packet *packet)
{
	const struct oracle_key key = {
		.client = {packet->client[0], packet->client[1]},
		.service = (uint16_t)(packet->service + 1),
		.sport = packet->sport,
		.dport = packet->dport,
		.is6 = packet->is6,
	};
	struct flow *flow = oracle_map_get(&oracle->flows, &key);
	if (!flow->states) {
		flow->hash = oracle_hash_flow(oracle, packet);
		flow->states = NO_ENTRY;
		memset(flow->plain, ORACLE_NO_SERVER, sizeof(flow->plain));
	}
	return flow;
}

static void unexplained(struct oracle *oracle, const struct oracle_packet *packet, struct flow *flow,
			const struct possible_outcomes *possible_outcomes, struct session *session,
			const struct oracle_seen *seen, oracle_seat seat, enum oracle_reason *why)
{
	describe(oracle, packet, flow, possible_outcomes, session, seen);
	*why = ORACLE_NONE;
	/* has_twin() reads every flow: only for the first MOST_TWINS. */
	if (oracle->findings.unexplained < MOST_TWINS && has_twin(oracle, flow)) {
		oracle->findings.moves[ORACLE_SAME_TAG]++;
		*why = ORACLE_SAME_TAG;
	} else {
		oracle->findings.unexplained++;
	}
	/* From here on the seen outcome is the state. */
	uint8_t states = (uint8_t)(NO_ENTRY | STATE(first_state(oracle, packet)) |
				   STATE(next_state(oracle, packet, first_state(oracle, packet))));
	remember(oracle, flow, states, seat ? seat : flow->seat);
	if (session && seat)
		oracle_session_adopt(oracle, session, packet, seat);
}

/* Whether all of these states are confirmed ones. */
static bool are_confirmed(uint32_t states)
{
	return !(states & (STATE(ORACLE_HALF_OPEN) | STATE(ORACLE_UNREPLIED)));
}

/* The session after a packet of a flow that was in one of the states `was` and last seen in second `before`. */
static void follow_session(struct oracle *oracle, const struct oracle_packet *packet, const struct flow *flow,
			   struct session *session, const struct oracle_seen *seen, oracle_seat seat,
			   uint32_t before, uint32_t was)
{
	const bool was_confirmed = are_confirmed(was);
	/* A RST confirms nothing. */
	const bool is_confirmed = was_confirmed || (are_confirmed(flow->states) && !packet->rst);
	if (before != oracle->now || is_confirmed != was_confirmed)
		oracle_session_touch(oracle, session, packet, seat, is_confirmed, seen);
}

void oracle_answer(struct oracle *oracle, const struct oracle_packet *packet, const struct oracle_seen *seen)
{
	struct flow *flow = flow_of(oracle, packet);
	/* A RST inserts no entry. One that is left has expired, or is of another server, which did not answer. */
	if (packet->rst && !seen->is_known)
		return;
	if (flow->states & STATE(ORACLE_HALF_OPEN))
		flow->states = (uint8_t)((flow->states & ~STATE(ORACLE_HALF_OPEN)) | STATE(ORACLE_ESTABLISHED));
}

bool oracle_packet(struct oracle *oracle, const struct oracle_packet *packet, const struct oracle_seen *seen)
{
	const bool by_client = oracle->services[packet->service].facts.by_client;
	struct flow *flow = flow_of(oracle, packet);
	struct session *session = by_client ? oracle_session_of(oracle, packet) : NULL;
	const struct possible_outcomes possible_outcomes = find_outcomes(oracle, packet, flow, session);
	const uint32_t server = seen->what == ORACLE_SENT ? seen->server : ORACLE_NO_SERVER;
	const oracle_seat seat = server == ORACLE_NO_SERVER ? 0 : seat_of(oracle, seen->service, server);
	bool is_ours = seen->what != ORACLE_OTHER &&
		       (server == ORACLE_NO_SERVER || (seat && seen->service == packet->service));
	bool continued = is_ours && possible_outcomes.may_continue && seen->is_known && seat && seat == flow->seat;
	bool was_reset = possible_outcomes.may_be_reset && seen->what == ORACLE_RESET;
	bool can_begin = is_ours && possible_outcomes.may_begin && seen->what != ORACLE_RESET && !seen->is_known;
	bool began = false, bounded = true;
	enum oracle_reason why = possible_outcomes.why;
	enum oracle_allowance allowance = ORACLE_WITHIN;

	oracle->packet++;
	oracle->findings.packets++;
	if (can_begin && session)
		began = oracle_session_begins(oracle, packet, flow, session, seen, &allowance);
	else if (can_begin)
		began = oracle_may_select(oracle, packet->service, flow->hash, !packet->rst && !seen->table_full,
					  server) ||
			oracle_may_select_by_hash(oracle, packet->service, flow->hash, server);
	if (!continued && !was_reset && !began) {
		unexplained(oracle, packet, flow, &possible_outcomes, session, seen, seat, &why);
	} else if (was_reset) {
		why = why_not(place_of_seat(oracle, flow->seat));
	} else if (began) {
		/* Known, but without an entry: the table had no room before. */
		if (seen->table_full || (why == ORACLE_NEW && !packet->begins && flow->connection))
			why = ORACLE_TABLE_FULL;
		bounded = follow_beginning(oracle, packet, flow, &possible_outcomes, seen, seat, allowance);
	} else {
		const uint32_t before = flow->seen, was = flow->states;
		remember(oracle, flow, possible_outcomes.states_if_continued, flow->seat);
		if (session)
			follow_session(oracle, packet, flow, session, seen, seat, before, was);
	}
	if (seen->evicted_entry) {
		oracle->last_eviction[bucket_of(oracle, flow->hash, false)] = oracle->packet;
		oracle->last_eviction[bucket_of(oracle, flow->hash, true)] = oracle->packet;
	}
	if (seen->evicted_session)
		oracle->last_session_eviction = oracle->packet;
	follow_connection(oracle, packet, flow, why, seat);
	follow_plain(oracle, packet, flow);
	return (why != ORACLE_NONE || continued || was_reset || began) && bounded;
}
