/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The configuration, validated, with every default filled in. Plain data: no descriptors, no state. parse.h reads
 * it from YAML; the caller owns it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/api/commands.h"
#include "controlplane/config/health.h"
#include "controlplane/util/error.h"
#include "dataplane/core/abi.h"
#include "dataplane/interface/option_limits.h"

enum {
	BERTH_PATH_BYTES = 256,
	BERTH_NAME_BYTES = 64, /* name of a service, backend or group, with its final 0 */
	BERTH_PORTS_TEXT = 12, /* "65534-65535" */
	BERTH_DNS_NAME_BYTES = 256,
	/* Name of a list item with `dns`. A backend from DNS is called NAME@ADDRESS, in BERTH_NAME_BYTES. */
	BERTH_SOURCE_NAME_BYTES = 24,
	BERTH_DEFAULT_PANIC = 99, /* percent: all backends, or all but one of hundreds */
	BERTH_MAX_DNS_SERVERS = 8,
	BERTH_MAX_STORE_SERVERS = 8,
	BERTH_STORE_USER_BYTES = 64,
	BERTH_STORE_SECRET_BYTES = 256,
	BERTH_MAX_DNS_ALLOW = 16,
	/* Port ranges with the same addresses and protocol. They share one key in the classifier, and a lookup of a
	 * key reads BERTH_VIP_PROBES slots; two slots remain for other keys with the same hash. */
	BERTH_MAX_RANGES = BERTH_VIP_PROBES - 2,
};

enum berth_engine_kind {
	BERTH_ENGINE_AUTO,
	BERTH_ENGINE_XDP,
	BERTH_ENGINE_DPDK,
	BERTH_ENGINE_NULL, /* tables and control, no packets: for tests and for trying a configuration */
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
	uint32_t mtu;			 /* DPDK, with a device: bytes; 0: the driver's default */
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

/* Sizes of the engine's tables, in entries; fixed while the engine runs. */
struct berth_limits {
	uint32_t flows;
	uint32_t sessions;
	uint32_t services;
	uint32_t backends;
};

/* The schedulers of the configuration; `enum berth_scheduler` has those of the engines. */
enum berth_schedule {
	BERTH_SCHEDULE_MAGLEV,
	BERTH_SCHEDULE_BOUNDED, /* for engines maglev: berthd enforces the bound by eligibility bits */
	BERTH_SCHEDULE_LEAST_CONN,
	BERTH_SCHEDULE_ROUND_ROBIN,
	BERTH_SCHEDULE_RESPONSE_TIME, /* for engines least-conn, with the backends' times as costs */
};

struct berth_backend_config {
	char name[BERTH_NAME_BYTES]; /* unique in its service */
	union berth_addr address;
	uint32_t weight;	       /* 0 to BERTH_MAX_WEIGHT; 0: no new clients */
	uint16_t port;		       /* mode nat: the port it listens on; 0: the destination port of the packet */
	char backup[BERTH_NAME_BYTES]; /* backend of the service that gets its sessions when it is down; "": none */
	uint32_t max_flows;	       /* 0: unlimited */
	bool leaving; /* DNS no longer has its address: weight 0, and it does not count for a panic */
};

/* A list item with `dns`: each address of the name becomes a backend like `template`, called NAME@ADDRESS. */
struct berth_source_config {
	char dns[BERTH_DNS_NAME_BYTES];	      /* lower case, without the final dot */
	struct berth_backend_config template; /* its address is unset */
	size_t item_index;		      /* index in the list of the file */
};

/* Timeouts of the configuration. A service has those of both protocols; compiling takes those of its own. */
enum berth_timeout {
	BERTH_TIMEOUT_HALF_OPEN,
	BERTH_TIMEOUT_ESTABLISHED,
	BERTH_TIMEOUT_CLOSING,
	BERTH_TIMEOUT_CLOSED,
	BERTH_TIMEOUT_UNREPLIED,
	BERTH_TIMEOUT_ASSURED,
	BERTH_TIMEOUT_FRAGMENT,
	BERTH_TIMEOUT_SESSION, /* key `timeout` of `affinity` */
	BERTH_TIMEOUT_COUNT,
};

/* Limits of new flows of a service, and of each client prefix ("source") of it. */
struct berth_new_flows_config {
	uint32_t limit; /* per second; 0: none */
	uint32_t burst; /* at once */
	uint32_t source_limit;
	uint32_t source_burst;
	uint8_t source_prefix4; /* bits of a client's address that identify the source */
	uint8_t source_prefix6;
};

struct berth_service_config {
	char name[BERTH_NAME_BYTES]; /* unique */
	union berth_addr address;    /* the first one of a prefix */
	uint8_t bits;		     /* prefix length of 128 (IPv4: 96 + its own); 128: one address */
	uint8_t protocol;	     /* IANA number: TCP or UDP */
	uint16_t port;		     /* first and last port; `any`: 0 and UINT16_MAX */
	uint16_t last_port;
	bool announce; /* its address gets a route, and `ready` asks for its backends */
	enum berth_mode mode;
	uint16_t gue_port;     /* mode gue; else 0 */
	uint32_t second_hop_s; /* mode gue: how long a former backend of a row is a second hop; 0: never */
	enum berth_affinity affinity;
	uint8_t prefix4; /* bits of a client's address that identify the client */
	uint8_t prefix6;
	char group[BERTH_NAME_BYTES]; /* of services that share sessions; "": none */
	enum berth_schedule scheduler;
	uint32_t bound_percent; /* scheduler bounded: percent of a backend's share; else 0 */
	enum berth_overload overload;
	enum berth_failback failback;
	enum berth_down on_down;
	uint32_t slow_start_ms;		       /* 0: none */
	uint32_t panic_percent;		       /* 0: off */
	uint32_t timeout[BERTH_TIMEOUT_COUNT]; /* seconds */
	struct berth_new_flows_config new_flows;
	uint32_t table_size; /* rows of the selection table, a prime; unless written, by the number of backends */
	const struct berth_health_config *health; /* of the configuration: shared by services that have the same */
	struct berth_backend_config *backends;	  /* those of the file, then those from DNS (dns/expand.h) */
	size_t n_backends;
	size_t n_configured; /* backends of the file */
	struct berth_source_config *sources;
	size_t n_sources;
};

enum {
	BERTH_MAX_ACCESS = 32,
};

/* What a user or the members of a group may do on the administration socket. */
struct berth_access_item {
	char name[BERTH_ACCOUNT_BYTES];
	bool is_group;
	enum berth_role role;
};

struct berth_access_config {
	struct berth_access_item items[BERTH_MAX_ACCESS];
	size_t n; /* 0: whoever can open the socket may do everything */
};

/* The file of the session table. */
struct berth_sessions_config {
	uint32_t save_ms; /* interval; 0: the table is not saved */
};

/* Outer source addresses of tunnels: one prefix per family, in which the address varies by flow. */
struct berth_tunnel_config {
	union berth_addr source4;
	union berth_addr source6;
	uint8_t bits4; /* prefix length of 128; 0: the source address that the kernel would use */
	uint8_t bits6;
};

struct berth_dns_server {
	union berth_addr address;
	uint16_t port;
	uint32_t ifindex; /* of a link-local address; 0: none */
};

/* A server of a cluster's store: Redis, or Sentinel. */
struct berth_store_server {
	union berth_addr address;
	uint16_t port;
	uint16_t pad[3];
};
BERTH_ASSERT_SIZE(struct berth_store_server, 24);

/* Where nodes of a cluster see each other. */
struct berth_store_config {
	struct berth_store_server servers[BERTH_MAX_STORE_SERVERS];
	size_t n_servers;		 /* 0: no store */
	char sentinel[BERTH_NAME_BYTES]; /* name of the master; the servers are Sentinels. "": they are Redis */
	char username[BERTH_STORE_USER_BYTES]; /* "": the default user */
	char password_file[BERTH_PATH_BYTES];  /* "": no password */
	char tls_ca[BERTH_PATH_BYTES];	       /* file with the authorities; "": no TLS */
	char tls_name[BERTH_DNS_NAME_BYTES];   /* in the servers' certificates; "": their addresses */
};

struct berth_dns_prefix {
	union berth_addr address;
	uint8_t bits; /* prefix length of 128 */
};

struct berth_dns_config {
	struct berth_dns_server servers[BERTH_MAX_DNS_SERVERS];
	size_t n_servers;    /* 0: the system's servers */
	uint32_t timeout_ms; /* of one query to one server */
	uint32_t min_ttl_s;
	uint32_t max_ttl_s;
	/* Addresses that a backend from DNS can have although they are special: rules.h. */
	struct berth_dns_prefix allow[BERTH_MAX_DNS_ALLOW];
	size_t n_allow;
};

/* Where metrics are served over HTTP. */
struct berth_metrics_config {
	union berth_addr address; /* of this host; 0.0.0.0 and :: are all its addresses */
	uint16_t port;		  /* 0: not served */
	bool without_backends;	  /* no series of single backends */
	bool page;		  /* the page for people, at / */
};

/* When a service is ready, so that this node may take its traffic: announce/ready.h. */
struct berth_announce_config {
	uint32_t min_eligible;	       /* backends; used if min_eligible_percent is 0 */
	uint32_t min_eligible_percent; /* of those that operators have not taken out; 0: not used */
	uint32_t table;		       /* of the kernel, for routes to service addresses; 0: none */
	uint32_t stop_wait_ms;	       /* between the withdrawal of the routes and the stop of the engine */
	uint32_t start_timeout_ms;     /* how long a start waits for the first health checks */
};

/* What this berthd is to others. */
struct berth_cluster_config {
	char name[BERTH_NAME_BYTES]; /* "": no cluster */
	char node[BERTH_NAME_BYTES]; /* of this node, unique in the cluster */
	uint32_t sync_timeout_ms;    /* how long `ready` waits for what other nodes have told */
	uint32_t pad;		     /* 0: configurations are compared byte by byte */
	struct berth_store_config store;
};

#define BERTH_STATE_DIR "/var/lib/berth"

/* What a configuration was read from, comments included. Its copies share it. */
struct berth_config_text {
	unsigned int users;
	size_t length;
	char text[]; /* and a final 0 */
};

/* The health checks of a configuration, each once. Its copies share them. */
struct berth_config_checks {
	unsigned int users;
	void *tree; /* tsearch(3) */
};

struct berth_config {
	struct berth_config_checks *checks; /* NULL: no service has been read */
	struct berth_config_text *text;	    /* NULL in some tests */
	enum berth_engine_kind engine;
	struct berth_interface_config *interfaces;
	size_t n_interfaces; /* at most BERTH_MAX_PORTS */
	struct berth_dpdk_config dpdk;
	struct berth_limits limits;
	struct berth_tunnel_config tunnel;
	struct berth_dns_config dns;
	struct berth_sessions_config sessions;
	struct berth_access_config access;
	struct berth_metrics_config metrics;
	struct berth_announce_config announce;
	struct berth_cluster_config cluster;
	char state_dir[BERTH_PATH_BYTES];   /* of files that survive a reboot */
	char secret_file[BERTH_PATH_BYTES]; /* of the secret that nodes share; "": a secret of this instance */
	struct berth_service_config *services;
	size_t n_services;
};

void berth_config_free(struct berth_config *config);
/* NULL: no memory. berth_config_free releases it with the last copy. */
struct berth_config_text *berth_config_text_new(const char *text, size_t length);
void berth_config_text_free(struct berth_config_text *text);
/* The one of the configuration's health checks that is equal to `health`, which is added unless there is one. NULL:
 * no memory. */
const struct berth_health_config *berth_config_share_health(struct berth_config *config,
							    const struct berth_health_config *health);
/* A copy without the backends from DNS. NULL: no memory. */
struct berth_config *berth_config_copy_configured(const struct berth_config *config);

bool berth_config_has_one_port(const struct berth_service_config *service);
/* The backend's port that health checks use: of `health`, else the backend's, else the service's. */
uint16_t berth_config_probe_port(const struct berth_service_config *service,
				 const struct berth_backend_config *backend);
/* Formats the ports as in the file: "80", "8000-8099", "any". Returns `text`. */
const char *berth_config_format_ports(const struct berth_service_config *service, char text[BERTH_PORTS_TEXT]);
/* The words of the configuration: "tcp", "maglev". */
const char *berth_protocol_name(uint8_t protocol);
const char *berth_schedule_name(enum berth_schedule scheduler);
/* Whether a new flow goes to the less loaded backend of its row. */
bool berth_schedule_compares_loads(enum berth_schedule scheduler);
