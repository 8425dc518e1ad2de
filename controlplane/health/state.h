/* SPDX-License-Identifier: BSD-3-Clause */
/* State of a check: rise and fall thresholds, and delays between probes. Pure: time and randomness are arguments.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct berth_rise_fall {
	int up;			   /* -1: unknown */
	uint32_t contrary_results; /* consecutive results that contradict `up` */
	uint64_t since_ms;	   /* of the last change of `up` */
};

/* `up` is the state before the first result: -1, 0 or 1. */
void berth_rise_fall_init(struct berth_rise_fall *state, int up, uint64_t now_ms);
/* Applies one result; returns true if `up` changed. The first result decides an unknown state; `rise` successes or
 * `fall` failures in a row change a known one. */
bool berth_rise_fall_step(struct berth_rise_fall *state, uint32_t rise, uint32_t fall, bool success,
			  uint64_t now_ms);

/* Returns the next number of a pseudo-random sequence; the seed is its first `previous`. */
uint64_t berth_health_random(uint64_t previous);
/* From the start of one probe to the start of the next, ms: the interval ±10%. */
uint32_t berth_health_delay(uint32_t interval_ms, uint64_t random);
/* From the start of the first probe to the start of the second, ms: uniform in the interval, so that checks created
 * together spread over it. */
uint32_t berth_health_second_delay(uint32_t interval_ms, uint64_t random);
/* From now to the first probe, ms: at most 100, so that the state is known soon. */
uint32_t berth_health_first_delay(uint32_t interval_ms, uint64_t random);
/* The nearest of the times at which probes of this interval start: a share of it apart, at most 8 ms, so that what
 * many of them send and receive goes together. */
uint64_t berth_health_together(uint64_t us, uint32_t interval_ms);
