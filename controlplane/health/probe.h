/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One kind of probe is one file with one struct berth_probe_ops. When it runs, how long it may take and what
 * its result means is health.c's.
 */
#pragma once

#include <event2/event.h>
#include <event2/event_struct.h>

#include "controlplane/config.h"

enum berth_probe_result {
	BERTH_PROBE_UNDER_WAY,
	BERTH_PROBE_SUCCESS,
	BERTH_PROBE_FAILURE,
	BERTH_PROBE_UNSURE, /* nothing is learned of the server: this machine lacks something */
};

/* What makes two probes the same. Words only, so that it may be compared as bytes. */
struct berth_probe_key {
	union berth_addr address;
	uint32_t port;
	uint32_t type; /* enum berth_health_type */
	uint32_t interval_ms;
	uint32_t timeout_ms;
	uint32_t rise;
	uint32_t fall;
};
BERTH_ASSERT_SIZE(struct berth_probe_key, 40);

struct berth_probe {
	struct berth_probe_key key;
	struct event_base *base;
	uint64_t started_us; /* CLOCK_MONOTONIC */
	char why[128];	     /* of the result; the probe writes it */
	/* The probe's own, between start and its end. */
	int fd;
	struct event io;
};

struct berth_probe_ops {
	/* UNDER_WAY: berth_probe_done will be called, unless it is cancelled before. */
	enum berth_probe_result (*start)(struct berth_probe *probe);
	/* Called only while it is under way. */
	void (*cancel)(struct berth_probe *probe);
};

extern const struct berth_probe_ops berth_probe_tcp;

/* Hands in the result of a probe that was under way. The probe may be gone on return. */
void berth_probe_done(struct berth_probe *probe, enum berth_probe_result result);

uint64_t berth_probe_now_us(void);
