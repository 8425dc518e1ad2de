/* SPDX-License-Identifier: BSD-3-Clause */
/* What the oracle knows; for its own files. */
#pragma once

#include "tests/model/oracle.h"
#include "tests/model/oracle_map.h"

enum {
	EDITS = 16, /* of a service's timeouts that are remembered */
	PLACES = ORACLE_SERVICES * ORACLE_SERVERS,
};

/* A server of a service in one of its lives: place + PLACES * life; 0: none. */
typedef uint32_t oracle_seat;

struct place {
	bool present;
	bool up;
	bool full;
	bool limit;
	enum oracle_admin admin;
	uint32_t weight;
	uint8_t backup;
	uint32_t life;
	uint64_t evicted_at; /* packet before which its entries may have been removed, and its sessions moved */
};

struct edit {
	uint32_t at; /* second */
	uint32_t timeout[ORACLE_STATES];
};

struct service {
	struct oracle_service facts; /* rows are its own */
	struct edit edits[EDITS];    /* the last one is in force */
	uint32_t n_edits;
	uint8_t takers[ORACLE_SERVERS]; /* for plain hashing */
	uint32_t n_takers;
};

/* Bits: enum oracle_state, and no entry at all. */
#define STATE(state) (1u << (state))
#define NO_ENTRY (1u << ORACLE_STATES)

struct flow {
	struct oracle_key key;
	uint64_t hash;
	uint64_t at;		/* packet that was its last */
	oracle_seat seat;	/* of its entry */
	oracle_seat connection; /* where its connection began */
	uint32_t seen;		/* second of its last packet that touched the entry */
	uint8_t states;		/* that its entry may be in */
	uint8_t packets;	/* of the connection, up to 2 */
	uint8_t plain[ORACLE_PLAINS];
};

/* Where a session may be. */
struct stay {
	oracle_seat seat; /* 0: there is none */
	oracle_seat from; /* failed over from there; 0: it has not */
	uint32_t seen;
	uint32_t moved; /* second in which it came here from elsewhere; 0: it did not; MOVED_SOMETIME */
};

#define MOVED_SOMETIME UINT32_MAX

enum {
	STAYS = 6,
};

struct session {
	struct oracle_key key;
	uint64_t hash;
	uint64_t at; /* packet that was the last to say something of it */
	uint32_t n;  /* stays; of a new one none */
	struct stay may[STAYS];
};

struct oracle {
	uint8_t secret[ORACLE_SECRET_BYTES];
	uint32_t bucket_mask;
	uint64_t *gave_way; /* by bucket: the last packet for which an entry there gave way */
	uint64_t packet;    /* number of the one being judged */
	uint32_t now;
	uint32_t longest; /* timeout that there ever was */
	bool stale;
	struct service services[ORACLE_SERVICES];
	struct place places[PLACES];
	struct oracle_map flows;
	struct oracle_map sessions;
	struct oracle_findings findings;
	uint64_t broken_now;
	uint64_t plain_now[ORACLE_PLAINS];
	char why[512];
};

static inline uint32_t place_of(uint32_t service, uint32_t server)
{
	return service * ORACLE_SERVERS + server;
}

static inline const struct place *place_at(const struct oracle *oracle, uint32_t service, uint32_t server)
{
	return &oracle->places[place_of(service, server)];
}

/* Who a server of a service is now; 0: it is not there. */
static inline oracle_seat seat_of(const struct oracle *oracle, uint32_t service, uint32_t server)
{
	const struct place *place = place_at(oracle, service, server);
	return place->present ? place_of(service, server) + PLACES * place->life : 0;
}

static inline const struct place *place_of_seat(const struct oracle *oracle, oracle_seat seat)
{
	return &oracle->places[seat % PLACES];
}

static inline uint32_t server_of_seat(oracle_seat seat)
{
	return seat % ORACLE_SERVERS;
}

static inline bool is_there(const struct oracle *oracle, oracle_seat seat)
{
	const struct place *place = place_of_seat(oracle, seat);
	return seat && place->present && place->life == seat / PLACES;
}

/* What a server may get. */
static inline bool takes_flows(const struct place *place)
{
	return place->present && place->up && place->admin <= ORACLE_ADMIN_FLOWS_ONLY;
}

static inline bool takes_clients(const struct place *place)
{
	return takes_flows(place) && place->admin <= ORACLE_ADMIN_DRAINING;
}

static inline bool takes_new(const struct place *place)
{
	return takes_flows(place) && place->admin == ORACLE_ADMIN_ENABLED && place->weight > 0;
}

static inline bool takes_beyond(const struct place *place)
{
	return takes_new(place) && !place->limit;
}

static inline bool takes_gladly(const struct place *place)
{
	return takes_beyond(place) && !place->full;
}

/* oracle_select.c */
uint64_t oracle_hash_flow(const struct oracle *oracle, const struct oracle_packet *packet);
uint64_t oracle_hash_session(const struct oracle *oracle, const struct oracle_packet *packet,
			     const uint64_t client[2]);
/* Whether selection may say `server` (ORACLE_NOBODY: nobody) for this hash; `remembered`: what will have an entry.
 */
bool oracle_may_select(const struct oracle *oracle, uint32_t service, uint64_t hash, bool remembered,
		       uint32_t server);
uint32_t oracle_plain(const struct oracle *oracle, uint32_t service, uint64_t hash, enum oracle_plain plain);

/* oracle_session.c */

/* Whether a flow that begins may have gone where it was seen; and follows its client's session there. */
bool oracle_session_begins(struct oracle *oracle, const struct oracle_packet *packet, const struct flow *flow,
			   struct session *session, const struct oracle_seen *seen);
struct session *oracle_session_of(struct oracle *oracle, const struct oracle_packet *packet);
/* A known flow of the client's on `seat` was heard of, for the first time in this second. */
void oracle_session_touch(struct oracle *oracle, struct session *session, const struct oracle_packet *packet,
			  oracle_seat seat, const struct oracle_seen *seen);
/* Whether a client's session came from elsewhere to another server than its flow's entry says, since the second in
 * which that was last used. */
void oracle_session_left(const struct oracle *oracle, const struct oracle_packet *packet,
			 const struct session *session, const struct flow *flow, bool *may_have, bool *may_not);
/* What was seen cannot be, and counts from here on. */
void oracle_session_believe(struct oracle *oracle, struct session *session, const struct oracle_packet *packet,
			    oracle_seat seat);

/* oracle.c */
enum expiry {
	EXPIRED,
	PERHAPS_EXPIRED, /* it was, and timeouts have been raised since */
	NOT_EXPIRED,
};
enum expiry oracle_expiry(const struct oracle *oracle, uint32_t service, enum oracle_state state, uint32_t seen);
