/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A configuration that is to be put in force: all that this needs and that can fail, made beside what is in force.
 * For apply.c, which commits it.
 *
 * Its steps read the model in force, the kernel's next hops and health checks, and write the stage alone. So turns
 * of the loop may come between them: what changes meanwhile is taken over at the end (berth_stage_refresh). Another
 * configuration may not come into force while there is a stage, and there is one stage at a time.
 */
#pragma once

#include "controlplane/compile/compile.h"
#include "controlplane/daemon/engine_exchange.h"
#include "controlplane/daemon/private.h"

struct berth_health_stage;

/* In this order. */
enum berth_stage_step {
	BERTH_STAGE_MODEL,
	BERTH_STAGE_NETWORK,
	BERTH_STAGE_HEALTH,
	BERTH_STAGE_TABLES, /* as many turns as there are tables to be built */
	BERTH_STAGE_GENERATION,
	BERTH_STAGE_STEPS,
};

struct berth_stage {
	struct berth_config *config;
	enum berth_stage_step next; /* BERTH_STAGE_STEPS: all are done */
	struct berth_engine_exchange exchange;
	struct berth_model model; /* has `config` after BERTH_STAGE_MODEL */
	struct berth_generation *generation;
	struct berth_compile_ahead ahead;
	struct berth_health_stage *targets;
	enum berth_health_state *health; /* of the model's backends in order, before the checks' states */
	bool has_model;
	bool has_names; /* dns_backends.h */
	bool has_listener;
	bool has_network;
	bool stops_engine; /* which then starts with what is published */
	/* What the model in force was of: */
	uint64_t requests;     /* publication.h */
	uint64_t rows_version; /* of its selection tables */
	uint64_t network_changes;
};

/* A step. 0, or -errno with one line in `error`; the stage is to be dropped then. */
int berth_stage_step(struct berth_daemon *daemon, struct berth_stage *stage, char error[BERTH_ERROR_BYTES]);
/* The model in force may have changed since the steps: the stage gets what is known now, and has no generation if
 * that is another one. -ENOMEM. */
int berth_stage_refresh(struct berth_daemon *daemon, struct berth_stage *stage);
/* The states of health checks are no longer in the model: their reports are to be seen as changes. */
void berth_stage_unset_health(struct berth_stage *stage);
/* Frees all but the configuration. */
void berth_stage_drop(struct berth_daemon *daemon, struct berth_stage *stage);
/* The size of the tables that the configuration gets. */
const struct berth_geometry *berth_stage_geometry(const struct berth_daemon *daemon,
						  const struct berth_stage *stage);
