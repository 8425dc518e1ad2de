/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether probes are made in time. Pure: time is an argument. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct berth_health_delays {
	uint64_t late;	/* probes that waited for half of their interval, and 50 ms, or longer */
	bool is_behind; /* two probes or more, and more than one in twenty of the last period, were late */
	/* The last period, and the one that runs. */
	uint32_t probes, of_late;
	uint32_t next_probes, next_late;
	uint64_t since_us;
};

/* A probe ended that has waited so long for this host: for a descriptor, or for a processor. */
void berth_health_delays_add(struct berth_health_delays *delays, uint64_t waited_us, uint32_t interval_ms,
			     uint64_t now_us);
/* To be called now and then: a period without probes ends, too. */
void berth_health_delays_tick(struct berth_health_delays *delays, uint64_t now_us);
