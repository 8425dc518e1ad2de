/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the results of probes mean: rise and fall, and when the next probe is due. Pure: time and chance are
 * arguments.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct berth_rise_fall {
	int up;		   /* -1: not known yet */
	uint32_t against;  /* results in a row that speak against `up` */
	uint64_t since_ms; /* of `up` */
};

/* `up`: what is known before the first result; -1, 0 or 1. */
void berth_rise_fall_init(struct berth_rise_fall *state, int up, uint64_t now_ms);
/* Takes one result in; true if `up` is another now. What is not known is decided by the first result. */
bool berth_rise_fall_step(struct berth_rise_fall *state, uint32_t rise, uint32_t fall, bool success,
			  uint64_t now_ms);

/* The next of a sequence of random numbers that depends on nothing but its seed. */
uint64_t berth_health_random(uint64_t previous);
/* From the start of one probe to the start of the next: the interval, 10% more or less. */
uint32_t berth_health_delay(uint32_t interval_ms, uint64_t random);
/* From the start of the first probe to that of the second: anywhere in the interval, so that checks which began
 * together are spread over it. */
uint32_t berth_health_second_delay(uint32_t interval_ms, uint64_t random);
/* From now to the first probe: spread over the interval, but an answer is wanted soon. */
uint32_t berth_health_first_delay(uint32_t interval_ms, uint64_t random);
