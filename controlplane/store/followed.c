// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/store/followed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
	const struct berth_followed_service *one = a, *other = b;
	return (one->id > other->id) - (one->id < other->id);
}

struct berth_followed_service *berth_followed_find(const struct berth_followed *followed, uint64_t id)
{
	const struct berth_followed_service key = {.id = id};
	return followed->n ? bsearch(&key, followed->all, followed->n, sizeof(key), compare) : NULL;
}

static uint32_t bounded(uint32_t horizon_s)
{
	if (horizon_s < BERTH_MIN_HORIZON_S)
		return BERTH_MIN_HORIZON_S;
	return horizon_s < BERTH_MAX_HORIZON_S ? horizon_s : BERTH_MAX_HORIZON_S;
}

/* A position is kept while the stream is read: another time it is read from the start. */
static struct berth_followed_service follow(const struct berth_followed *followed,
					    const struct berth_followed_wish *wish)
{
	const struct berth_followed_service *former = berth_followed_find(followed, wish->id);
	struct berth_followed_service service = {.id = wish->id, .is_behind = wish->is_read};
	if (former && former->is_read && wish->is_read)
		service = *former;
	service.is_read = wish->is_read;
	service.may_join = wish->may_join;
	service.horizon_s = bounded(wish->horizon_s);
	return service;
}

int berth_followed_set(struct berth_followed *followed, const struct berth_followed_wish *wishes, size_t n)
{
	struct berth_followed next = {.all = calloc(n ? n : 1, sizeof(*next.all)), .n = n};
	if (!next.all)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		next.all[i] = follow(followed, &wishes[i]);
		next.n_read += next.all[i].is_read;
		next.n_behind += next.all[i].is_behind;
	}
	qsort(next.all, n, sizeof(*next.all), compare);
	free(followed->all);
	*followed = next;
	return 0;
}

void berth_followed_free(struct berth_followed *followed)
{
	free(followed->all);
	*followed = (struct berth_followed){0};
}

void berth_followed_reset(struct berth_followed *followed)
{
	for (size_t i = 0; i < followed->n; i++) {
		followed->all[i].read = followed->all[i].missed = (struct berth_store_position){0};
		followed->all[i].is_behind = followed->all[i].is_read;
	}
	followed->n_behind = followed->n_read;
}

void berth_followed_reset_one(struct berth_followed *followed, uint64_t id)
{
	struct berth_followed_service *service = berth_followed_find(followed, id);
	if (service && service->is_read)
		berth_followed_take(followed, service, (struct berth_store_position){0}, true);
}

void berth_followed_miss(struct berth_followed_service *service, struct berth_store_position at)
{
	const struct berth_store_position *missed = &service->missed;
	if ((!missed->ms && !missed->sequence) || berth_store_is_before(at, *missed))
		service->missed = at;
}

static struct berth_store_position before(struct berth_store_position at)
{
	if (at.sequence)
		return (struct berth_store_position){.ms = at.ms, .sequence = at.sequence - 1};
	return (struct berth_store_position){.ms = at.ms - 1, .sequence = UINT64_MAX};
}

void berth_followed_reset_missed(struct berth_followed *followed)
{
	for (size_t i = 0; i < followed->n; i++) {
		struct berth_followed_service *service = &followed->all[i];
		const struct berth_store_position missed = service->missed;
		service->missed = (struct berth_store_position){0};
		if (service->is_read && (missed.ms || missed.sequence) &&
		    !berth_store_is_before(service->read, missed))
			berth_followed_take(followed, service, before(missed), true);
	}
}

void berth_followed_take(struct berth_followed *followed, struct berth_followed_service *service,
			 struct berth_store_position read, bool is_behind)
{
	followed->n_behind += (size_t)is_behind - (size_t)service->is_behind;
	service->read = read;
	service->is_behind = is_behind;
	service->was_whole |= !is_behind;
	if (berth_store_is_before(service->seen, read))
		service->seen = read;
}

bool berth_followed_is_again(const struct berth_followed_service *service, struct berth_store_position at)
{
	return !service->was_whole || !berth_store_is_before(service->seen, at);
}

static size_t fill_behind(struct berth_followed *followed,
			  const struct berth_followed_service *page[BERTH_HELPER_STORE_PAGE])
{
	size_t n = 0, i = 0;
	if (!followed->n)
		return 0;
	for (; i < followed->n && n < BERTH_FOLLOWED_BEHIND_PAGE; i++) {
		const size_t at = (followed->behind_turn + i) % followed->n;
		if (followed->all[at].is_behind)
			page[n++] = &followed->all[at];
	}
	followed->behind_turn = (followed->behind_turn + i) % followed->n;
	return n;
}

size_t berth_followed_next_page(struct berth_followed *followed,
				const struct berth_followed_service *page[BERTH_HELPER_STORE_PAGE])
{
	size_t n = 0;
	followed->was_behind_page = followed->n_behind && !followed->was_behind_page;
	if (followed->was_behind_page)
		return fill_behind(followed, page);
	for (; n < BERTH_HELPER_STORE_PAGE && followed->turn < followed->n; followed->turn++)
		if (followed->all[followed->turn].is_read)
			page[n++] = &followed->all[followed->turn];
	if (followed->turn >= followed->n)
		followed->turn = 0;
	return n;
}
