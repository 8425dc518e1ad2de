// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/metrics/parts.h"

#include <jansson.h>
#include <net/if.h>
#include <stddef.h>
#include <string.h>

#include "controlplane/metrics/labelled.h"
#include "controlplane/netlink/rtnl.h"

static void write_losses(struct berth_text *out, const char *port, const struct berth_rtnl_losses *losses)
{
	const struct {
		const char *kind;
		uint64_t frames;
	} kinds[] = {
		{"rx_errors", losses->rx_errors},   {"rx_missed", losses->rx_missed},
		{"rx_dropped", losses->rx_dropped}, {"tx_errors", losses->tx_errors},
		{"tx_dropped", losses->tx_dropped},
	};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		berth_labelled_sample(out, BERTH_LABELLED_PORT_LOSSES, kinds[i].frames, "port", port, "kind",
				      kinds[i].kind, NULL);
}

/* As berth-dpdk's drivers count them. */
static void write_device_losses(struct berth_text *out, const struct berth_config *config, const json_t *status)
{
	static const char *const kinds[] = {"rx_errors", "rx_missed", "rx_no_buffers", "tx_errors"};
	const json_t *ports = json_object_get(status, "ports");
	for (size_t i = 0; i < json_array_size(ports) && i < config->n_interfaces; i++) {
		const json_t *port = json_array_get(ports, i);
		for (size_t k = 0; config->interfaces[i].device[0] && k < sizeof(kinds) / sizeof(kinds[0]); k++) {
			const json_t *count = json_object_get(port, kinds[k]);
			if (count)
				berth_labelled_sample(out, BERTH_LABELLED_PORT_LOSSES,
						      (uint64_t)json_integer_value(count), "port",
						      json_string_value(json_object_get(port, "name")), "kind",
						      kinds[k], NULL);
		}
	}
}

/* The interface of the name of a port with a device is its TAP. */
static void write_port_losses(struct berth_text *out, const struct berth_daemon_state *state, const json_t *status)
{
	const struct berth_config *config = state->model->config;
	struct berth_rtnl rtnl;
	berth_labelled_head(out, BERTH_LABELLED_PORT_LOSSES);
	write_device_losses(out, config, status);
	if (berth_rtnl_open(&rtnl) != 0)
		return;
	for (size_t i = 0; i < config->n_interfaces; i++) {
		const struct berth_interface_config *port = &config->interfaces[i];
		const uint32_t ifindex = port->device[0] ? 0 : if_nametoindex(port->name);
		struct berth_rtnl_losses losses = {0};
		if (ifindex && berth_rtnl_link_losses(&rtnl, ifindex, &losses) == 0)
			write_losses(out, port->name, &losses);
	}
	berth_rtnl_close(&rtnl);
}

static void write_links(struct berth_text *out, const json_t *status)
{
	size_t i;
	json_t *port;
	berth_labelled_head(out, BERTH_LABELLED_PORT_LINK);
	json_array_foreach(json_object_get(status, "ports"), i, port)
	{
		const char *link = json_string_value(json_object_get(port, "link"));
		if (link)
			berth_labelled_sample(out, BERTH_LABELLED_PORT_LINK, strcmp(link, "up") == 0, "port",
					      json_string_value(json_object_get(port, "name")), NULL);
	}
}

static void write_ports(struct berth_text *out, const struct berth_daemon_state *state, const json_t *status)
{
	json_t *port;
	size_t i;
	write_port_losses(out, state, status);
	write_links(out, status);
	berth_labelled_head(out, BERTH_LABELLED_PORT_REFUSED);
	json_array_foreach(json_object_get(status, "ports"), i, port)
	{
		const json_t *refused = json_object_get(port, "refused_frames");
		if (refused)
			berth_labelled_sample(out, BERTH_LABELLED_PORT_REFUSED,
					      (uint64_t)json_integer_value(refused), "port",
					      json_string_value(json_object_get(port, "name")), NULL);
	}
	berth_labelled_head(out, BERTH_LABELLED_PORT_FAULT);
	json_array_foreach(json_object_get(status, "ports"), i, port) berth_labelled_sample(
		out, BERTH_LABELLED_PORT_FAULT, json_is_string(json_object_get(port, "fault")), "port",
		json_string_value(json_object_get(port, "name")), NULL);
}

static void write_helpers(struct berth_text *out, const struct berth_daemon_state *state)
{
	const struct berth_helper *const *helpers = state->helpers;
	berth_labelled_head(out, BERTH_LABELLED_HELPER_RUNNING);
	for (int i = 0; i < BERTH_HELPERS; i++)
		if (helpers[i])
			berth_labelled_sample(out, BERTH_LABELLED_HELPER_RUNNING,
					      berth_helper_status(helpers[i])->is_running, "helper",
					      berth_helper_status(helpers[i])->name, NULL);
	berth_labelled_head(out, BERTH_LABELLED_HELPER_RESTARTS);
	for (int i = 0; i < BERTH_HELPERS; i++)
		if (helpers[i])
			berth_labelled_sample(out, BERTH_LABELLED_HELPER_RESTARTS,
					      berth_helper_status(helpers[i])->restarts, "helper",
					      berth_helper_status(helpers[i])->name, NULL);
}

/* `at`: offset of the counter in struct berth_worker. Workers that do not poll have no samples of polls. */
static void write_workers(struct berth_text *out, const struct berth_daemon_state *state,
			  enum berth_labelled metric, size_t at)
{
	const struct berth_engine *engine = state->engine;
	berth_labelled_head(out, metric);
	for (uint32_t w = 0; w < engine->workers && w < engine->image.geometry.workers; w++) {
		const struct berth_worker *worker = &engine->image.workers[w];
		char number[16];
		snprintf(number, sizeof(number), "%u", w);
		if (at == offsetof(struct berth_worker, received) || BERTH_LOAD(&worker->polls))
			berth_labelled_sample(
				out, metric,
				BERTH_LOAD((const uint64_t *)(const void *)((const char *)worker + at)), "worker",
				number, NULL);
	}
}

static void write_cycles(struct berth_text *out, const struct berth_engine *engine, const json_t *status)
{
	const json_int_t cycles = json_integer_value(json_object_get(status, "cycles_per_second"));
	berth_labelled_head(out, BERTH_LABELLED_WORKER_CYCLES);
	for (uint32_t w = 0; cycles > 0 && w < engine->workers; w++) {
		char number[16];
		snprintf(number, sizeof(number), "%u", w);
		berth_labelled_sample(out, BERTH_LABELLED_WORKER_CYCLES, (uint64_t)cycles, "worker", number, NULL);
	}
}

void berth_metrics_write_parts(struct berth_text *out, const struct berth_daemon_state *state)
{
	json_t *status = state->engine->ops->status(state->engine);
	write_workers(out, state, BERTH_LABELLED_WORKER_RECEIVED, offsetof(struct berth_worker, received));
	write_workers(out, state, BERTH_LABELLED_WORKER_POLLS, offsetof(struct berth_worker, polls));
	write_workers(out, state, BERTH_LABELLED_WORKER_BURSTS, offsetof(struct berth_worker, bursts));
	write_workers(out, state, BERTH_LABELLED_WORKER_BUSY_CYCLES, offsetof(struct berth_worker, busy_cycles));
	write_cycles(out, state->engine, status);
	write_ports(out, state, status);
	json_decref(status);
	write_helpers(out, state);
}
