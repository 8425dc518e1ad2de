// SPDX-License-Identifier: BSD-3-Clause
/*
 * A change of the backends and the loss of a node at once, without a store: each connection of the lost node
 * reaches its backend through the other node, as the first backend of the GUE header or as its second hop.
 */
#include "tests/unit/controlplane/cluster/node.h"

#include "controlplane/model/former_rows.h"

enum {
	FLOWS = 100000,
	NOW = 1000,
	LENGTH = 42, /* of the GUE header's first byte in a frame: behind Ethernet, IPv4 and UDP */
	HOP = 53,    /* of the last byte of the second hop's address */
};

#define LIMITS "flows: 1000000, sessions: 300000, services: 20, backends: 60"
#define B(n) "{name: b" #n ", address: 192.0.2." #n "}"
#define B3_LIGHT "{name: b3, address: 192.0.2.3, weight: 30}"
#define SERVICE(name, last, more, backends)                                                                        \
	"  - {name: " name ", address: 203.0.113." last ", port: 80, mode: gue, table-size: 1009" more             \
	", backends: [" backends "]}\n"
#define ALL(backends)                                                                                              \
	SERVICE("flow", "10", ", second-hop: 1h", backends)                                                        \
	SERVICE("client", "11", ", second-hop: 1h, affinity: {by: client}", backends)                              \
	SERVICE("none", "12", "", backends)
#define THREE ALL(B(1) "," B(2) "," B(3))

static const char *const addresses[] = {"203.0.113.10", "203.0.113.11", "203.0.113.12"};
static const uint8_t secret[BERTH_SECRET_BYTES] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17};

static void apply(struct node *node, const char *services)
{
	node_apply(node, LIMITS, services);
	for (size_t i = 0; i < node->model.n_services; i++)
		for (size_t j = 0; j < node->model.services[i].n_backends; j++)
			node->model.services[i].backends[j].next_hop.source = (union berth_addr){
				.byte = {[10] = 0xff, 0xff, 192, 0, 2, 200}};
	node_publish(node);
}

/* The first health checks are done. */
static void open_node(struct node *node, uint32_t now)
{
	node_open(node, secret, now, LIMITS, THREE);
	apply(node, THREE);
	for (size_t i = 0; i < node->model.n_services; i++) {
		node->model.services[i].is_health_known = true;
		berth_former_rows_begin(&node->model.services[i]);
	}
	assert_false(berth_former_rows_step(&node->model, now));
}

/* A packet of connection `i`, each of another client. */
static void build(struct fixture_frame *frame, const char *service, uint32_t i, uint8_t flags)
{
	char src[32];
	snprintf(src, sizeof(src), "198.%u.%u.%u", 18 + (i >> 16), i >> 8 & 0xff, i & 0xff);
	fixture_build(frame, &(struct fixture_packet){.src = src,
						      .dst = service,
						      .sport = (uint16_t)(1024 + i % 60000),
						      .dport = 80,
						      .protocol = BERTH_PROTO_TCP,
						      .tcp_flags = flags});
}

/* The backend of a frame without a second hop. */
static uint8_t backend_of(const struct node *node, const char *service, uint32_t i, uint8_t flags)
{
	static struct fixture_frame frame;
	build(&frame, service, i, flags);
	return (uint8_t)node_forward(node, &frame);
}

/* Whether a packet of the connection reaches its backend; `hops`: those that need the second hop. */
static bool reaches(const struct node *node, const char *service, uint32_t i, uint8_t backend, uint32_t *hops)
{
	static struct fixture_frame frame;
	build(&frame, service, i, 0x10);
	node_forward_frame(node, &frame);
	const uint8_t *data = frame.frame.data;
	if (data[5] == backend)
		return true;
	const bool is_named = data[LENGTH] == 2 && data[HOP] == backend;
	*hops += is_named;
	return is_named;
}

typedef void change_fn(struct node *node);

static void add_backend(struct node *node)
{
	apply(node, ALL(B(1) "," B(2) "," B(3) "," B(4)));
}

static void lighten_backend(struct node *node)
{
	apply(node, ALL(B(1) "," B(2) "," B3_LIGHT));
}

static void drain_backend(struct node *node)
{
	for (size_t i = 0; i < node->model.n_services; i++)
		berth_model_set_admin(&node->model, &node->model.services[i].backends[1], BERTH_ADMIN_DRAINING, 0);
	node_publish(node);
}

static void lose_node(change_fn *change)
{
	static uint8_t backend[3][FLOWS];
	struct node lost, other;
	open_node(&lost, NOW);
	open_node(&other, 70000);
	for (uint32_t s = 0; s < 3; s++)
		for (uint32_t i = 0; i < FLOWS; i++) {
			backend[s][i] = backend_of(&lost, addresses[s], i, 0x02);
			assert_int_equal(backend_of(&lost, addresses[s], i, 0x10), backend[s][i]);
		}
	change(&lost);
	change(&other);
	for (uint32_t s = 0; s < 3; s++) {
		uint32_t hops = 0, moved = 0;
		for (uint32_t i = 0; i < FLOWS; i++)
			moved += !reaches(&other, addresses[s], i, backend[s][i], &hops);
		assert_in_range(s == 2 ? moved : hops, FLOWS / 10, FLOWS / 2);
		assert_int_equal(s == 2 ? hops : moved, 0);
	}
	node_close(&lost);
	node_close(&other);
}

static void a_backend_is_added_and_a_node_lost_and_no_connection_moves(void **state)
{
	(void)state;
	lose_node(add_backend);
}

static void a_weight_changes_and_a_node_is_lost_and_no_connection_moves(void **state)
{
	(void)state;
	lose_node(lighten_backend);
}

static void a_backend_is_drained_and_a_node_lost_and_no_connection_moves(void **state)
{
	(void)state;
	lose_node(drain_backend);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_backend_is_added_and_a_node_lost_and_no_connection_moves),
		cmocka_unit_test(a_weight_changes_and_a_node_is_lost_and_no_connection_moves),
		cmocka_unit_test(a_backend_is_drained_and_a_node_lost_and_no_connection_moves),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
