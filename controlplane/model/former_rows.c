// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/model/former_rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	/* What a row gave for a shorter time has few connections, and the backend before it has most. */
	SHORT_S = 60,
};

static struct berth_former_rows *former_new(uint32_t n_rows)
{
	struct berth_former_rows *former = calloc(
		1, sizeof(*former) +
			   n_rows * (sizeof(*former->since_s) + sizeof(*former->rows) + sizeof(*former->selected)));
	if (!former)
		return NULL;
	former->n_rows = n_rows;
	former->since_s = (uint32_t *)(void *)(former + 1);
	former->rows = (struct berth_row *)(void *)(former->since_s + n_rows);
	former->selected = (uint16_t *)(void *)(former->rows + n_rows);
	return former;
}

/* Makes it the service's own, with what another model has so far. */
static int make_own(struct berth_model_service *service)
{
	const struct berth_former_rows *from = service->former_is_shared ? service->former : NULL;
	if (service->former && !from)
		return 0;
	service->former_is_shared = false;
	service->former = former_new(service->n_rows);
	if (!service->former)
		return -ENOMEM;
	if (from && from->n_rows == service->n_rows) {
		service->former->has_begun = from->has_begun;
		service->former->now_s = from->now_s;
		memcpy(service->former->since_s, from->since_s, from->n_rows * sizeof(*from->since_s));
		memcpy(service->former->rows, from->rows, from->n_rows * sizeof(*from->rows));
		memcpy(service->former->selected, from->selected, from->n_rows * sizeof(*from->selected));
	}
	return 0;
}

/* By backend number: whether it is of the service, and whether it accepts new flows. */
struct standing {
	bool is_here[UINT16_MAX + 1];
	bool is_eligible[UINT16_MAX + 1];
};

static struct standing *standing_of(const struct berth_model_service *service)
{
	struct standing *standing = calloc(1, sizeof(*standing));
	for (size_t i = 0; standing && i < service->n_backends; i++) {
		const struct berth_model_backend *backend = &service->backends[i];
		const uint16_t number = (uint16_t)backend->number;
		standing->is_here[number] = true;
		standing->is_eligible[number] = berth_model_eligibility(backend) & BERTH_ELIGIBLE_NEW;
	}
	return standing;
}

static uint16_t selected_of(const struct standing *standing, const struct berth_row *row)
{
	return standing->is_eligible[row->primary]     ? row->primary
	       : standing->is_eligible[row->alternate] ? row->alternate
						       : 0;
}

/* Whether the row has a former backend since a change that was a short time ago, and does not return to it. A
 * backend that is added changes rows twice: before and after its first health checks. */
static bool has_recent(const struct berth_former_rows *former, uint32_t at, uint16_t selected,
		       const struct standing *standing)
{
	const uint16_t primary = former->rows[at].primary;
	return primary && primary != selected && standing->is_here[primary] &&
	       (!former->since_s[at] || former->now_s - former->since_s[at] < SHORT_S);
}

/* A number that is no longer of the service is removed: another backend may get it. */
static void update_row(struct berth_former_rows *former, uint32_t at, uint16_t selected,
		       const struct standing *standing)
{
	uint16_t *primary = &former->rows[at].primary;
	if (former->has_begun && selected && former->selected[at] && selected != former->selected[at] &&
	    !has_recent(former, at, selected, standing)) {
		*primary = former->selected[at];
		former->since_s[at] = 0;
		former->is_due = true;
	}
	if (selected)
		former->selected[at] = selected;
	if (!standing->is_here[*primary] || *primary == former->selected[at])
		*primary = 0;
	former->n += *primary != 0;
}

static void update_rows(struct berth_model_service *service, const struct standing *standing)
{
	service->former->n = 0;
	for (uint32_t i = 0; i < service->n_rows; i++)
		update_row(service->former, i, selected_of(standing, &service->rows[i]), standing);
	/* Not before: what the first health checks change was in force nowhere. */
	service->former->has_begun |= service->is_health_known;
}

int berth_former_rows_update(struct berth_model_service *service)
{
	if (!service->config.second_hop_s)
		return 0;
	struct standing *standing = standing_of(service);
	const int err = standing ? make_own(service) : -ENOMEM;
	if (!err)
		update_rows(service, standing);
	free(standing);
	return err;
}

void berth_former_rows_begin(struct berth_model_service *service)
{
	if (service->former)
		service->former->has_begun |= service->is_health_known;
}

uint32_t berth_former_rows_count(const struct berth_model_service *service)
{
	return service->config.second_hop_s && service->former ? service->former->n : 0;
}

/* Ends the former rows that are `age_s` old. True: at least one. */
static bool end_old(struct berth_former_rows *former, uint32_t age_s, uint32_t now_s)
{
	bool changed = false;
	uint32_t oldest_s = now_s;
	for (uint32_t i = 0; i < former->n_rows; i++) {
		if (!former->rows[i].primary)
			continue;
		if (!former->since_s[i])
			former->since_s[i] = now_s;
		if (now_s - former->since_s[i] >= age_s) {
			former->rows[i].primary = 0;
			former->n--;
			changed = true;
		} else if (former->since_s[i] < oldest_s) {
			oldest_s = former->since_s[i];
		}
	}
	former->is_due = false;
	former->end_s = oldest_s + age_s;
	return changed;
}

bool berth_former_rows_step(struct berth_model *model, uint32_t now_s)
{
	bool changed = false;
	for (size_t i = 0; i < model->n_services; i++) {
		struct berth_model_service *service = &model->services[i];
		struct berth_former_rows *former = service->former;
		if (!former)
			continue;
		former->now_s = now_s;
		if ((former->is_due || now_s >= former->end_s) &&
		    end_old(former, service->config.second_hop_s, now_s)) {
			service->rows_version = ++model->rows_version;
			changed = true;
		}
	}
	return changed;
}

/* Of a service whose rows have not been built yet. Whether its backends accept new flows is known from the record.
 */
static int adopt_service(struct berth_model_service *service, const struct berth_service *from,
			 const struct berth_image *image)
{
	const uint32_t n = service->config.table_size;
	const uint32_t lines = (n + BERTH_ROWS_PER_LINE - 1) / BERTH_ROWS_PER_LINE;
	const struct berth_row *rows = image->rows[from->row_line].row;
	struct standing *standing = standing_of(service);
	service->former = standing ? former_new(n) : NULL;
	if (service->former)
		service->former->has_begun = true;
	for (uint32_t i = 0; service->former && i < n; i++) {
		const uint16_t selected = selected_of(standing, &rows[i]);
		service->former->selected[i] = selected ? selected : rows[i].primary;
	}
	if (service->former && from->flags & BERTH_SERVICE_FORMER_ROWS) {
		memcpy(service->former->rows, image->rows[from->row_line + lines].row, n * sizeof(*rows));
		service->former->is_due = true;
	}
	free(standing);
	return service->former ? 0 : -ENOMEM;
}

int berth_former_rows_adopt(struct berth_model *model, const struct berth_image *image)
{
	const struct berth_image_half half = berth_image_current(image);
	int err = 0;
	for (size_t i = 0; i < model->n_services && !err; i++) {
		struct berth_model_service *service = &model->services[i];
		if (!service->config.second_hop_s || service->former || service->number >= image->geometry.services)
			continue;
		const struct berth_service *from = &half.services[service->number];
		if (from->id == service->id && from->rows == service->config.table_size)
			err = adopt_service(service, from, image);
	}
	return err;
}
