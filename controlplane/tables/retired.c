// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/tables/retired.h"

#include <errno.h>
#include <stdlib.h>

#include "controlplane/tables/counters.h"

/* Marks the numbers of backends that the tables and the model have both. */
static void find_staying(const struct berth_model *model, const struct berth_backend *backends, bool *stays)
{
	for (size_t i = 0; i < model->n_services; i++)
		for (size_t j = 0; j < model->services[i].n_backends; j++) {
			const struct berth_model_backend *backend = &model->services[i].backends[j];
			stays[backend->number] = backends[backend->number].id == backend->id;
		}
}

static void add(struct berth_tally *sum, const struct berth_tally *tally)
{
	sum->packets += tally->packets;
	sum->bytes += tally->bytes;
	sum->flows += tally->flows;
}

int berth_retired_keep(struct berth_model *model, const struct berth_image *image)
{
	const struct berth_geometry *g = &image->geometry;
	uint32_t half = (uint32_t)image->ctl->generation & 1;
	const struct berth_service *services = &image->services[half * g->services];
	const struct berth_backend *backends = &image->backends[half * g->backends];
	struct berth_tally *gone = calloc(g->services, sizeof(*gone));
	bool *stays = calloc(g->backends, sizeof(*stays));
	int err = gone && stays ? 0 : -ENOMEM;
	if (err)
		goto out;
	find_staying(model, backends, stays);
	for (uint32_t n = 1; n < g->backends; n++) {
		struct berth_tally tally;
		if (!backends[n].id || stays[n] || backends[n].service >= g->services)
			continue;
		berth_counters_backend(image, n, &tally);
		add(&gone[backends[n].service], &tally);
	}
	for (size_t i = 0; i < model->n_services; i++) {
		struct berth_model_service *service = &model->services[i];
		const struct berth_service *was = &services[service->number];
		if (was->id != service->id)
			continue;
		service->past = (struct berth_tally){
			.packets = was->retired_packets, .bytes = was->retired_bytes, .flows = was->retired_flows};
		add(&service->past, &gone[service->number]);
	}
out:
	free(gone);
	free(stays);
	return err;
}
