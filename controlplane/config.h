/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The configuration as validated: what the YAML file says, with every default filled in. Plain data: no
 * descriptors, no state. Made by berth_config_parse from the text of a file, owned by the caller.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/error.h"
#include "dataplane/core/abi.h"

enum {
	BERTH_NAME_BYTES = 64, /* of a service's or backend's name, with its final 0 */
	BERTH_IFNAME_BYTES = 16,
	BERTH_DEVICE_BYTES = 128,
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

enum berth_health_type {
	BERTH_HEALTH_NONE, /* always up */
	BERTH_HEALTH_TCP,  /* a connection is accepted */
};

struct berth_health_config {
	enum berth_health_type type;
	uint16_t port;	      /* 0: the service's */
	uint32_t interval_ms; /* from the start of one probe to the start of the next */
	uint32_t timeout_ms;
	uint32_t rise; /* successes in a row that bring a backend up */
	uint32_t fall; /* failures in a row that take it down */
};

struct berth_backend_config {
	char name[BERTH_NAME_BYTES]; /* unique in its service */
	union berth_addr address;
	uint32_t weight; /* 0 to BERTH_MAX_WEIGHT; 0: takes nobody new */
};

struct berth_service_config {
	char name[BERTH_NAME_BYTES]; /* unique */
	union berth_addr address;
	uint8_t protocol; /* IANA number: TCP or UDP */
	uint16_t port;
	enum berth_mode mode;
	enum berth_affinity affinity;
	uint8_t prefix4; /* bits */
	uint8_t prefix6;
	uint32_t timeout[BERTH_STATE_COUNT]; /* seconds; [BERTH_STATE_SESSION] is the affinity timeout */
	uint32_t rows;			     /* of the selection table, a prime */
	struct berth_health_config health;
	struct berth_backend_config *backends;
	size_t n_backends;
};

struct berth_config {
	enum berth_engine_kind engine;
	struct berth_interface_config *interfaces;
	size_t n_interfaces; /* at most BERTH_MAX_PORTS */
	struct berth_dpdk_config dpdk;
	struct berth_limits limits;
	struct berth_service_config *services;
	size_t n_services;
};

/*
 * Parses and validates `text` (YAML, `length` bytes). `name` is the file's name for messages. Returns NULL on
 * an error, with one line "name:line:column: what is wrong; how to mend it" in `error`.
 */
struct berth_config *berth_config_parse(const char *name, const char *text, size_t length,
					char error[BERTH_ERROR_BYTES]);
/* The same from a file; a file that cannot be read is an error like the others. */
struct berth_config *berth_config_load(const char *path, char error[BERTH_ERROR_BYTES]);
void berth_config_free(struct berth_config *config);
