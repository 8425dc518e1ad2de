/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The oracle: the rules of docs/packets.md for flows and sessions, written a second time, to follow a run packet by
 * packet. For every flow and session it has the correct backend and the allowed moves, each with a named reason;
 * any other outcome is unexplained.
 *
 * It shares no code and no tables with the engines. Its input is the configuration, the admin and health states,
 * the time when each takes effect, and the outcome of each packet. Some facts are not visible from outside: whether
 * an unconfirmed entry was evicted from a full bucket, or whether the scan came before an evicted backend was
 * enabled again. The oracle follows them as possibilities: an entry may be in several states until a packet
 * decides.
 *
 * One thread. Time is an argument, in seconds.
 */
#pragma once

#include "tests/soak/oracle/types.h"

struct oracle;

/* `flow_buckets`: of the engine's table; only flows with a common bucket can evict each other. Exits if memory is
 * exhausted. */
struct oracle *oracle_new(const uint8_t secret[ORACLE_SECRET_BYTES], uint32_t flow_buckets);
void oracle_free(struct oracle *oracle);

void oracle_set_time(struct oracle *oracle, uint32_t now);
/* In force from the next packet on. A server that becomes present is a new one. Writes a fault of the selection
 * tables to `error`, else "". */
void oracle_publish(struct oracle *oracle, const struct oracle_service services[ORACLE_SERVICES], char error[256]);
void oracle_set_health(struct oracle *oracle, uint32_t service, uint32_t server, bool up);
void oracle_set_admin(struct oracle *oracle, uint32_t service, uint32_t server, enum oracle_admin admin);
/* The weight that it has now, as a part of what its servers' are in all; and what berthd's counts say: it has more
 * than its share; it has as many flows as it may have. */
void oracle_set_load(struct oracle *oracle, uint32_t service, uint32_t server, uint32_t counts, bool full,
		     bool limit);
/* The time of its server that the count now takes, in microseconds; 0: not known. Times of connections and of
 * probes are not compared with each other: then the flows alone are. */
void oracle_set_response(struct oracle *oracle, uint32_t service, uint32_t server, uint32_t us,
			 bool by_connections);
/* True while the selection tables are older than the health states, so that both servers of a row may be down. */
void oracle_set_stale(struct oracle *oracle, bool stale);

/*
 * The bounds. berthd measures: a tick adds the flows that began; a scan (`whole`) counts all flows.
 *
 * The oracle counts live flows itself: those with an entry that is neither closing nor expired. It does not know
 * when a scan read a word, so that it has two figures for each server: the least and the most flows of any count
 * that began with the last scan but one. The rules:
 *
 * - After a tick, a server that takes new clients must have the over-share bit if it certainly has more than
 * `bound` times its share by weight, and must not have it if it certainly has less. The same holds for `max_flows`
 * and the limit bit.
 * - Until the next tick a server beyond its bound gets no flow, except (ORACLE_ALLOWANCES): of a client with a
 * session on it, with `overload: stick`; of a client that fails over to it as a backup, or returns to it; and if
 * the search in the selection table finds no server with room.
 * - A server with `max_flows` flows gets none.
 * - least-conn does not select the server of a row that certainly had more flows by weight at the end of the last
 * scan than the other can have now. In a service with times the flows are multiplied by those that the scan took,
 * with the flow to come added to them; a server without one may get any flow, or none.
 *
 * False: a server has a wrong bit; oracle_why names it.
 */
bool oracle_measured(struct oracle *oracle, bool whole);
/* berthd has restarted: until its first count, servers that take flows keep their bits. */
void oracle_reset_measures(struct oracle *oracle);

/* An operator's commands on sessions. `placed` and `cleared` are berthd's answers; false: the answer is impossible,
 * and oracle_why has the reason. A pinned session never expires, fails over as any other, and returns as soon as
 * its server is eligible. */
bool oracle_session_pin(struct oracle *oracle, const struct oracle_packet *client, uint32_t server, bool placed);
bool oracle_session_move(struct oracle *oracle, const struct oracle_packet *client, uint32_t server, bool placed);
bool oracle_session_unpin(struct oracle *oracle, const struct oracle_packet *client, bool cleared);
void oracle_session_clear(struct oracle *oracle, const struct oracle_packet *client);
/* All sessions of a server. */
void oracle_session_clear_server(struct oracle *oracle, uint32_t service, uint32_t server);

/* Checks the outcome of a packet. False: it is unexplained; oracle_why describes it. */
bool oracle_packet(struct oracle *oracle, const struct oracle_packet *packet, const struct oracle_seen *seen);
/* The server that got the packet has answered it, in mode nat; `seen`: the outcome of the packet. */
void oracle_answer(struct oracle *oracle, const struct oracle_packet *packet, const struct oracle_seen *seen);
const char *oracle_why(const struct oracle *oracle);

/* A second with `live` live flows has ended. */
void oracle_second(struct oracle *oracle, uint64_t live);

const struct oracle_findings *oracle_findings(const struct oracle *oracle);
const char *oracle_reason_name(enum oracle_reason reason);
const char *oracle_allowance_name(enum oracle_allowance allowance);
