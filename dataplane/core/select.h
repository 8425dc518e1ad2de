/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * Selection: the backend of a new client or flow. Reads the service's selection table (a primary and an alternate
 * backend per row), the eligibility bytes and, for least-conn, the loads.
 */
#pragma once

#include "flowtab.h"

/* The row of a tag in a table of `rows` rows. A multiplication: the packet path has no division by a variable. */
BERTH_INLINE uint32_t berth_row_of_tag(uint32_t tag, uint32_t rows)
{
	return (uint32_t)((uint64_t)tag * rows >> BERTH_TAG_BITS);
}

/* A row of the service's selection table; zeros if it does not exist. */
BERTH_INLINE struct berth_row berth_row_at(const struct berth_view *view, const struct berth_service *service,
					   uint32_t row)
{
	uint32_t index = service->row_line + row / BERTH_ROWS_PER_LINE;
	const struct berth_row_line *line = index < view->row_lines ? berth_at_rows(view, index) : NULL;
	return line ? line->row[row % BERTH_ROWS_PER_LINE] : (struct berth_row){0, 0};
}

/* The primary of the tag's row before the rows changed; 0: it is the same, or not kept. */
BERTH_INLINE uint32_t berth_former_primary(const struct berth_view *view, const struct berth_service *service,
					   uint32_t tag)
{
	if (!(service->flags & BERTH_SERVICE_FORMER_ROWS))
		return 0;
	const uint32_t first = (service->rows + BERTH_ROWS_PER_LINE - 1) / BERTH_ROWS_PER_LINE *
			       BERTH_ROWS_PER_LINE;
	return berth_row_at(view, service, first + berth_row_of_tag(tag, service->rows)).primary;
}

/* What the tag's row gives new flows, but for the shares of `bounded`: its primary, or its alternate; 0: neither
 * accepts them. */
BERTH_INLINE uint32_t berth_row_selected(const struct berth_view *view, const struct berth_service *service,
					 uint32_t tag)
{
	const struct berth_row row = berth_row_at(view, service, berth_row_of_tag(tag, service->rows));
	if (berth_eligibility(view, row.primary) & BERTH_ELIGIBLE_NEW)
		return row.primary;
	return berth_eligibility(view, row.alternate) & BERTH_ELIGIBLE_NEW ? row.alternate : 0;
}

BERTH_INLINE struct berth_load_cell *berth_load_of(const struct berth_view *view, uint32_t backend)
{
	struct berth_load_line *line = backend < view->backends
					       ? berth_at_loads(view, backend / BERTH_LOADS_PER_LINE)
					       : NULL;
	return line ? &line->backend[backend % BERTH_LOADS_PER_LINE] : NULL;
}

/* Adds a new flow to the load of a least-conn backend; -1 takes back one that was not inserted. */
BERTH_INLINE void berth_load_add(const struct berth_view *view, uint32_t number, int flows)
{
	const struct berth_backend *backend = berth_backend_of(view, number);
	struct berth_load_cell *cell = backend && backend->load_unit ? berth_load_of(view, number) : NULL;
	if (cell)
		__sync_fetch_and_add(&cell->load, (uint32_t)flows * backend->load_unit);
}

/* The figures of two backends that least-conn compares. */
struct berth_weighted_loads {
	uint64_t first;
	uint64_t second;
};

BERTH_INLINE struct berth_weighted_loads berth_weigh_loads(const struct berth_load_cell *first,
							   const struct berth_load_cell *second)
{
	const uint32_t a = BERTH_LOAD(&first->cost), b = BERTH_LOAD(&second->cost);
	/* While berthd writes costs of the other scale the loads alone count. */
	const uint32_t mask = (a ^ b) & BERTH_COST_OF_CONNECTIONS ? 0 : ~BERTH_COST_OF_CONNECTIONS;
	return (struct berth_weighted_loads){
		(uint64_t)BERTH_LOAD(&first->load) * (a & mask ? a & mask : 1),
		(uint64_t)BERTH_LOAD(&second->load) * (b & mask ? b & mask : 1),
	};
}

BERTH_INLINE bool berth_is_less_loaded(const struct berth_view *view, uint32_t backend, uint32_t than)
{
	const struct berth_load_cell *a = berth_load_of(view, backend);
	const struct berth_load_cell *b = berth_load_of(view, than);
	if (!a || !b)
		return false;
	const struct berth_weighted_loads loads = berth_weigh_loads(a, b);
	return loads.first < loads.second;
}

/* Whether a backend accepts new flows and is not over its share. */
BERTH_INLINE bool berth_accepts_new(uint32_t eligibility)
{
	return (eligibility & (BERTH_ELIGIBLE_NEW | BERTH_OVER_SHARE | BERTH_AT_LIMIT)) == BERTH_ELIGIBLE_NEW;
}

/* Whether a backend accepts new flows, over its share or not. */
BERTH_INLINE bool berth_accepts_over_share(uint32_t eligibility)
{
	return eligibility & BERTH_ELIGIBLE_NEW && !(eligibility & BERTH_AT_LIMIT);
}

/* The backend of a row for a new flow; 0: none. `over_share` becomes a backend that accepts it only over its share,
 * or 0. A step: inlined into a loop, its branches would multiply for the verifier. */
BERTH_STEP int berth_select_in_row(const struct berth_view *view, uint32_t number, uint32_t at,
				   uint32_t *over_share)
{
	if (!BERTH_IS_SET(view) || !BERTH_IS_SET(over_share))
		return 0;
	*over_share = 0;
	const struct berth_service *service = berth_service_of(view, number);
	if (!service)
		return 0;
	const struct berth_row row = berth_row_at(view, service, at);
	uint32_t primary = berth_eligibility(view, row.primary);
	uint32_t alternate = berth_eligibility(view, row.alternate);
	if (berth_accepts_new(primary)) {
		bool swap = service->scheduler == BERTH_SCHEDULER_LEAST_CONN && berth_accepts_new(alternate) &&
			    berth_is_less_loaded(view, row.alternate, row.primary);
		return swap ? row.alternate : row.primary;
	}
	if (berth_accepts_new(alternate))
		return row.alternate;
	if (berth_accepts_over_share(primary))
		*over_share = row.primary;
	else if (berth_accepts_over_share(alternate))
		*over_share = row.alternate;
	return 0;
}

/* The next row of a round-robin service. */
BERTH_INLINE uint32_t berth_next_round_robin_row(const struct berth_view *view, uint32_t service, uint32_t rows)
{
	struct berth_tally *tally = berth_at_tallies(view, view->first_tally + service);
	if (!tally)
		return 0;
	uint32_t turn = (uint32_t)tally->turn;
	turn = turn < rows ? turn : 0;
	tally->turn = turn + 1;
	return turn;
}

/* Selection where the primary of the tag's row is not simply the result: tries rows until one has a backend. */
BERTH_STEP int berth_select_search(const struct berth_view *view, uint32_t number, uint32_t tag)
{
	if (!BERTH_IS_SET(view))
		return 0;
	const struct berth_service *service = berth_service_of(view, number);
	if (!service || !service->rows)
		return 0;
	bool in_turn = service->scheduler == BERTH_SCHEDULER_ROUND_ROBIN;
	uint32_t at = in_turn ? berth_next_round_robin_row(view, number, service->rows)
			      : berth_row_of_tag(tag, service->rows);
	uint32_t over_share = 0;
	for (uint32_t i = 0; i < BERTH_SELECT_TRIES; i++) {
		uint32_t row_over_share = 0;
		int found = berth_select_in_row(view, number, at, &row_over_share);
		if (found)
			return found;
		over_share = over_share ? over_share : row_over_share;
		tag = (tag * 0x9e3779b1u + 1) & ((1u << BERTH_TAG_BITS) - 1);
		at = in_turn ? (at + 1 < service->rows ? at + 1 : 0) : berth_row_of_tag(tag, service->rows);
	}
	return (int)over_share;
}

/* The backend for a flow or session that is inserted; 0: none. Where neither backend of the row accepts new flows,
 * as between a failure and the next generation, other rows are tried. */
BERTH_INLINE uint32_t berth_select(const struct berth_view *view, uint32_t number, uint32_t tag)
{
	const struct berth_service *service = berth_service_of(view, number);
	if (service && service->rows && service->scheduler == BERTH_SCHEDULER_MAGLEV) {
		uint32_t primary = berth_row_at(view, service, berth_row_of_tag(tag, service->rows)).primary;
		if (BERTH_LIKELY(berth_accepts_new(berth_eligibility(view, primary))))
			return primary;
	}
	return (uint32_t)berth_select_search(view, number, tag);
}

/* The backend for packets without an entry; 0: none. Depends on the tag alone, neither on turns nor on loads, so
 * that all packets of the flow get the same backend. */
BERTH_STEP int berth_select_stateless(const struct berth_view *view, uint32_t number, uint32_t tag)
{
	if (!BERTH_IS_SET(view))
		return 0;
	const struct berth_service *service = berth_service_of(view, number);
	for (uint32_t i = 0; service && service->rows && i < BERTH_SELECT_TRIES / 4; i++) {
		struct berth_row row = berth_row_at(view, service, berth_row_of_tag(tag, service->rows));
		if (berth_eligibility(view, row.primary) & BERTH_ELIGIBLE_NEW)
			return row.primary;
		if (berth_eligibility(view, row.alternate) & BERTH_ELIGIBLE_NEW)
			return row.alternate;
		tag = (tag * 0x9e3779b1u + 1) & ((1u << BERTH_TAG_BITS) - 1);
	}
	return 0;
}
