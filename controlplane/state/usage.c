// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/state/usage.h"

#include "dataplane/core/session.h"

uint64_t berth_carried_sessions(const struct berth_daemon *daemon, const struct berth_model_service *service,
				const struct berth_model_backend *backend)
{
	if (service->session_service == service->number)
		return berth_walk_sessions(daemon->walk, backend->number);
	const struct berth_view view = berth_image_view(&daemon->engine->image, 0, 0);
	return berth_walk_sessions(daemon->walk,
				   (uint32_t)berth_sibling(&view, backend->number, service->session_service));
}

void berth_carried_backend(const struct berth_daemon *daemon, const struct berth_model_service *service,
			   const struct berth_model_backend *backend, struct berth_carried *carried)
{
	berth_daemon_backend_tally(daemon, backend, &carried->tally);
	carried->flows = berth_walk_flows(daemon->walk, backend->number);
	carried->closing = berth_walk_closing(daemon->walk, backend->number);
	carried->sessions = berth_carried_sessions(daemon, service, backend);
}

void berth_carried_add(struct berth_carried *sum, const struct berth_carried *carried)
{
	sum->tally.packets += carried->tally.packets;
	sum->tally.bytes += carried->tally.bytes;
	sum->tally.flows += carried->tally.flows;
	sum->flows += carried->flows;
	sum->closing += carried->closing;
	sum->sessions += carried->sessions;
}

/* Two whole walks began and ended since it takes nobody new, so that they have met all that it had. */
bool berth_is_drained(const struct berth_daemon *daemon, const struct berth_model_service *service,
		      const struct berth_model_backend *backend)
{
	bool keeps_sessions = berth_model_admits(backend) & BERTH_ADMIT_SESSIONS;
	return daemon->model.passes >= backend->left_pass + 2 &&
	       berth_walk_flows(daemon->walk, backend->number) == 0 &&
	       berth_walk_closing(daemon->walk, backend->number) == 0 &&
	       (!keeps_sessions || berth_carried_sessions(daemon, service, backend) == 0);
}
