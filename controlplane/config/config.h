/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The configuration as validated: what the YAML file says, with every default filled in. Plain data: no
 * descriptors, no state. Made by berth_config_parse from the text of a file, owned by the caller.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/config/health.h"
#include "controlplane/util/error.h"
#include "dataplane/core/abi.h"
#include "dataplane/interface/option_limits.h"

enum {
	BERTH_NAME_BYTES = 64, /* of a service's or backend's name, with its final 0 */
	BERTH_PORTS_TEXT = 12, /* "65534-65535" */
	BERTH_DNS_NAME_BYTES = 256,
	/* Of the name in a list of backends that DNS has the addresses of: the longest address and `@` come behind
	 * it (BERTH_NAME_BYTES). */
	BERTH_SOURCE_NAME_BYTES = 24,
	BERTH_MAX_DNS_SERVERS = 8,
	/* Port ranges on the same addresses and protocol. A search for one key reads BERTH_VIP_PROBES slots, and
	 * they all have the same key; two slots stay for others that begin there. */
	BERTH_MAX_RANGES = BERTH_VIP_PROBES - 2,
};

enum berth_engine_kind {
	BERTH_ENGINE_AUTO,
	BERTH_ENGINE_XDP,
	BERTH_ENGINE_DPDK,
	BERTH_ENGINE_NULL, /* tables and control, no packets: tests, and trying a configuration */
};

enum berth_xdp_mode {
	BERTH_XDP_AUTO, /* native, else generic */
	BERTH_XDP_NATIVE,
	BERTH_XDP_GENERIC,
};

struct berth_interface_config {
	char name[BERTH_IFNAME_BYTES]; /* of the kernel interface (XDP), or of the TAP beside a DPDK port */
	enum berth_xdp_mode xdp;
	char device[BERTH_DEVICE_BYTES]; /* DPDK: PCI address or vdev; "" is an AF_XDP port on the interface */
	uint32_t queues;		 /* DPDK: receive queues */
};

enum berth_idle {
	BERTH_IDLE_AUTO, /* adaptive on fewer than four cores */
	BERTH_IDLE_POLL,
	BERTH_IDLE_ADAPTIVE,
};

struct berth_dpdk_config {
	uint32_t workers; /* 0: one per receive queue */
	enum berth_idle idle;
	uint32_t memory_mb; /* for packet buffers */
	uint32_t rx_ring;   /* descriptors */
	uint32_t tx_ring;
};

/* How many of each the tables hold; fixed while an engine runs. */
struct berth_limits {
	uint32_t flows;
	uint32_t sessions;
	uint32_t services;
	uint32_t backends;
};

/* The schedulers as the file names them. */
enum berth_schedule {
	BERTH_SCHEDULE_MAGLEV,
	BERTH_SCHEDULE_BOUNDED, /* engines know it as maglev: what berthd says in the eligibility makes the bound */
	BERTH_SCHEDULE_LEAST_CONN,
	BERTH_SCHEDULE_ROUND_ROBIN,
};

struct berth_backend_config {
	char name[BERTH_NAME_BYTES]; /* unique in its service */
	union berth_addr address;
	uint32_t weight;	       /* 0 to BERTH_MAX_WEIGHT; 0: takes nobody new */
	uint16_t port;		       /* mode nat: that it listens on; 0: the one asked for */
	char backup[BERTH_NAME_BYTES]; /* of the service: where its sessions go when it is gone; "": none */
	uint32_t max_flows;	       /* 0: any number */
	bool leaving; /* its address has left DNS: it takes nobody new (weight 0), and is not missed */
};

/* A DNS name in a service's list: each address that it has is a backend like `as`, called NAME@ADDRESS. */
struct berth_source_config {
	char dns[BERTH_DNS_NAME_BYTES];	      /* in lower case, without a final dot */
	struct berth_backend_config template; /* no address */
	size_t item_index;		      /* where in the list it stands */
};

struct berth_service_config {
	char name[BERTH_NAME_BYTES]; /* unique */
	union berth_addr address;    /* of a prefix the first one */
	uint8_t bits;		     /* of the prefix, of 128, an IPv4 one 96 more than its own; 128: one address */
	uint8_t protocol;	     /* IANA number: TCP or UDP */
	uint16_t port;		     /* the first, and the last one; any port: 0 and UINT16_MAX */
	uint16_t last_port;
	enum berth_mode mode;
	uint16_t gue_port; /* mode gue; else 0 */
	enum berth_affinity affinity;
	uint8_t prefix4; /* bits */
	uint8_t prefix6;
	char group[BERTH_NAME_BYTES]; /* that shares sessions; "": none */
	enum berth_schedule scheduler;
	uint32_t bound_percent; /* bounded: hundredths; else 0 */
	enum berth_overload overload;
	enum berth_failback failback;
	enum berth_down on_down;
	uint32_t slow_start_ms;		     /* 0: none */
	uint32_t panic_percent;		     /* percent; 0: off */
	uint32_t timeout[BERTH_STATE_COUNT]; /* seconds; [BERTH_STATE_SESSION] is the affinity timeout */
	uint32_t table_size;		     /* of the selection table, a prime */
	struct berth_health_config health;
	struct berth_backend_config *backends; /* those of the file first, then what DNS adds: dns/expand.h */
	size_t n_backends;
	size_t n_configured; /* of the file */
	struct berth_source_config *sources;
	size_t n_sources;
};

/* Where tunnels come from: a prefix for each family, within which the address varies by flow. */
struct berth_tunnel_config {
	union berth_addr source4;
	union berth_addr source6;
	uint8_t bits4; /* of 128, as a service's; 0: not configured, what the kernel would send from */
	uint8_t bits6;
};

struct berth_dns_server {
	union berth_addr address;
	uint16_t port;
};

struct berth_dns_config {
	struct berth_dns_server servers[BERTH_MAX_DNS_SERVERS];
	size_t n_servers;    /* 0: the system's */
	uint32_t timeout_ms; /* of one question to one server */
	uint32_t min_ttl_s;
	uint32_t max_ttl_s;
};

/* Where metrics are served over HTTP. */
struct berth_metrics_config {
	union berth_addr address; /* of this host; 0.0.0.0 and :: are all its addresses */
	uint16_t port;		  /* 0: not served */
};

struct berth_config {
	enum berth_engine_kind engine;
	struct berth_interface_config *interfaces;
	size_t n_interfaces; /* at most BERTH_MAX_PORTS */
	struct berth_dpdk_config dpdk;
	struct berth_limits limits;
	struct berth_tunnel_config tunnel;
	struct berth_dns_config dns;
	struct berth_metrics_config metrics;
	struct berth_service_config *services;
	size_t n_services;
};

void berth_config_free(struct berth_config *config);
/* Another one with what the file says, and nothing that DNS has added. NULL: no memory. */
struct berth_config *berth_config_copy_configured(const struct berth_config *config);

/* The port of a backend that health checks connect to. */
uint16_t berth_config_probe_port(const struct berth_service_config *service,
				 const struct berth_backend_config *backend);
/* A service's ports as they are written in the file: "80", "8000-8099", "any". Returns `text`. */
const char *berth_config_format_ports(const struct berth_service_config *service, char text[BERTH_PORTS_TEXT]);
/* The words of the file: "tcp", "maglev". */
const char *berth_protocol_name(uint8_t protocol);
const char *berth_schedule_name(enum berth_schedule scheduler);
