/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Path MTUs of backends that berth encapsulates for. Outer packets must not be fragmented, so a router whose next
 * link is too small for one drops it and reports the link's MTU by ICMP. A report is forgotten after ten minutes,
 * because nothing tells that the path has become wider. Pure: time is an argument.
 */
#pragma once

#include "controlplane/model/model.h"

enum {
	BERTH_PATH_MTU_MS = 600000, /* as net.ipv4.route.mtu_expires and net.ipv6.route.mtu_expires */
};

/* An ICMP error "fragmentation needed" or "packet too big". */
struct berth_too_big {
	union berth_addr reporter;
	/* Of the packet that was too big. */
	union berth_addr source;
	union berth_addr destination;
	uint32_t length; /* bytes, from its IP header on */
	uint8_t protocol;
	uint16_t dport; /* of UDP */
	uint32_t mtu;	/* of the link that it did not fit */
};

/* Bytes of the largest packet that reaches a backend, from the (outer) IP header on. */
uint16_t berth_path_mtu(const struct berth_model_service *service, const struct berth_model_backend *backend);

/* The smallest path MTU to a backend that a report can cause: with less, the service's clients could send nothing.
 */
uint32_t berth_path_mtu_floor(uint32_t mode, bool is_service4, bool is_backend4);

/* Takes a report over if it is about one of berth's packets to this backend. Whether the path MTU changed. */
bool berth_path_mtu_learn(const struct berth_model *model, const struct berth_model_service *service,
			  struct berth_model_backend *backend, const struct berth_too_big *report, uint64_t now_ms);

/* Forgets reports that are too old. Lowers *next_ms to the next time at which one is. Whether a path MTU changed.
 */
bool berth_path_mtu_expire(struct berth_model *model, uint64_t now_ms, uint64_t *next_ms);
