/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The desired state and what is known of it: a configuration, and for each service and backend its number in
 * the engine's tables, what operators asked for, its health and the way to it. Pure: no descriptors, no
 * clocks. Owned by berthd's one thread.
 */
#pragma once

#include "controlplane/config/config.h"
#include "controlplane/model/numbers.h"
#include "controlplane/util/error.h"
#include "controlplane/util/next_hop.h"
#include "dataplane/core/image.h"

/* Stands in the tables across restarts. */
enum berth_admin {
	BERTH_ADMIN_ENABLED,
	BERTH_ADMIN_DRAINING,	/* its flows and its clients stay, nobody new */
	BERTH_ADMIN_DISABLED,	/* nothing, at once */
	BERTH_ADMIN_FLOWS_ONLY, /* its flows stay, its clients' new flows go elsewhere */
	BERTH_ADMIN_EVICTED,	/* nothing, and the walk removes what the tables hold of it */
	BERTH_ADMIN_COUNT,
};

enum berth_health_state {
	BERTH_HEALTH_UNKNOWN, /* not probed yet: not used */
	BERTH_HEALTH_UP,
	BERTH_HEALTH_DOWN,
};

/* What an operator says of its health, whatever the checks say. */
enum berth_forced {
	BERTH_FORCED_NOT,
	BERTH_FORCED_UP,
	BERTH_FORCED_DOWN,
};

struct berth_model_backend {
	struct berth_backend_config config;
	uint64_t id;	 /* of service and backend name; stable for ever */
	uint32_t number; /* in the tables */
	uint32_t backup; /* number of that backend; 0: none */
	enum berth_admin admin;
	enum berth_forced forced;
	enum berth_health_state health; /* as checked; berth_model_health is what counts */
	uint64_t down_since_ms;		/* when it last went from up to down; 0: never */
	bool is_kept;			/* down and yet in use: panic.h */
	bool is_slow_start_due;		/* comes back by a slow start: slow_start.h */
	uint8_t withheld_tenths;	/* tenths of its weight that do not count yet */
	uint8_t load;			/* BERTH_OVER_SHARE, BERTH_AT_LIMIT: load.h */
	uint64_t slow_start_since_ms;	/* when its slow start began; 0: it has none */
	uint32_t evict_at;		/* second of CLOCK_MONOTONIC in which its drain ends; 0: never */
	uint64_t changed_at_scan;	/* model.scans when an operator or a configuration last spoke of it */
	struct berth_next_hop next_hop;
};

struct berth_model_service {
	struct berth_service_config config; /* without its lists: backends stand below, sources nowhere */
	uint64_t id;			    /* of addresses, protocol and ports; stable for ever */
	uint32_t number;
	struct berth_model_backend *backends;
	size_t n_backends;
	/* What its sessions are found by: its own, or its group's. */
	uint32_t session_key;
	uint32_t session_service; /* number of the service whose backends' numbers they hold */
	bool has_max_flows;	  /* some of its backends have max_flows */
	bool panic;		  /* more of its backends are down than it may lose: panic.h */
	bool panic_logged;
	uint64_t panic_since_ms;
	struct berth_tally retired; /* figures of removed backends: retired.h */
	/* The selection table, and what it was made from; see compile.h. */
	struct berth_row *rows; /* room for config.table_size */
	uint32_t n_rows;	/* in use */
	uint64_t rows_version;	/* another number whenever the rows differ */
	uint64_t rows_inputs_hash;
	bool rows_are_shared; /* of a stage: with the model in force, so not to be written */
};

/* What an adopted image tells of a backend that the model does not have yet; by number. */
struct berth_adopted_backend {
	enum berth_admin admin;
	enum berth_forced forced;
	enum berth_health_state health;
	uint8_t load;
	uint32_t evict_at;
	struct berth_next_hop next_hop;
};

/* The same of services. */
struct berth_adopted_service {
	uint32_t key;
	uint32_t service;
};

enum {
	BERTH_MAX_OWN = 256, /* addresses of berth's own host */
};

struct berth_model {
	struct berth_config *config;
	struct berth_model_service *services;
	size_t n_services;
	struct berth_numbers service_numbers;
	struct berth_numbers backend_numbers;
	struct berth_route routes[BERTH_MAX_ROUTES]; /* to clients, as published: longest prefix first */
	union berth_addr own[BERTH_MAX_OWN];	     /* berth's own host's, if some service is in mode nat */
	size_t n_own;
	uint64_t rows_version; /* the last one given */
	uint64_t scans;	       /* whole walks over the tables since the model is there */
	struct berth_adopted_backend
		*adopted_backends; /* NULL but between adopt and the first apply; so is the next */
	struct berth_adopted_service *adopted_services;
};

/* An empty model for tables of this size. */
int berth_model_init(struct berth_model *model, const struct berth_geometry *geometry);
void berth_model_clear(struct berth_model *model);
/* For clear and apply alone: frees what a model points to, or services in the making. */
void berth_model_release(struct berth_model *model);
void berth_model_services_free(struct berth_model_service *services, size_t n);
/* Makes another model that knows the same, but has no configuration of its own until one is applied. -ENOMEM: then
 * it is to be cleared too. */
int berth_model_copy(struct berth_model *copy, const struct berth_model *model);

/* Before the first apply: remembers which numbers the image's current generation uses, and what is known of
 * those backends, so that apply gives each its own number, admin state, health and next hop back. -ENOMEM. */
int berth_model_adopt(struct berth_model *model, const struct berth_image *image);

/* A whole walk over the tables ended, begun or not after the last publication; numbers that waited long enough
 * are free again. To be called only while the current generation is the model's and no worker reads another. */
void berth_model_scan_ended(struct berth_model *model);

/*
 * Makes in `stage` the model that has `config`, and takes `config` over; `model` stays as it is. Services and
 * backends that `model` has keep their numbers, admin state, health and next hop. -ENOSPC: the tables are too
 * small, or -ENOMEM, with one line in `error`; then there is no stage and the caller still owns `config`. Until
 * commit or drop `model` must not change: the two share selection tables.
 */
int berth_model_stage(struct berth_model *stage, const struct berth_model *model, struct berth_config *config,
		      char error[BERTH_ERROR_BYTES]);
/* Replaces the model by the stage. Cannot fail. */
void berth_model_commit(struct berth_model *model, struct berth_model *stage);
void berth_model_drop(struct berth_model *stage);
/* Stage and commit in one. */
int berth_model_apply(struct berth_model *model, struct berth_config *config, char error[BERTH_ERROR_BYTES]);

/* NULL: there is none. */
struct berth_model_service *berth_model_service(const struct berth_model *model, const char *name);
struct berth_model_backend *berth_model_backend(struct berth_model_service *service, const char *name);
struct berth_model_backend *berth_model_backend_by_id(const struct berth_model *model, uint64_t id,
						      struct berth_model_service **service);

/* Takes in what an operator says; `evict_at` is for drains. */
void berth_model_set_admin(const struct berth_model *model, struct berth_model_backend *backend,
			   enum berth_admin admin, uint32_t evict_at);
/* Takes in what the checks say. False: that is known already. */
bool berth_model_set_health(struct berth_model_backend *backend, enum berth_health_state health, uint64_t now_ms);
/* What it is forced to be, else what its checks say. */
enum berth_health_state berth_model_health(const struct berth_model_backend *backend);
/* enum berth_eligible bits that follow from weight, admin state, health and load. */
uint8_t berth_model_eligibility(const struct berth_model_backend *backend);
/* The weight that counts now, in tenths. */
uint32_t berth_model_weight_tenths(const struct berth_model_backend *backend);
/* The most of a service's backends. */
uint32_t berth_model_max_weight_tenths(const struct berth_model_service *service);
/* Scheduler least-conn: what one flow adds to a backend's load; 64 for the heaviest backend of a service. */
uint32_t berth_model_load_unit(uint32_t weight, uint32_t heaviest);

/* Identities: 64-bit hashes that never change between releases. */
uint64_t berth_service_id(const struct berth_service_config *service);
uint64_t berth_backend_id(uint64_t service_id, const char *name);
/* What a service's selection and sessions begin with: a group's is the same for all of its services. */
uint64_t berth_service_seed(const struct berth_service_config *service);

/* The words that people see and write. */
const char *berth_admin_name(enum berth_admin admin);
const char *berth_health_name(enum berth_health_state health);
