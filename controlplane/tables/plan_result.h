/* SPDX-License-Identifier: BSD-3-Clause */
/* What a plan (plan.h) says. */
#pragma once

#include "controlplane/config/config.h"

struct berth_plan_counts {
	uint64_t live;
	uint64_t leaving; /* of these, what moves to another backend or to none */
	uint64_t arriving;
};

enum berth_plan_change {
	BERTH_PLAN_KEPT,
	BERTH_PLAN_ADDED,
	BERTH_PLAN_REMOVED,
};

/* Whether it would take new flows. */
enum berth_plan_load {
	BERTH_PLAN_HAS_ROOM,
	BERTH_PLAN_OVER_SHARE, /* of `bounded` */
	BERTH_PLAN_AT_LIMIT,   /* of `max-flows` */
};

struct berth_plan_backend {
	char service[BERTH_NAME_BYTES];
	char name[BERTH_NAME_BYTES];
	enum berth_plan_change change;
	bool is_unprobed; /* without traffic until its first probe: it is new, or its address changes */
	struct berth_plan_counts flows;
	struct berth_plan_counts sessions;
	/* Sessions that are no longer found: the client prefix length, the group or the affinity changed,
	 * or a shorter timeout expires them. Selection then decides anew, for most clients as before. */
	uint64_t cleared;
	/* Of the flows and sessions that stay, those that are exceptions (exception.h) before and after. */
	uint64_t exceptions;
	uint64_t exceptions_after;
	/* After the change: live flows, without closing ones. */
	uint64_t flows_after;
	uint64_t lost_flows; /* of the leaving ones: their service is removed */
	uint32_t max_flows;  /* 0: no limit */
	enum berth_plan_load load_after;
	uint32_t weight;	    /* as configured */
	uint32_t weight_hundredths; /* the effective one */
	/* Scheduler response-time after the change: the time that it counts with now, 0: none; and the figure that
	 * new flows are compared by then (core/select.h), 0: without a time. */
	uint32_t response_us;
	bool is_by_connections;
	uint64_t weighted_load_after;
};

/* How much of something the change leaves in use. */
struct berth_plan_use {
	uint64_t used;
	uint64_t limit;
};

/* A service after the change of which each backend that takes new flows has a limit of them. */
struct berth_plan_service {
	char name[BERTH_NAME_BYTES];
	struct berth_plan_use flows;
};

struct berth_plan {
	struct berth_plan_backend *backends;
	size_t n;
	struct berth_plan_service *limited;
	size_t n_limited;
	struct berth_plan_use table_flows; /* those that have a service then */
	struct berth_plan_use table_sessions;
	struct berth_plan_use table_services;
	struct berth_plan_use table_backends;
};
