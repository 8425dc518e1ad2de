/* SPDX-License-Identifier: BSD-3-Clause */
/* The link addresses of the ports, against the real kernel. */
#include "controlplane/netlink/own_links.h"
#include "controlplane/util/interface.h"
#include "tests/support/links_lab.h"

static pid_t peer;

static int set_up(void **state)
{
	(void)state;
	peer = make_links();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	end_links(peer);
	return 0;
}

/* "PORT MAC, ", in the order of the list. */
static const char *list(const char *const *names, char text[2048])
{
	struct berth_port ports[BERTH_MAX_PORTS] = {0};
	struct berth_link links[BERTH_MAX_LINKS];
	size_t n = 0, used = 0;
	char mac[18];
	for (; names[n]; n++)
		assert_int_equal(berth_interface_read(names[n], &ports[n]), 0);
	assert_int_equal(berth_own_links_read(links, ports, n), 0);
	text[0] = '\0';
	for (size_t i = 0; i < BERTH_MAX_LINKS && links[i].is_used; i++)
		used += (size_t)snprintf(text + used, 2048 - used, "%u %s, ", links[i].port,
					 mac_text(links[i].mac, mac));
	return text;
}

static void expect(const char *expected)
{
	static const char *const names[] = {"up0", NULL};
	char text[2048];
	assert_string_equal(list(names, text), expected);
}

static void the_address_of_a_port_is_its_own(void **state)
{
	(void)state;
	expect("0 " OUR_MAC ", ");
	ours("ip link set up0 address 02:00:00:00:00:55");
	expect("0 02:00:00:00:00:55, ");
}

/* keepalived's use_vmac. */
static void a_macvlan_is_the_ports(void **state)
{
	(void)state;
	ours("ip link add vrrp address 00:00:5e:00:01:33 link up0 type macvlan mode private");
	expect("0 " OUR_MAC ", "); /* down: it receives nothing */
	ours("ip link set vrrp up");
	expect("0 " OUR_MAC ", 0 00:00:5e:00:01:33, ");
}

static void an_address_is_listed_once(void **state)
{
	(void)state;
	ours("ip link add br0 address " OUR_MAC " type bridge && ip link set br0 up && ip link set up0 master br0");
	expect("0 " OUR_MAC ", ");
}

static void the_bridge_above_a_port_receives_its_frames(void **state)
{
	(void)state;
	ours("ip link add br0 address 02:00:00:00:00:0b type bridge && ip link set br0 up"
	     " && ip link set up0 master br0"
	     " && ip link add over address 02:00:00:00:00:0c link br0 type macvlan && ip link set over up");
	expect("0 " OUR_MAC ", 0 02:00:00:00:00:0b, 0 02:00:00:00:00:0c, ");
}

static void other_links_are_not_the_ports(void **state)
{
	(void)state;
	ours("ip link add other address 02:00:00:00:00:66 type veth peer name end && ip link set other up"
	     " && ip link add over address 02:00:00:00:00:67 link other type macvlan && ip link set over up"
	     " && ip link add br0 address 02:00:00:00:00:68 type bridge && ip link set br0 up"
	     " && ip link set end master br0");
	expect("0 " OUR_MAC ", ");
}

static void each_port_has_its_own_list(void **state)
{
	(void)state;
	static const char *const names[] = {"up0", "up1", NULL};
	char text[2048];
	ours("ip link add up1 address 02:00:00:00:00:03 type veth peer name end && ip link set up1 up"
	     " && ip link add over address 02:00:00:00:00:67 link up1 type macvlan && ip link set over up");
	assert_string_equal(list(names, text), "0 " OUR_MAC ", 1 02:00:00:00:00:03, 1 02:00:00:00:00:67, ");
}

static void more_addresses_than_there_is_room_for_are_reported(void **state)
{
	struct berth_port port;
	struct berth_link links[BERTH_MAX_LINKS];
	(void)state;
	ours("for i in $(seq 10 79); do echo link add m$i link up0 address 02:00:00:00:77:$i type macvlan;"
	     " echo link set m$i up; done | ip -batch -");
	assert_int_equal(berth_interface_read("up0", &port), 0);
	assert_int_equal(berth_own_links_read(links, &port, 1), 1);
	assert_true(links[BERTH_MAX_LINKS - 1].is_used);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_address_of_a_port_is_its_own),
		TEST(a_macvlan_is_the_ports),
		TEST(an_address_is_listed_once),
		TEST(the_bridge_above_a_port_receives_its_frames),
		TEST(other_links_are_not_the_ports),
		TEST(each_port_has_its_own_list),
		TEST(more_addresses_than_there_is_room_for_are_reported),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
