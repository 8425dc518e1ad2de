// SPDX-License-Identifier: BSD-3-Clause
/*
 * From the kernel's routes into the published generation: a real daemon with the null engine and its loop, in the
 * namespaces of links_lab.h.
 */
#include "controlplane/daemon/apply.h"
#include "tests/support/berthd.h"
#include "tests/support/links_lab.h"

#define CONFIGURATION(mode)                                                                                        \
	"engine: 'null'\n"                                                                                         \
	"interfaces: [{name: up0}]\n"                                                                              \
	"limits: {flows: 1024, sessions: 1024, services: 4, backends: 60}\n"                                       \
	"services:\n"                                                                                              \
	"  - {name: web, address: 203.0.113.10, protocol: tcp, port: 80, mode: " mode ", table-size: 251,\n"       \
	"     health: {type: none}, backends: [{name: b1, address: 192.0.2.2}]}\n"

static const char nat[] = CONFIGURATION("nat");
static const char l2[] = CONFIGURATION("l2");

struct fixture {
	pid_t peer;
	struct berthd berthd;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	berthd_prepare(&f->berthd, nat);
	f->peer = make_links();
	berthd_open(&f->berthd);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	berth_daemon_close(f->berthd.daemon);
	end_links(f->peer);
	berthd_remove(&f->berthd);
	free(f);
	return 0;
}

static void apply(struct fixture *f, const char *text)
{
	char error[BERTH_ERROR_BYTES];
	if (berth_daemon_apply(f->berthd.daemon, "new.yaml", text, strlen(text), false, error) != 0)
		fail_msg("%s", error);
}

/* The published routes: "192.0.2.0/24 kernel, 0.0.0.0/0 MAC, ". */
static const char *published(struct fixture *f, char text[2048])
{
	const struct berth_image *image = &f->berthd.daemon->engine->image;
	const struct berth_globals *globals = berth_image_current(image).globals;
	size_t used = 0;
	text[0] = '\0';
	for (size_t i = 0; i < BERTH_MAX_ROUTES && globals->route[i].kind != BERTH_ROUTE_NONE; i++) {
		const struct berth_route *route = &globals->route[i];
		char prefix[BERTH_PREFIX_TEXT], mac[18];
		bool is_hop = route->kind == BERTH_ROUTE_HOP;
		used += (size_t)snprintf(text + used, 2048 - used, "%s %s, ",
					 berth_prefix_format(&route->prefix, route->bits, prefix),
					 is_hop ? mac_text(route->dst_mac, mac) : "kernel");
	}
	return text;
}

static void wait_published(struct fixture *f, const char *expected)
{
	char text[2048];
	if (!wait_until(strcmp(published(f, text), expected) == 0, 1000, loop_for(f->berthd.daemon->base, 10)))
		fail_msg("\"%s\" is published, not \"%s\"", text, expected);
}

static void routes_and_neighbours_are_published_within_a_second(void **state)
{
	struct fixture *f = *state;
	wait_published(f, "");
	ours("ip route add default via 192.0.2.2");
	wait_published(f, "192.0.2.0/24 kernel, 0.0.0.0/0 " PEER_MAC ", ");
	ours("ip neigh add 192.0.2.9 lladdr " OTHER_MAC " dev up0 nud permanent"
	     " && ip route add 198.51.100.0/24 via 192.0.2.9");
	wait_published(f, "192.0.2.0/24 kernel, 198.51.100.0/24 " OTHER_MAC ", 0.0.0.0/0 " PEER_MAC ", ");
	ours("ip neigh replace 192.0.2.9 lladdr " PEER_MAC " dev up0 nud permanent");
	wait_published(f, "192.0.2.0/24 kernel, 0.0.0.0/0 " PEER_MAC ", ");
	ours("ip neigh replace 192.0.2.9 lladdr " OTHER_MAC " dev up0 nud permanent && ip route del default");
	wait_published(f, "198.51.100.0/24 " OTHER_MAC ", ");
	ours("ip rule add from 203.0.113.0/24 table 100");
	wait_published(f, "");
	assert_non_null(strstr(f->berthd.daemon->routes_logged, "ip rule"));
	ours("ip rule del from 203.0.113.0/24 table 100");
	wait_published(f, "198.51.100.0/24 " OTHER_MAC ", ");
	assert_null(f->berthd.daemon->routes_logged);
}

static void a_published_hop_has_all_that_a_frame_needs(void **state)
{
	struct fixture *f = *state;
	char text[18];
	ours("ip route add default via 2001:db8::2 mtu 1400");
	wait_published(f, "0.0.0.0/0 kernel, 2001:db8::/64 kernel, fe80::/64 kernel, ::/0 " PEER_MAC ", ");
	const struct berth_image *image = &f->berthd.daemon->engine->image;
	const struct berth_route *route = &berth_image_current(image).globals->route[3];
	assert_int_equal(route->bits, 0);
	assert_int_equal(route->port, 0);
	assert_int_equal(route->mtu, 1400);
	assert_string_equal(mac_text(route->src_mac, text), OUR_MAC);
}

static void a_gateway_beyond_an_interface_without_a_port_is_the_kernels(void **state)
{
	struct fixture *f = *state;
	ours("ip link add other type veth peer name end && ip link set end up && ip link set other up"
	     " && ip addr add 198.18.0.1/24 dev other"
	     " && ip neigh add 198.18.0.2 lladdr " OTHER_MAC " dev other nud permanent");
	ours("ip route add default via 192.0.2.2 && ip route add 198.51.100.0/24 via 198.18.0.2");
	wait_published(f, "192.0.2.0/24 kernel, 198.18.0.0/24 kernel, 198.51.100.0/24 kernel, 0.0.0.0/0 " PEER_MAC
			  ", ");
}

static void routes_are_published_only_while_a_service_has_mode_nat(void **state)
{
	struct fixture *f = *state;
	ours("ip route add default via 192.0.2.2");
	wait_published(f, "192.0.2.0/24 kernel, 0.0.0.0/0 " PEER_MAC ", ");
	apply(f, l2);
	wait_published(f, "");
	ours("ip route replace default via 192.0.2.3");
	loop_for(f->berthd.daemon->base, 300);
	wait_published(f, "");
	apply(f, nat);
	wait_published(f, "192.0.2.0/24 kernel, 0.0.0.0/0 " PEER_MAC ", ");
}

/* Waits for what workers read, and the alarm of the service. */
static void wait_eligibility(struct fixture *f, uint8_t expected, bool alarm)
{
	const struct berth_image *image = &f->berthd.daemon->engine->image;
	const struct berth_model_service *web = &f->berthd.daemon->model.services[0];
	const uint32_t number = web->backends[0].number;
	const uint8_t *eligibility = &image->eligibility[number / BERTH_ELIGIBILITY_PER_LINE]
					      .backend[number % BERTH_ELIGIBILITY_PER_LINE];
	if (!wait_until(*eligibility == expected && web->no_eligible == alarm, 3000,
			loop_for(f->berthd.daemon->base, 10)))
		fail_msg("eligibility %#x, alarm %d", *eligibility, web->no_eligible);
}

static void a_backend_without_a_next_hop_is_not_eligible_for_new_clients(void **state)
{
	struct fixture *f = *state;
	const uint8_t kept = BERTH_ELIGIBLE_FLOWS | BERTH_ELIGIBLE_SESSIONS;
	ours("ip neigh replace 192.0.2.2 lladdr " PEER_MAC " dev up0 nud permanent");
	wait_eligibility(f, BERTH_ELIGIBLE_ALL, false);
	/* No interface of the engine leads to it. */
	ours("ip route add 192.0.2.2/32 dev lo");
	loop_for(f->berthd.daemon->base, 300);
	wait_eligibility(f, BERTH_ELIGIBLE_ALL, false);
	/* It was kept because berthd has just started, but not for ever. */
	event_active(f->berthd.daemon->settle_event, EV_TIMEOUT, 1);
	wait_eligibility(f, kept, true);
	ours("ip route del 192.0.2.2/32 dev lo");
	wait_eligibility(f, BERTH_ELIGIBLE_ALL, false);
}

/* The published own addresses that are not of loopback or of a link only, in order of text; some, if many. */
static const char *published_own(struct fixture *f, char text[2048])
{
	const struct berth_image *image = &f->berthd.daemon->engine->image;
	const struct berth_vip *vips = berth_image_current(image).vips;
	char own[16][BERTH_ADDRESS_TEXT];
	size_t n = 0;
	for (uint32_t i = 0; i < image->geometry.vips && n < sizeof(own) / sizeof(own[0]); i++) {
		char address[BERTH_ADDRESS_TEXT];
		if (vips[i].kind != BERTH_VIP_OWN)
			continue;
		berth_address_format(&vips[i].addr, address);
		if (strncmp(address, "127.", 4) != 0 && strncmp(address, "fe80:", 5) != 0 &&
		    strcmp(address, "::1") != 0)
			strcpy(own[n++], address);
	}
	qsort(own, n, sizeof(own[0]), (int (*)(const void *, const void *))strcmp);
	text[0] = '\0';
	for (size_t i = 0; i < n; i++)
		strcat(strcat(text, own[i]), ", ");
	return text;
}

static void wait_own(struct fixture *f, const char *expected)
{
	char text[2048];
	if (!wait_until(strcmp(published_own(f, text), expected) == 0, 1000, loop_for(f->berthd.daemon->base, 10)))
		fail_msg("\"%s\" is published, not \"%s\"", text, expected);
}

static void own_addresses_are_published_from_the_start_and_within_a_second(void **state)
{
	struct fixture *f = *state;
	char text[2048];
	assert_string_equal(published_own(f, text), "192.0.2.1, 2001:db8::1, ");
	ours("ip addr add 192.0.2.77/24 dev up0 && ip addr add 2001:db8:7::7/128 dev lo");
	wait_own(f, "192.0.2.1, 192.0.2.77, 2001:db8:7::7, 2001:db8::1, ");
	ours("ip addr del 192.0.2.77/24 dev up0");
	wait_own(f, "192.0.2.1, 2001:db8:7::7, 2001:db8::1, ");
	ours("ip addr del 2001:db8:7::7/128 dev lo");
	wait_own(f, "192.0.2.1, 2001:db8::1, ");
	assert_false(f->berthd.daemon->own_logged);
}

static void own_addresses_are_published_only_while_a_service_has_mode_nat(void **state)
{
	struct fixture *f = *state;
	char text[2048];
	apply(f, l2);
	assert_int_equal(f->berthd.daemon->model.n_own, 0);
	wait_own(f, "");
	ours("ip addr add 192.0.2.77/24 dev up0");
	loop_for(f->berthd.daemon->base, 300);
	assert_string_equal(published_own(f, text), "");
	apply(f, nat);
	assert_string_equal(published_own(f, text), "192.0.2.1, 192.0.2.77, 2001:db8::1, ");
}

static void own_addresses_for_which_there_is_no_room_are_told(void **state)
{
	struct fixture *f = *state;
	ours("for i in $(seq 0 299); do echo addr add 10.9.$((i / 250)).$((1 + i %% 250))/32 dev lo; done | ip "
	     "-batch -");
	loop_for(f->berthd.daemon->base, 300);
	assert_true(f->berthd.daemon->own_logged);
	assert_int_equal(f->berthd.daemon->model.n_own, BERTH_MAX_OWN);
	assert_false(f->berthd.daemon->state.publication.is_pending);
	assert_int_equal(f->berthd.daemon->state.publication.failures, 0);
	ours("ip -4 addr flush dev lo");
	wait_own(f, "192.0.2.1, 2001:db8::1, ");
	assert_false(f->berthd.daemon->own_logged);
}

static struct berth_engine_ops ops;

static bool is_busy(struct berth_engine *engine)
{
	(void)engine;
	return false;
}

/* A packet that is being forwarded uses the ports of its own generation: the new ones may be in another order. */
static void ports_come_into_force_with_their_generation(void **state)
{
	struct fixture *f = *state;
	struct berth_engine *engine = f->berthd.daemon->engine;
	const struct berth_engine_ops *former = engine->ops;
	loop_for(f->berthd.daemon->base, 300);
	assert_false(f->berthd.daemon->state.publication.is_pending);
	const uint64_t generation = engine->image.ctl->generation;
	const struct berth_port *now = engine->image.ctl->ports[generation & 1];
	assert_int_equal(now[0].mtu, 1500);
	ops = *former;
	ops.is_quiescent = is_busy;
	engine->ops = &ops;
	ours("ip link set up0 mtu 1444");
	loop_for(f->berthd.daemon->base, 100);
	ours("ip link set up0 mtu 1440");
	loop_for(f->berthd.daemon->base, 300);
	/* At most one generation more, and that has the ports of the time when it was published. */
	const uint64_t next = engine->image.ctl->generation;
	assert_true(next <= generation + 1);
	assert_int_equal(engine->image.ctl->ports[generation & 1][0].mtu, 1500);
	assert_int_not_equal(engine->image.ctl->ports[next & 1][0].mtu, 1440);
	engine->ops = former;
	loop_for(f->berthd.daemon->base, 300);
	assert_true(engine->image.ctl->generation > next);
	assert_int_equal(engine->image.ctl->ports[engine->image.ctl->generation & 1][0].mtu, 1440);
}

/* The link addresses in force: "MAC, ". */
static const char *published_links(struct fixture *f, char text[2048])
{
	const struct berth_ctl *ctl = f->berthd.daemon->engine->image.ctl;
	const struct berth_link *links = ctl->links[ctl->generation & 1];
	size_t used = 0;
	char mac[18];
	text[0] = '\0';
	for (size_t i = 0; i < BERTH_MAX_LINKS && links[i].is_used; i++)
		used += (size_t)snprintf(text + used, 2048 - used, "%s, ", mac_text(links[i].mac, mac));
	return text;
}

static void wait_links(struct fixture *f, const char *expected)
{
	char text[2048];
	if (!wait_until(strcmp(published_links(f, text), expected) == 0, 1000,
			loop_for(f->berthd.daemon->base, 10)))
		fail_msg("\"%s\" is published, not \"%s\"", text, expected);
}

/* keepalived makes a macvlan for VRRP's address. */
static void link_addresses_of_a_port_are_followed(void **state)
{
	struct fixture *f = *state;
	wait_links(f, OUR_MAC ", ");
	ours("ip link add vrrp address 00:00:5e:00:01:33 link up0 type macvlan && ip link set vrrp up");
	wait_links(f, OUR_MAC ", 00:00:5e:00:01:33, ");
	ours("ip link set up0 address 02:00:00:00:00:55");
	wait_links(f, "02:00:00:00:00:55, 00:00:5e:00:01:33, ");
	const struct berth_ctl *ctl = f->berthd.daemon->engine->image.ctl;
	assert_int_equal(ctl->ports[ctl->generation & 1][0].mac[5], 0x55);
	ours("ip link del vrrp");
	wait_links(f, "02:00:00:00:00:55, ");
}

static void routes_for_which_there_is_no_room_are_the_kernels(void **state)
{
	struct fixture *f = *state;
	ours("for i in $(seq 20); do ip route add 198.51.$i.0/24 via 192.0.2.2; done;"
	     " ip route add 198.18.0.0/15 via 192.0.2.2");
	wait_published(f, "198.18.0.0/15 " PEER_MAC ", ");
	assert_non_null(strstr(f->berthd.daemon->routes_logged, "16 routes"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(routes_and_neighbours_are_published_within_a_second),
		TEST(a_published_hop_has_all_that_a_frame_needs),
		TEST(a_backend_without_a_next_hop_is_not_eligible_for_new_clients),
		TEST(a_gateway_beyond_an_interface_without_a_port_is_the_kernels),
		TEST(routes_are_published_only_while_a_service_has_mode_nat),
		TEST(routes_for_which_there_is_no_room_are_the_kernels),
		TEST(ports_come_into_force_with_their_generation),
		TEST(link_addresses_of_a_port_are_followed),
		TEST(own_addresses_are_published_from_the_start_and_within_a_second),
		TEST(own_addresses_are_published_only_while_a_service_has_mode_nat),
		TEST(own_addresses_for_which_there_is_no_room_are_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
