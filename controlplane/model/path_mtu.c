// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/model/path_mtu.h"

#include "controlplane/util/address.h"

enum {
	/* The smallest path MTUs that reporters may claim: every IPv4 host accepts 576 bytes (RFC 791), every IPv6
	 * link carries 1280 (RFC 8200 section 5). */
	MIN_MTU4 = 576,
	MIN_MTU6 = 1280,
};

static uint32_t least_mtu(bool is4)
{
	return is4 ? MIN_MTU4 : MIN_MTU6;
}

uint16_t berth_path_mtu(const struct berth_model_service *service, const struct berth_model_backend *backend)
{
	uint16_t reported = berth_mode_encapsulates(service->config.mode) ? backend->reported_mtu : 0;
	return reported && reported < backend->next_hop.mtu ? reported : backend->next_hop.mtu;
}

static bool is_outer_source(const struct berth_tunnel_config *tunnel, const struct berth_model_backend *backend,
			    const union berth_addr *source)
{
	bool is4 = berth_addr_is4(&backend->config.address);
	uint8_t bits = is4 ? tunnel->bits4 : tunnel->bits6;
	if (bits)
		return berth_prefix_holds(is4 ? &tunnel->source4 : &tunnel->source6, bits, source);
	return berth_addr_equal(&backend->next_hop.source, source);
}

/* Whether berth sends such packets to the backend. */
static bool is_about(const struct berth_model *model, const struct berth_model_service *service,
		     const struct berth_model_backend *backend, const struct berth_too_big *report)
{
	uint32_t mode = service->config.mode;
	bool is_inner6 = !berth_addr_is4(&service->config.address);
	return berth_mode_encapsulates(mode) && backend->next_hop.is_resolved &&
	       berth_addr_equal(&backend->config.address, &report->destination) &&
	       report->protocol == berth_mode_protocol(mode, is_inner6) &&
	       (!berth_mode_has_tunnel_port(mode) || report->dport == service->config.gue_port) &&
	       is_outer_source(&model->config->tunnel, backend, &report->source);
}

uint32_t berth_path_mtu_floor(uint32_t mode, bool is_service4, bool is_backend4)
{
	uint32_t least = least_mtu(is_service4) + berth_mode_overhead(mode, is_backend4);
	return least > least_mtu(is_backend4) ? least : least_mtu(is_backend4);
}

bool berth_path_mtu_learn(const struct berth_model *model, const struct berth_model_service *service,
			  struct berth_model_backend *backend, const struct berth_too_big *report, uint64_t now_ms)
{
	bool is_outer4 = berth_addr_is4(&backend->config.address);
	uint32_t before = berth_path_mtu(service, backend);
	uint32_t floor = berth_path_mtu_floor(service->config.mode, berth_addr_is4(&service->config.address),
					      is_outer4);
	uint32_t mtu = report->mtu > floor ? report->mtu : floor;
	if (report->mtu < least_mtu(is_outer4) || report->length <= report->mtu || mtu > before ||
	    !is_about(model, service, backend, report))
		return false;
	/* Packets on their way cause more reports: the first half of the time they change nothing. */
	if (mtu == before &&
	    (!backend->reported_mtu || backend->reported_until_ms > now_ms + BERTH_PATH_MTU_MS / 2))
		return false;
	backend->reported_mtu = (uint16_t)mtu;
	backend->reported_until_ms = now_ms + BERTH_PATH_MTU_MS;
	return mtu < before;
}

static bool expire(const struct berth_model_service *service, struct berth_model_backend *backend, uint64_t now_ms,
		   uint64_t *next_ms)
{
	if (!backend->reported_mtu)
		return false;
	if (backend->reported_until_ms > now_ms) {
		if (backend->reported_until_ms < *next_ms)
			*next_ms = backend->reported_until_ms;
		return false;
	}
	uint16_t before = berth_path_mtu(service, backend);
	backend->reported_mtu = 0;
	return berth_path_mtu(service, backend) != before;
}

bool berth_path_mtu_expire(struct berth_model *model, uint64_t now_ms, uint64_t *next_ms)
{
	bool changed = false;
	for (size_t i = 0; i < model->n_services; i++) {
		const struct berth_model_service *service = &model->services[i];
		for (size_t j = 0; j < service->n_backends; j++)
			changed |= expire(service, &service->backends[j], now_ms, next_ms);
	}
	return changed;
}
