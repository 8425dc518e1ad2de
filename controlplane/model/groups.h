/* SPDX-License-Identifier: BSD-3-Clause */
/* The groups of a configuration, as services that have the servers of all their services. Called by apply.c. */
#pragma once

#include "controlplane/model/model.h"

/* A config per group: name, session settings, and a backend per server name. */
struct berth_group_configs {
	struct berth_service_config *configs; /* sorted by name */
	size_t n;
};

/* -ENOMEM: clear it nevertheless. */
int berth_group_configs_make(struct berth_group_configs *groups, const struct berth_config *config);
void berth_group_configs_clear(struct berth_group_configs *groups);

/* Sets the session service and session numbers of the services in a group. `groups`: sorted by name. */
void berth_groups_link(const struct berth_model_service *groups, size_t n_groups,
		       struct berth_model_service *services, size_t n_services);
