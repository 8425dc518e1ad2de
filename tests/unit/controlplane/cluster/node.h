/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A node without its machine: model, compiler, publisher and the host's core. Packets go in, and the link address
 * of what comes out tells the backend, so that nodes are compared by what a backend receives.
 */
#pragma once

/* The core before control.h, whose `head` the core's variables would shadow. */
#include "tests/support/send.h"

#include "tests/support/control.h"

#include "controlplane/util/address.h"

struct node {
	struct berth_model model;
	struct berth_engine *engine;
	struct berth_publisher *publisher;
	uint32_t now; /* its own clock */
};

enum {
	NODE_ROWS = 1009,
};

/* `limits` and `services` of a configuration. */
__attribute__((unused)) static struct berth_config *node_config(const char *limits, const char *services)
{
	static char text[16384];
	char error[BERTH_ERROR_BYTES] = "";
	snprintf(text, sizeof(text), "engine: 'null'\ninterfaces: [{name: eth0}]\nlimits: {%s}\nservices:\n%s",
		 limits, services);
	struct berth_config *config = berth_config_parse("f", text, strlen(text), error);
	if (!config)
		fail_msg("%s", error);
	return config;
}

__attribute__((unused)) static void node_publish(struct node *node)
{
	assert_int_equal(publish_model(node->publisher, node->engine, &node->model), 0);
}

/* All are reached; the last byte of a backend's address is that of its link address. Health stays. */
static void node_resolve(struct node *node)
{
	for (size_t i = 0; i < node->model.n_services; i++)
		for (size_t j = 0; j < node->model.services[i].n_backends; j++) {
			struct berth_model_backend *backend = &node->model.services[i].backends[j];
			backend->next_hop.is_resolved = true;
			backend->next_hop.mtu = 1500;
			backend->next_hop.dst_mac[0] = 2;
			backend->next_hop.dst_mac[5] = backend->config.address.byte[15];
			if (backend->health == BERTH_HEALTH_UNKNOWN)
				backend->health = BERTH_HEALTH_UP;
		}
}

__attribute__((unused)) static void node_apply(struct node *node, const char *limits, const char *services)
{
	char error[BERTH_ERROR_BYTES] = "";
	if (berth_model_apply(&node->model, node_config(limits, services), error))
		fail_msg("%s", error);
	node_resolve(node);
	node_publish(node);
}

__attribute__((unused)) static void node_set_health(struct node *node, const char *service, const char *backend,
						    enum berth_health_state health)
{
	berth_model_backend(berth_model_service(&node->model, service), backend)->health = health;
	node_publish(node);
}

/* A node with its first configuration. */
__attribute__((unused)) static void node_open(struct node *node, const uint8_t secret[BERTH_SECRET_BYTES],
					      uint32_t now, const char *limits, const char *services)
{
	char error[BERTH_ERROR_BYTES];
	struct berth_config *config = node_config(limits, services);
	const struct berth_engine_paths paths = {.secret = secret};
	const struct berth_geometry geometry = berth_geometry_of(&config->limits, NODE_ROWS, 2);
	*node = (struct node){.now = now, .engine = berth_engine_null.open(config, &paths, &geometry, error)};
	berth_config_free(config);
	assert_non_null(node->engine);
	assert_int_equal(berth_model_init(&node->model, &node->engine->image.geometry), 0);
	node->publisher = berth_publisher_new(node->engine);
	node->model.links[0] = (struct berth_link){.mac = {2, 0, 0, 0, 1, 0}, .is_used = 1};
	node_apply(node, limits, services);
}

__attribute__((unused)) static void node_close(struct node *node)
{
	berth_publisher_free(node->publisher);
	node->engine->ops->close(node->engine, true);
	berth_model_clear(&node->model);
}

/* The frame as it leaves. */
static void node_forward_frame(const struct node *node, struct fixture_frame *frame)
{
	const struct berth_view view = berth_image_view(&node->engine->image, 0, node->now);
	uint32_t port = 0;
	enum berth_verdict verdict = berth_forward(&view, &frame->frame, &(struct berth_packet){0}, frame->bytes,
						   &port);
	if (BERTH_VERDICT_CLASS(verdict) != BERTH_CLASS_FORWARD)
		fail_msg("the packet is not forwarded: %s", fixture_verdict_name(verdict));
}

/* The last byte of the address of the backend that gets the packet. */
__attribute__((unused)) static int node_forward(const struct node *node, const struct fixture_frame *sent)
{
	struct fixture_frame frame = *sent;
	frame.frame.data = frame.room + (sent->frame.data - sent->room);
	frame.frame.end = frame.room + (sent->frame.end - sent->room);
	frame.frame.handle = frame.room;
	node_forward_frame(node, &frame);
	return frame.frame.data[5];
}

/* The backend that gets packet `i` of a service: a flow each, of a client each. */
__attribute__((unused)) static int node_forward_numbered(const struct node *node, const char *address, uint32_t i,
							 uint8_t flags)
{
	static struct fixture_frame frame;
	char src[32];
	snprintf(src, sizeof(src), "198.18.%u.%u", i >> 8, i & 255);
	fixture_build(&frame, &(struct fixture_packet){.src = src,
						       .dst = address,
						       .sport = (uint16_t)(1024 + i),
						       .dport = 80,
						       .protocol = BERTH_PROTO_TCP,
						       .tcp_flags = flags});
	return node_forward(node, &frame);
}
