// SPDX-License-Identifier: BSD-3-Clause
/* Sessions: the servers of a client's new flows. */
#include <string.h>

#include "tests/soak/oracle/oracle.h"
#include "tests/soak/oracle/state.h"

/* Masks an address; an IPv4 prefix counts 96 bits more. */
static void cut_prefix(const uint64_t client[2], uint32_t bits, uint64_t prefix[2])
{
	uint8_t bytes[16];
	memcpy(bytes, client, sizeof(bytes));
	for (uint32_t i = bits; i < 128; i++)
		bytes[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
	memcpy(prefix, bytes, sizeof(bytes));
}

struct session *oracle_session_of(struct oracle *oracle, const struct oracle_packet *packet)
{
	const struct oracle_service *service = &oracle->services[packet->service].facts;
	struct oracle_key key = {.service = (uint16_t)(service->sessions_of + 1), .is6 = packet->is6};
	cut_prefix(packet->client, packet->is6 ? service->prefix6 : 96u + service->prefix4, key.client);
	struct session *session = oracle_map_get(&oracle->sessions, &key);
	if (!session->n) {
		session->hash = oracle_hash_session(oracle, packet, key.client);
		session->n = 1;
	}
	return session;
}

/* The same server in another service of the group. */
static oracle_seat sibling(const struct oracle *oracle, oracle_seat seat, uint32_t service)
{
	return is_there(oracle, seat) ? seat_of(oracle, service, server_of_seat(seat)) : 0;
}

static oracle_seat backup_of(const struct oracle *oracle, oracle_seat seat)
{
	const struct place *place = place_of_seat(oracle, seat);
	uint32_t service = seat % PLACES / ORACLE_SERVERS;
	return place->backup == ORACLE_NO_SERVER ? 0 : seat_of(oracle, service, place->backup);
}

static enum oracle_reason why_away(const struct place *place)
{
	return place->admin == ORACLE_ADMIN_EVICTED	 ? ORACLE_EVICTED
	       : place->admin == ORACLE_ADMIN_DISABLED	 ? ORACLE_DISABLED
	       : !place->up				 ? ORACLE_DOWN
	       : place->admin == ORACLE_ADMIN_FLOWS_ONLY ? ORACLE_FLOWS_ONLY
							 : ORACLE_NONE;
}

/* A new flow of a client. */
struct beginning {
	const struct oracle *oracle;
	const struct oracle_packet *packet;
	const struct oracle_seen *seen;
	const struct session *session;
	uint64_t flow_hash;
	uint32_t server; /* its destination, or ORACLE_NO_SERVER */
	bool remembered;
};

/* Whether the destination is allowed; `stay` is the session afterwards. */
struct answer {
	bool right;
	enum oracle_reason why; /* the reason if the session has moved */
	enum oracle_allowance allowance;
	struct stay stay;
};

static bool may_select(const struct beginning *beginning, uint64_t hash, bool remembered, uint32_t server)
{
	return oracle_may_select(beginning->oracle, beginning->packet->service, hash, remembered, server);
}

/* The session follows the flow, with the number of its server in the service that numbers sessions. A pin stays. */
static struct stay settled(const struct oracle *oracle, const struct oracle_packet *packet, struct stay stay,
			   oracle_seat seat, oracle_seat from, uint32_t moved, bool full)
{
	oracle_seat named = sibling(oracle, seat, oracle->services[packet->service].facts.sessions_of);
	if (!named)
		return stay;
	if (full)
		return (struct stay){0};
	return (struct stay){
		.seat = named,
		.from = stay.pin ? 0 : from,
		.pin = stay.pin,
		.confirmed = stay.seat ? stay.confirmed : 0,
		.seen = oracle->now,
		.moved = moved,
	};
}

static struct stay written(const struct beginning *beginning, struct stay stay, oracle_seat from, bool moves)
{
	oracle_seat seat = seat_of(beginning->oracle, beginning->packet->service, beginning->server);
	if (!beginning->remembered || beginning->server == ORACLE_NO_SERVER)
		return stay;
	return settled(beginning->oracle, beginning->packet, stay, seat, from, moves ? beginning->oracle->now : 0,
		       beginning->seen->session_full);
}

/* A client without a session, or with a session on `mine`, which is not eligible for it. */
static struct answer begin_anew(const struct beginning *beginning, struct stay stay, oracle_seat mine,
				enum oracle_reason why)
{
	const struct oracle *oracle = beginning->oracle;
	struct answer answer = {.why = mine ? why_away(place_of_seat(oracle, mine)) : why};
	oracle_seat backup = mine ? backup_of(oracle, mine) : 0;
	if (backup && is_below_limit(place_of_seat(oracle, backup))) {
		answer.right = beginning->server == server_of_seat(backup);
		answer.allowance = ORACLE_ALLOWED_BACKUP;
	} else
		answer.right = may_select(beginning, beginning->session->hash, beginning->remembered,
					  beginning->server);
	/* A new session has no pin. */
	answer.stay = written(beginning, mine ? stay : (struct stay){0}, mine ? stay.seat : 0, mine != 0);
	return answer;
}

/* The session's server is over its share or at its limit: new flows of the client are selected. True: decided.
 */
static bool may_spill(const struct beginning *beginning, oracle_seat mine, struct answer *answer)
{
	const struct place *place = place_of_seat(beginning->oracle, mine);
	const uint64_t hash = beginning->flow_hash;
	const uint32_t its = server_of_seat(mine), server = beginning->server;
	bool spills = beginning->oracle->services[beginning->packet->service].facts.spills;
	if (!place->limit && !(place->full && spills))
		return false;
	answer->why = ORACLE_SPILLED;
	answer->right = server != its && server != ORACLE_NO_SERVER && may_select(beginning, hash, true, server);
	if (answer->right)
		return true;
	if (!may_select(beginning, hash, true, its) && !may_select(beginning, hash, true, ORACLE_NO_SERVER))
		return true;
	answer->right = server == ORACLE_NO_SERVER;
	return place->limit;
}

/* The server that the client returns to; 0: none. A pinned client also returns to a draining server. */
static oracle_seat home_of(const struct beginning *beginning, struct stay stay)
{
	const struct oracle *oracle = beginning->oracle;
	const uint32_t service = beginning->packet->service;
	bool returns = oracle->services[service].facts.returns;
	oracle_seat home = stay.pin || returns ? sibling(oracle, stay.pin ? stay.pin : stay.from, service) : 0;
	if (!home)
		return 0;
	const struct place *place = place_of_seat(oracle, home);
	bool takes = stay.pin ? takes_clients(place) && !place->limit : is_below_limit(place);
	return takes ? home : 0;
}

/* A client with a session on `mine`, which is eligible for it. */
static struct answer begin_at_mine(const struct beginning *beginning, struct stay stay, oracle_seat mine)
{
	const struct oracle *oracle = beginning->oracle;
	struct answer answer = {.stay = stay};
	if (may_spill(beginning, mine, &answer))
		return answer;
	oracle_seat home = home_of(beginning, stay);
	if (home && home != mine) {
		answer.right = beginning->server == server_of_seat(home);
		answer.why = stay.pin ? ORACLE_PINNED : ORACLE_FAILBACK;
		answer.allowance = ORACLE_ALLOWED_HOME;
		answer.stay = written(beginning, stay, 0, true);
		return answer;
	}
	answer.right = beginning->server == server_of_seat(mine);
	answer.why = ORACLE_NONE;
	answer.allowance = oracle->services[beginning->packet->service].facts.spills ? ORACLE_WITHIN
										     : ORACLE_ALLOWED_STUCK;
	if (beginning->remembered)
		answer.stay.seen = oracle->now;
	if (beginning->remembered && !beginning->packet->any_syn)
		answer.stay.confirmed = 1;
	return answer;
}

static struct answer begin_from(const struct beginning *beginning, struct stay stay, enum oracle_reason why)
{
	const struct oracle *oracle = beginning->oracle;
	oracle_seat mine = stay.seat ? sibling(oracle, stay.seat, beginning->packet->service) : 0;
	if (mine && takes_clients(place_of_seat(oracle, mine)))
		return begin_at_mine(beginning, stay, mine);
	struct answer answer = begin_anew(beginning, stay, mine, why);
	/* A session on a server that this service lacks stays for the other services of the group. */
	if (stay.seat && !mine)
		answer.stay = stay;
	return answer;
}

/* An unconfirmed session has the timeout of a new flow of the service that looks it up, and can be evicted. A scan
 * frees a session by the timeouts of its group, which are those of the services that it has then. */
static enum expiry session_expiry(const struct oracle *oracle, uint32_t service, const struct session *session,
				  const struct stay *stay)
{
	const struct oracle_service *facts = &oracle->services[service].facts;
	const enum oracle_state state = stay->confirmed ? ORACLE_SESSION
					: facts->is_udp ? ORACLE_UNREPLIED
							: ORACLE_HALF_OPEN;
	const enum expiry expiry = oracle_expiry(oracle, service, state, stay->seen);
	if (expiry != NOT_EXPIRED)
		return expiry;
	const bool may_be_evicted = !stay->confirmed && oracle->last_session_eviction > session->at;
	const bool may_be_freed = oracle_expiry(oracle, facts->sessions_of, state, stay->seen) != NOT_EXPIRED;
	return may_be_evicted || may_be_freed ? PERHAPS_EXPIRED : NOT_EXPIRED;
}

uint32_t oracle_session_expand(const struct oracle *oracle, uint32_t service, const struct session *session,
			       struct stay stay, struct stay out[BECOMES], enum oracle_reason *why)
{
	const struct stay none = {0};
	uint32_t n = 0;
	*why = ORACLE_NEW;
	if (!stay.seat) {
		out[0] = none;
		return 1;
	}
	enum expiry expiry = session_expiry(oracle, service, session, &stay);
	bool there = is_there(oracle, stay.seat);
	bool evicted = session->at < place_of_seat(oracle, stay.seat)->evicted_at;
	if (stay.pin && there)
		out[n++] = stay;
	if (stay.pin && is_there(oracle, stay.pin) && there)
		return n;
	/* The pinned server is removed. If a scan has noticed, the session is an ordinary one, which may have been
	 * refreshed until then. */
	if (stay.pin && expiry == EXPIRED)
		expiry = PERHAPS_EXPIRED;
	stay.pin = 0;
	oracle_seat backup = evicted ? backup_of(oracle, stay.seat) : 0;
	*why = expiry != NOT_EXPIRED ? ORACLE_EXPIRED : evicted ? ORACLE_EVICTED : ORACLE_REMOVED;
	if (expiry != EXPIRED && there)
		out[n++] = stay;
	if (expiry != EXPIRED && backup)
		out[n++] = (struct stay){
			.seat = backup,
			.from = stay.seat,
			.confirmed = stay.confirmed,
			.seen = stay.seen,
			.moved = MOVED_SOMETIME,
		};
	if (expiry != NOT_EXPIRED || !there || evicted)
		out[n++] = none;
	return n;
}

void oracle_session_add(struct session *session, struct stay stay)
{
	for (uint32_t i = 0; i < session->n; i++)
		if (memcmp(&session->may[i], &stay, sizeof(stay)) == 0)
			return;
	if (session->n < STAYS)
		session->may[session->n++] = stay;
}

/* An expired word stays until a write or a scan, because a longer timeout may revive it. */
static struct stay left_by(const struct oracle *oracle, struct stay before, struct stay after, uint32_t possible)
{
	return possible == 1 && !after.seat && is_there(oracle, before.seat) ? before : after;
}

static bool begin_session(struct oracle *oracle, const struct beginning *beginning, struct session *session,
			  enum oracle_allowance *allowance)
{
	const struct session before = *session;
	bool right = false;
	session->n = 0;
	for (uint32_t i = 0; i < before.n; i++) {
		struct stay stays[BECOMES];
		enum oracle_reason gone;
		uint32_t n = oracle_session_expand(oracle, beginning->packet->service, &before, before.may[i],
						   stays, &gone);
		for (uint32_t j = 0; j < n; j++) {
			struct answer answer = begin_from(beginning, stays[j], gone);
			if (!answer.right)
				continue;
			if (!right && before.may[i].seat && answer.stay.seat != before.may[i].seat)
				oracle->findings.session_moves[answer.why > ORACLE_NEW ? answer.why : gone]++;
			oracle->findings.spilled += !right && answer.why == ORACLE_SPILLED &&
						    beginning->server != ORACLE_NO_SERVER;
			*allowance = answer.allowance ? answer.allowance : *allowance;
			oracle_session_add(session, left_by(oracle, before.may[i], answer.stay, n));
			right = true;
		}
	}
	if (right)
		session->at = oracle->packet;
	else
		*session = before;
	return right;
}

bool oracle_session_begins(struct oracle *oracle, const struct oracle_packet *packet, const struct flow *flow,
			   struct session *session, const struct oracle_seen *seen,
			   enum oracle_allowance *allowance)
{
	const struct beginning beginning = {
		.oracle = oracle,
		.packet = packet,
		.seen = seen,
		.session = session,
		.flow_hash = flow->hash,
		.server = seen->what == ORACLE_SENT ? seen->server : ORACLE_NO_SERVER,
		.remembered = !packet->rst,
	};
	return begin_session(oracle, &beginning, session, allowance);
}

void oracle_session_touch(struct oracle *oracle, struct session *session, const struct oracle_packet *packet,
			  oracle_seat seat, bool confirmed, const struct oracle_seen *seen)
{
	const struct session before = *session;
	session->n = 0;
	for (uint32_t i = 0; i < before.n; i++) {
		struct stay stays[BECOMES];
		enum oracle_reason gone;
		uint32_t n = oracle_session_expand(oracle, packet->service, &before, before.may[i], stays, &gone);
		for (uint32_t j = 0; j < n; j++) {
			if (stays[j].seat)
				stays[j].seen = oracle->now;
			else if (takes_clients(place_of_seat(oracle, seat)))
				stays[j] = settled(oracle, packet, stays[j], seat, 0, 0, seen->session_full);
			if (stays[j].seen == oracle->now)
				stays[j].confirmed |= confirmed;
			oracle_session_add(session, left_by(oracle, before.may[i], stays[j], n));
		}
	}
	session->at = oracle->packet;
}

void oracle_session_left(const struct oracle *oracle, const struct oracle_packet *packet,
			 const struct session *session, const struct flow *flow, bool *may_have, bool *may_not)
{
	*may_have = false;
	*may_not = session->n == 0;
	for (uint32_t i = 0; i < session->n; i++) {
		struct stay stays[BECOMES];
		enum oracle_reason gone;
		uint32_t n = oracle_session_expand(oracle, packet->service, session, session->may[i], stays, &gone);
		for (uint32_t j = 0; j < n; j++) {
			oracle_seat mine = stays[j].seat ? sibling(oracle, stays[j].seat, packet->service) : 0;
			bool elsewhere = mine && mine != flow->seat && stays[j].moved;
			bool sometime = elsewhere && stays[j].moved == MOVED_SOMETIME;
			bool since = elsewhere && stays[j].moved >= flow->seen;
			*may_have |= since;
			*may_not |= !since || sometime;
		}
	}
}

void oracle_session_adopt(struct oracle *oracle, struct session *session, const struct oracle_packet *packet,
			  oracle_seat seat)
{
	oracle_session_add(session, settled(oracle, packet, (struct stay){0}, seat, 0, 0, false));
	oracle_session_add(session, (struct stay){0});
	session->at = oracle->packet;
}
