/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `berthctl doctor`: the probes sent to a backend (build.c), the replies to them (parse.c), and the diagnosis
 * (diagnose.c). Pure: bytes in, bytes out. run.c has the sockets.
 *
 * A probe is an ICMP or ICMPv6 echo request, a SYN or datagram, or an ARP request or neighbour solicitation. DECAP,
 * SERVICE, LARGE, UDP_CHECKSUM, RETURN and PORT have the headers of a packet that berth forwards to the backend.
 * The set of answered probes shows what the backend lacks.
 */
#pragma once

#include "dataplane/core/abi.h"
#include "dataplane/core/packet.h"

enum berth_doctor_probe {
	BERTH_DOCTOR_DIRECT,	   /* to the backend's address, without encapsulation */
	BERTH_DOCTOR_DECAP,	   /* to the backend's address, encapsulated */
	BERTH_DOCTOR_SERVICE,	   /* to the service's address, as berth forwards */
	BERTH_DOCTOR_LARGE,	   /* the same, with the largest packet that berth may forward */
	BERTH_DOCTOR_UDP_CHECKSUM, /* gue over IPv6: the same, with the outer UDP checksum that berth omits */
	BERTH_DOCTOR_NEIGHBOR,	   /* ARP request or neighbour solicitation for the service's address */
	BERTH_DOCTOR_RETURN,  /* mode nat: from the service's address, so that the answer takes a client's path */
	BERTH_DOCTOR_PORT,    /* a SYN or an empty datagram to the service's port, as berth forwards it */
	BERTH_DOCTOR_RESET,   /* the RST that follows an answered SYN */
	BERTH_DOCTOR_RESOLVE, /* ARP request or neighbour solicitation for the next hop, to all hosts of the link */
	BERTH_DOCTOR_ROUTE,   /* to the service's address through the gateway: it should come back */
	BERTH_DOCTOR_PROBES,
};

enum {
	BERTH_DOCTOR_PACKET_BYTES = 2048,
	BERTH_DOCTOR_CLIENT_BYTES = 1500, /* the largest packet that a client sends */
	/* Source ports of PORT probes, above the kernel's own (net.ipv4.ip_local_port_range). */
	BERTH_DOCTOR_SOURCE_PORT = 61000,
	BERTH_DOCTOR_SOURCE_PORTS = 4096,
};

/* A backend of a service, and its next hop; or a service's address and a gateway. */
struct berth_doctor_target {
	bool is_route; /* the latter: ROUTE is its only probe */
	enum berth_mode mode;
	uint16_t gue_port;
	uint8_t bits;		       /* prefix length, of 128 for both families */
	union berth_addr prefix;       /* the service's addresses */
	union berth_addr service;      /* one of them */
	union berth_addr backend;      /* the backend's own address */
	union berth_addr source;       /* an address of this host, in the backend's family */
	union berth_addr inner_source; /* the same in the service's family; all 0: none */
	union berth_addr next_hop;     /* the gateway to the backend, or its own address */
	bool is_static;		       /* an operator set the link address of the next hop */
	uint8_t protocol;	       /* of the service */
	uint16_t port;		       /* of PORT probes; 0: none */
	uint16_t source_port;	       /* likewise */
	uint32_t ifindex;
	char interface[16]; /* its name */
	uint16_t mtu;
	uint8_t src_mac[6];
	uint8_t dst_mac[6];
	bool is_on_link;	     /* dst_mac is the backend's own address */
	bool is_check_up;	     /* result of the health check */
	bool is_up;		     /* effective state: an operator can override the check */
	bool is_check_misconfigured; /* it cannot run; `health_reason` is the cause */
	bool is_check_stale;	     /* it cannot run because of this host */
	const char *health_reason;
	uint64_t half_open; /* TCP flows of the backend, from the last scan */
	uint64_t flows;	    /* all of them, also closing ones */
};

/* Identifies a probe; part of its payload. */
struct berth_doctor_probe_id {
	uint32_t run; /* random, so that concurrent runs ignore each other's replies */
	uint32_t target;
	uint32_t probe;
};

/* A packet without link header. */
struct berth_doctor_packet {
	uint16_t ethertype;
	uint8_t dst_mac[6];
	size_t bytes; /* 0: the probe does not apply to the target */
	uint8_t data[BERTH_DOCTOR_PACKET_BYTES];
};

/* --- build.c --- */

void berth_doctor_build(const struct berth_doctor_target *target, const struct berth_doctor_probe_id *id,
			struct berth_doctor_packet *packet);
/* The number of a probe's SYN. */
uint32_t berth_doctor_sequence(const struct berth_doctor_probe_id *id);
/* Bytes of encapsulation. */
uint16_t berth_doctor_overhead(const struct berth_doctor_target *target);
/* Bytes of the LARGE probe without encapsulation; 0: the MTU is too small. */
uint16_t berth_doctor_large_bytes(const struct berth_doctor_target *target);

/* --- parse.c --- */

enum berth_doctor_reply_type {
	BERTH_DOCTOR_REPLY_NONE,	/* unrelated packet */
	BERTH_DOCTOR_REPLY_ECHO,	/* sets id, from */
	BERTH_DOCTOR_REPLY_UNREACHABLE, /* ICMP: protocol or port unreachable; sets from, original_dst, protocol,
					   port */
	BERTH_DOCTOR_REPLY_PROHIBITED,	/* ICMP: administratively prohibited; sets the same */
	BERTH_DOCTOR_REPLY_TOO_BIG,	/* ICMP: fragmentation needed or packet too big; sets the same and mtu */
	BERTH_DOCTOR_REPLY_NO_ROUTE,	/* ICMP: network or host unreachable; sets the same */
	BERTH_DOCTOR_REPLY_NEIGHBOR,	/* ARP reply or neighbour advertisement for original_dst */
	BERTH_DOCTOR_REPLY_REQUEST,	/* an echo request of a probe came back; sets id */
	BERTH_DOCTOR_REPLY_OPEN,	/* SYN and ACK; sets from, port, to_port and sequence */
	BERTH_DOCTOR_REPLY_REFUSED,	/* RST; sets the same */
};

struct berth_doctor_reply {
	enum berth_doctor_reply_type type;
	struct berth_doctor_probe_id id;
	union berth_addr from;
	union berth_addr original_dst; /* of the packet that an ICMP error quotes */
	uint8_t protocol;	       /* of that packet */
	uint16_t port;		       /* its TCP or UDP destination port; of TCP: the sender's port */
	uint16_t to_port;	       /* its source port; of TCP: the receiver's port */
	uint32_t sequence;	       /* of the SYN that a TCP segment acknowledges */
	uint32_t mtu;
};

/* `packet` starts after the link header with this `ethertype`. */
struct berth_doctor_reply berth_doctor_parse(uint16_t ethertype, const uint8_t *packet, size_t length);

/* --- record.c --- */

/* Results of all probes of a target. */
struct berth_doctor_results {
	bool is_answered[BERTH_DOCTOR_PROBES];
	bool is_unreachable;
	bool is_prohibited;
	bool is_port_refused;	 /* by a RST, or as unreachable if it is UDP */
	bool is_port_prohibited; /* rejected by a firewall */
	bool has_no_route;	 /* ROUTE: the gateway says so */
	bool answers_neighbor;	 /* for the service's address */
	bool returns_via_router; /* the answer to RETURN did not come from the backend's link address */
	bool has_other_mac;	 /* another host than dst_mac answers for the next hop */
	uint8_t other_mac[6];
	uint32_t path_mtu; /* from an ICMP error; 0: none */
};

/* Adds a reply to a target's results. `mac` is the sender's link address. */
void berth_doctor_record(const struct berth_doctor_target *target, struct berth_doctor_results *results,
			 const struct berth_doctor_reply *reply, const uint8_t mac[6]);

/* --- diagnose.c --- */

enum berth_doctor_level {
	BERTH_DOCTOR_OK,
	BERTH_DOCTOR_NOTE,    /* works with a limitation, or cannot be tested */
	BERTH_DOCTOR_PROBLEM, /* packets are lost */
};

struct berth_doctor_finding {
	enum berth_doctor_level level;
	char text[320];
	char remedy[480]; /* commands; "": none */
	bool is_silence;  /* no probe was answered */
	char cause[96];	  /* findings with one cause are shown as one; "": those of equal text and remedy */
};

enum {
	BERTH_DOCTOR_FINDINGS = 6
};

/* Fills `findings`, the most severe first; returns their number, at least 1 except for a route. */
size_t berth_doctor_diagnose(const struct berth_doctor_target *target, const struct berth_doctor_results *results,
			     struct berth_doctor_finding findings[BERTH_DOCTOR_FINDINGS]);
