/* SPDX-License-Identifier: BSD-3-Clause */
/* What the oracle knows; for its own files. */
#pragma once

#include "tests/soak/oracle/map.h"
#include "tests/soak/oracle/types.h"

enum {
	EDITS = 16,   /* of a service's timeouts that are remembered */
	MEASURES = 2, /* passes until figures are of whole passes only */
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
	bool over;  /* by the last tick it surely had more than its bounded share */
	bool spent; /* and as many flows as it may have */
	/* When berthd last began anew. */
	bool was_taking;
	bool was_full;
	bool was_limit;
	uint32_t counts;
	uint32_t max_flows;
	uint32_t life;
	uint64_t gained; /* flows that began there */
	/* When the last pass ended, and the one before. */
	uint64_t gained_at[MEASURES];
	uint64_t most_at[MEASURES];
	uint64_t least_at;   /* the last one */
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
	bool reweighed;	 /* since the last pass, so that loads of before it are in other units */
	uint32_t passes; /* that have ended since nothing was known of its flows, up to MEASURES */
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
	oracle_seat pin;  /* an operator wants it there; 0: none does */
	uint32_t seen;
	uint32_t moved; /* second in which it came here from elsewhere; 0: it did not; MOVED_SOMETIME */
};

#define MOVED_SOMETIME UINT32_MAX

enum {
	STAYS = 8,
	BECOMES = 4, /* at most, of one */
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
	bool forgot; /* berthd has begun anew and has not counted yet */
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
/* Whether a search may well find nobody who has room: those rows that it asks are a few of all. */
bool oracle_is_alone(const struct oracle *oracle, uint32_t service);
uint32_t oracle_plain(const struct oracle *oracle, uint32_t service, uint64_t hash, enum oracle_plain plain);

/* oracle_session.c */

/* Whether a flow that begins may have gone where it was seen; and follows its client's session there. `past`: what
 * allows that its server has more than its bound. */
bool oracle_session_begins(struct oracle *oracle, const struct oracle_packet *packet, const struct flow *flow,
			   struct session *session, const struct oracle_seen *seen, enum oracle_past *past);
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

/* What may have become of a stay meanwhile: it expired, its server was removed, or the walk took it away or to the
 * backup when its server was evicted. Returns how many it may be now; `why`: what became of it if it is gone. */
uint32_t oracle_session_expand(const struct oracle *oracle, uint32_t service, const struct session *session,
			       struct stay stay, struct stay out[BECOMES], enum oracle_reason *why);
/* It may be there, too. */
void oracle_session_add(struct session *session, struct stay stay);

/* oracle_bound.c */

/* A flow began at a server, by what `past` says if that has more than its bound. False: it may not have. */
bool oracle_bound_gains(struct oracle *oracle, const struct oracle_packet *packet, uint32_t server,
			enum oracle_past past);

/* Whether a server surely has more flows than another, by weight, than least-conn would choose it with. */
bool oracle_bound_is_busier(const struct oracle *oracle, uint32_t service, uint32_t server, uint32_t than);

/* oracle_packet.c */
bool oracle_is_unconfirmed(uint32_t state);
/* Whether a flow's entry, as long as it is unconfirmed, may have given way to another. */
bool oracle_may_have_given_way(const struct oracle *oracle, const struct flow *flow);

/* oracle.c */
enum expiry {
	EXPIRED,
	PERHAPS_EXPIRED, /* it was, and timeouts have been raised since */
	NOT_EXPIRED,
};
enum expiry oracle_expiry(const struct oracle *oracle, uint32_t service, enum oracle_state state, uint32_t seen);
