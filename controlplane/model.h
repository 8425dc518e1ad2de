/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The desired state and what is known of it: a configuration, and for each service and backend its number in
 * the engine's tables, what operators asked for, its health and the way to it. Pure: no descriptors, no
 * clocks. Owned by berthd's one thread.
 */
#pragma once

#include "controlplane/config.h"
#include "dataplane/core/image.h"

enum berth_admin {
	BERTH_ADMIN_ENABLED,
	BERTH_ADMIN_DRAINING, /* its flows and its clients stay, nobody new */
	BERTH_ADMIN_DISABLED, /* nothing, at once */
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

/* The way to a backend, from the kernel's routes and neighbours. */
struct berth_next_hop {
	bool known;
	uint8_t port;	    /* index into the configuration's interfaces */
	uint8_t dst_mac[6]; /* of the backend itself or of the router before it */
	uint8_t src_mac[6]; /* of the interface */
	uint16_t mtu;
	union berth_addr source; /* what the kernel would send from */
};

struct berth_model_backend {
	struct berth_backend_config config;
	uint64_t id;	 /* of service and backend name; stable for ever */
	uint32_t number; /* in the tables */
	enum berth_admin admin;
	enum berth_forced forced;
	enum berth_health_state health; /* as checked; berth_model_health is what counts */
	struct berth_next_hop next_hop;
};

struct berth_model_service {
	struct berth_service_config config; /* its backends pointer is NULL; they stand below */
	uint64_t id;			    /* of addresses, protocol and ports; stable for ever */
	uint32_t number;
	struct berth_model_backend *backends;
	size_t n_backends;
	/* The selection table, and what it was made from; see compile.h. */
	struct berth_row *rows;
	uint64_t rows_version; /* another number whenever the rows differ */
	uint64_t rows_inputs;
};

/*
 * Which numbers are taken, by whom: id 0 is nobody. A number that was given back waits `leaving` whole walks
 * before it is given again, so that by then no word of the tables holds it.
 */
struct berth_numbers {
	uint64_t *id; /* by number */
	uint8_t *leaving;
	bool *used; /* by the configuration being applied */
	uint32_t size;
};

/* What an adopted image tells of a backend that the model does not have yet; by number. */
struct berth_model_memory {
	enum berth_admin admin;
	enum berth_forced forced;
	enum berth_health_state health;
	struct berth_next_hop next_hop;
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
	uint64_t rows_version;		   /* the last one given */
	struct berth_model_memory *memory; /* NULL but between adopt and the first apply */
};

/* An empty model for tables of this size. */
int berth_model_init(struct berth_model *model, const struct berth_geometry *geometry);
void berth_model_clear(struct berth_model *model);

/* Before the first apply: remembers which numbers the image's current generation uses, and what is known of
 * those backends, so that apply gives each its own number, admin state, health and next hop back. -ENOMEM. */
int berth_model_adopt(struct berth_model *model, const struct berth_image *image);

/* A whole walk over the tables ended, begun or not after the last publication; numbers that waited long enough
 * are free again. To be called only while the current generation is the model's and no worker reads another. */
void berth_model_walked(struct berth_model *model);

/*
 * Makes `config` the desired state and takes it over. Services and backends that were there before keep their
 * numbers, admin state, health and next hop. -ENOSPC where the tables are too small (message in `error`);
 * then the model is as it was and the caller still owns `config`.
 */
int berth_model_apply(struct berth_model *model, struct berth_config *config, char error[BERTH_ERROR_BYTES]);

/* NULL: there is none. */
struct berth_model_service *berth_model_service(struct berth_model *model, const char *name);
struct berth_model_backend *berth_model_backend(struct berth_model_service *service, const char *name);
struct berth_model_backend *berth_model_backend_by_id(struct berth_model *model, uint64_t id,
						      struct berth_model_service **service);

/* What it is forced to be, else what its checks say. */
enum berth_health_state berth_model_health(const struct berth_model_backend *backend);
/* enum berth_admit bits that follow from weight, admin state and health. */
uint8_t berth_model_admits(const struct berth_model_backend *backend);

/* Identities: 64-bit hashes that never change between releases. */
uint64_t berth_service_id(const struct berth_service_config *service);
uint64_t berth_backend_id(uint64_t service_id, const char *name);

/* The words that people see and write. */
const char *berth_admin_name(enum berth_admin admin);
const char *berth_health_name(enum berth_health_state health);
