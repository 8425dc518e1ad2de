// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/model/response.h"

#include <stdbool.h>

enum {
	NS_PER_US = 1000,
	WHOLE = 1 << 16, /* a weight of 1 */
	MAX_HALVINGS = 16,
	MAX_US = 3600 * 1000 * 1000U,
};

/* Of what was known `age_ms` ago: halves with each half-life, and falls evenly between. */
static uint64_t weight_after(uint64_t age_ms, uint32_t half_life_ms)
{
	if (!half_life_ms || age_ms / half_life_ms >= MAX_HALVINGS)
		return 0;
	const uint64_t twice = UINT64_C(2) * half_life_ms;
	return WHOLE * (twice - age_ms % half_life_ms) / twice >> age_ms / half_life_ms;
}

void berth_response_add(struct berth_response *response, uint64_t probe_us, uint32_t half_life_ms, uint64_t now_ms)
{
	const uint64_t former = response->average_ns, least = UINT64_C(1) * BERTH_RESPONSE_LEAST_US * NS_PER_US;
	const uint64_t most = BERTH_RESPONSE_LEAP * (former > least ? former : least);
	uint64_t probe = (probe_us < MAX_US ? probe_us : MAX_US) * NS_PER_US;
	probe = former && probe > most ? most : probe;
	const uint64_t weight = former ? weight_after(now_ms - response->at_ms, half_life_ms) : 0;
	response->average_ns = (former * weight + probe * (WHOLE - weight)) / WHOLE;
	response->average_ns += !response->average_ns;
	response->at_ms = now_ms;
}

uint32_t berth_response_us(const struct berth_response *response)
{
	const uint64_t us = response->average_ns / NS_PER_US;
	return !response->average_ns ? 0 : us < BERTH_RESPONSE_LEAST_US ? BERTH_RESPONSE_LEAST_US : (uint32_t)us;
}

static bool is_over(const struct berth_connect_time *time, uint32_t half_life_ms, uint64_t now_ms)
{
	return now_ms - time->response.at_ms > UINT64_C(1) * BERTH_CONNECT_HALF_LIVES * half_life_ms;
}

void berth_connect_time_add(struct berth_connect_time *time, uint64_t n, uint64_t sum_us, uint32_t half_life_ms,
			    uint64_t now_ms)
{
	if (!n)
		return;
	if (is_over(time, half_life_ms, now_ms)) {
		time->response = (struct berth_response){0};
		time->averaged = 0;
	}
	berth_response_add(&time->response, sum_us / n, half_life_ms, now_ms);
	time->averaged += n;
	time->all += n;
}

uint32_t berth_connect_time_us(const struct berth_connect_time *time, uint32_t half_life_ms, uint64_t now_ms)
{
	if (time->averaged < BERTH_CONNECT_LEAST || is_over(time, half_life_ms, now_ms))
		return 0;
	return berth_response_us(&time->response);
}
