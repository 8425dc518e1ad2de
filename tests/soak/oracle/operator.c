// SPDX-License-Identifier: BSD-3-Clause
/* An operator's commands on sessions. */
#include <stdio.h>
#include <string.h>

#include "tests/soak/oracle/oracle.h"
#include "tests/soak/oracle/state.h"

/* The possible successors of a place, as a command finds them: by the timeouts of the service's group. */
static uint32_t expand(const struct oracle *oracle, uint32_t service, const struct session *session,
		       struct stay stay, struct stay out[BECOMES])
{
	enum oracle_reason gone;
	return oracle_session_expand(oracle, oracle->services[service].facts.sessions_of, session, stay, out,
				     &gone);
}

/* Whether a session may exist, and whether it may be absent. */
static void look(const struct oracle *oracle, uint32_t service, const struct session *session, bool *may_be,
		 bool *may_be_none)
{
	*may_be = *may_be_none = false;
	for (uint32_t i = 0; i < session->n; i++) {
		struct stay stays[BECOMES];
		uint32_t n = expand(oracle, service, session, session->may[i], stays);
		for (uint32_t j = 0; j < n; j++) {
			*may_be |= stays[j].seat != 0;
			*may_be_none |= stays[j].seat == 0;
		}
	}
}

/* Removes the session if it is on `seat` (0: any). An expired session stays, because a longer timeout revives it.
 */
static bool take_away(const struct oracle *oracle, uint32_t service, struct session *session, oracle_seat seat)
{
	const struct session before = *session;
	bool any = false;
	session->n = 0;
	for (uint32_t i = 0; i < before.n; i++) {
		struct stay stays[BECOMES];
		uint32_t n = expand(oracle, service, &before, before.may[i], stays);
		if (n == 1 && !stays[0].seat) {
			oracle_session_add(session, before.may[i]);
			continue;
		}
		for (uint32_t j = 0; j < n; j++) {
			bool meant = stays[j].seat && (!seat || stays[j].seat == seat);
			any |= meant;
			oracle_session_add(session, meant ? (struct stay){0} : stays[j]);
		}
	}
	return any;
}

static bool say(struct oracle *oracle, const struct oracle_packet *client, const char *what)
{
	const uint8_t *bytes = (const uint8_t *)client->client;
	snprintf(oracle->why, sizeof(oracle->why),
		 "packet %llu, second %u, service %u, client ..%02x%02x%02x%02x: %s",
		 (unsigned long long)oracle->packet, oracle->now, client->service, bytes[12], bytes[13], bytes[14],
		 bytes[15], what);
	oracle->findings.unexplained++;
	return false;
}

/* The session is at `stay` only. */
static void settle(struct oracle *oracle, struct session *session, struct stay stay, enum oracle_reason why)
{
	bool moved = false;
	for (uint32_t i = 0; i < session->n; i++)
		moved |= session->may[i].seat && session->may[i].seat != stay.seat;
	oracle->findings.session_moves[why] += moved;
	session->n = 1;
	session->may[0] = stay;
	session->at = oracle->packet;
}

static struct stay stay_at(const struct oracle *oracle, const struct oracle_packet *client, uint32_t server)
{
	uint32_t named = oracle->services[client->service].facts.sessions_of;
	return (struct stay){
		.seat = seat_of(oracle, named, server),
		.confirmed = 1,
		.seen = oracle->now,
		.moved = oracle->now,
	};
}

bool oracle_session_pin(struct oracle *oracle, const struct oracle_packet *client, uint32_t server, bool placed)
{
	struct session *session = oracle_session_of(oracle, client);
	struct stay stay = stay_at(oracle, client, server);
	bool may_be, may_be_none;
	look(oracle, client->service, session, &may_be, &may_be_none);
	/* A full table is a reason, unless the session exists. */
	if (!placed)
		return may_be_none || say(oracle, client, "its session could not be pinned");
	stay.pin = stay.seat;
	settle(oracle, session, stay, ORACLE_PINNED);
	return true;
}

bool oracle_session_move(struct oracle *oracle, const struct oracle_packet *client, uint32_t server, bool placed)
{
	struct session *session = oracle_session_of(oracle, client);
	bool may_be, may_be_none;
	look(oracle, client->service, session, &may_be, &may_be_none);
	if (!placed) {
		take_away(oracle, client->service, session, 0);
		return may_be_none || say(oracle, client, "its session could not be moved");
	}
	settle(oracle, session, stay_at(oracle, client, server), ORACLE_MOVED);
	return may_be || say(oracle, client, "a session was moved that does not exist");
}

bool oracle_session_unpin(struct oracle *oracle, const struct oracle_packet *client, bool cleared)
{
	struct session *session = oracle_session_of(oracle, client);
	const struct session before = *session;
	bool may_be_pinned = false, may_be_other = false;
	session->n = 0;
	for (uint32_t i = 0; i < before.n; i++) {
		const struct stay stay = before.may[i];
		bool gone = stay.pin && (!is_there(oracle, stay.pin) || !is_there(oracle, stay.seat));
		may_be_pinned |= stay.pin;
		may_be_other |= !stay.pin || gone;
		if (!cleared && (!stay.pin || gone))
			session->may[session->n++] = stay;
	}
	if (cleared ? may_be_pinned : may_be_other) {
		if (cleared)
			settle(oracle, session, (struct stay){0}, ORACLE_CLEARED);
		return true;
	}
	*session = before;
	return say(oracle, client,
		   cleared ? "a session was unpinned that was not pinned"
			   : "a pinned session could not be unpinned");
}

void oracle_session_clear(struct oracle *oracle, const struct oracle_packet *client)
{
	struct session *session = oracle_session_of(oracle, client);
	oracle->findings.session_moves[ORACLE_CLEARED] += take_away(oracle, client->service, session, 0);
}

void oracle_session_clear_server(struct oracle *oracle, uint32_t service, uint32_t server)
{
	const uint32_t named = oracle->services[service].facts.sessions_of;
	const oracle_seat seat = seat_of(oracle, named, server);
	for (struct session *session = oracle_map_next(&oracle->sessions, NULL); seat && session;
	     session = oracle_map_next(&oracle->sessions, session))
		if (session->key.service == named + 1)
			oracle->findings.session_moves[ORACLE_CLEARED] += take_away(oracle, service, session, seat);
}
