// SPDX-License-Identifier: BSD-3-Clause
/* The ports of the engine: of DPDK's by what its driver says, of others by what the kernel says. */
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/cmd/cmd.h"
#include "controlplane/netlink/rtnl.h"
#include "controlplane/util/ethtool.h"

static const json_t *find_port(const json_t *status, const char *name)
{
	const json_t *ports = json_object_get(status, "ports");
	for (size_t i = 0; i < json_array_size(ports); i++) {
		const json_t *port = json_array_get(ports, i);
		const char *of = json_string_value(json_object_get(port, "name"));
		if (of && strcmp(of, name) == 0)
			return port;
	}
	return NULL;
}

static json_t *kernel_offloads(const struct berth_ethtool *facts)
{
	json_t *offloads = json_array();
	if (facts->has_gro)
		json_array_append_new(offloads, json_string("gro"));
	if (facts->has_gro_hw)
		json_array_append_new(offloads, json_string("gro-hw"));
	if (facts->has_lro)
		json_array_append_new(offloads, json_string("lro"));
	if (facts->has_rx_vlan)
		json_array_append_new(offloads, json_string("rx-vlan"));
	return offloads;
}

static json_t *number_or_null(uint64_t number)
{
	return number ? json_integer((json_int_t)number) : json_null();
}

/* An interface of the kernel. */
static json_t *kernel_row(const char *name, const json_t *port, struct berth_rtnl *rtnl)
{
	struct berth_ethtool facts;
	struct berth_rtnl_link link = {0};
	struct berth_rtnl_losses losses = {0};
	const uint32_t ifindex = if_nametoindex(name);
	const bool is_there = ifindex && berth_rtnl_link(rtnl, ifindex, &link) == 0 &&
			      berth_rtnl_link_losses(rtnl, ifindex, &losses) == 0;
	const char *mode = json_string_value(json_object_get(port, "mode"));
	berth_ethtool_read(name, &facts);
	return json_pack("{s:s, s:s?, s:s?, s:s, s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:o}", "name", name, "driver",
			 facts.driver[0] ? facts.driver : NULL, "mode", mode, "link",
			 is_there ? link.is_up ? "up" : "down" : "absent", "speed_mbps",
			 number_or_null(facts.speed_mbps), "queues", number_or_null(facts.queues), "rss",
			 facts.has_rss, "mtu", number_or_null(link.mtu), "offloads", kernel_offloads(&facts),
			 "rx_errors", berth_cmd_count(losses.rx_errors), "rx_missed",
			 berth_cmd_count(losses.rx_missed + losses.rx_dropped), "tx_errors",
			 berth_cmd_count(losses.tx_errors + losses.tx_dropped));
}

static json_t *copy(const json_t *port, const char *key)
{
	json_t *value = json_object_get(port, key);
	return value ? json_incref(value) : json_null();
}

/* A port of which the engine's driver is the only one. */
static json_t *driver_row(const char *name, const json_t *port)
{
	const char *link = json_string_value(json_object_get(port, "link"));
	const json_int_t missed = json_integer_value(json_object_get(port, "rx_missed")) +
				  json_integer_value(json_object_get(port, "rx_no_buffers"));
	if (json_is_true(json_object_get(port, "absent")))
		link = "absent";
	return json_pack("{s:s, s:o, s:n, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:o}", "name", name, "driver",
			 copy(port, "driver"), "mode", "link", link ? link : "down", "speed_mbps",
			 copy(port, "speed_mbps"), "queues", copy(port, "queues"), "rss", copy(port, "rss"), "mtu",
			 copy(port, "mtu"), "offloads", copy(port, "offloads"), "rx_errors",
			 copy(port, "rx_errors"), "rx_missed", missed, "tx_errors", copy(port, "tx_errors"));
}

enum berth_code berth_cmd_show_ports(const struct berth_cmd_context *context, const json_t *arguments,
				     json_t **result, char error[BERTH_ERROR_BYTES])
{
	const struct berth_daemon_state *state = context->state;
	const struct berth_config *config = state->model->config;
	struct berth_rtnl rtnl;
	(void)arguments;
	if (berth_rtnl_open_requests(&rtnl)) {
		snprintf(error, BERTH_ERROR_BYTES, "the kernel's interfaces cannot be read");
		return BERTH_CODE_INTERNAL;
	}
	json_t *status = state->engine->ops->status(state->engine), *rows = json_array();
	for (size_t i = 0; i < config->n_interfaces; i++) {
		const char *name = config->interfaces[i].name;
		const json_t *port = find_port(status, name);
		json_t *row = json_is_string(json_object_get(port, "tap")) && json_object_get(port, "link") &&
					      config->interfaces[i].device[0]
				      ? driver_row(name, port)
				      : kernel_row(name, port, &rtnl);
		json_object_set_new(row, "fault", copy(port, "fault"));
		json_array_append_new(rows, row);
	}
	berth_rtnl_close(&rtnl);
	json_decref(status);
	*result = json_pack("{s:o}", "ports", rows);
	return BERTH_CODE_OK;
}
