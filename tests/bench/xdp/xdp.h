/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/* Structs and sizes that the XDP benchmark shares with its BPF programs. */
#pragma once

#include <linux/types.h>

enum {
	BENCH_FRAME_BYTES = 60,	     /* the shortest Ethernet frame, without its checksum */
	BENCH_SERVICES = 0xc6120000, /* in host byte order */
	BENCH_ROWS = 65537,
	BENCH_BACKENDS = 64,
	BENCH_CPUS = 1024,
	/* Counters of the baselines: one per backend, one of packets without a flow entry, and those of the peer.
	 */
	BENCH_MISSES = BENCH_BACKENDS,
	BENCH_LOOKUPS,
	BENCH_OF_SERVICE,
	BENCH_COUNTERS,
};

/* State of the generator; the benchmark writes it between two runs. */
struct bench_draw {
	__u64 random;	 /* state of a xorshift; 0: flows in order */
	__u64 drawn;	 /* packets made so far */
	__u32 flows;	 /* flow numbers are below this */
	__u32 next;	 /* flows in order: the next one */
	__u32 tcp_flags; /* of every packet */
	__u32 services;	 /* with addresses from BENCH_SERVICES on, which flows take in turns; 0: one */
};

struct bench_service_key {
	__be32 address;
	__be16 port;
	__u8 protocol;
	__u8 pad;
};

struct bench_service {
	__u32 first_row;
};

struct bench_flow_key {
	__be32 saddr;
	__be32 daddr;
	__be16 sport;
	__be16 dport;
	__u8 protocol;
	__u8 pad[3];
};

struct bench_flow {
	__u32 backend;
};

/* Of the peer. */
struct bench_peer_flow {
	__u64 at; /* time of the last packet of a datagram service */
	__u32 backend;
	__u32 pad;
};

struct bench_backend {
	__u16 macs[6]; /* destination and source, as on the wire */
	__be32 outer_dst;
};

struct bench_counter {
	__u64 packets;
	__u64 bytes;
};
