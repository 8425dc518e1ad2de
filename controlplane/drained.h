/* SPDX-License-Identifier: BSD-3-Clause */
/* What a backend still has, by the last whole walk over the tables. */
#pragma once

#include "controlplane/daemon.h"

/* Sessions on a backend's server, of its service or group. */
uint64_t berth_drained_sessions(const struct berth_daemon *daemon, const struct berth_model_service *service,
				const struct berth_model_backend *backend);
/* Whether it has nothing any more that it may keep. */
bool berth_drained(const struct berth_daemon *daemon, const struct berth_model_service *service,
		   const struct berth_model_backend *backend);
