// SPDX-License-Identifier: BSD-3-Clause
/*
 * From a router's error into the published generation: a real daemon with the null engine, and the peer of
 * links_lab.h as a router whose link to the backends carries 1400 bytes.
 */
#include <sys/socket.h>

#include "controlplane/daemon/apply.h"
#include "tests/support/berthd.h"
#include "tests/support/links_lab.h"
#include "tests/support/packet.h"

static const char configuration[] =
	"engine: 'null'\n"
	"interfaces: [{name: up0}]\n"
	"limits: {flows: 1024, sessions: 1024, services: 8, backends: 60}\n"
	"tunnel: {source4: 198.18.0.0/24}\n"
	"services:\n"
	"  - {name: ipip, address: 203.0.113.10, protocol: tcp, port: 80, mode: ipip, table-size: 251,\n"
	"     health: {type: none}, backends: [{name: b1, address: 198.51.100.11}, {name: b2, address: "
	"198.51.100.12}]}\n"
	"  - {name: gue6, address: '2001:db8:f::10', protocol: tcp, port: 80, mode: gue, table-size: 251,\n"
	"     health: {type: none}, backends: [{name: b1, address: '2001:db8:9::11'}]}\n";

struct fixture {
	pid_t peer;
	struct berthd berthd;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	berthd_prepare(&f->berthd, configuration);
	f->peer = make_links();
	theirs_of(f->peer,
		  "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.icmp_ratelimit=0"
		  " && ip link add far mtu 1400 type veth peer name end && ip link set end up && ip link set far up"
		  " && ip addr add 198.51.100.1/24 dev far && ip addr add 2001:db8:9::1/64 dev far nodad"
		  " && ip route add 198.18.0.0/24 via 192.0.2.1");
	ours("ip route add 198.51.100.0/24 via 192.0.2.2 && ip route add 2001:db8:9::/64 via 2001:db8::2");
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

/* The published path MTU. */
static uint16_t published(struct fixture *f, const char *service, const char *backend)
{
	struct berth_model_service *found = berth_model_service(&f->berthd.daemon->model, service);
	uint32_t number = berth_model_backend(found, backend)->number;
	return berth_image_current(&f->berthd.daemon->engine->image).backends[number].mtu;
}

static void wait_published(struct fixture *f, const char *service, const char *backend, uint16_t expected)
{
	if (!wait_until(published(f, service, backend) == expected, 2000, loop_for(f->berthd.daemon->base, 10)))
		fail_msg("%s/%s: %u, not %u", service, backend, published(f, service, backend), expected);
}

/* Sends it to the router as berth would, with the bytes of the outer header on. */
static void send_outer(const struct fixture_packet *packet)
{
	struct fixture_frame frame;
	struct sockaddr_storage to;
	union berth_addr dst;
	wire_build(&frame, packet);
	assert_int_equal(berth_address_parse(packet->dst, &dst), 0);
	socklen_t length = berth_address_to_socket(&dst, 0, &to);
	/* With the header included the kernel learns nothing for this socket: only berthd can. */
	int fd = socket(to.ss_family, SOCK_RAW, IPPROTO_RAW);
	assert_true(fd >= 0);
	size_t bytes = frame.bytes - frame.network;
	assert_int_equal(sendto(fd, frame.frame.data + frame.network, bytes, 0, (struct sockaddr *)&to, length),
			 bytes);
	close(fd);
}

static void an_error_of_a_router_lowers_the_published_path_mtu(void **state)
{
	struct fixture *f = *state;
	/* A source of the prefix, which is no address of this host. */
	struct fixture_packet outer = {
		.src = "198.18.0.7", .dst = "198.51.100.11", .protocol = 4, .payload = 1380, .fragment = 0x4000};
	wait_published(f, "ipip", "b1", 1500);
	wait_published(f, "gue6", "b1", 1500);
	send_outer(&outer); /* 1400 bytes: it fits */
	loop_for(f->berthd.daemon->base, 200);
	assert_int_equal(published(f, "ipip", "b1"), 1500);
	outer.payload = 1381;
	send_outer(&outer);
	wait_published(f, "ipip", "b1", 1400);
	assert_int_equal(published(f, "ipip", "b2"), 1500);
	outer = (struct fixture_packet){.src = "2001:db8::1",
					.dst = "2001:db8:9::11",
					.protocol = BERTH_PROTO_UDP,
					.sport = 50000,
					.dport = 6080,
					.payload = 1400};
	send_outer(&outer);
	wait_published(f, "gue6", "b1", 1400);
}

static void another_next_hop_starts_without_reports(void **state)
{
	struct fixture *f = *state;
	const struct fixture_packet outer = {
		.src = "198.18.0.7", .dst = "198.51.100.11", .protocol = 4, .payload = 1480, .fragment = 0x4000};
	wait_published(f, "ipip", "b1", 1500);
	send_outer(&outer);
	wait_published(f, "ipip", "b1", 1400);
	ours("ip neigh add 192.0.2.9 lladdr " OTHER_MAC " dev up0 nud permanent"
	     " && ip route add 198.51.100.11 via 192.0.2.9");
	wait_published(f, "ipip", "b1", 1500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_error_of_a_router_lowers_the_published_path_mtu),
		TEST(another_next_hop_starts_without_reports),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
