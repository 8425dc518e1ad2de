/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What `berthctl doctor` sends to a backend, what it reads from the answers, and what it says about them. Pure:
 * bytes in, bytes out; the sockets are run.c's.
 *
 * Every probe is an ICMP or ICMPv6 echo request (one asks for a link address instead), and all but the first come
 * in the header that berth's own packets to the backend have. Which ones are answered tells what is set up there.
 */
#pragma once

#include "dataplane/core/abi.h"
#include "dataplane/core/packet.h"

enum berth_doctor_probe {
	BERTH_DOCTOR_DIRECT,  /* to the backend's own address, as anybody would send it */
	BERTH_DOCTOR_OWN,     /* to its own address, inside the mode's outer header */
	BERTH_DOCTOR_SERVICE, /* to the service's address, as berth forwards */
	BERTH_DOCTOR_BIG,     /* the same, as large as berth may forward */
	BERTH_DOCTOR_SUMMED,  /* gue in IPv6: the same with an outer UDP checksum, which berth leaves out */
	BERTH_DOCTOR_CLAIM,   /* who has the service's address? (ARP, ND) */
	BERTH_DOCTOR_RETURN,  /* mode nat: from the service's address, so that the answer goes where a client's does
			       */
	BERTH_DOCTOR_PROBES,
};

enum {
	BERTH_DOCTOR_PACKET_BYTES = 2048,
	BERTH_DOCTOR_CLIENT_BYTES = 1500, /* the largest packet that clients send, if the way allows it */
};

/* A backend of a service, and the way to it. */
struct berth_doctor_target {
	enum berth_mode mode;
	uint16_t gue_port;
	uint8_t bits;		       /* of the service's prefix, of 128 as in the configuration */
	union berth_addr prefix;       /* the service's addresses */
	union berth_addr service;      /* one of them */
	union berth_addr backend;      /* its own */
	union berth_addr source;       /* of berth's host, in the backend's family */
	union berth_addr inner_source; /* the same, in the service's family; all 0: berth's host has none */
	uint32_t ifindex;
	uint16_t mtu;
	uint8_t src_mac[6];
	uint8_t dst_mac[6];
	bool on_link; /* dst_mac is the backend's own */
	bool alive;   /* as its health check says */
	bool up;      /* what counts: an operator may overrule the check */
	const char *health_reason;
};

/* Which probe of which target an answer is to; travels in the probe. */
struct berth_doctor_tag {
	uint32_t run; /* random, so that doctors do not take each other's answers */
	uint32_t target;
	uint32_t probe;
};

/* What is sent, to dst_mac. */
struct berth_doctor_packet {
	uint16_t ethertype;
	size_t bytes; /* 0: the probe makes no sense for the target */
	uint8_t data[BERTH_DOCTOR_PACKET_BYTES];
};

/* build.c */
void berth_doctor_build(const struct berth_doctor_target *target, const struct berth_doctor_tag *tag,
			struct berth_doctor_packet *packet);
/* Bytes that the mode puts in front of a client's packet. */
uint16_t berth_doctor_outer_bytes(const struct berth_doctor_target *target);
/* Bytes of the big probe's packet without them. */
uint16_t berth_doctor_big_bytes(const struct berth_doctor_target *target);

/* read.c: what a packet that came in says. */
enum berth_doctor_word {
	BERTH_DOCTOR_NOTHING,
	BERTH_DOCTOR_ANSWERED,	/* a probe: `tag`, `from` */
	BERTH_DOCTOR_REFUSED,	/* nobody takes `protocol` (and `port`) there: `from`, `about` */
	BERTH_DOCTOR_FORBIDDEN, /* a firewall's word: the same */
	BERTH_DOCTOR_TOO_BIG,	/* a router's word: `about`, `mtu` */
	BERTH_DOCTOR_CLAIMED,	/* somebody has the address `about` */
};

struct berth_doctor_seen {
	enum berth_doctor_word word;
	struct berth_doctor_tag tag;
	union berth_addr from;
	union berth_addr about; /* the destination of the packet that was refused */
	uint8_t protocol;	/* of that packet */
	uint16_t port;		/* likewise, where the protocol is UDP */
	uint32_t mtu;
};

/* `packet` begins behind the link header of this `ethertype`. */
struct berth_doctor_seen berth_doctor_read(uint16_t ethertype, const uint8_t *packet, size_t length);

/* judge.c: what is known of a target in the end, and what that means. */
struct berth_doctor_evidence {
	bool answered[BERTH_DOCTOR_PROBES];
	bool refused;
	bool forbidden;
	bool claimed;
	bool by_other; /* the answer to BERTH_DOCTOR_RETURN came from another link address than the backend's */
	uint32_t mtu;  /* that a router on the way said; 0: none did */
};

/* Adds what a packet says to a target's evidence. `mac`: of the packet's sender on the link. */
void berth_doctor_learn(const struct berth_doctor_target *target, struct berth_doctor_evidence *evidence,
			const struct berth_doctor_seen *seen, const uint8_t mac[6]);

enum berth_doctor_level {
	BERTH_DOCTOR_OK,
	BERTH_DOCTOR_NOTE,  /* works, but not as well as it could; or cannot be told */
	BERTH_DOCTOR_WRONG, /* packets are lost */
};

struct berth_doctor_finding {
	enum berth_doctor_level level;
	char seen[320];
	char advice[480]; /* commands; "": nothing to be done */
};

enum {
	BERTH_DOCTOR_FINDINGS = 4
};

/* Fills `findings`, the worst first; how many. At least one. */
size_t berth_doctor_judge(const struct berth_doctor_target *target, const struct berth_doctor_evidence *evidence,
			  struct berth_doctor_finding findings[BERTH_DOCTOR_FINDINGS]);
