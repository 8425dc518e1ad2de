/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The time in which a server answers: the weighted average of the successful probes of one check, in which the
 * weight of a probe halves with each half-life. Pure: time is an argument.
 */
#pragma once

#include <stdint.h>

enum {
	BERTH_RESPONSE_LEAST_US = 100, /* what is shorter says more of this host than of the server */
	BERTH_RESPONSE_LEAP =
		4, /* a probe counts as at most so many times the average: a lost packet is no trend */
};

struct berth_response {
	uint64_t average_ns; /* 0: no probe yet */
	uint64_t at_ms;	     /* of the last probe */
};

void berth_response_add(struct berth_response *response, uint64_t probe_us, uint32_t half_life_ms, uint64_t now_ms);
/* At least BERTH_RESPONSE_LEAST_US; 0: not known. */
uint32_t berth_response_us(const struct berth_response *response);
