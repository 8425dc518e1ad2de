// SPDX-License-Identifier: BSD-3-Clause
/* What berthctl doctor makes of the answers, and of what it knows without them. */
#include "tests/unit/controlplane/doctor/doctor.h"

#include "controlplane/doctor/host.h"

static void test_only_what_concerns_a_target_is_its_evidence(void **state)
{
	(void)state;
	const struct berth_doctor_target target = target_of(BERTH_MODE_GUE, 4, 4);
	const struct berth_doctor_evidence none = {0};
	const union berth_addr other = address("192.0.2.12");
	const struct berth_doctor_seen foreign[] = {
		/* An answer from another address than was asked: a router's, say. */
		{.word = BERTH_DOCTOR_ANSWERED, .tag.probe = BERTH_DOCTOR_SERVICE, .from = target.backend},
		{.word = BERTH_DOCTOR_ANSWERED, .tag.probe = BERTH_DOCTOR_OWN, .from = target.service},
		{.word = BERTH_DOCTOR_REFUSED, .from = other, .about = other, .protocol = 17, .port = 6080},
		{.word = BERTH_DOCTOR_REFUSED,
		 .from = target.backend,
		 .about = target.backend,
		 .protocol = 17,
		 .port = 53},
		{.word = BERTH_DOCTOR_REFUSED, .from = target.backend, .about = target.backend, .protocol = 4},
		{.word = BERTH_DOCTOR_REFUSED,
		 .from = other,
		 .about = target.backend,
		 .protocol = 17,
		 .port = 6080},
		{.word = BERTH_DOCTOR_CLAIMED, .about = target.backend},
	};
	struct berth_doctor_evidence evidence = {0};
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
		berth_doctor_learn(&target, &evidence, &foreign[i], backend_mac);
	const struct berth_doctor_target ipip = target_of(BERTH_MODE_IPIP, 4, 4);
	const struct berth_doctor_seen of_ipv6 = {
		.word = BERTH_DOCTOR_REFUSED, .from = ipip.backend, .about = ipip.backend, .protocol = 41};
	berth_doctor_learn(&ipip, &evidence, &of_ipv6, backend_mac);
	/* The router has the address, and may well answer for it. */
	const struct berth_doctor_seen claim = {.word = BERTH_DOCTOR_CLAIMED, .about = target.service};
	berth_doctor_learn(&target, &evidence, &claim, router_mac);
	assert_memory_equal(&evidence, &none, sizeof(none));

	berth_doctor_learn(&target, &evidence, &claim, backend_mac);
	assert_true(evidence.claimed);
	const struct berth_doctor_seen refusal = {.word = BERTH_DOCTOR_REFUSED,
						  .from = target.backend,
						  .about = target.backend,
						  .protocol = 17,
						  .port = 6080};
	berth_doctor_learn(&target, &evidence, &refusal, router_mac);
	assert_true(evidence.refused);
}

static void test_a_return_is_berths_only_straight_from_the_backend(void **state)
{
	(void)state;
	const struct berth_doctor_target target = target_of(BERTH_MODE_NAT, 4, 4);
	const struct berth_doctor_seen seen = {
		.word = BERTH_DOCTOR_ANSWERED, .tag.probe = BERTH_DOCTOR_RETURN, .from = target.backend};
	struct berth_doctor_evidence evidence = {0};
	berth_doctor_learn(&target, &evidence, &seen, router_mac);
	assert_true(evidence.by_other);
	berth_doctor_learn(&target, &evidence, &seen, backend_mac);
	assert_false(evidence.by_other);
}

enum {
	DIRECT = 1 << BERTH_DOCTOR_DIRECT,
	OWN = 1 << BERTH_DOCTOR_OWN,
	SERVICE = 1 << BERTH_DOCTOR_SERVICE,
	BIG = 1 << BERTH_DOCTOR_BIG,
	SUMMED = 1 << BERTH_DOCTOR_SUMMED,
	RETURN = 1 << BERTH_DOCTOR_RETURN,
	REFUSED = 1 << BERTH_DOCTOR_PROBES,
	FORBIDDEN = REFUSED << 1,
	CLAIMED = REFUSED << 2,
	BY_OTHER = REFUSED << 3,
	ROUTED = REFUSED << 4, /* of the target: behind a router */
	DOWN = REFUSED << 5,
	NARROW = REFUSED << 6,
	NO_SOURCE = REFUSED << 7,
};

/* What the first finding must be. */
static const struct {
	enum berth_mode mode;
	int outer, inner;
	unsigned int facts;
	enum berth_doctor_level level;
	const char *seen, *advice;
} judgements[] = {
	{BERTH_MODE_L2, 4, 4, DIRECT | SERVICE | BIG, BERTH_DOCTOR_OK, "1500 bytes too", ""},
	{BERTH_MODE_L2, 4, 4, DIRECT, BERTH_DOCTOR_WRONG, "not at 203.0.113.10",
	 "ip addr add 203.0.113.10/32 dev lo"},
	{BERTH_MODE_L2, 6, 6, DIRECT, BERTH_DOCTOR_WRONG, "not at 2001:db8:f::10",
	 "ip addr add 2001:db8:f::10/128 dev lo"},
	{BERTH_MODE_L2, 4, 4, DIRECT | SERVICE, BERTH_DOCTOR_WRONG, "not one of 1500 bytes", "mtu 1500"},
	{BERTH_MODE_L2, 4, 4, DIRECT | SERVICE | BIG | CLAIMED, BERTH_DOCTOR_WRONG, "answers ARP requests",
	 "arp_ignore=1"},
	{BERTH_MODE_L2, 6, 6, DIRECT | SERVICE | BIG | CLAIMED, BERTH_DOCTOR_WRONG, "neighbour solicitations",
	 "ip addr del 2001:db8:f::10/128 dev eth0"},
	{BERTH_MODE_L2, 4, 4, DIRECT | ROUTED, BERTH_DOCTOR_WRONG, "over a router", "mode: ipip"},
	{BERTH_MODE_L2, 4, 4, 0, BERTH_DOCTOR_NOTE, "answers no pings", "let ICMP"},
	{BERTH_MODE_L2, 4, 4, DOWN, BERTH_DOCTOR_WRONG, "does not answer at all (health check: refused)",
	 "running"},
	{BERTH_MODE_L2, 4, 4, DIRECT | SERVICE | BIG | DOWN, BERTH_DOCTOR_OK, "answers", ""},
	{BERTH_MODE_IPIP, 4, 4, DIRECT | OWN | SERVICE | BIG, BERTH_DOCTOR_OK, "ipip: 203.0.113.10 answers", ""},
	{BERTH_MODE_IPIP, 4, 4, DIRECT | OWN | SERVICE | BIG | NARROW, BERTH_DOCTOR_NOTE, "at most 1480 bytes",
	 "MTU of 1520"},
	{BERTH_MODE_IPIP, 4, 4, DIRECT | OWN | SERVICE, BERTH_DOCTOR_WRONG, "not one of 1500 bytes", "mtu 1520"},
	{BERTH_MODE_IPIP, 4, 4, DIRECT | OWN, BERTH_DOCTOR_WRONG, "the service's address is missing",
	 "ip addr add 203.0.113.10/32 dev lo"},
	{BERTH_MODE_IPIP, 4, 4, DIRECT | REFUSED, BERTH_DOCTOR_WRONG, "refuses ipip",
	 "modprobe ipip && ip link set tunl0 up"},
	{BERTH_MODE_IPIP, 4, 6, DIRECT | REFUSED, BERTH_DOCTOR_WRONG, "refuses ipip",
	 "modprobe sit && ip link set sit0 up"},
	{BERTH_MODE_IPIP, 6, 6, DIRECT | REFUSED, BERTH_DOCTOR_WRONG, "refuses ipip",
	 "modprobe ip6_tunnel && ip link set ip6tnl0 up"},
	{BERTH_MODE_IPIP, 6, 4, DIRECT | REFUSED, BERTH_DOCTOR_WRONG, "refuses ipip",
	 "ip -6 tunnel change ip6tnl0 mode any"},
	{BERTH_MODE_IPIP, 4, 4, DIRECT | FORBIDDEN, BERTH_DOCTOR_WRONG, "firewall on the way rejects",
	 "let protocol 4 "},
	{BERTH_MODE_IPIP, 4, 4, DIRECT, BERTH_DOCTOR_WRONG, "rp_filter", "net.ipv4.conf.tunl0.rp_filter=0"},
	{BERTH_MODE_IPIP, 6, 6, DIRECT, BERTH_DOCTOR_WRONG, "a firewall drops protocol 41", "let protocol 41"},
	{BERTH_MODE_IPIP, 4, 6, DIRECT, BERTH_DOCTOR_WRONG, "the service's address is missing, or a firewall",
	 "ip addr add 2001:db8:f::10/128 dev lo; and let protocol 41"},
	{BERTH_MODE_IPIP, 4, 4, 0, BERTH_DOCTOR_NOTE, "answers no pings", ""},
	{BERTH_MODE_IPIP, 4, 6, DIRECT | NO_SOURCE, BERTH_DOCTOR_NOTE, "no IPv6 address to try", ""},
	{BERTH_MODE_GUE, 4, 4, DIRECT | REFUSED, BERTH_DOCTOR_WRONG, "refuses gue",
	 "modprobe fou && ip fou add port 6080 gue && modprobe ipip"},
	{BERTH_MODE_GUE, 6, 6, DIRECT | REFUSED, BERTH_DOCTOR_WRONG, "refuses gue",
	 "modprobe fou6 && ip -6 fou add port 6080 gue"},
	{BERTH_MODE_GUE, 6, 6, DIRECT | SUMMED, BERTH_DOCTOR_WRONG, "only with an outer UDP checksum",
	 "berth-decap"},
	{BERTH_MODE_GUE, 4, 4, DIRECT | OWN | SERVICE, BERTH_DOCTOR_WRONG, "not one of 1500 bytes", "mtu 1528"},
	{BERTH_MODE_NAT, 4, 4, DIRECT | BIG | RETURN, BERTH_DOCTOR_OK, "its own address answers", ""},
	{BERTH_MODE_NAT, 4, 4, DIRECT | BIG | RETURN | BY_OTHER, BERTH_DOCTOR_WRONG, "by another router",
	 "ip route replace default via 192.0.2.2"},
	{BERTH_MODE_NAT, 6, 6, DIRECT | BIG, BERTH_DOCTOR_WRONG, "berth is not its gateway",
	 "ip -6 route replace default via 2001:db8:2::2"},
};

static void test_evidence_is_judged(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(judgements) / sizeof(judgements[0]); i++) {
		unsigned int facts = judgements[i].facts;
		struct berth_doctor_target target = target_of(judgements[i].mode, judgements[i].outer,
							      judgements[i].inner);
		struct berth_doctor_evidence evidence = {
			.refused = facts & REFUSED,
			.forbidden = facts & FORBIDDEN,
			.claimed = facts & CLAIMED,
			.by_other = facts & BY_OTHER,
		};
		struct berth_doctor_finding findings[BERTH_DOCTOR_FINDINGS];
		for (int probe = 0; probe < BERTH_DOCTOR_PROBES; probe++)
			evidence.answered[probe] = facts & 1u << probe;
		target.on_link = !(facts & ROUTED);
		target.alive = target.up = !(facts & DOWN);
		target.health_reason = target.up ? "" : "refused";
		target.mtu = facts & NARROW ? 1500 : 1600;
		if (facts & NO_SOURCE)
			memset(&target.inner_source, 0, sizeof(target.inner_source));
		size_t n = berth_doctor_judge(&target, &evidence, findings);
		assert_in_range(n, 1, BERTH_DOCTOR_FINDINGS);
		if (findings[0].level != judgements[i].level || !strstr(findings[0].seen, judgements[i].seen) ||
		    !strstr(findings[0].advice, judgements[i].advice))
			fail_msg("case %zu: level %d, %s -> %s", i, (int)findings[0].level, findings[0].seen,
				 findings[0].advice);
		/* Fine through the tunnel, and still nobody goes there. */
		if (target.up || findings[0].level != BERTH_DOCTOR_OK)
			continue;
		assert_int_equal(n, 2);
		assert_non_null(strstr(findings[1].seen, "health check fails: refused"));
	}
}

static void test_an_operators_word_on_health_is_told_from_the_checks(void **state)
{
	(void)state;
	const struct berth_doctor_evidence fine = {
		.answered = {
			[BERTH_DOCTOR_DIRECT] = true, [BERTH_DOCTOR_SERVICE] = true, [BERTH_DOCTOR_BIG] = true}};
	const struct berth_doctor_evidence silence = {0};
	struct berth_doctor_target target = target_of(BERTH_MODE_L2, 4, 4);
	struct berth_doctor_finding findings[BERTH_DOCTOR_FINDINGS];

	target.up = false;
	target.health_reason = "connected";
	assert_int_equal(berth_doctor_judge(&target, &fine, findings), 2);
	assert_int_equal(findings[1].level, BERTH_DOCTOR_NOTE);
	assert_string_equal(findings[1].seen, "an operator forced it down; its health check says: connected");
	assert_non_null(strstr(findings[1].advice, "auto"));
	/* What it is forced to be tells nothing of whether it lives. */
	berth_doctor_judge(&target, &silence, findings);
	assert_non_null(strstr(findings[0].seen, "its health check is fine, but it answers no pings"));

	target.alive = false;
	target.up = true;
	target.health_reason = "refused";
	assert_int_equal(berth_doctor_judge(&target, &fine, findings), 2);
	assert_string_equal(findings[1].seen, "an operator forced it up; its health check says: refused");
	berth_doctor_judge(&target, &silence, findings);
	assert_non_null(strstr(findings[0].seen, "does not answer at all (health check: refused)"));
}

/* A backend of a model, as an operator and the checks have left it. */
static void test_a_targets_health_is_the_one_that_counts(void **state)
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
			.config.address = address("192.0.2.11"),
			.next_hop.is_resolved = true,
			.forced = cases[i].forced,
			.health = cases[i].health,
		};
		assert_true(berth_doctor_find(&daemon, &rtnl, &service, &backend, &target, &finding));
		assert_int_equal(target.alive, cases[i].alive);
		assert_int_equal(target.up, cases[i].up);
	}
	berth_rtnl_close(&rtnl);
}

static void test_the_other_port_and_the_prefix_stand_in_the_commands(void **state)
{
	(void)state;
	struct berth_doctor_target target = target_of(BERTH_MODE_GUE, 4, 4);
	struct berth_doctor_evidence evidence = {.refused = true};
	struct berth_doctor_finding findings[BERTH_DOCTOR_FINDINGS];
	target.gue_port = 7000;
	berth_doctor_judge(&target, &evidence, findings);
	assert_non_null(strstr(findings[0].advice, "ip fou add port 7000 gue"));
	assert_non_null(strstr(findings[0].advice, "berth-decap attach eth0 --gue-port 7000"));

	evidence = (struct berth_doctor_evidence){.answered[BERTH_DOCTOR_OWN] = true};
	target.prefix = address("203.0.113.0");
	target.bits = 96 + 28;
	berth_doctor_judge(&target, &evidence, findings);
	assert_non_null(strstr(findings[0].advice, "ip route add local 203.0.113.0/28 dev lo"));
}

/* No advice may be cut: the longest there is. */
static void test_the_longest_advice_is_whole(void **state)
{
	(void)state;
	struct berth_doctor_target target = target_of(BERTH_MODE_GUE, 6, 4);
	const struct berth_doctor_evidence refused = {.refused = true};
	const struct berth_doctor_evidence swallowed = {.answered[BERTH_DOCTOR_DIRECT] = true};
	struct berth_doctor_finding findings[BERTH_DOCTOR_FINDINGS];
	target.gue_port = 65535;
	berth_doctor_judge(&target, &refused, findings);
	assert_non_null(strstr(findings[0].advice, "--gue-port 65535"));
	berth_doctor_judge(&target, &swallowed, findings);
	assert_non_null(strstr(findings[0].advice, "UDP port 65535 from berth's host in"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_what_concerns_a_target_is_its_evidence),
		cmocka_unit_test(test_a_return_is_berths_only_straight_from_the_backend),
		cmocka_unit_test(test_evidence_is_judged),
		cmocka_unit_test(test_an_operators_word_on_health_is_told_from_the_checks),
		cmocka_unit_test(test_a_targets_health_is_the_one_that_counts),
		cmocka_unit_test(test_the_other_port_and_the_prefix_stand_in_the_commands),
		cmocka_unit_test(test_the_longest_advice_is_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
