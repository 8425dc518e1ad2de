// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/tables/retired.h"

#include <errno.h>
#include <stdlib.h>

#include "controlplane/tables/counters.h"

/* Marks the numbers of backends that are both in the current generation and in the model. */
static void mark_kept(const struct berth_model *model, const struct berth_backend *backends, uint32_t n,
		      bool *is_kept)
{
	for (size_t i = 0; i < model->n_services; i++)
		for (size_t j = 0; j < model->services[i].n_backends; j++) {
			const struct berth_model_backend *backend = &model->services[i].backends[j];
			if (backend->number < n)
				is_kept[backend->number] = backends[backend->number].id == backend->id;
		}
}

static void add(struct berth_tally *sum, const struct berth_tally *tally)
{
	sum->packets += tally->packets;
	sum->bytes += tally->bytes;
	sum->flows += tally->flows;
}

int berth_retired_update(struct berth_model *model, const struct berth_image *image)
{
	const struct berth_geometry *g = &image->geometry;
	const struct berth_image_half current = berth_image_current(image);
	struct berth_tally *removed = calloc(g->services, sizeof(*removed)); /* by service number */
	bool *is_kept = calloc(g->backends, sizeof(*is_kept));
	int err = removed && is_kept ? 0 : -ENOMEM;
	if (err)
		goto out;
	mark_kept(model, current.backends, g->backends, is_kept);
	for (uint32_t n = 1; n < g->backends; n++) {
		const struct berth_backend *backend = &current.backends[n];
		struct berth_tally tally;
		if (!backend->id || is_kept[n] || backend->service >= g->services)
			continue;
		berth_counters_backend(image, n, &tally);
		add(&removed[backend->service], &tally);
	}
	for (size_t i = 0; i < model->n_services; i++) {
		struct berth_model_service *service = &model->services[i];
		const struct berth_service *before = &current.services[service->number];
		if (service->number >= g->services || before->id != service->id)
			continue;
		service->retired = (struct berth_tally){.packets = before->retired_packets,
							.bytes = before->retired_bytes,
							.flows = before->retired_flows};
		add(&service->retired, &removed[service->number]);
	}
out:
	free(removed);
	free(is_kept);
	return err;
}
