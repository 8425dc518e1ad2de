/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The time in which a server answers: a weighted average, in which the weight of what was measured halves with each
 * half-life. Of the successful probes of a check; or, where engines time them (core/timing.h), of connections. The
 * two cannot be compared with each other. Pure: time is an argument.
 */
#pragma once

#include <stdint.h>

enum {
	BERTH_RESPONSE_LEAST_US = 100, /* what is shorter says more of this host than of the server */
	BERTH_RESPONSE_LEAP =
		4, /* a probe counts as at most so many times the average: a lost packet is no trend */
	BERTH_CONNECT_LEAST = 8,       /* connections that make an average */
	BERTH_CONNECT_HALF_LIVES = 10, /* so long after the last of them it is known */
};

struct berth_response {
	uint64_t average_ns; /* 0: no probe yet */
	uint64_t at_ms;	     /* of the last probe */
};

void berth_response_add(struct berth_response *response, uint64_t probe_us, uint32_t half_life_ms, uint64_t now_ms);
/* At least BERTH_RESPONSE_LEAST_US; 0: not known. */
uint32_t berth_response_us(const struct berth_response *response);

/* Of the connections of a backend. */
struct berth_connect_time {
	struct berth_response response;
	uint64_t all;	   /* connections timed so far */
	uint64_t averaged; /* of these, in the average */
};

/* `n` connections took `sum_us` together. After BERTH_CONNECT_HALF_LIVES without any the average begins anew. */
void berth_connect_time_add(struct berth_connect_time *time, uint64_t n, uint64_t sum_us, uint32_t half_life_ms,
			    uint64_t now_ms);
/* At least BERTH_RESPONSE_LEAST_US; 0: not known. */
uint32_t berth_connect_time_us(const struct berth_connect_time *time, uint32_t half_life_ms, uint64_t now_ms);
