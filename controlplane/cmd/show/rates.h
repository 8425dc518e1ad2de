/* SPDX-License-Identifier: BSD-3-Clause */
/* The field "rates" of services, backends and the engine. */
#pragma once

#include "controlplane/state/state.h"

json_t *berth_cmd_service_rates(const struct berth_daemon_state *state, const struct berth_model_service *service);
json_t *berth_cmd_backend_rates(const struct berth_daemon_state *state, const struct berth_model_backend *backend);
json_t *berth_cmd_engine_rates(const struct berth_daemon_state *state);
