/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the benchmarks run on: an image that the real control plane compiled and published, with one service and
 * eight backends, and as many flows in its table as asked for. Flow i has the same addresses everywhere.
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
	uint32_t flows;	  /* in the table */
	uint32_t room;	  /* for so many more */
	uint32_t clients; /* by_client: sessions in their table */
};

struct rig {
	struct rig_options options;
	struct berth_image image;
	uint32_t service; /* number */
	uint32_t flow_key;
};

/* Ready for worker 0, at time RIG_NOW. Exits on any failure: nothing could be measured. */
struct rig *rig_new(const struct rig_options *options);
void rig_free(struct rig *rig);

/* Empties the flow table, or makes every word of it an unconfirmed flow that is a second old. */
void rig_reset_flows(const struct rig *rig, bool full);

/* For an image whose memory stands elsewhere: how large it must be, and what rig_new does to a zeroed one but
 * for filling its tables. Once more with another mode changes nothing else. Returns the service's number. */
struct berth_geometry rig_geometry(const struct rig_options *options, uint32_t workers);
uint32_t rig_publish(const struct rig_options *options, struct berth_image *image);

enum {
	RIG_NOW = 1000,
	RIG_FRAME_BYTES = 96,
	RIG_HEADROOM = 128
};

/* The packet of flow `i` after classification, without its hash. */
void rig_packet(const struct rig *rig, uint32_t i, struct berth_packet *packet);
/* Looks `n` packets of known flows up, hash included, in bursts of 32, of which there is one at least; returns how
 * many were not found. */
uint64_t rig_look_up(const struct rig *rig, struct berth_packet *packets, uint32_t n);
/* A TCP frame of flow `i` with these flags, at `frame`; returns its length. */
uint32_t rig_frame(const struct rig *rig, uint32_t i, uint8_t flags, uint8_t *frame);

/* xorshift: the same sequence in every run. */
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
