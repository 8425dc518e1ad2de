/* SPDX-License-Identifier: BSD-3-Clause */
/* The flows of the generator: which one asks when, and which backend has answered it first. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "tests/faults/burst.h"

enum {
	SERVICES_MAX = 8,
	FLOWS_MAX = 1 << 17, /* at one time, clients among them */
	SLOTS = 1024,	     /* of SLOT_MS each, more than the longest pause */
	SLOT_MS = 10,
};

struct service {
	const char *name;
	uint8_t address[16];
	uint16_t port;
	uint8_t protocol;
	bool is6;
	bool by_client;
};

/* A flow, or with affinity by client a client with one connection after the other. */
struct flow {
	LIST_ENTRY(flow) in_slot;
	uint64_t due_ms;
	uint32_t serial;
	uint32_t source; /* number of its address */
	uint32_t number; /* of the question */
	uint16_t port;
	uint16_t steps_left; /* questions of this flow or connection */
	uint16_t connections_left;
	uint8_t tries; /* of the question; 0: none is open */
	uint8_t service;
	uint8_t step;
	uint8_t home;  /* backend; 0: none yet */
	uint8_t phase; /* in which it got its home */
	uint8_t node;  /* that carried its last question */
	uint8_t met;   /* bits of the nodes that carried any */
	bool lives;
	bool is_fresh; /* answered since the mark, or begun since */
};
LIST_HEAD(slot, flow);

struct flows {
	struct service services[SERVICES_MAX];
	int n_services;
	uint8_t own[6], router[6];
	struct burst out;
	uint64_t now_ms;
	uint64_t random;

	/* Set by commands. */
	uint8_t phase;
	bool silent;
	bool no_new_clients;
	uint8_t to_meet;   /* bits of nodes; clients hurry while it is set */
	unsigned rate_max; /* flows a second */
	unsigned clients_max;

	/* What the limit of the rate follows. */
	double rate, births;
	uint64_t rated_ms;
	uint64_t asked_before, repeated_before;
	unsigned open; /* questions without an answer */

	/* Totals. */
	uint64_t asked, repeated, answers, begun, carried_on, retired, moved;
	uint8_t answered; /* bits of services, since the mark */

	uint32_t clients, serial, sources, n_free;
	uint64_t slot; /* the last one that was served */
	struct slot slots[SLOTS];
	uint32_t free[FLOWS_MAX];
	struct flow all[FLOWS_MAX];
};

void flows_init(struct flows *flows, uint64_t now_ms, uint64_t seed);

/* Begins, asks and gives up what is due. Reports on stdout what finds another backend or none. */
void flows_tick(struct flows *flows, uint64_t now_ms);

void flows_take(struct flows *flows, const struct question_frame *answer);

/* All flows and clients end. */
void flows_forget(struct flows *flows);

/* From now on it counts what is answered. */
void flows_mark(struct flows *flows);

/* Flows and clients that were not answered since the mark. */
unsigned flows_stale(const struct flows *flows);

/* From now on it counts which nodes a client has met. */
void flows_meet(struct flows *flows, uint8_t nodes);

unsigned flows_unmet(const struct flows *flows);

/* Clients that have not met all nodes end. */
void flows_retire(struct flows *flows);

/* The text of a flow's source address. */
const char *flows_source(const struct flows *flows, const struct flow *flow, char *text, uint32_t size);
