/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The desired state and what berthd knows of it: the configuration and, for each service and backend, its number in
 * the engine's tables, admin state, health and next hop. Pure: no descriptors, no clocks. Owned by berthd's one
 * thread.
 */
#pragma once

#include "controlplane/config/config.h"
#include "controlplane/model/numbers.h"
#include "controlplane/model/record.h"
#include "controlplane/model/response.h"
#include "controlplane/util/agent_words.h"
#include "controlplane/util/error.h"
#include "controlplane/util/id_map.h"
#include "controlplane/util/next_hop.h"
#include "dataplane/core/image.h"

/* What an operator set. Kept in the tables across restarts. */
enum berth_admin {
	BERTH_ADMIN_ENABLED,
	BERTH_ADMIN_DRAINING,	/* existing flows and sessions, no new clients */
	BERTH_ADMIN_DISABLED,	/* nothing */
	BERTH_ADMIN_FLOWS_ONLY, /* existing flows only */
	BERTH_ADMIN_EVICTED,	/* nothing; scans remove its entries from the tables */
	BERTH_ADMIN_COUNT,
};

enum berth_health_state {
	BERTH_HEALTH_UNKNOWN, /* not probed yet; not in use */
	BERTH_HEALTH_UP,
	BERTH_HEALTH_DOWN,
};

/* Health set by an operator; overrides the checks. */
enum berth_forced {
	BERTH_FORCED_NOT,
	BERTH_FORCED_UP,
	BERTH_FORCED_DOWN,
};

/* What a backend's agent says, and what of it is in force. Zeroed: no agent has spoken. */
struct berth_agent_part {
	struct berth_agent_words said;
	enum berth_admin admin; /* in force: enabled, draining or flows-only */
	bool is_down;		/* in force */
	bool is_rising;		/* the last step of the weight was */
	int16_t withheld;	/* percent of the configured weight, without slow start; below 0: it has more */
	uint64_t stepped_ms;	/* last step of the weight; 0: none */
	uint64_t stopped_ms;	/* when `admin` or `is_down` took clients away the last time; 0: never */
	struct berth_agent_words logged;
	uint64_t logged_ms; /* 0: never */
};

struct berth_model_backend {
	struct berth_backend_config config;
	uint64_t id;			   /* hash of service and backend name; never changes */
	uint32_t number;		   /* in the tables */
	uint32_t session_number;	   /* in the words of its sessions: of its group, else `number` */
	uint32_t backup;		   /* number of its backup; 0: none */
	enum berth_admin admin;		   /* by an operator; berth_model_admin is in force */
	enum berth_forced forced;	   /* by an operator */
	enum berth_health_state health;	   /* by the checks; berth_model_health is in force */
	struct berth_agent_part agent;	   /* agent.h */
	uint64_t down_since_ms;		   /* last change from up to down; 0: never */
	bool is_kept;			   /* in use although down: panic.h */
	bool is_kept_for_clients;	   /* for existing flows and sessions only, after a panic: panic.h */
	uint64_t after_panic_ms;	   /* for so long it was, since it went down */
	bool is_slow_start_due;		   /* its next use begins with a slow start: effective_weight.h */
	int16_t withheld_percent;	   /* percent of its weight not in effect; below 0: more than it are */
	uint8_t load;			   /* BERTH_OVER_SHARE, BERTH_AT_LIMIT: load.h */
	uint64_t slow_start_since_ms;	   /* begin of its slow start; 0: none */
	uint32_t evict_at;		   /* end of its drain, seconds of CLOCK_MONOTONIC; 0: none */
	uint64_t changed_at_scan;	   /* model.scans at the last change by operator or configuration */
	uint32_t response_us;		   /* the time that scheduler response-time counts with; 0: not known */
	bool is_by_connections;		   /* it is of its connections; else of its probes */
	struct berth_connect_time connect; /* of its connections, where engines time them */
	struct berth_next_hop next_hop;
	uint16_t reported_mtu; /* path MTU by routers beyond the next hop: path_mtu.h; 0: none */
	uint64_t reported_until_ms;
};

struct berth_model_service {
	struct berth_service_config
		config; /* without its lists of backends and sources; `health` is of the model's configuration */
	uint64_t id;	/* hash of addresses, protocol and ports; never changes */
	uint32_t number;
	struct berth_model_backend *backends;
	size_t n_backends;
	/* Of the service or of its group: what distinguishes its sessions in the hash. */
	uint32_t session_key;
	uint32_t session_service; /* number of its group, else its own */
	bool has_max_flows;	  /* a backend has max_flows */
	bool panic;		  /* panic.h */
	bool panic_logged;
	bool after_panic_logged; /* the begin of the time after a panic */
	uint64_t panic_since_ms;
	uint64_t panic_updated_ms;     /* the last berth_panic_update */
	uint64_t after_panic_until_ms; /* the last backend's end of the time after a panic; 0: over: panic.h */
	uint32_t after_panic_lost;     /* so many backends were still down at its end, ever */
	uint32_t after_panic_lost_logged;
	size_t panic_margin;   /* so many more may go down before a panic is due */
	bool had_eligible;     /* an eligible backend, since berthd started: eligible.h */
	bool no_eligible;      /* its alarm */
	bool is_health_known;  /* its backends have been checked, or waited for long enough: announce/ready.h */
	bool is_limited;       /* the alarm of its limits of new flows: tables/limited.h */
	bool is_limited_known; /* the next one has been read */
	uint64_t limited;      /* packets over them so far */
	uint64_t limited_ms;   /* when the latest of them was seen; 0: never */
	struct berth_tally retired; /* figures of removed backends: retired.h */
	/* The selection table; see compile.h. */
	struct berth_row *rows; /* room for config.table_size */
	uint32_t n_rows;	/* in use */
	uint64_t rows_version;	/* changes whenever the rows change */
	uint64_t rows_inputs_hash;
	struct berth_former_rows *former; /* former_rows.h; NULL: none */
	bool former_is_shared;
	bool rows_are_shared; /* of a stage: with the model in force, so not to be written */
};

/* State of a backend in the record of adopted tables, by number. */
struct berth_adopted_backend {
	union berth_addr address;
	enum berth_admin admin;
	enum berth_forced forced;
	enum berth_health_state health; /* by the checks, apart from `forced` */
	bool is_kept;
	uint8_t load;
	uint32_t evict_at;
	struct berth_next_hop next_hop;
	struct berth_agent_part agent;
};

enum {
	BERTH_MAX_OWN = 256, /* addresses of the host */
};

struct berth_model {
	struct berth_config *config;
	struct berth_model_service *services;
	size_t n_services;
	/* A group has a service number and, for each server, a backend number of its own. Its sessions hold these,
	 * so they do not depend on any one of its services. Without rows and next hops. */
	struct berth_model_service *groups;
	size_t n_groups;
	struct berth_id_map backend_places; /* of backends, also of groups, by id: model.c */
	struct berth_numbers service_numbers;
	struct berth_numbers backend_numbers;
	struct berth_port ports[BERTH_MAX_PORTS];    /* the configuration's interfaces, in order */
	struct berth_link links[BERTH_MAX_LINKS];    /* their own link addresses */
	struct berth_route routes[BERTH_MAX_ROUTES]; /* to clients; longest prefix first */
	union berth_addr own[BERTH_MAX_OWN];	     /* addresses of the host, if a service has mode nat */
	size_t n_own;
	bool needs_load;				/* a service selects by load, or limits it */
	uint64_t rows_version;				/* the last one assigned */
	uint64_t scans;					/* whole scans of the tables so far */
	struct berth_adopted_backend *adopted_backends; /* NULL but between adopt and the first apply */
};

/* How many backend numbers tables of this size have. */
uint32_t berth_model_backend_numbers(const struct berth_geometry *geometry);
/* An empty model for tables of this size. */
int berth_model_init(struct berth_model *model, const struct berth_geometry *geometry);
void berth_model_clear(struct berth_model *model);
/* For clear and apply only: free what a model points to, or a draft's services. */
void berth_model_release(struct berth_model *model);
void berth_model_services_free(struct berth_model_service *services, size_t n);
/* For stage: makes backend_places, of services and groups that are complete. -ENOMEM. */
int berth_model_index(struct berth_model *model);

/* Before the first apply: reads the recorded numbers, and the admin state, health and next hop of their backends.
 * The first apply restores them. Numbers that only the words in the image's stores have are not used for a time.
 * -ENOMEM. */
int berth_model_adopt(struct berth_model *model, const struct berth_record *record,
		      const struct berth_image *image);

/* A whole scan of the tables ended: released numbers come closer to the end of their quarantine. Call it only while
 * the model's generation is in force and no worker reads an older one. */
void berth_model_scan_ended(struct berth_model *model);

/*
 * Makes in `stage` the model that has `config`, for tables of this geometry, and takes `config` over; `model` stays
 * as it is. Services and
 * backends that `model` has keep their numbers, admin state, health and next hop. -ENOSPC: the tables are too
 * small, or -ENOMEM, with one line in `error`; then there is no stage and the caller still owns `config`. The two
 * share selection tables: if those of `model` change before commit or drop, berth_model_renew_rows is due. Whatever
 * else changes in `model` is taken over by berth_model_refresh.
 */
int berth_model_stage(struct berth_model *stage, const struct berth_model *model,
		      const struct berth_geometry *geometry, struct berth_config *config,
		      char error[BERTH_ERROR_BYTES]);
/* The stage takes the place of the model, and has what the model was, which is to be cleared. Cannot fail. */
void berth_model_exchange(struct berth_model *model, struct berth_model *stage);
/* Replaces the model by the stage. Cannot fail. */
void berth_model_commit(struct berth_model *model, struct berth_model *stage);
/* A service that stays keeps its selection table; compile.c replaces it where its inputs differ. Until the commit
 * both models point to it. Part of the stage; to be called again if `model`, with the same configuration, has
 * changed since and nothing was compiled of the stage. */
void berth_model_share_rows(struct berth_model *stage, const struct berth_model *model);
/* For a stage that is committed later than it was made, with the same configuration in `model`: services and
 * backends get what is known of them now. */
void berth_model_refresh(struct berth_model *stage, const struct berth_model *model);
/* `model` has got other selection tables since: the stage shares those. Tables of its own get versions that `model`
 * has not used. No generation may point to them. */
void berth_model_renew_rows(struct berth_model *stage, const struct berth_model *model);
void berth_model_drop(struct berth_model *stage);
/* Stage and commit in one. */
int berth_model_apply(struct berth_model *model, struct berth_config *config, char error[BERTH_ERROR_BYTES]);

/* By name or id; NULL: not found. By id also in groups. */
struct berth_model_service *berth_model_service(const struct berth_model *model, const char *name);
struct berth_model_backend *berth_model_backend(struct berth_model_service *service, const char *name);
struct berth_model_service *berth_model_group(const struct berth_model *model, const char *name);
struct berth_model_backend *berth_model_backend_by_id(const struct berth_model *model, uint64_t id,
						      struct berth_model_service **service);

/* Sets the admin state; `evict_at` for drains. */
void berth_model_set_admin(const struct berth_model *model, struct berth_model_backend *backend,
			   enum berth_admin admin, uint32_t evict_at);
/* Sets the health by the checks. False: no change. */
bool berth_model_set_health(struct berth_model_backend *backend, enum berth_health_state health, uint64_t now_ms);
/*
 * What is in force. An operator's word comes first: as long as one has set the admin state, the agent's ready,
 * drain and maint count for nothing; as long as one has forced the health, neither checks nor the agent's up and
 * down do. Else the agent's admin state is in force, and a backend is up if its checks and its agent find it so.
 */
enum berth_admin berth_model_admin(const struct berth_model_backend *backend);
enum berth_health_state berth_model_health(const struct berth_model_backend *backend);
/*
 * What a backend may receive, the bits of enum berth_eligible: existing flows, new flows of existing sessions, new
 * clients. For all of them it is up (or kept in a panic) and not disabled; for sessions it is not draining its
 * flows only; for new clients it is enabled, of an effective weight above 0, and has a next hop. Without a next hop
 * it keeps its flows and sessions: a neighbour that is unresolved for a moment must not move them, and the health
 * check finds a server that is gone.
 */
uint8_t berth_model_eligibility(const struct berth_model_backend *backend);
/* True if it accepts new clients: "eligible" wherever a number of backends is shown. Also over its share, if no
 * other backend accepts them, but not at its limit. */
bool berth_model_is_eligible(const struct berth_model_backend *backend);
/* The effective weight, in hundredths: effective_weight.h. */
uint32_t berth_model_weight_hundredths(const struct berth_model_backend *backend);
/* The largest effective weight of a service's backends. */
uint32_t berth_model_max_weight_hundredths(const struct berth_model_service *service);
/* Schedulers that compare loads: what one flow adds to a backend's load; 64 for the heaviest backend of a service.
 */
uint32_t berth_model_load_unit(uint32_t weight, uint32_t heaviest);
/* Whether engines time connections of a service for its scheduler response-time. */
bool berth_model_times_connections(const struct berth_model_service *service);

/* Identities: 64-bit hashes that never change between releases. */
uint64_t berth_service_id(const struct berth_service_config *service);
uint64_t berth_backend_id(uint64_t service_id, const char *name);
uint64_t berth_group_id(const char *name);
/* Seed of a service's selection table and session key; the same for all services of a group. */
uint64_t berth_service_seed(const struct berth_service_config *service);

/* The words in commands and output. */
const char *berth_admin_name(enum berth_admin admin);
const char *berth_health_name(enum berth_health_state health);
