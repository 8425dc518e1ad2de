// SPDX-License-Identifier: BSD-3-Clause
/* The servers of resolv.conf, in a mount namespace with a file of the test's own, and a lookup by a link-local one.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>

#include "controlplane/dns/lookup.h"
#include "controlplane/dns/system_servers.h"
#include "tests/support/links_lab.h"
#include "tests/unit/controlplane/dns/dns_server.h"

static struct berth_dns_server servers[BERTH_MAX_DNS_SERVERS];

static void write_resolv_conf(const char *text)
{
	FILE *file = fopen("/etc/resolv.conf", "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

/* Addresses and interfaces of the servers, in order. */
static const char *read_servers(uint64_t turn)
{
	static char text[512];
	size_t length = 0;
	const size_t n = berth_dns_system_servers(servers, turn);
	text[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		char address[INET6_ADDRSTRLEN];
		inet_ntop(AF_INET6, &servers[i].address, address, sizeof(address));
		length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%s %u %u", i ? ", " : "",
					   address, servers[i].port, servers[i].ifindex);
	}
	return text;
}

static void addresses_of_both_families_and_their_interfaces_are_read(void **state)
{
	char expected[128];
	(void)state;
	write_resolv_conf(
		"search example.com\nnameserver 192.0.2.53\nnameserver 2001:db8::53\nnameserver fe80::1%up0\n");
	snprintf(expected, sizeof(expected), "::ffff:192.0.2.53 53 0, 2001:db8::53 53 0, fe80::1 53 %u",
		 if_nametoindex("up0"));
	assert_string_equal(read_servers(0), expected);
	assert_string_equal(read_servers(1), expected);
}

static void with_rotate_each_lookup_begins_with_the_next_one(void **state)
{
	(void)state;
	write_resolv_conf("nameserver 192.0.2.1\nnameserver 192.0.2.2\noptions rotate\n");
	assert_string_equal(read_servers(0), "::ffff:192.0.2.1 53 0, ::ffff:192.0.2.2 53 0");
	assert_string_equal(read_servers(1), "::ffff:192.0.2.2 53 0, ::ffff:192.0.2.1 53 0");
	assert_string_equal(read_servers(UINT64_MAX), "::ffff:192.0.2.2 53 0, ::ffff:192.0.2.1 53 0");
}

static bool put_address(void *arg, const char *name, uint16_t type, bool tcp, struct dns_message *m)
{
	(void)arg;
	(void)name;
	(void)tcp;
	if (type == DNS_A)
		dns_put_address(m, "192.0.2.7", 60);
	return true;
}

static void on_results(void *arg, const struct berth_dns_result results[BERTH_DNS_TYPES], bool ended)
{
	if (ended)
		*(enum berth_dns_status *)arg = results[BERTH_DNS_A].status;
}

/* At port 53 of fe80::1 on up0. */
static void open_server(struct dns_server *server, struct event_base *base)
{
	struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_port = htons(53)};
	at.sin6_scope_id = if_nametoindex("up0");
	assert_int_equal(inet_pton(AF_INET6, "fe80::1", &at.sin6_addr), 1);
	*server = (struct dns_server){.answer = put_address, .udp = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
	assert_int_equal(bind(server->udp, (struct sockaddr *)&at, sizeof(at)), 0);
	server->events[0] = event_new(base, server->udp, EV_READ | EV_PERSIST, dns_on_udp, server);
	assert_int_equal(event_add(server->events[0], NULL), 0);
}

static void a_link_local_server_answers(void **state)
{
	(void)state;
	struct berth_dns_config config = {.timeout_ms = 1000};
	enum berth_dns_status status = BERTH_DNS_PENDING;
	struct event_base *base = event_base_new();
	struct dns_server server;
	ours("ip addr add fe80::1/64 dev up0 nodad");
	open_server(&server, base);
	write_resolv_conf("nameserver fe80::1%up0\n");
	config.n_servers = berth_dns_system_servers(config.servers, 0);
	struct berth_dns_lookup *lookup = berth_dns_lookup_new(base, &config, "name.test", on_results, &status);
	assert_non_null(lookup);
	for (int i = 0; i < 500 && status == BERTH_DNS_PENDING; i++)
		loop_for(base, 10);
	assert_int_equal(status, BERTH_DNS_FOUND);
	berth_dns_lookup_free(lookup);
	event_free(server.events[0]);
	close(server.udp);
	event_base_free(base);
}

static int set_up(void **state)
{
	static pid_t peer;
	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return -1;
	char own[] = "/tmp/unit-resolv-conf-XXXXXX";
	int fd = mkstemp(own);
	if (fd < 0 || mount(own, "/etc/resolv.conf", NULL, MS_BIND, NULL))
		return -1;
	close(fd);
	unlink(own);
	peer = make_links();
	*state = &peer;
	return 0;
}

static int tear_down(void **state)
{
	end_links(*(pid_t *)*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_of_both_families_and_their_interfaces_are_read),
		cmocka_unit_test(with_rotate_each_lookup_begins_with_the_next_one),
		cmocka_unit_test(a_link_local_server_answers),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
