// SPDX-License-Identifier: BSD-3-Clause
/*
 * Nodes with one configuration and one secret send each flow and each client to the same backend, whatever else
 * differs: numbers, sizes of the tables, clocks, and what was applied and failed before.
 */
#include "tests/unit/controlplane/cluster/node.h"

#include "dataplane/core/bucket.h"

enum {
	FLOWS = 100000,
};

#define B(n) "{name: b" #n ", address: 192.0.2." #n "}"
#define B3_LIGHT "{name: b3, address: 192.0.2.3, weight: 30}"
#define V6(n) "{name: v" #n ", address: '2001:db8::" #n "'}"
#define MAGLEV(backends)                                                                                           \
	"  - {name: web, address: 203.0.113.10, port: 80, mode: l2, table-size: 1009, backends: [" backends "]}\n"
#define CLIENT(backends)                                                                                           \
	"  - {name: shop, address: 203.0.113.11, port: 80, mode: l2, table-size: 1009, affinity: {by: client}, "   \
	"backends: [" backends "]}\n"
#define GROUP(name, port, backends)                                                                                \
	"  - {name: " name ", address: 203.0.113.12, port: " port ", mode: l2, table-size: 1009, "                 \
	"affinity: {by: client, group: g}, backends: [" backends "]}\n"
#define BOUNDED(backends)                                                                                          \
	"  - {name: bounded, address: 203.0.113.13, port: 80, mode: l2, table-size: 1009, scheduler: bounded, "    \
	"backends: [" backends "]}\n"
#define UDP6(backends)                                                                                             \
	"  - {name: dns, address: '2001:db8:1::53', protocol: udp, port: 53, mode: l2, table-size: 1009, "         \
	"affinity: {by: client, prefix6: 64}, backends: [" backends "]}\n"
#define PREFIX(backends)                                                                                           \
	"  - {name: net, address: 203.0.113.64/26, port: 8000-8099, mode: l2, table-size: 1009, "                  \
	"health: {port: 80}, backends: [" backends "]}\n"
#define LOADED(scheduler, port, backends)                                                                          \
	"  - {name: " scheduler ", address: 203.0.113.14, port: " port                                             \
	", mode: l2, table-size: 1009, scheduler: " scheduler ", backends: [" backends "]}\n"

#define SERVICES_1                                                                                                 \
	MAGLEV(B(1) "," B(2) "," B3_LIGHT "," B(4) "," B(5))                                                       \
	CLIENT(B(1) "," B(2) "," B3_LIGHT)                                                                         \
	GROUP("g1", "80", B(1) "," B(2) "," B3_LIGHT)                                                              \
	GROUP("g2", "443", B(1) "," B(2) "," B3_LIGHT)                                                             \
	BOUNDED(B(1) "," B(2) "," B3_LIGHT)                                                                        \
	UDP6(V6(1) "," V6(2) "," V6(3))                                                                            \
	PREFIX(B(1) "," B(2)) LOADED("round-robin", "80", B(1) "," B(2)) LOADED("least-conn", "81", B(1) "," B(2))
/* The same in another order. */
#define SERVICES_2                                                                                                 \
	LOADED("least-conn", "81", B(2) "," B(1))                                                                  \
	LOADED("round-robin", "80", B(2) "," B(1))                                                                 \
	PREFIX(B(2) "," B(1))                                                                                      \
	UDP6(V6(3) "," V6(1) "," V6(2))                                                                            \
	BOUNDED(B3_LIGHT "," B(1) "," B(2))                                                                        \
	GROUP("g2", "443", B3_LIGHT "," B(2) "," B(1))                                                             \
	GROUP("g1", "80", B(2) "," B(1) "," B3_LIGHT)                                                              \
	CLIENT(B3_LIGHT "," B(2) "," B(1)) MAGLEV(B(5) "," B(4) "," B(2) "," B3_LIGHT "," B(1))

#define SMALL "flows: 1024, sessions: 1024, services: 20, backends: 60"
#define LARGE "flows: 1000000, sessions: 300000, services: 50, backends: 200"

static const uint8_t secret[BERTH_SECRET_BYTES] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17};

/* Other backends, other weights, other services before; failures in between, in each order. */
static void open_with_a_history(struct node *node, uint32_t now)
{
	node_open(node, secret, now, LARGE,
		  PREFIX(B(9)) MAGLEV(B(7) "," B(8) "," B(3) "," B(1)) UDP6(V6(8) "," V6(1)) CLIENT(B(3)));
	node_set_health(node, "web", "b1", BERTH_HEALTH_DOWN);
	node_apply(node, LARGE, CLIENT(B(1) "," B(2) "," B(3) "," B(6)) MAGLEV(B(3) "," B(1) "," B(2)));
	node_set_health(node, "shop", "b2", BERTH_HEALTH_DOWN);
	node_set_health(node, "web", "b3", BERTH_HEALTH_DOWN);
	node_set_health(node, "web", "b1", BERTH_HEALTH_UP);
	node_apply(node, LARGE, SERVICES_2);
	node_set_health(node, "web", "b5", BERTH_HEALTH_DOWN);
	node_set_health(node, "web", "b3", BERTH_HEALTH_UP);
	node_set_health(node, "shop", "b2", BERTH_HEALTH_UP);
	node_set_health(node, "web", "b4", BERTH_HEALTH_DOWN);
	node_set_health(node, "web", "b5", BERTH_HEALTH_UP);
}

static void open_nodes(struct node *a, struct node *b)
{
	node_open(a, secret, 1000, SMALL, SERVICES_1);
	node_set_health(a, "web", "b4", BERTH_HEALTH_DOWN);
	open_with_a_history(b, 70000);
}

struct target {
	const char *dst;
	uint16_t port;
	uint8_t protocol;
};

/* The first packet of flow `i` to the target, each of another client. */
static void build(struct fixture_frame *frame, const struct target *target, uint32_t i)
{
	char src[64];
	const uint32_t mixed = i * 2654435761u;
	if (target->dst[0] == '2' && strchr(target->dst, ':'))
		snprintf(src, sizeof(src), "2001:db8:%x:%x::%x", 0x1000 + (mixed >> 24), mixed >> 8 & 0xffff,
			 i & 0xff);
	else
		snprintf(src, sizeof(src), "198.%u.%u.%u", 18 + (mixed >> 31), mixed >> 16 & 0xff,
			 mixed >> 8 & 0xff);
	fixture_build(frame, &(struct fixture_packet){.src = src,
						      .dst = target->dst,
						      .sport = (uint16_t)(1024 + i % 60000),
						      .dport = target->port,
						      .protocol = target->protocol,
						      .tcp_flags = 0x02,
						      .payload = target->protocol == BERTH_PROTO_UDP ? 10 : 0});
}

/* How many of the flows two nodes send to different backends. `spread`: how many go to the most used one. */
static uint32_t count_differences(const struct node *a, const struct node *b, const struct target *target,
				  uint32_t *spread)
{
	static struct fixture_frame frame;
	uint32_t differ = 0, by_backend[256] = {0};
	for (uint32_t i = 0; i < FLOWS; i++) {
		build(&frame, target, i);
		int of_a = node_forward(a, &frame), of_b = node_forward(b, &frame);
		differ += of_a != of_b;
		by_backend[of_a]++;
	}
	*spread = 0;
	for (int i = 0; i < 256; i++)
		if (by_backend[i] > *spread)
			*spread = by_backend[i];
	return differ;
}

static const struct target computed[] = {
	{"203.0.113.10", 80, BERTH_PROTO_TCP},	 /* maglev by flow, a backend is down */
	{"203.0.113.11", 80, BERTH_PROTO_TCP},	 /* by client */
	{"203.0.113.12", 80, BERTH_PROTO_TCP},	 /* by client, a group */
	{"203.0.113.13", 80, BERTH_PROTO_TCP},	 /* bounded */
	{"2001:db8:1::53", 53, BERTH_PROTO_UDP}, /* by prefix of clients, IPv6 */
	{"203.0.113.77", 8042, BERTH_PROTO_TCP}, /* a prefix of addresses and a range of ports */
};

static void nodes_send_100000_flows_to_the_same_backends(void **state)
{
	struct node a, b;
	(void)state;
	open_nodes(&a, &b);
	for (size_t i = 0; i < sizeof(computed) / sizeof(computed[0]); i++) {
		uint32_t most;
		uint32_t differ = count_differences(&a, &b, &computed[i], &most);
		if (differ)
			fail_msg("%s:%u: %u of %d flows have different backends", computed[i].dst, computed[i].port,
				 differ, FLOWS);
		assert_in_range(most, FLOWS / 5, FLOWS * 2 / 3);
	}
	node_close(&a);
	node_close(&b);
}

/* They were built at different times, with different numbers: the test compares what really differs. */
static void the_nodes_of_this_test_have_different_numbers(void **state)
{
	struct node a, b;
	uint32_t same = 0;
	(void)state;
	open_nodes(&a, &b);
	for (size_t i = 0; i < a.model.n_services; i++) {
		const struct berth_model_service *of_a = &a.model.services[i];
		const struct berth_model_service *of_b = berth_model_service(&b.model, of_a->config.name);
		assert_non_null(of_b);
		assert_int_equal(of_a->id, of_b->id);
		same += of_a->number == of_b->number;
	}
	assert_true(same < a.model.n_services / 2);
	assert_true(a.engine->image.geometry.flow_buckets < b.engine->image.geometry.flow_buckets);
	node_close(&a);
	node_close(&b);
}

/* Each packet that comes to a node for the first time is a new flow there. */
static void flows_that_one_node_has_are_found_by_computation_on_another(void **state)
{
	static struct fixture_frame frame;
	struct node a, b;
	(void)state;
	open_nodes(&a, &b);
	for (uint32_t i = 0; i < 10000; i++) {
		build(&frame, &computed[0], i);
		int first = node_forward(&b, &frame);
		/* The next packets, on the other node: it is not the first one of the flow. */
		frame.frame.data[frame.transport + 13] = 0x10;
		assert_int_equal(node_forward(&a, &frame), first);
	}
	node_close(&a);
	node_close(&b);
}

static void another_secret_selects_other_backends(void **state)
{
	struct node a, b;
	uint32_t most;
	uint8_t other[BERTH_SECRET_BYTES];
	(void)state;
	for (size_t i = 0; i < sizeof(other); i++)
		other[i] = (uint8_t)(i * 37);
	node_open(&a, secret, 1000, SMALL, SERVICES_1);
	node_open(&b, other, 1000, SMALL, SERVICES_1);
	assert_in_range(count_differences(&a, &b, &computed[0], &most), FLOWS / 2, FLOWS);
	node_close(&a);
	node_close(&b);
}

/* docs/cluster.md says so: their choices are exceptions. */
static void round_robin_and_least_conn_choose_by_the_node_s_own_flows(void **state)
{
	static const struct target loaded[] = {{"203.0.113.14", 80, BERTH_PROTO_TCP},
					       {"203.0.113.14", 81, BERTH_PROTO_TCP}};
	static struct fixture_frame frame;
	struct node a, b;
	(void)state;
	open_nodes(&a, &b);
	for (int i = 0; i < 2; i++) {
		uint32_t most;
		for (uint32_t k = 0; k < 7; k++) {
			build(&frame, &loaded[i], FLOWS + k);
			node_forward(&a, &frame);
		}
		assert_in_range(count_differences(&a, &b, &loaded[i], &most), 1, FLOWS);
	}
	node_close(&a);
	node_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nodes_send_100000_flows_to_the_same_backends),
		cmocka_unit_test(the_nodes_of_this_test_have_different_numbers),
		cmocka_unit_test(flows_that_one_node_has_are_found_by_computation_on_another),
		cmocka_unit_test(another_secret_selects_other_backends),
		cmocka_unit_test(round_robin_and_least_conn_choose_by_the_node_s_own_flows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
