/* SPDX-License-Identifier: BSD-3-Clause */
/* The oracle's state; only its own files include this header. */
#pragma once

#include "tests/soak/oracle/map.h"
#include "tests/soak/oracle/types.h"

enum {
	EDITS = 16,   /* remembered changes of a service's timeouts */
	MEASURES = 2, /* scans until all figures come from whole scans */
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
	bool over;  /* at the last tick it certainly had more than its bound */
	bool spent; /* at the last tick it certainly had `max_flows` flows */
	/* At berthd's last restart. */
	bool was_taking;
	bool was_full;
	bool was_limit;
	uint32_t counts;
	uint32_t response_us; /* of the last scan; 0: not known */
	bool by_connections;
	uint32_t max_flows;
	uint32_t life;
	uint64_t gained; /* flows that began there */
	/* At the end of the last scan, and of the one before. */
	uint64_t gained_at[MEASURES];
	uint64_t most_at[MEASURES];
	uint64_t least_at;   /* at the end of the last scan */
	uint64_t evicted_at; /* number of the packet until which a scan may have removed its entries and moved its
				sessions */
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
	bool reweighed;	 /* weights changed since the last scan, so that older loads have other units */
	uint32_t passes; /* scans that have ended since the flows were unknown, up to MEASURES */
};

/* Bits: enum oracle_state, and no entry at all. */
#define STATE(state) (1u << (state))
#define NO_ENTRY (1u << ORACLE_STATES)

struct flow {
	struct oracle_key key;
	uint64_t hash;
	uint64_t at;		/* number of its last packet */
	oracle_seat seat;	/* of its entry */
	oracle_seat connection; /* server of the connection's first packet */
	uint32_t seen;		/* second of its last packet that touched the entry */
	uint8_t states;		/* possible states of its entry */
	uint8_t packets;	/* of the connection, up to 2 */
	uint8_t plain[ORACLE_PLAINS];
};

/* A possible place of a session. */
struct stay {
	oracle_seat seat;   /* 0: there is none */
	oracle_seat from;   /* the server before a failover; 0: none */
	oracle_seat pin;    /* the server that it is pinned to; 0: none */
	uint32_t confirmed; /* 1: it has had a second packet */
	uint32_t seen;
	uint32_t moved; /* second of its last move; 0: none; MOVED_SOMETIME: unknown */
};

#define MOVED_SOMETIME UINT32_MAX

enum {
	STAYS = 8,
	BECOMES = 4, /* most possible successors of a place */
};

struct session {
	struct oracle_key key;
	uint64_t hash;
	uint64_t at; /* number of the last packet that changed it */
	uint32_t n;  /* number of possible places */
	struct stay may[STAYS];
};

struct oracle {
	uint8_t secret[ORACLE_SECRET_BYTES];
	uint32_t bucket_mask;
	uint64_t *last_eviction;	/* by bucket: the last packet with an eviction there */
	uint64_t packet;		/* number of the current packet */
	uint64_t last_session_eviction; /* number of the last packet that evicted a session, of any client */
	uint32_t now;
	uint32_t longest; /* longest timeout so far */
	bool stale;
	bool forgot; /* berthd has restarted and not counted yet */
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

/* The current life of a server; 0: it is absent. */
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

/* Eligibility of a server. */
static inline bool takes_flows(const struct place *place)
{
	return place->present && place->up && place->admin <= ORACLE_ADMIN_FLOWS_ONLY;
}

static inline bool takes_clients(const struct place *place)
{
	return takes_flows(place) && place->admin <= ORACLE_ADMIN_DRAINING;
}

static inline bool takes_new_clients(const struct place *place)
{
	return takes_flows(place) && place->admin == ORACLE_ADMIN_ENABLED && place->weight > 0;
}

static inline bool is_below_limit(const struct place *place)
{
	return takes_new_clients(place) && !place->limit;
}

static inline bool is_below_share(const struct place *place)
{
	return is_below_limit(place) && !place->full;
}

/* select.c */
uint64_t oracle_hash_flow(const struct oracle *oracle, const struct oracle_packet *packet);
uint64_t oracle_hash_session(const struct oracle *oracle, const struct oracle_packet *packet,
			     const uint64_t client[2]);
/* Whether selection may give `server` (ORACLE_NO_SERVER: none) for this hash; `remembered`: the packet inserts an
 * entry.
 */
bool oracle_may_select(const struct oracle *oracle, uint32_t service, uint64_t hash, bool remembered,
		       uint32_t server);
/* The same for a flow of a service without client affinity that may be selected by its hash alone: loads need an
 * entry that stays (packets.md 7.17). The oracle does not know where the table has no free word. */
bool oracle_may_select_by_hash(const struct oracle *oracle, uint32_t service, uint64_t hash, uint32_t server);
/* Whether a search may find no server with room: it reads only some of the rows. */
bool oracle_is_alone(const struct oracle *oracle, uint32_t service);
uint32_t oracle_plain(const struct oracle *oracle, uint32_t service, uint64_t hash, enum oracle_plain plain);

/* session.c */

/* Whether a new flow may have its destination; updates its client's session. `allowance`: the reason for which its
 * server may be beyond its bound. */
bool oracle_session_begins(struct oracle *oracle, const struct oracle_packet *packet, const struct flow *flow,
			   struct session *session, const struct oracle_seen *seen,
			   enum oracle_allowance *allowance);
struct session *oracle_session_of(struct oracle *oracle, const struct oracle_packet *packet);
/* A known flow of the client on `seat` had its first packet in this second, or was confirmed by this packet.
 * `confirmed`: the flow is. */
void oracle_session_touch(struct oracle *oracle, struct session *session, const struct oracle_packet *packet,
			  oracle_seat seat, bool confirmed, const struct oracle_seen *seen);
/* Whether a client's session may have moved to another server than its flow's, since the flow's last packet. */
void oracle_session_left(const struct oracle *oracle, const struct oracle_packet *packet,
			 const struct session *session, const struct flow *flow, bool *may_have, bool *may_not);
/* An unexplained outcome becomes the state from here on. */
void oracle_session_adopt(struct oracle *oracle, struct session *session, const struct oracle_packet *packet,
			  oracle_seat seat);

/* The possible successors of a place: it expired, its server was removed, or a scan removed it or moved it to the
 * backup of an evicted server. Returns their number; `why`: the reason if the session is gone. */
uint32_t oracle_session_expand(const struct oracle *oracle, uint32_t service, const struct session *session,
			       struct stay stay, struct stay out[BECOMES], enum oracle_reason *why);
/* Adds a possible place. */
void oracle_session_add(struct session *session, struct stay stay);

/* bound.c */

/* A flow began on a server, for the reason `allowance` if the server is beyond its bound. False: not allowed. */
bool oracle_bound_gains(struct oracle *oracle, const struct oracle_packet *packet, uint32_t server,
			enum oracle_allowance allowance);

/* Whether a server certainly has too many flows, by weight, for least-conn to select it before another. */
bool oracle_bound_is_busier(const struct oracle *oracle, uint32_t service, uint32_t server, uint32_t than);

/* packet.c */
/* Whether a flow's entry in `state` may have been evicted: it is unconfirmed, or without recent traffic. */
bool oracle_may_be_evicted(const struct oracle *oracle, const struct flow *flow, uint32_t state);

/* oracle.c */
enum expiry {
	EXPIRED,
	PERHAPS_EXPIRED, /* it had expired before a timeout was raised */
	NOT_EXPIRED,
};
enum expiry oracle_expiry(const struct oracle *oracle, uint32_t service, enum oracle_state state, uint32_t seen);
