// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/state/usage.h"

#include "dataplane/core/session.h"

uint64_t berth_usage_sessions(const struct berth_daemon *daemon, const struct berth_model_service *service,
			      const struct berth_model_backend *backend)
{
	if (service->session_service == service->number)
		return berth_scan_sessions(daemon->scan, backend->number);
	const struct berth_view view = berth_image_view(&daemon->engine->image, 0, 0);
	return berth_scan_sessions(daemon->scan,
				   (uint32_t)berth_sibling(&view, backend->number, service->session_service));
}

void berth_usage_backend(const struct berth_daemon *daemon, const struct berth_model_service *service,
			 const struct berth_model_backend *backend, struct berth_usage *carried)
{
	berth_daemon_backend_tally(daemon, backend, &carried->tally);
	carried->flows = berth_scan_flows(daemon->scan, backend->number);
	carried->closing = berth_scan_closing(daemon->scan, backend->number);
	carried->sessions = berth_usage_sessions(daemon, service, backend);
}

void berth_usage_add(struct berth_usage *sum, const struct berth_usage *carried)
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
	bool keeps_sessions = berth_model_eligibility(backend) & BERTH_ELIGIBLE_SESSIONS;
	return daemon->model.passes >= backend->left_pass + 2 &&
	       berth_scan_flows(daemon->scan, backend->number) == 0 &&
	       berth_scan_closing(daemon->scan, backend->number) == 0 &&
	       (!keeps_sessions || berth_usage_sessions(daemon, service, backend) == 0);
}
