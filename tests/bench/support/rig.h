/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The common set-up of the benchmarks: an image compiled and published by the real control plane, with one service
 * of eight backends or many of six, and a chosen number of flows in its table. Flow i has the same addresses in all
 * benchmarks.
 */
#pragma once

#include "controlplane/engine/engine.h"
#include "dataplane/core/image.h"
#include "dataplane/core/packet.h"

struct rig_options {
	const char *mode; /* "l2", "ipip" */
	bool is6;
	bool is_outer6;
	bool by_client;
	uint32_t flows;	   /* flows in the table */
	uint32_t room;	   /* room for more flows */
	uint32_t clients;  /* by_client: sessions in the session table */
	uint32_t services; /* IPv4 only, with addresses of their own, between which flows take turns; 0: one */
	uint32_t workers;  /* 0: one */
};

struct rig {
	struct rig_options options;
	struct berth_image image;
	uint32_t service; /* number of the first service */
	uint32_t flow_key;
};

/* Creates a rig for worker 0 at time RIG_NOW. Exits the process on failure. */
struct rig *rig_new(const struct rig_options *options);
void rig_free(struct rig *rig);

/* Clears the flow table, or fills each of its words with an unconfirmed flow that is one second old. */
void rig_reset_flows(const struct rig *rig, bool full);

/* For an image in other memory: its size; and what rig_new does with a zeroed image, without filling the tables. A
 * second call with another mode changes only the mode. Returns the number of the first service. */
struct berth_geometry rig_geometry(const struct rig_options *options, uint32_t workers);
uint32_t rig_publish(const struct rig_options *options, struct berth_image *image);

enum {
	RIG_SERVICES = 0xc6120000, /* address of the first of many services, host byte order */
	RIG_NOW = 1000,
	RIG_FRAME_BYTES = 96,
	RIG_HEADROOM = 128
};

/* The packet of flow `i` after classification, without its hash. */
void rig_packet(const struct rig *rig, uint32_t i, struct berth_packet *packet);
/* Hashes and looks up `n` packets (a multiple of 32, at least 64) of existing flows, in bursts of 32. Returns the
 * number not found.
 */
uint64_t rig_look_up(const struct rig *rig, struct berth_packet *packets, uint32_t n);
/* Writes a TCP frame of flow `i` with these flags to `frame`. Returns its bytes. */
uint32_t rig_frame(const struct rig *rig, uint32_t i, uint8_t flags, uint8_t *frame);

/* A xorshift generator: the same sequence in every run. */
static inline uint32_t rig_random(uint64_t *state)
{
	uint64_t x = *state;
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	*state = x;
	return (uint32_t)(x >> 16);
}

static inline uint32_t rig_random_below(uint64_t *state, uint32_t n)
{
	return (uint32_t)((uint64_t)rig_random(state) * n >> 32);
}
