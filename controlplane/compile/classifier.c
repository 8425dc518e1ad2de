// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/compile/classifier.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/config/rules.h"
#include "controlplane/util/address.h"
#include "dataplane/core/classify.h"

#define SERVICE struct berth_model_service

/* The slots to place, with the index at which a lookup of each begins. */
struct slot_draft {
	struct berth_generation_slot *slots;
	size_t n;
	uint32_t mask;
};

/* A backend that answers through berth, and its service. */
struct nat_server {
	union berth_addr address;
	const SERVICE *service;
};

static int compare(uint32_t left, uint32_t right)
{
	return (left > right) - (left < right);
}

/* Completes a slot and appends it. `service`: the result of the lookup, or NULL. */
static void add(struct slot_draft *draft, struct berth_vip vip, const SERVICE *service)
{
	uint32_t word = berth_vip_word((enum berth_vip_kind)vip.kind, vip.port, vip.protocol);
	vip.service = service ? service->number : 0;
	vip.flow_key = service ? (uint32_t)service->id : 0;
	draft->slots[draft->n++] = (struct berth_generation_slot){
		.vip = vip, .home = berth_vip_home(&vip.addr, word) & draft->mask};
}

/* Appends the slot for a service's ports at an address: its own, or the source of a backend's answers. */
static void add_ports(struct slot_draft *draft, const SERVICE *service, const union berth_addr *address,
		      uint16_t first, uint16_t last, enum berth_vip_kind single, enum berth_vip_kind range)
{
	struct berth_vip vip = {.addr = *address, .protocol = service->config.protocol, .kind = (uint8_t)single};
	if (first == last && service->config.bits == BERTH_ADDRESS_BITS) {
		vip.port = berth_to_be16(first);
	} else {
		vip.port = berth_vip_length(service->config.bits);
		vip.kind = (uint8_t)range;
		vip.first = first;
		vip.last = last;
	}
	add(draft, vip, service);
}

/* Appends a slot for the addresses of a service; `result`: the result of the lookup, or NULL. */
static void add_address(struct slot_draft *draft, const SERVICE *service, enum berth_vip_kind kind,
			uint8_t protocol, const SERVICE *result)
{
	const struct berth_vip vip = {
		.addr = service->config.address,
		.port = berth_vip_length(service->config.bits),
		.protocol = protocol,
		.kind = (uint8_t)kind,
	};
	add(draft, vip, result);
}

static int by_address(const SERVICE *a, const SERVICE *b)
{
	int order = memcmp(&a->config.address, &b->config.address, sizeof(a->config.address));
	return order ? order : compare(a->config.bits, b->config.bits);
}

static int by_protocol(const SERVICE *a, const SERVICE *b)
{
	int order = by_address(a, b);
	return order ? order : compare(a->config.protocol, b->config.protocol);
}

static int by_place(const void *left, const void *right)
{
	return by_protocol(*(const SERVICE *const *)left, *(const SERVICE *const *)right);
}

/* Whether a service with a shorter prefix and the same protocol has the addresses too. */
static bool is_within(const SERVICE *service, const SERVICE **sorted, size_t n, const uint8_t *lengths)
{
	for (size_t i = 0; i < BERTH_MAX_PREFIX_LENGTHS && lengths[i]; i++) {
		if (lengths[i] >= service->config.bits)
			continue;
		const SERVICE wanted = {.config = {
						.address = berth_prefix_of(&service->config.address, lengths[i]),
						.bits = lengths[i],
						.protocol = service->config.protocol,
					}};
		const SERVICE *key = &wanted;
		if (bsearch(&key, sorted, n, sizeof(void *), by_place))
			return true;
	}
	return false;
}

/* Whether a client's portless fragment reaches the same server by either service: both share sessions, have the
 * same mode and list the same servers. */
static bool are_equivalent(const SERVICE *a, const SERVICE *b)
{
	if (a == b)
		return true;
	if (!a->config.group[0] || strcmp(a->config.group, b->config.group) != 0 ||
	    a->config.mode != b->config.mode || a->config.gue_port != b->config.gue_port ||
	    a->n_backends != b->n_backends)
		return false;
	for (size_t i = 0; i < a->n_backends; i++) {
		const struct berth_backend_config *left = &a->backends[i].config, *right = &b->backends[i].config;
		if (strcmp(left->name, right->name) != 0 || !berth_addr_equal(&left->address, &right->address))
			return false;
	}
	return true;
}

/*
 * Appends the slot for portless fragments, if one service, or several equivalent ones, have the address and
 * protocol: these `n`. If a service with a shorter prefix has them too, the slot has no service, and hides that of
 * the shorter prefix.
 */
static void add_sole(struct slot_draft *draft, const SERVICE **services, size_t n, bool within)
{
	const SERVICE *first = services[0];
	bool sole = first->config.affinity == BERTH_AFFINITY_CLIENT;
	for (size_t i = 1; i < n; i++)
		sole = sole && are_equivalent(first, services[i]);
	if (within || sole)
		add_address(draft, first, BERTH_VIP_PORTLESS, first->config.protocol, within ? NULL : first);
}

/* `sorted`: in the order of by_place. */
static void add_services(struct slot_draft *draft, const SERVICE **sorted, size_t n, const uint8_t *lengths)
{
	for (size_t i = 0; i < n; i++) {
		const SERVICE *service = sorted[i];
		add_ports(draft, service, &service->config.address, service->config.port, service->config.last_port,
			  BERTH_VIP_EXACT, BERTH_VIP_RANGE);
		if (i == 0 || by_address(sorted[i - 1], service) != 0)
			add_address(draft, service, BERTH_VIP_ADDRESS, 0, NULL);
		if (i > 0 && by_protocol(sorted[i - 1], service) == 0)
			continue;
		size_t end = i + 1;
		while (end < n && by_protocol(service, sorted[end]) == 0)
			end++;
		add_sole(draft, &sorted[i], end - i, is_within(service, sorted, n, lengths));
	}
}

/* Lists the prefix lengths, longest first. The configuration has at most BERTH_MAX_PREFIX_LENGTHS. */
static void list_lengths(uint8_t lengths[BERTH_MAX_PREFIX_LENGTHS], const struct berth_model *model)
{
	bool used[BERTH_ADDRESS_BITS + 1] = {false};
	size_t n = 0;
	for (size_t i = 0; i < model->n_services; i++)
		used[model->services[i].config.bits] = true;
	for (size_t bits = BERTH_ADDRESS_BITS - 1; bits > 0 && n < BERTH_MAX_PREFIX_LENGTHS; bits--)
		if (used[bits])
			lengths[n++] = (uint8_t)bits;
}

static int draft_services(struct slot_draft *draft, const struct berth_model *model, const uint8_t *lengths)
{
	size_t n = model->n_services;
	const SERVICE **sorted = calloc(n ? n : 1, sizeof(void *));
	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		sorted[i] = &model->services[i];
	qsort(sorted, n, sizeof(void *), by_place);
	add_services(draft, sorted, n, lengths);
	free(sorted);
	return 0;
}

static int by_server(const void *left, const void *right)
{
	const struct nat_server *a = left, *b = right;
	int order = memcmp(&a->address, &b->address, sizeof(a->address));
	return order ? order : compare(a->service->number, b->service->number);
}

/* Appends slots for portless fragments of answers, for servers that answer for one service address only. `servers`
 * is sorted. */
static void add_return_addresses(struct slot_draft *draft, const struct nat_server *servers, size_t n)
{
	for (size_t begin = 0, end; begin < n; begin = end) {
		const union berth_addr *address = &servers[begin].service->config.address;
		bool one = true;
		for (end = begin; end < n && berth_addr_equal(&servers[begin].address, &servers[end].address);
		     end++)
			one &= berth_addr_equal(address, &servers[end].service->config.address);
		if (one)
			add(draft,
			    (struct berth_vip){.addr = servers[begin].address, .kind = BERTH_VIP_RETURN_ADDRESS},
			    servers[begin].service);
	}
}

/* Whether there are return slots, or -ENOMEM. */
static int draft_returns(struct slot_draft *draft, const struct berth_model *model, size_t n_backends)
{
	struct nat_server *servers = calloc(n_backends ? n_backends : 1, sizeof(*servers));
	size_t n = 0;
	if (!servers)
		return -ENOMEM;
	for (size_t i = 0; i < model->n_services; i++) {
		const SERVICE *service = &model->services[i];
		for (size_t j = 0; berth_mode_returns(service->config.mode) && j < service->n_backends; j++) {
			const struct berth_backend_config *backend = &service->backends[j].config;
			struct berth_answer_ports ports = berth_rules_answer_ports(&service->config, backend->port);
			add_ports(draft, service, &backend->address, ports.first, ports.last, BERTH_VIP_RETURN,
				  BERTH_VIP_RETURN_RANGE);
			servers[n++] = (struct nat_server){backend->address, service};
		}
	}
	qsort(servers, n, sizeof(*servers), by_server);
	add_return_addresses(draft, servers, n);
	free(servers);
	return n > 0;
}

static void add_own(struct slot_draft *draft, const struct berth_model *model)
{
	for (size_t i = 0; i < model->n_own; i++)
		add(draft, (struct berth_vip){.addr = model->own[i], .kind = BERTH_VIP_OWN}, NULL);
}

/* Of slots with one key the narrower port range comes first. */
static int by_home(const void *left, const void *right)
{
	const struct berth_generation_slot *a = left, *b = right;
	int order = compare(a->home, b->home);
	return order ? order
		     : compare((uint32_t)(a->vip.last - a->vip.first), (uint32_t)(b->vip.last - b->vip.first));
}

/*
 * Places the slots in the order of their home indexes, each at its home or behind the previous one. This minimizes
 * the largest distance: in a table that is a quarter full, none of 78 million random keys was out of reach.
 * (Insertion into the first free slot leaves one in 16,000 out of reach.) The first round finds how many slots wrap
 * around the end.
 */
static const struct berth_generation_slot *place(struct slot_draft *draft)
{
	const uint32_t size = draft->mask + 1;
	uint32_t next = 0;
	if (draft->n >= size)
		return &draft->slots[draft->n - 1];
	qsort(draft->slots, draft->n, sizeof(*draft->slots), by_home);
	for (int round = 0; round < 2; round++) {
		next = next > size ? next - size : 0;
		for (size_t i = 0; i < draft->n; i++) {
			struct berth_generation_slot *slot = &draft->slots[i];
			slot->at = next > slot->home ? next : slot->home;
			next = slot->at + 1;
		}
	}
	for (size_t i = 0; i < draft->n; i++)
		if (draft->slots[i].at - draft->slots[i].home >= BERTH_VIP_PROBES)
			return &draft->slots[i];
	return NULL;
}

static int place_all(struct slot_draft *draft, char error[BERTH_ERROR_BYTES])
{
	const struct berth_generation_slot *misfit = place(draft);
	char address[BERTH_ADDRESS_TEXT];
	if (misfit) {
		snprintf(error, BERTH_ERROR_BYTES, "no room in the classifier for %s; raise limits.services",
			 berth_address_format(&misfit->vip.addr, address));
		return -ENOSPC;
	}
	const struct berth_generation_slot *end = draft->slots + draft->n;
	for (struct berth_generation_slot *slot = draft->slots; slot < end; slot++)
		slot->at &= draft->mask;
	return 0;
}

int berth_compile_classifier(struct berth_generation *generation, const struct berth_model *model,
			     char error[BERTH_ERROR_BYTES])
{
	struct berth_globals *globals = &generation->globals;
	struct slot_draft draft = {.mask = generation->n_vips - 1};
	size_t n_backends = 0;
	for (size_t i = 0; i < model->n_services; i++)
		if (berth_mode_returns(model->services[i].config.mode))
			n_backends += model->services[i].n_backends;
	draft.slots = calloc(BERTH_SLOTS_PER_SERVICE * model->n_services + BERTH_SLOTS_PER_BACKEND * n_backends +
				     model->n_own + 1,
			     sizeof(*draft.slots));
	if (!draft.slots)
		return -ENOMEM;
	list_lengths(globals->prefix_bits, model);
	int err = draft_services(&draft, model, globals->prefix_bits);
	if (!err)
		err = draft_returns(&draft, model, n_backends);
	if (err >= 0) {
		globals->has_returns = err > 0;
		add_own(&draft, model);
		err = place_all(&draft, error);
	}
	generation->slots = draft.slots;
	generation->n_slots = draft.n;
	return err;
}
