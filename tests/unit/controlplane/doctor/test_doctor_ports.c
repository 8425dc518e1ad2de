// SPDX-License-Identifier: BSD-3-Clause
/* Findings about queues of ports. */
#include "controlplane/doctor/system.h"
#include "tests/support/unit.h"

/* The only finding; "": there is none. */
static const char *finding(json_t *checks, const char *key)
{
	assert_true(json_array_size(checks) <= 1);
	const char *text = json_string_value(json_object_get(json_array_get(checks, 0), key));
	return text ? text : "";
}

static void a_queue_without_packets_beside_busy_ones_is_found_with_the_reason(void **state)
{
	(void)state;
	static const struct {
		uint64_t received[3];
		bool rss;
		const char *finding, *remedy;
	} cases[] = {
		{{5000, 0, 5000},
		 false,
		 "queue 1 has got none of 10000 packets: its device or driver (net_e1000_em) does not spread flows "
		 "over "
		 "queues (no RSS), so that its worker does nothing",
		 "set `queues: 1` of the interface, or use a NIC with RSS"},
		{{5000, 0, 1},
		 true,
		 "queue 1 has got none of 5001 packets: its device spreads flows (RSS), and none has come to this "
		 "queue",
		 "more clients, or flows that differ in their ports: RSS puts a flow into one queue"},
		{{5000, 1, 0}, false, "", ""}, /* the port has two queues */
		{{999, 0, 0}, false, "", ""},
		{{0, 0, 0}, false, "", ""},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *checks = json_array();
		json_t *port = json_pack("{s:s, s:s, s:i, s:b}", "name", "nic0", "driver", "net_e1000_em", "queues",
					 2, "rss", cases[i].rss);
		berth_doctor_queues(port, cases[i].received, 3, checks);
		assert_string_equal(finding(checks, "finding"), cases[i].finding);
		assert_string_equal(finding(checks, "remedy"), cases[i].remedy);
		json_decref(port);
		json_decref(checks);
	}
}

static void too_few_queues_for_native_xdp_are_found(void **state)
{
	(void)state;
	static const struct {
		struct berth_ethtool facts;
		long cpus;
		const char *remedy;
	} cases[] = {
		{{.driver = "virtio_net", .combined = 2, .max_combined = 2},
		 2,
		 "give the virtual machine's device 4 queues (QEMU: queues=4, vectors=10)"},
		{{.driver = "virtio_net", .combined = 4, .max_combined = 4},
		 2,
		 "ethtool -L eth0 combined 2, or give the machine 6 queues"},
		{{.driver = "virtio_net", .combined = 2, .max_combined = 4}, 2, ""},
		{{.driver = "virtio_net"}, 2, ""}, /* not known */
		{{.driver = "ice", .combined = 4, .max_combined = 4}, 4, ""},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *checks = json_array();
		berth_doctor_xdp_queues("eth0", &cases[i].facts, cases[i].cpus, checks);
		assert_string_equal(finding(checks, "remedy"), cases[i].remedy);
		json_decref(checks);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_queue_without_packets_beside_busy_ones_is_found_with_the_reason),
		cmocka_unit_test(too_few_queues_for_native_xdp_are_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
