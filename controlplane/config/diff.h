/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What differs between two configurations, key by key, from the tables by which they are read: a key that is added
 * to a table is compared without more. Pure.
 */
#pragma once

#include "controlplane/config/config.h"

enum berth_config_what {
	BERTH_CONFIG_ADDED,
	BERTH_CONFIG_REMOVED,
	BERTH_CONFIG_CHANGED,
};

struct berth_config_change {
	enum berth_config_what what;
	const char *service; /* name in the first configuration, if it is there; NULL: a key of the top level */
	const char *backend; /* NULL: the service itself */
	const char *key;     /* as in the file, with its sections: "health.interval"; NULL: added or removed */
	const char *before;  /* values as in the file; NULL: too long for a line */
	const char *after;
};

/* `change` is valid during the call. */
typedef void berth_config_change_fn(void *arg, const struct berth_config_change *change);

/* Services with the same addresses, protocol and ports are the same service; backends with the same name in it are
 * the same backend, else those with the same address or DNS name, which were renamed. Backends that DNS gives are
 * not compared. */
void berth_config_diff(const struct berth_config *before, const struct berth_config *after,
		       berth_config_change_fn *fn, void *arg);
bool berth_config_is_same_service(const struct berth_service_config *a, const struct berth_service_config *b);
