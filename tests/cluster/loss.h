/* SPDX-License-Identifier: BSD-3-Clause */
/* Three nodes, their router, store and clients, for the scenarios of loss.c. */
#pragma once

#include "controlplane/cluster/receiver.h"
#include "tests/cluster/flows.h"
#include "tests/soak/chaos.h"

enum {
	NODES = 3,
	ROUND_FLOWS = 10000,
	SERVERS = 8,  /* of each service, of SOAK_SERVERS */
	SLICE = 1024, /* buckets of a scan */
};

struct member {
	struct soak_world world;
	struct berth_scan *scan;
	struct berth_sender *sender;
	struct berth_receiver *receiver;
	struct loss *loss;
	uint32_t number;
	size_t read; /* batches of the store */
	bool is_away;
};

struct batch {
	uint64_t service;
	uint8_t *records;
	size_t bytes;
};

struct flow {
	uint64_t client;
	uint16_t port;
	uint8_t service;
	int8_t server;
};

struct tally {
	uint64_t rounds, flows, moved, excused, told;
};

struct loss {
	struct member member[NODES];
	struct soak_world witness; /* has the configuration, and no flows */
	struct random random;
	struct batch *store;
	size_t n, room;
	bool is_store_up;
	uint64_t salt; /* of the router */
	uint64_t epoch;
	struct flow flow[ROUND_FLOWS];
	uint64_t clients;
	uint64_t findings;
	struct tally *tally;
};

void loss_empty_store(struct loss *loss);

/* Nodes find that the store has other data. */
void loss_flush_store(struct loss *loss);

/* Scan, sender and receiver as a run of berthd has them. */
void loss_open_exchange(struct member *member);
void loss_close_exchange(struct member *member);

/* Returns true if that completed a scan. */
bool loss_scan_slice(struct member *member);
void loss_scan(struct member *member);

/* All nodes that are not away tell what is to be told, and receive it. */
void loss_exchange_all(struct loss *loss);

/* The node gets the witness's configuration and servers' states. */
void loss_follow_witness(struct member *member);

/* Killed, its tables are gone; with a failed link or a silent kernel they are as old as that. */
void loss_node_returns(struct member *member, bool was_killed);
struct member *loss_lose_one(struct loss *loss);

/* The router spreads flows anew. */
void loss_rehash(struct loss *loss);

/* New clients, all through the nodes that the router chooses. */
void loss_connect_all(struct loss *loss);

/* Each flow's next packet; of every second client with a session a new connection. */
void loss_all_come_again(struct loss *loss, const char *scenario, bool may_move);

/* Until a node has seen two packets of a flow it takes it for one that may be spoofed, and does not tell it. */
void loss_all_come_twice(struct loss *loss, const char *scenario);

/* The witness's own servers are what is wanted. */
void loss_configure_witness(struct loss *loss);

/* One of each service, at random, on all nodes that are not away: the witness is their model. */
void loss_change_servers(struct loss *loss);
