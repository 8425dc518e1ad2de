// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/tables/usage.h"

#include "controlplane/tables/counters.h"

uint64_t berth_usage_sessions(const struct berth_scan *scan, const struct berth_model_backend *backend)
{
	return berth_scan_sessions(scan, backend->session_number);
}

void berth_usage_backend(const struct berth_scan *scan, const struct berth_model_backend *backend,
			 struct berth_usage *usage)
{
	berth_counters_backend(berth_scan_image(scan), backend->number, &usage->tally);
	usage->flows = berth_scan_flows(scan, backend->number);
	usage->closing = berth_scan_closing(scan, backend->number);
	usage->sessions = berth_usage_sessions(scan, backend);
	usage->exception_flows = berth_scan_exceptions(scan, BERTH_TABLE_FLOWS, backend->number);
	usage->exception_sessions = berth_scan_exceptions(scan, BERTH_TABLE_SESSIONS, backend->session_number);
}

void berth_usage_add(struct berth_usage *sum, const struct berth_usage *usage)
{
	sum->tally.packets += usage->tally.packets;
	sum->tally.bytes += usage->tally.bytes;
	sum->tally.flows += usage->tally.flows;
	sum->flows += usage->flows;
	sum->closing += usage->closing;
	sum->sessions += usage->sessions;
	sum->exception_flows += usage->exception_flows;
	sum->exception_sessions += usage->exception_sessions;
}

bool berth_usage_is_drained(const struct berth_scan *scan, const struct berth_model *model,
			    const struct berth_model_backend *backend)
{
	bool keeps_sessions = berth_model_eligibility(backend) & BERTH_ELIGIBLE_SESSIONS;
	/* The scan under way when the backend stopped taking new clients has passed some of its words before
	 * that. Only the next one has counted all of them. */
	return model->scans >= backend->changed_at_scan + 2 && berth_scan_flows(scan, backend->number) == 0 &&
	       berth_scan_closing(scan, backend->number) == 0 &&
	       (!keeps_sessions || berth_usage_sessions(scan, backend) == 0);
}
