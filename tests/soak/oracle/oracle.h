/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The oracle: what docs/packets.md says of flows and sessions, written a second time, for following a run
 * packet by packet. It knows for every flow and session which backend is right, and which moves are justified, by a
 * named reason; whatever else happens is unexplained.
 *
 * It shares no code with the engines and none of their tables. It is told what an operator, the health checks and
 * the configuration said, when that took effect, and where each packet went. What cannot be seen from outside
 * (whether an unconfirmed entry gave way in a full bucket, whether the walk came by before an evicted backend was
 * back) it follows as possibilities: an entry may be in several states at once until a packet tells them apart.
 *
 * One thread. Time is an argument, in seconds.
 */
#pragma once

#include "tests/soak/oracle/types.h"

struct oracle;

/* For tables of so many buckets: only those with a bucket in common can displace each other. Exits without memory.
 */
struct oracle *oracle_new(const uint8_t secret[ORACLE_SECRET_BYTES], uint32_t flow_buckets);
void oracle_free(struct oracle *oracle);

void oracle_set_time(struct oracle *oracle, uint32_t now);
/* In force from the next packet on. A server that is present and was not is another one than it was before. Says in
 * `error` what is wrong with the selection tables, else "". */
void oracle_publish(struct oracle *oracle, const struct oracle_service services[ORACLE_SERVICES], char error[256]);
void oracle_set_health(struct oracle *oracle, uint32_t service, uint32_t server, bool up);
void oracle_set_admin(struct oracle *oracle, uint32_t service, uint32_t server, enum oracle_admin admin);
/* The weight that it has now, as a part of what its servers' are in all; and what berthd's counts say: it has more
 * than its share; it has as many flows as it may have. */
void oracle_set_load(struct oracle *oracle, uint32_t service, uint32_t server, uint32_t counts, bool full,
		     bool limit);
/* Health changed and the selection tables do not know it yet, so that rows may have two choices that are gone. */
void oracle_set_stale(struct oracle *oracle, bool stale);

/*
 * The bounds. berthd measures: a tick looks at how many flows began, a pass (`whole`) counts all of them.
 *
 * The oracle counts by itself which flows live: those whose entry is there, neither closing nor silent for longer
 * than its timeout. It does not know what a pass saw when, so it has two figures for each server: at least so many
 * are in any count that began with the last pass but one, and at most so many. The rules:
 *
 * - After a tick, a server that takes new clients and surely has more than `bound` times its share, by weight, of
 * the flows of all that do, is called full; one that surely has not, isn't. Likewise `max_flows`.
 * - So until the next tick a server beyond its bound gets no flow, but (ORACLE_PASTS): of a client whose session is
 *   there, with `overload: stick`; of one that fails over to it as the backup of its session's server, or goes back
 *   to it; and where nobody has room whom the search in the selection table would find.
 * - A server that has `max_flows` gets none, whosoever it is.
 * - least-conn does not choose of a row's two the one that surely had more flows, by weight, when the last pass
 * ended, than the other can have now.
 *
 * False: a server is called what it is not; oracle_why says which.
 */
bool oracle_measured(struct oracle *oracle, bool whole);
/* berthd has begun anew: until it has counted once, servers that then took flows are called what they were
 * called before. */
void oracle_forget_measures(struct oracle *oracle);

/* What an operator does to sessions. `placed` and `cleared` are what berthd answered; false: it can't be, and
 * oracle_why says why. A pinned session stays with its server, however long it is silent, fails over like others
 * and goes back as soon as that server may have it. */
bool oracle_session_pin(struct oracle *oracle, const struct oracle_packet *client, uint32_t server, bool placed);
bool oracle_session_move(struct oracle *oracle, const struct oracle_packet *client, uint32_t server, bool placed);
bool oracle_session_unpin(struct oracle *oracle, const struct oracle_packet *client, bool cleared);
void oracle_session_clear(struct oracle *oracle, const struct oracle_packet *client);
/* All on a server. */
void oracle_session_clear_server(struct oracle *oracle, uint32_t service, uint32_t server);

/* Judges where a packet went. False: it is unexplained, oracle_why says what. */
bool oracle_packet(struct oracle *oracle, const struct oracle_packet *packet, const struct oracle_seen *seen);
const char *oracle_why(const struct oracle *oracle);

/* A second has passed in which `live` flows were there. */
void oracle_second(struct oracle *oracle, uint64_t live);

const struct oracle_findings *oracle_findings(const struct oracle *oracle);
const char *oracle_reason_name(enum oracle_reason reason);
const char *oracle_past_name(enum oracle_past past);
