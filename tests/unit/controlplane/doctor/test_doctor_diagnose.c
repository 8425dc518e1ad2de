// SPDX-License-Identifier: BSD-3-Clause
/* Diagnosis of a backend from the replies to probes and from the model. */
#include "tests/unit/controlplane/doctor/doctor.h"

#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

#include "controlplane/doctor/system.h"

static void test_only_what_concerns_a_target_is_its_results(void **state)
{
	(void)state;
	const struct berth_doctor_target target = target_of(BERTH_MODE_GUE, 4, 4);
	const struct berth_doctor_results none = {0};
	const union berth_addr other = address("192.0.2.12");
	const struct berth_doctor_reply unrelated[] = {
		/* An answer from another address than the probe's destination. */
		{.type = BERTH_DOCTOR_REPLY_ECHO, .id.probe = BERTH_DOCTOR_SERVICE, .from = target.backend},
		{.type = BERTH_DOCTOR_REPLY_ECHO, .id.probe = BERTH_DOCTOR_DECAP, .from = target.service},
		{.type = BERTH_DOCTOR_REPLY_UNREACHABLE,
		 .from = other,
		 .original_dst = other,
		 .protocol = 17,
		 .port = 6080},
		{.type = BERTH_DOCTOR_REPLY_UNREACHABLE,
		 .from = target.backend,
		 .original_dst = target.backend,
		 .protocol = 17,
		 .port = 53},
		{.type = BERTH_DOCTOR_REPLY_UNREACHABLE,
		 .from = target.backend,
		 .original_dst = target.backend,
		 .protocol = 4},
		{.type = BERTH_DOCTOR_REPLY_UNREACHABLE,
		 .from = other,
		 .original_dst = target.backend,
		 .protocol = 17,
		 .port = 6080},
		{.type = BERTH_DOCTOR_REPLY_NEIGHBOR, .original_dst = target.backend},
	};
	struct berth_doctor_results results = {0};
	for (size_t i = 0; i < sizeof(unrelated) / sizeof(unrelated[0]); i++)
		berth_doctor_record(&target, &results, &unrelated[i], backend_mac);
	const struct berth_doctor_target ipip = target_of(BERTH_MODE_IPIP, 4, 4);
	const struct berth_doctor_reply of_ipv6 = {.type = BERTH_DOCTOR_REPLY_UNREACHABLE,
						   .from = ipip.backend,
						   .original_dst = ipip.backend,
						   .protocol = 41};
	berth_doctor_record(&ipip, &results, &of_ipv6, backend_mac);
	/* The router may answer for the address. */
	const struct berth_doctor_reply advertisement = {.type = BERTH_DOCTOR_REPLY_NEIGHBOR,
							 .original_dst = target.service};
	berth_doctor_record(&target, &results, &advertisement, router_mac);
	assert_memory_equal(&results, &none, sizeof(none));

	berth_doctor_record(&target, &results, &advertisement, backend_mac);
	assert_true(results.answers_neighbor);
	const struct berth_doctor_reply unreachable = {.type = BERTH_DOCTOR_REPLY_UNREACHABLE,
						       .from = target.backend,
						       .original_dst = target.backend,
						       .protocol = 17,
						       .port = 6080};
	berth_doctor_record(&target, &results, &unreachable, router_mac);
	assert_true(results.is_unreachable);
}

static void test_an_answer_returns_via_berth_only_if_the_backend_itself_sent_it(void **state)
{
	(void)state;
	const struct berth_doctor_target target = target_of(BERTH_MODE_NAT, 4, 4);
	const struct berth_doctor_reply seen = {
		.type = BERTH_DOCTOR_REPLY_ECHO, .id.probe = BERTH_DOCTOR_RETURN, .from = target.backend};
	struct berth_doctor_results results = {0};
	berth_doctor_record(&target, &results, &seen, router_mac);
	assert_true(results.returns_via_router);
	berth_doctor_record(&target, &results, &seen, backend_mac);
	assert_false(results.returns_via_router);
}

enum {
	DIRECT = 1 << BERTH_DOCTOR_DIRECT,
	DECAP = 1 << BERTH_DOCTOR_DECAP,
	SERVICE = 1 << BERTH_DOCTOR_SERVICE,
	LARGE = 1 << BERTH_DOCTOR_LARGE,
	UDP_CHECKSUM = 1 << BERTH_DOCTOR_UDP_CHECKSUM,
	RETURN = 1 << BERTH_DOCTOR_RETURN,
	UNREACHABLE = 1 << BERTH_DOCTOR_PROBES,
	PROHIBITED = UNREACHABLE << 1,
	NEIGHBOR = UNREACHABLE << 2,
	VIA_ROUTER = UNREACHABLE << 3,
	ROUTED = UNREACHABLE << 4, /* the target is behind a router */
	DOWN = UNREACHABLE << 5,
	NARROW = UNREACHABLE << 6,
	NO_SOURCE = UNREACHABLE << 7,
};

/* The first finding must have this level and contain these texts. */
static const struct {
	enum berth_mode mode;
	int outer, inner;
	unsigned int facts;
	enum berth_doctor_level level;
	const char *seen, *advice;
} expected_findings[] = {
	{BERTH_MODE_L2, 4, 4, DIRECT | SERVICE | LARGE, BERTH_DOCTOR_OK, "up to 1500 bytes", ""},
	{BERTH_MODE_L2, 4, 4, DIRECT, BERTH_DOCTOR_PROBLEM, "not at 203.0.113.10",
	 "ip addr add 203.0.113.10/32 dev lo"},
	{BERTH_MODE_L2, 6, 6, DIRECT, BERTH_DOCTOR_PROBLEM, "not at 2001:db8:f::10",
	 "ip addr add 2001:db8:f::10/128 dev lo"},
	{BERTH_MODE_L2, 4, 4, DIRECT | SERVICE, BERTH_DOCTOR_PROBLEM, "no packet of 1500 bytes", "mtu 1500"},
	{BERTH_MODE_L2, 4, 4, DIRECT | SERVICE | LARGE | NEIGHBOR, BERTH_DOCTOR_PROBLEM, "answers ARP requests",
	 "arp_ignore=1"},
	{BERTH_MODE_L2, 6, 6, DIRECT | SERVICE | LARGE | NEIGHBOR, BERTH_DOCTOR_PROBLEM, "neighbour solicitations",
	 "ip addr del 2001:db8:f::10/128 dev eth0"},
	{BERTH_MODE_L2, 4, 4, DIRECT | ROUTED, BERTH_DOCTOR_PROBLEM, "over a router", "mode: ipip"},
	{BERTH_MODE_L2, 4, 4, 0, BERTH_DOCTOR_NOTE, "answers no pings", "allow ICMP"},
	{BERTH_MODE_L2, 4, 4, DOWN, BERTH_DOCTOR_PROBLEM, "no answer at all (health check: refused)", "running"},
	{BERTH_MODE_L2, 4, 4, DIRECT | SERVICE | LARGE | DOWN, BERTH_DOCTOR_OK, "answers", ""},
	{BERTH_MODE_IPIP, 4, 4, DIRECT | DECAP | SERVICE | LARGE, BERTH_DOCTOR_OK, "ipip: 203.0.113.10 answers",
	 ""},
	{BERTH_MODE_IPIP, 4, 4, DIRECT | DECAP | SERVICE | LARGE | NARROW, BERTH_DOCTOR_NOTE, "at most 1480 bytes",
	 "MTU of 1520"},
	{BERTH_MODE_IPIP, 4, 4, DIRECT | DECAP | SERVICE, BERTH_DOCTOR_PROBLEM, "no packet of 1500 bytes",
	 "mtu 1520"},
	{BERTH_MODE_IPIP, 4, 4, DIRECT | DECAP, BERTH_DOCTOR_PROBLEM, "the service's address is missing",
	 "ip addr add 203.0.113.10/32 dev lo"},
	{BERTH_MODE_IPIP, 4, 4, DIRECT | UNREACHABLE, BERTH_DOCTOR_PROBLEM, "decapsulates ipip",
	 "modprobe ipip && ip link set tunl0 up"},
	{BERTH_MODE_IPIP, 4, 6, DIRECT | UNREACHABLE, BERTH_DOCTOR_PROBLEM, "decapsulates ipip",
	 "modprobe sit && ip link set sit0 up"},
	{BERTH_MODE_IPIP, 6, 6, DIRECT | UNREACHABLE, BERTH_DOCTOR_PROBLEM, "decapsulates ipip",
	 "modprobe ip6_tunnel && ip link set ip6tnl0 up"},
	{BERTH_MODE_IPIP, 6, 4, DIRECT | UNREACHABLE, BERTH_DOCTOR_PROBLEM, "decapsulates ipip",
	 "ip -6 tunnel change ip6tnl0 mode any"},
	{BERTH_MODE_IPIP, 4, 4, DIRECT | PROHIBITED, BERTH_DOCTOR_PROBLEM, "firewall on the path rejects",
	 "allow protocol 4 "},
	{BERTH_MODE_IPIP, 4, 4, DIRECT, BERTH_DOCTOR_PROBLEM, "rp_filter", "net.ipv4.conf.tunl0.rp_filter=0"},
	{BERTH_MODE_IPIP, 6, 6, DIRECT, BERTH_DOCTOR_PROBLEM, "a firewall drops protocol 41", "allow protocol 41"},
	{BERTH_MODE_IPIP, 4, 6, DIRECT, BERTH_DOCTOR_PROBLEM, "the service's address is missing, or a firewall",
	 "ip addr add 2001:db8:f::10/128 dev lo; and allow protocol 41"},
	{BERTH_MODE_IPIP, 4, 4, 0, BERTH_DOCTOR_NOTE, "answers no pings", ""},
	{BERTH_MODE_IPIP, 4, 6, DIRECT | NO_SOURCE, BERTH_DOCTOR_NOTE, "no IPv6 address to test", ""},
	{BERTH_MODE_GUE, 4, 4, DIRECT | UNREACHABLE, BERTH_DOCTOR_PROBLEM, "decapsulates gue",
	 "modprobe fou && ip fou add port 6080 gue && modprobe ipip"},
	{BERTH_MODE_GUE, 6, 6, DIRECT | UNREACHABLE, BERTH_DOCTOR_PROBLEM, "decapsulates gue",
	 "modprobe fou6 && ip -6 fou add port 6080 gue"},
	{BERTH_MODE_GUE, 6, 6, DIRECT | UDP_CHECKSUM, BERTH_DOCTOR_PROBLEM, "only with an outer UDP checksum",
	 "berth-decap"},
	{BERTH_MODE_GUE, 4, 4, DIRECT | DECAP | SERVICE, BERTH_DOCTOR_PROBLEM, "no packet of 1500 bytes",
	 "mtu 1528"},
	{BERTH_MODE_NAT, 4, 4, DIRECT | LARGE | RETURN, BERTH_DOCTOR_OK, "its own address answers", ""},
	{BERTH_MODE_NAT, 4, 4, DIRECT | LARGE | RETURN | VIA_ROUTER, BERTH_DOCTOR_PROBLEM, "via another router",
	 "ip route replace default via 192.0.2.2"},
	{BERTH_MODE_NAT, 6, 6, DIRECT | LARGE, BERTH_DOCTOR_PROBLEM, "berth is not its gateway",
	 "ip -6 route replace default via 2001:db8:2::2"},
};

static void test_results_is_judged(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(expected_findings) / sizeof(expected_findings[0]); i++) {
		unsigned int facts = expected_findings[i].facts;
		struct berth_doctor_target target = target_of(expected_findings[i].mode, expected_findings[i].outer,
							      expected_findings[i].inner);
		struct berth_doctor_results results = {
			.is_unreachable = facts & UNREACHABLE,
			.is_prohibited = facts & PROHIBITED,
			.answers_neighbor = facts & NEIGHBOR,
			.returns_via_router = facts & VIA_ROUTER,
		};
		struct berth_doctor_finding findings[BERTH_DOCTOR_FINDINGS];
		for (int probe = 0; probe < BERTH_DOCTOR_PROBES; probe++)
			results.is_answered[probe] = facts & 1u << probe;
		target.is_on_link = !(facts & ROUTED);
		target.is_check_up = target.is_up = !(facts & DOWN);
		target.health_reason = target.is_up ? "" : "refused";
		target.mtu = facts & NARROW ? 1500 : 1600;
		if (facts & NO_SOURCE)
			memset(&target.inner_source, 0, sizeof(target.inner_source));
		size_t n = berth_doctor_diagnose(&target, &results, findings);
		assert_in_range(n, 1, BERTH_DOCTOR_FINDINGS);
		if (findings[0].level != expected_findings[i].level ||
		    !strstr(findings[0].text, expected_findings[i].seen) ||
		    !strstr(findings[0].remedy, expected_findings[i].advice))
			fail_msg("case %zu: level %d, %s -> %s", i, (int)findings[0].level, findings[0].text,
				 findings[0].remedy);
		/* The path is fine, but the failing health check is a second finding. */
		if (target.is_up || findings[0].level != BERTH_DOCTOR_OK)
			continue;
		assert_int_equal(n, 2);
		assert_non_null(strstr(findings[1].text, "health check fails: refused"));
	}
}

/* What a router reports is a problem only where berth cannot use it. */
static void test_a_path_mtu_that_berth_learns_is_a_note(void **state)
{
	(void)state;
	static const struct {
		enum berth_mode mode;
		uint32_t path_mtu;
		enum berth_doctor_level level;
		const char *seen;
	} cases[] = {
		{BERTH_MODE_IPIP, 1400, BERTH_DOCTOR_NOTE,
		 "the path's MTU of 1400, which a router reports, limits clients to packets of at most 1380 bytes"},
		{BERTH_MODE_GUE, 576 + 28, BERTH_DOCTOR_NOTE, "at most 576 bytes"},
		{BERTH_MODE_GUE, 576 + 27, BERTH_DOCTOR_PROBLEM, "a router reports a path MTU of 603"},
		{BERTH_MODE_L2, 1400, BERTH_DOCTOR_PROBLEM, "a router reports a path MTU of 1400"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct berth_doctor_target target = target_of(cases[i].mode, 4, 4);
		const struct berth_doctor_results results = {.is_answered = {[BERTH_DOCTOR_DIRECT] = true,
									     [BERTH_DOCTOR_DECAP] = true,
									     [BERTH_DOCTOR_SERVICE] = true},
							     .path_mtu = cases[i].path_mtu};
		struct berth_doctor_finding findings[BERTH_DOCTOR_FINDINGS];
		target.is_on_link = target.is_check_up = target.is_up = true;
		assert_in_range(berth_doctor_diagnose(&target, &results, findings), 1, BERTH_DOCTOR_FINDINGS);
		assert_int_equal(findings[0].level, cases[i].level);
		assert_non_null(strstr(findings[0].text, cases[i].seen));
	}
}

static void test_a_forced_state_is_distinguished_from_the_check(void **state)
{
	(void)state;
	const struct berth_doctor_results fine = {
		.is_answered = {
			[BERTH_DOCTOR_DIRECT] = true, [BERTH_DOCTOR_SERVICE] = true, [BERTH_DOCTOR_LARGE] = true}};
	const struct berth_doctor_results silence = {0};
	struct berth_doctor_target target = target_of(BERTH_MODE_L2, 4, 4);
	struct berth_doctor_finding findings[BERTH_DOCTOR_FINDINGS];

	target.is_up = false;
	target.health_reason = "connected";
	assert_int_equal(berth_doctor_diagnose(&target, &fine, findings), 2);
	assert_int_equal(findings[1].level, BERTH_DOCTOR_NOTE);
	assert_string_equal(findings[1].text, "forced down by an operator; its health check reports: connected");
	assert_non_null(strstr(findings[1].remedy, "auto"));
	/* Without answers the check counts, not the forced state. */
	berth_doctor_diagnose(&target, &silence, findings);
	assert_non_null(strstr(findings[0].text, "its health check succeeds, but it answers no pings"));

	target.is_check_up = false;
	target.is_up = true;
	target.health_reason = "refused";
	assert_int_equal(berth_doctor_diagnose(&target, &fine, findings), 2);
	assert_string_equal(findings[1].text, "forced up by an operator; its health check reports: refused");
	berth_doctor_diagnose(&target, &silence, findings);
	assert_non_null(strstr(findings[0].text, "no answer at all (health check: refused)"));
}

static void test_a_check_that_cannot_run_is_a_problem_even_if_the_path_is_fine(void **state)
{
	(void)state;
	const struct berth_doctor_results fine = {
		.is_answered = {
			[BERTH_DOCTOR_DIRECT] = true, [BERTH_DOCTOR_SERVICE] = true, [BERTH_DOCTOR_LARGE] = true}};
	struct berth_doctor_target target = target_of(BERTH_MODE_L2, 4, 4);
	struct berth_doctor_finding findings[BERTH_DOCTOR_FINDINGS];

	target.is_check_up = target.is_up = target.is_check_stale = true;
	target.health_reason = "too many open files";
	assert_int_equal(berth_doctor_diagnose(&target, &fine, findings), 2);
	assert_int_equal(findings[1].level, BERTH_DOCTOR_PROBLEM);
	assert_string_equal(findings[1].text, "its health check cannot run: too many open files");
	assert_non_null(strstr(findings[1].remedy, "LimitNOFILE="));

	target.is_check_stale = target.is_check_up = target.is_up = false;
	target.is_check_misconfigured = true;
	assert_int_equal(berth_doctor_diagnose(&target, &fine, findings), 2);
	assert_int_equal(findings[1].level, BERTH_DOCTOR_PROBLEM);
	assert_non_null(strstr(findings[1].remedy, "fix `health` of the service"));
}

static void test_a_target_has_the_effective_health_and_the_checks(void **state)
{
	(void)state;
	static const struct {
		enum berth_forced forced;
		enum berth_health_state health;
		bool alive, up;
	} cases[] = {
		{BERTH_FORCED_NOT, BERTH_HEALTH_UP, true, true},
		{BERTH_FORCED_NOT, BERTH_HEALTH_DOWN, false, false},
		{BERTH_FORCED_DOWN, BERTH_HEALTH_UP, true, false},
		{BERTH_FORCED_UP, BERTH_HEALTH_DOWN, false, true},
		{BERTH_FORCED_UP, BERTH_HEALTH_UNKNOWN, false, true},
	};
	struct berth_interface_config interface = {.name = "lo"};
	struct berth_config config = {.interfaces = &interface, .n_interfaces = 1};
	const struct berth_model model = {.config = &config};
	const struct berth_daemon_state daemon = {.model = &model};
	const struct berth_model_service service = {.config.address = address("203.0.113.10")};
	struct berth_rtnl rtnl;
	assert_int_equal(berth_rtnl_open(&rtnl), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct berth_doctor_target target;
		struct berth_doctor_finding finding;
		const struct berth_model_backend backend = {
			.config.address = address("127.0.0.11"),
			.next_hop.is_resolved = true,
			.forced = cases[i].forced,
			.health = cases[i].health,
		};
		assert_true(berth_doctor_make_target(&daemon, &rtnl, &service, &backend, &target, &finding));
		assert_int_equal(target.is_check_up, cases[i].alive);
		assert_int_equal(target.is_up, cases[i].up);
	}
	berth_rtnl_close(&rtnl);
}

static void test_a_service_without_eligible_backends_is_a_problem(void **state)
{
	(void)state;
	static const struct {
		enum berth_admin admin;
		enum berth_health_state health;
		uint8_t load;
		bool is_kept;
		uint32_t weight;
		const char *remedy; /* NULL: eligible */
		bool is_unresolved;
	} cases[] = {
		{BERTH_ADMIN_ENABLED, BERTH_HEALTH_UP, 0, false, 100, "berthctl doctor", true},
		{BERTH_ADMIN_ENABLED, BERTH_HEALTH_UNKNOWN, 0, false, 100, "wait for", false},
		{BERTH_ADMIN_ENABLED, BERTH_HEALTH_UP, 0, false, 100, NULL, false},
		{BERTH_ADMIN_ENABLED, BERTH_HEALTH_UP, BERTH_OVER_SHARE, false, 100, NULL, false},
		{BERTH_ADMIN_ENABLED, BERTH_HEALTH_DOWN, 0, true, 100, NULL, false}, /* panic */
		{BERTH_ADMIN_DISABLED, BERTH_HEALTH_UP, 0, false, 100, "backend enable", false},
		{BERTH_ADMIN_DRAINING, BERTH_HEALTH_UP, 0, false, 100, "backend enable", false},
		{BERTH_ADMIN_FLOWS_ONLY, BERTH_HEALTH_UP, 0, false, 100, "backend enable", false},
		{BERTH_ADMIN_ENABLED, BERTH_HEALTH_UP, 0, false, 0, "weight above 0", false},
		{BERTH_ADMIN_ENABLED, BERTH_HEALTH_DOWN, 0, false, 100, "berthctl doctor", false},
		{BERTH_ADMIN_ENABLED, BERTH_HEALTH_UP, BERTH_AT_LIMIT, false, 100, "max-flows", false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct berth_model_backend backend = {
			.admin = cases[i].admin,
			.health = cases[i].health,
			.load = cases[i].load,
			.is_kept = cases[i].is_kept,
			.config.weight = cases[i].weight,
			.next_hop.is_resolved = !cases[i].is_unresolved,
		};
		const struct berth_model_service service = {
			.config.name = "web", .backends = &backend, .n_backends = 1};
		json_t *checks = json_array();
		berth_doctor_service(&service, checks);
		assert_int_equal(json_array_size(checks), cases[i].remedy != NULL);
		const json_t *check = json_array_get(checks, 0);
		const char *remedy = json_string_value(json_object_get(check, "remedy"));
		if (cases[i].remedy)
			assert_non_null(strstr(remedy, cases[i].remedy));
		json_decref(checks);
	}
	json_t *checks = json_array();
	const struct berth_model_service empty = {.config.name = "web"};
	berth_doctor_service(&empty, checks);
	assert_string_equal(json_string_value(json_object_get(json_array_get(checks, 0), "finding")),
			    "no eligible backend: it has no backends");
	json_decref(checks);
}

static void test_frames_that_an_interface_has_lost_lately_are_found(void **state)
{
	(void)state;
	const struct berth_rtnl_losses before = {5, 5, 5, 5, 5};
	const struct {
		struct berth_rtnl_losses now;
		const char *level, *text;
	} cases[] = {
		{{6, 5, 5, 5, 5}, "problem", "1 receive errors (rx_errors) in the last 42 s"},
		{{5, 8, 5, 5, 5}, "problem", "3 transmit errors (tx_errors) in the last 42 s"},
		{{5, 5, 7, 5, 5},
		 "problem",
		 "2 frames for which the driver had no room (rx_missed_errors) in the last 42 s"},
		{{5, 5, 5, 105, 5}, "note", "100 dropped received frames (rx_dropped) in the last 42 s"},
		{{5, 5, 5, 5, 205}, "note", "200 dropped frames to send (tx_dropped) in the last 42 s"},
		{{5, 5, 5, 104, 104}, NULL, NULL},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *checks = json_array();
		berth_doctor_losses("eth0", &before, &cases[i].now, 42, checks);
		assert_int_equal(json_array_size(checks), cases[i].text != NULL);
		if (cases[i].text) {
			const json_t *check = json_array_get(checks, 0);
			assert_string_equal(json_string_value(json_object_get(check, "level")), cases[i].level);
			assert_string_equal(json_string_value(json_object_get(check, "finding")), cases[i].text);
		}
		json_decref(checks);
	}
}

static void expect_vlan_finding(const char *path, const char *name, bool is_offloaded, const char *finding)
{
	const struct berth_ethtool facts = {.has_rx_vlan = is_offloaded};
	json_t *checks = json_array();
	berth_doctor_vlan(path, name, &facts, checks);
	const json_t *check = json_array_get(checks, 0);
	const char *text = json_string_value(json_object_get(check, "finding"));
	assert_string_equal(text ? text : "", finding);
	if (text) {
		assert_string_equal(json_string_value(json_object_get(check, "level")), "note");
		assert_non_null(strstr(json_string_value(json_object_get(check, "remedy")), "rxvlan off"));
	}
	json_decref(checks);
}

#define VLAN_FINDING(vlan)                                                                                         \
	"its driver removes VLAN tags (rx-vlan-offload) before the XDP program sees a frame: berth takes frames "  \
	"of " vlan " for untagged ones, and forwards those for a service without a tag"

static void test_a_driver_that_removes_the_tags_of_a_vlan_is_found(void **state)
{
	(void)state;
	char path[] = "/tmp/berth-test-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	/* As vlan_seq_show of the kernel's 8021q module writes it. */
	dprintf(fd,
		"VLAN Dev name\t | VLAN ID\nName-Type: VLAN_NAME_TYPE_RAW_PLUS_VID_NO_PAD\n"
		"%-15s| %d  | %s\n%-15s| %d  | %s\n",
		"eth1.5", 5, "eth1", "fifteen-letters", 100, "eth0");
	expect_vlan_finding(path, "eth0", true, VLAN_FINDING("fifteen-letters"));
	expect_vlan_finding(path, "eth1", true, VLAN_FINDING("eth1.5"));
	expect_vlan_finding(path, "eth1", false, "");
	expect_vlan_finding(path, "eth", true, "");
	close(fd);
	unlink(path);
	expect_vlan_finding(path, "eth0", true, "");
}

/* The server behind a path that is fine. */
static void test_port_and_clients_are_judged_behind_a_path_that_is_fine(void **state)
{
	(void)state;
	const struct {
		uint8_t protocol;
		bool is_open, is_refused, is_prohibited;
		uint64_t half_open, flows;
		const char *text; /* NULL: no finding */
	} cases[] = {
		{IPPROTO_TCP, true, false, false, 0, 0, NULL},
		{IPPROTO_TCP, true, false, false, 2, 2, NULL},
		{IPPROTO_TCP, true, false, false, 30, 31, NULL},
		{IPPROTO_TCP, true, false, false, 3, 3, "clients get no answer: all of its 3 flows are half-open"},
		{IPPROTO_TCP, false, true, false, 3, 3, "refuses TCP port 443 at 203.0.113.10"},
		{IPPROTO_TCP, false, false, true, 0, 0, "but rejects TCP port 443: a firewall rejects it"},
		{IPPROTO_TCP, false, false, false, 0, 0, "but does not answer TCP port 443: a firewall drops it"},
		{IPPROTO_UDP, false, true, false, 0, 0, "refuses UDP port 443 at 203.0.113.10"},
		{IPPROTO_UDP, false, false, true, 0, 0, "but rejects UDP port 443"},
		{IPPROTO_UDP, false, false, false, 0, 0, NULL},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct berth_doctor_target target = target_of(BERTH_MODE_L2, 4, 4);
		struct berth_doctor_results results = {.is_port_refused = cases[i].is_refused,
						       .is_port_prohibited = cases[i].is_prohibited};
		struct berth_doctor_finding findings[BERTH_DOCTOR_FINDINGS];
		results.is_answered[BERTH_DOCTOR_DIRECT] = results.is_answered[BERTH_DOCTOR_SERVICE] = true;
		results.is_answered[BERTH_DOCTOR_LARGE] = true;
		results.is_answered[BERTH_DOCTOR_PORT] = cases[i].is_open;
		target.protocol = cases[i].protocol;
		target.port = 443;
		target.half_open = cases[i].half_open;
		target.flows = cases[i].flows;
		size_t n = berth_doctor_diagnose(&target, &results, findings);
		assert_int_equal(n, cases[i].text ? 2 : 1);
		if (cases[i].text && !strstr(findings[1].text, cases[i].text))
			fail_msg("case %zu: %s", i, findings[1].text);
	}
}

static void test_who_answers_for_the_next_hop_is_judged(void **state)
{
	(void)state;
	const struct {
		bool is_right, is_other, is_static, is_direct;
		const char *text; /* NULL: none about the next hop */
	} cases[] = {
		{true, false, true, true, NULL},
		{false, false, true, false, NULL}, /* nobody answers */
		{false, true, true, false,
		 "wrong static link address of its next hop 192.0.2.11: 02:00:00:00:00:11 does not "
		 "answer, 02:00:00:00:00:01 does"},
		{false, true, false, false, "wrong link address of its next hop 192.0.2.11"},
		{false, true, false, true, NULL}, /* a proxy */
		{true, true, false, true, "two hosts answer for its next hop 192.0.2.11"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct berth_doctor_target target = target_of(BERTH_MODE_L2, 4, 4);
		struct berth_doctor_results results = {0};
		struct berth_doctor_finding findings[BERTH_DOCTOR_FINDINGS];
		struct berth_doctor_reply reply = {.type = BERTH_DOCTOR_REPLY_NEIGHBOR};
		target.next_hop = reply.original_dst = target.backend;
		target.is_static = cases[i].is_static;
		results.is_answered[BERTH_DOCTOR_DIRECT] = cases[i].is_direct;
		if (cases[i].is_right)
			berth_doctor_record(&target, &results, &reply, backend_mac);
		if (cases[i].is_other)
			berth_doctor_record(&target, &results, &reply, router_mac);
		berth_doctor_diagnose(&target, &results, findings);
		const char *found = strstr(findings[0].text, "next hop");
		assert_int_equal(found != NULL, cases[i].text != NULL);
		if (cases[i].text)
			assert_non_null(strstr(findings[0].text, cases[i].text));
	}
}

static void test_findings_with_one_cause_are_one_with_all_subjects(void **state)
{
	(void)state;
	json_t *checks = json_array();
	const struct {
		const char *subject, *text, *remedy, *cause;
		enum berth_doctor_level level;
	} findings[] = {
		{"web/b1", "silent: timed out", "", "host 1", BERTH_DOCTOR_PROBLEM},
		{"web/b2", "fine", "", "", BERTH_DOCTOR_OK},
		{"dns/b1", "silent: refused", "", "host 1", BERTH_DOCTOR_PROBLEM},
		{"dns/b2", "fine", "", "", BERTH_DOCTOR_OK},
		{"dns/b3", "fine", "but", "", BERTH_DOCTOR_OK},
	};
	for (size_t i = 0; i < sizeof(findings) / sizeof(findings[0]); i++) {
		struct berth_doctor_finding finding = {.level = findings[i].level};
		strcpy(finding.text, findings[i].text);
		strcpy(finding.remedy, findings[i].remedy);
		strcpy(finding.cause, findings[i].cause);
		berth_doctor_add(checks, findings[i].subject, &finding);
	}
	json_t *groups = berth_doctor_group(checks), *problems = json_array();
	char *text = json_dumps(groups, JSON_COMPACT | JSON_SORT_KEYS);
	assert_string_equal(
		text,
		"[{\"finding\":\"silent: timed out\",\"level\":\"problem\",\"remedy\":null,\"subject\":\"web/b1\","
		"\"subjects\":[\"web/b1\",\"dns/b1\"]},{\"finding\":\"fine\",\"level\":\"ok\",\"remedy\":null,"
		"\"subject\":\"web/b2\",\"subjects\":[\"web/b2\",\"dns/"
		"b2\"]},{\"finding\":\"fine\",\"level\":\"ok\","
		"\"remedy\":\"but\",\"subject\":\"dns/b3\",\"subjects\":[\"dns/b3\"]}]");
	berth_doctor_add_problems(problems, checks);
	assert_int_equal(json_array_size(problems), 2);
	json_decref(problems);
	json_decref(groups);
	json_decref(checks);
	free(text);
}

static void test_remedies_contain_the_configured_port_and_prefix(void **state)
{
	(void)state;
	struct berth_doctor_target target = target_of(BERTH_MODE_GUE, 4, 4);
	struct berth_doctor_results results = {.is_unreachable = true};
	struct berth_doctor_finding findings[BERTH_DOCTOR_FINDINGS];
	target.gue_port = 7000;
	berth_doctor_diagnose(&target, &results, findings);
	assert_non_null(strstr(findings[0].remedy, "ip fou add port 7000 gue"));
	assert_non_null(strstr(findings[0].remedy, "berth-decap attach eth0 --gue-port 7000"));

	results = (struct berth_doctor_results){.is_answered[BERTH_DOCTOR_DECAP] = true};
	target.prefix = address("203.0.113.0");
	target.bits = 96 + 28;
	berth_doctor_diagnose(&target, &results, findings);
	assert_non_null(strstr(findings[0].remedy, "ip route add local 203.0.113.0/28 dev lo"));
}

static void test_the_longest_remedy_is_not_truncated(void **state)
{
	(void)state;
	struct berth_doctor_target target = target_of(BERTH_MODE_GUE, 6, 4);
	const struct berth_doctor_results refused = {.is_unreachable = true};
	const struct berth_doctor_results dropped = {.is_answered[BERTH_DOCTOR_DIRECT] = true};
	struct berth_doctor_finding findings[BERTH_DOCTOR_FINDINGS];
	target.gue_port = 65535;
	berth_doctor_diagnose(&target, &refused, findings);
	assert_non_null(strstr(findings[0].remedy, "--gue-port 65535"));
	berth_doctor_diagnose(&target, &dropped, findings);
	assert_non_null(strstr(findings[0].remedy, "allow UDP port 65535 from berth's host"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_what_concerns_a_target_is_its_results),
		cmocka_unit_test(test_an_answer_returns_via_berth_only_if_the_backend_itself_sent_it),
		cmocka_unit_test(test_results_is_judged),
		cmocka_unit_test(test_a_path_mtu_that_berth_learns_is_a_note),
		cmocka_unit_test(test_a_forced_state_is_distinguished_from_the_check),
		cmocka_unit_test(test_a_check_that_cannot_run_is_a_problem_even_if_the_path_is_fine),
		cmocka_unit_test(test_a_target_has_the_effective_health_and_the_checks),
		cmocka_unit_test(test_a_service_without_eligible_backends_is_a_problem),
		cmocka_unit_test(test_frames_that_an_interface_has_lost_lately_are_found),
		cmocka_unit_test(test_a_driver_that_removes_the_tags_of_a_vlan_is_found),
		cmocka_unit_test(test_port_and_clients_are_judged_behind_a_path_that_is_fine),
		cmocka_unit_test(test_who_answers_for_the_next_hop_is_judged),
		cmocka_unit_test(test_findings_with_one_cause_are_one_with_all_subjects),
		cmocka_unit_test(test_remedies_contain_the_configured_port_and_prefix),
		cmocka_unit_test(test_the_longest_remedy_is_not_truncated),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
