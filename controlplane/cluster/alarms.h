/* SPDX-License-Identifier: BSD-3-Clause */
/* Alarms of the exchange of exceptions. Each follows a count: it begins when that grows, and ends when it has not
 * grown for a minute. Pure: time is an argument. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* X(symbol, cause, remedy) */
#define BERTH_EXCHANGE_ALARMS(X)                                                                                   \
	X(LATE, "records for other nodes wait for the store for more than 5 s",                                    \
	  "see to the store and the network to it")                                                                \
	X(LOST, "this node has more exceptions than it can remember: those beyond are not told to other nodes",    \
	  "raise limits.flows and limits.sessions")                                                                \
	X(REFUSED, "records in the store are refused: no node of this version has written them",                   \
	  "run one version of berth on all nodes, and give berth a user of its own in the store (ACL)")            \
	X(OTHER_HASH, "sessions that other nodes tell are refused: another secret or client prefix",               \
	  "copy the file `secret-file` to all nodes, and apply the same services there")                           \
	X(SMALL_TABLE,                                                                                             \
	  "flows that other nodes tell are refused: their flow tables are less than an eighth of "                 \
	  "this node's",                                                                                           \
	  "set limits.flows to the same number on all nodes")                                                      \
	X(COMMANDS,                                                                                                \
	  "commands of operators on other nodes are refused: from no node of this version, or its clock is wrong", \
	  "set the clocks of all nodes (NTP), and give berth a user of its own in the store (ACL)")                \
	X(NO_ROOM, "entries that other nodes tell find no room in the tables",                                     \
	  "raise limits.flows and limits.sessions")

enum berth_exchange_alarm {
#define BERTH_X(symbol, cause, remedy) BERTH_EXCHANGE_##symbol,
	BERTH_EXCHANGE_ALARMS(BERTH_X)
#undef BERTH_X
	BERTH_EXCHANGE_ALARM_COUNT,
};

struct berth_exchange_alarm_state {
	uint64_t count;
	uint64_t grew_ms;
	bool is_on;
};

/* True: it began or ended. */
bool berth_exchange_alarm_update(struct berth_exchange_alarm_state *alarm, uint64_t count, uint64_t now_ms);
const char *berth_exchange_alarm_cause(enum berth_exchange_alarm alarm);
const char *berth_exchange_alarm_remedy(enum berth_exchange_alarm alarm);
