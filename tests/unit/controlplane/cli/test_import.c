// SPDX-License-Identifier: BSD-3-Clause
/* `berthctl config import`: what carries over is a valid configuration, and the rest is named with its line. */
#include "controlplane/config/parse.h"
#include "controlplane/util/file.h"
#include "tests/unit/controlplane/cli/berthctl.h"

/* As `ipvsadm -Sn` prints rules, and lines that berth has nothing for. */
static const char ipvs[] = "-A -t 203.0.113.10:80 -s wlc -p 300 -M 255.255.255.0\n"
			   "-a -t 203.0.113.10:80 -r 192.0.2.11:80 -g -w 1\n"
			   "-a -t 203.0.113.10:80 -r 192.0.2.12:80 -g -w 3 -x 1000 -y 800\n"
			   "-a -t 203.0.113.10:80 -r 192.0.2.12:81 -g -w 3\n"
			   "-a -t 203.0.113.10:80 -r 192.0.2.13:80 -m -w 3\n"
			   "-A -u [2001:db8::53]:53 -s rr -o\n"
			   "-a -u [2001:db8::53]:53 -r [2001:db8:2::11]:53 -i -w 0 --tun-type ipip\n"
			   "-A -t 203.0.113.11:443 -s sh\n"
			   "-a -t 203.0.113.11:443 -r 192.0.2.11:8443 -m -w 500\n"
			   "-A -f 7 -s rr\n"
			   "-a -f 7 -r 192.0.2.11:0 -g -w 1\n"
			   "-a -t 203.0.113.99:80 -r 192.0.2.11:80 -g -w 1\n"
			   "-E nonsense\n";
static const char imported[] =
	"interfaces:\n  - {name: eth0}\n"
	"services:\n"
	"  - name: tcp-203.0.113.10-80\n    address: '203.0.113.10'\n    protocol: tcp\n    port: 80\n    mode: "
	"l2\n"
	"    scheduler: least-conn\n    affinity: {by: client, timeout: 300s, prefix4: 24}\n    health: {type: "
	"none}\n"
	"    backends:\n      - {name: 192.0.2.11, address: '192.0.2.11', weight: 100}\n"
	"      - {name: 192.0.2.12, address: '192.0.2.12', weight: 300, max-flows: 1000}\n"
	"  - name: udp-2001-db8--53-53\n    address: '2001:db8::53'\n    protocol: udp\n    port: 53\n    mode: "
	"ipip\n"
	"    scheduler: round-robin\n    health: {type: none}\n"
	"    backends:\n      - {name: 2001-db8-2--11, address: '2001:db8:2::11', weight: 0}\n"
	"  - name: tcp-203.0.113.11-443\n    address: '203.0.113.11'\n    protocol: tcp\n    port: 443\n    mode: "
	"nat\n"
	"    scheduler: maglev\n    health: {type: none}\n"
	"    backends:\n      - {name: 192.0.2.11, address: '192.0.2.11', weight: 500, port: 8443}\n";

/* Imports a text; the result is a valid configuration that has `services`, and each note is on both outputs, in
 * this order. */
static void expect_import(struct fixture *f, const char *kind, const char *text, const char *services,
			  const char *const *notes, size_t n)
{
	char path[96], words[160], error[BERTH_ERROR_BYTES];
	snprintf(path, sizeof(path), "%s/rules", f->berthd.dir);
	assert_int_equal(berth_file_write(path, text, strlen(text), 0644), 0);
	snprintf(words, sizeof(words), "config import %s %s", kind, path);
	struct outcome outcome = run_until(f, words, NULL);
	unlink(path);
	assert_int_equal(outcome.status, 0);
	if (!strstr(outcome.out, services))
		fail_msg("%s", outcome.out);
	const char *at = outcome.err;
	for (size_t i = 0; i < n; i++) {
		at = strstr(at, notes[i]);
		if (!at)
			fail_msg("no \"%s\" in %s", notes[i], outcome.err);
		assert_non_null(strstr(outcome.out, notes[i]));
	}
	size_t n_lines = 0;
	for (const char *c = outcome.err; *c; c++)
		n_lines += *c == '\n';
	if (n_lines != n)
		fail_msg("%zu notes, not %zu: %s", n_lines, n, outcome.err);
	struct berth_config *config = berth_config_parse("f", outcome.out, strlen(outcome.out), error);
	if (!config)
		fail_msg("%s", error);
	berth_config_free(config);
}

static void rules_of_ipvs_become_a_configuration_and_the_rest_is_named(void **state)
{
	static const char *const notes[] = {":3: lower threshold 800",
					    ":4: a second port of the server 192.0.2.12",
					    ":5: the server 192.0.2.13 has mode nat, and its service l2",
					    ":6: one-packet scheduling",
					    ":8: scheduler sh",
					    ":10: a service of a firewall mark",
					    ":11: a service of a firewall mark",
					    ":12: a server of 203.0.113.99:80, which is no service before",
					    ":13: \"-E\" is no rule"};
	expect_import(*state, "ipvs", ipvs, imported, notes, sizeof(notes) / sizeof(notes[0]));
}

static const char keepalived[] = "! Configuration File for keepalived\n"
				 "global_defs {\n"
				 "   notification_email { admin@example.net }\n"
				 "   router_id LVS_SHOP\n"
				 "}\n"
				 "vrrp_instance VI_1 {\n"
				 "    state MASTER\n"
				 "    virtual_ipaddress {\n        203.0.113.10/32 dev lo\n    }\n"
				 "}\n"
				 "include /etc/keepalived/conf.d/*.conf\n"
				 "virtual_server 203.0.113.10 443 {\n" /* line 13 */
				 "    delay_loop 6\n"
				 "    lb_algo wlc          # weighted\n"
				 "    lb_kind DR\n"
				 "    persistence_timeout 600\n"
				 "    persistence_granularity 255.255.255.0\n"
				 "    protocol TCP\n"
				 "    quorum 2\n"
				 "    quorum_up \"/usr/local/bin/quorum up\"\n"
				 "    sorry_server 192.0.2.200 443\n"
				 "    virtualhost shop.example.net\n"
				 "    real_server 192.0.2.11 443 {\n" /* 24 */
				 "        weight 1\n"
				 "        uthreshold 5000\n"
				 "        SSL_GET {\n"
				 "            url {\n"
				 "              path /health\n"
				 "              status_code 200 301-302\n"
				 "              digest 640205b7b0fc66c1ea91c463fac6334d\n"
				 "            }\n"
				 "            connect_timeout 3\n"
				 "            retry 2\n"
				 "            delay_before_retry 1\n"
				 "        }\n"
				 "    }\n"
				 "    real_server 192.0.2.12 443 {\n" /* 38 */
				 "        weight 3\n"
				 "        notify_down /usr/local/bin/down\n"
				 "        TCP_CHECK { connect_timeout 3 }\n"
				 "    }\n"
				 "    real_server 192.0.2.13 443 {\n"
				 "        weight 2\n"
				 "    }\n" /* 45 */
				 "}\n"
				 "virtual_server 2001:db8:f::53 53 {\n"
				 "    lvs_sched sh\n" /* 48 */
				 "    lvs_method TUN type gue port 6081\n"
				 "    protocol UDP\n"
				 "    ops\n"
				 "    delay_loop 0.5\n"
				 "    real_server 2001:db8:2::11 53 {\n"
				 "        MISC_CHECK {\n"
				 "            misc_path \"/usr/local/bin/check-dns -4 example.net\"\n"
				 "            misc_timeout 2\n"
				 "        }\n"
				 "    }\n"
				 "}\n"
				 "virtual_server 203.0.113.11 {\n" /* 60 */
				 "    lb_algo rr\n"
				 "    lb_kind TUN\n"
				 "    persistence_timeout\n"
				 "    real_server 192.0.2.11 0 {\n"
				 "        inhibit_on_failure\n"
				 "        DNS_CHECK { name example.net }\n"
				 "    }\n"
				 "}\n"
				 "virtual_server 203.0.113.12 80 {\n" /* 69 */
				 "    lb_algo mh\n"
				 "    real_server 192.0.2.11 8080 {\n"
				 "        HTTP_GET { url { path / } connect_port 8081 }\n"
				 "        lvs_method DR\n" /* 73 */
				 "    }\n"
				 "}\n"
				 "virtual_server fwmark 7 {\n"
				 "    real_server 192.0.2.11 80 { weight 1 }\n"
				 "}\n"
				 "virtual_server_group web { 203.0.113.14 80 }\n"
				 "virtual_server 203.0.113.15 {\n"
				 "    real_server 192.0.2.19 80 { TCP_CHECK { } }\n"
				 "}\n"
				 "virtual_server 203.0.113.16 {\n"
				 "    real_server 192.0.2.19 { TCP_CHECK { } }\n"
				 "}\n";

static const char imported_from_keepalived[] =
	"services:\n"
	"  - name: tcp-203.0.113.10-443\n    address: '203.0.113.10'\n    protocol: tcp\n    port: 443\n"
	"    mode: l2\n    scheduler: least-conn\n    affinity: {by: client, timeout: 600s, prefix4: 24}\n"
	"    health: {type: https, interval: 6000ms, timeout: 3000ms, rise: 1, fall: 3, path: '/health', host: "
	"'shop.example.net', expect: {status: [200-200, 301-302]}, tls: {verify: false}}\n"
	"    backends:\n"
	"      - {name: 192.0.2.11, address: '192.0.2.11', weight: 100, max-flows: 5000}\n"
	"      - {name: 192.0.2.12, address: '192.0.2.12', weight: 300}\n"
	"      - {name: 192.0.2.13, address: '192.0.2.13', weight: 200}\n"
	"  - name: udp-2001-db8-f--53-53\n    address: '2001:db8:f::53'\n    protocol: udp\n    port: 53\n"
	"    mode: gue\n    gue-port: 6081\n    scheduler: maglev\n"
	"    health: {type: exec, interval: 500ms, timeout: 2000ms, rise: 1, fall: 2, command: "
	"['/usr/local/bin/check-dns', '-4', 'example.net']}\n"
	"    backends:\n      - {name: 2001-db8-2--11, address: '2001:db8:2::11', weight: 100}\n"
	"  - name: tcp-203.0.113.11-any\n    address: '203.0.113.11'\n    protocol: tcp\n    port: any\n"
	"    mode: ipip\n    scheduler: round-robin\n    affinity: {by: client, timeout: 360s, prefix4: 32}\n"
	"    health: {type: none}\n"
	"    backends:\n      - {name: 192.0.2.11, address: '192.0.2.11', weight: 100}\n"
	"  - name: tcp-203.0.113.12-80\n    address: '203.0.113.12'\n    protocol: tcp\n    port: 80\n"
	"    mode: nat\n    scheduler: maglev\n"
	"    health: {type: http, interval: 60000ms, timeout: 5000ms, rise: 1, fall: 2, port: 8081, path: '/'}\n"
	"    backends:\n      - {name: 192.0.2.11, address: '192.0.2.11', weight: 100, port: 8080}\n"
	"  - name: tcp-203.0.113.15-any\n    address: '203.0.113.15'\n    protocol: tcp\n    port: any\n"
	"    mode: nat\n    scheduler: least-conn\n"
	"    health: {type: tcp, interval: 60000ms, timeout: 5000ms, rise: 1, fall: 2, port: 80}\n"
	"    backends:\n      - {name: 192.0.2.19, address: '192.0.2.19', weight: 100}\n"
	"  - name: tcp-203.0.113.16-any\n    address: '203.0.113.16'\n    protocol: tcp\n    port: any\n"
	"    mode: nat\n    scheduler: least-conn\n    health: {type: none}\n    backends: []\n";

static void virtual_servers_of_keepalived_become_services(void **state)
{
	static const char *const notes[] = {
		":2: global_defs: settings of keepalived itself",
		":6: vrrp_instance: keepalived can go on with it",
		":12: \"include\" is not read: import included files by themselves",
		":20: quorum: write announce.min-eligible",
		":21: quorum_up: `berthctl events --follow`",
		":22: sorry_server: berth has no server of last resort",
		":31: digest: berth compares no digests",
		":35: delay_before_retry: ",
		":40: notify_down: ",
		":41: a check unlike that of the service's first server",
		":45: the server 192.0.2.13 has no check",
		":48: scheduler sh: ",
		":51: ops: one-packet scheduling",
		":65: inhibit_on_failure: ",
		":66: DNS_CHECK: write health: {type: udp}",
		":73: a method of its own: all servers of a service have one, here nat",
		":76: virtual_server fwmark: berth's services have an address",
		":79: virtual_server_group: write a service for each of its addresses",
		":85: a check without a port, of a service of all ports",
		":83: 1 of its servers answer for 203.0.113.15 too, at line 80",
	};
	expect_import(*state, "keepalived", keepalived, imported_from_keepalived, notes,
		      sizeof(notes) / sizeof(notes[0]));
}

static const char haproxy[] =
	"global\n"
	"    log /dev/log local0\n"
	"    maxconn 4096\n"
	"\n"
	"defaults\n"
	"    mode tcp\n"
	"    timeout connect 5s\n"
	"    timeout client 50s\n"
	"    timeout check 500\n"
	"    option tcplog\n"
	"    default-server inter 3s fall 2 rise 1 agent-inter 5s\n"
	"\n"
	"frontend web\n" /* line 13 */
	"    bind 203.0.113.10:80,[2001:db8:f::10]:80,203.0.113.14:80\n"
	"    bind *:8080\n"
	"    bind 203.0.113.10:443 ssl crt /etc/ssl/web.pem\n"
	"    mode http\n"
	"    acl is_api path_beg /api\n"
	"    use_backend api if is_api\n"
	"    default_backend servers\n" /* 20 */
	"\n"
	"backend servers\n"
	"    balance leastconn\n"
	"    cookie SRV insert indirect nocache\n"
	"    option httpchk HEAD /alive HTTP/1.1\n"
	"    http-check send hdr Host shop.example.net\n"
	"    http-check expect status 200-204\n"
	"    server b1 192.0.2.11:8080 check cookie b1 weight 10 maxconn 200 agent-check agent-port "
	"7777\n" /* 28 */
	"    server b2 192.0.2.12:8080 check cookie b2 weight 20 send-proxy\n"
	"    server b3 192.0.2.13:8080 check backup\n"
	"    server b4 localhost:8080 check\n"
	"\n"
	"listen ldap\n" /* 33 */
	"    bind 203.0.113.11:389\n"
	"    balance source\n"
	"    stick-table type ip size 1m expire 30m\n"
	"    stick on src\n"
	"    option ldap-check\n"
	"    server l1 192.0.2.21:389 check port 390 disabled\n"
	"    server l2 ldap.example.net:389 check resolvers here mystery 1\n" /* 40 */
	"\n"
	"listen plain\n"
	"    bind 203.0.113.12:25\n"
	"    server m1 192.0.2.31:2525 agent-check agent-port 7778 agent-inter 500 agent-send web\n" /* 44 */
	"\n"
	"listen deaf\n"
	"    bind 203.0.113.15:25\n" /* 47 */
	"    server m1 192.0.2.32:2525 agent-check\n"
	"\n"
	"frontend lost\n"
	"    bind 203.0.113.13:80\n"
	"    default_backend nowhere\n" /* 52 */
	"peers all\n"
	"    peer one 192.0.2.2:1024\n";

static const char imported_from_haproxy[] =
	"services:\n"
	"  - name: web\n    address: '203.0.113.10'\n    protocol: tcp\n    port: 80\n"
	"    mode: nat\n    scheduler: least-conn\n    affinity: {by: client, timeout: 10800s, prefix4: 32}\n"
	"    health: {type: http, interval: 3000ms, timeout: 500ms, rise: 1, fall: 2, method: HEAD, path: "
	"'/alive', host: "
	"'shop.example.net', expect: {status: [200-204]}, agent: {port: 7777, interval: 5000ms}}\n"
	"    backends:\n"
	"      - {name: b1, address: '192.0.2.11', weight: 100, port: 8080, max-flows: 200}\n"
	"      - {name: b2, address: '192.0.2.12', weight: 200, port: 8080}\n"
	"  - name: web-2\n    address: '2001:db8:f::10'\n";
static const char more_from_haproxy[] =
	"  - name: ldap\n    address: '203.0.113.11'\n    protocol: tcp\n    port: 389\n"
	"    mode: nat\n    scheduler: maglev\n    affinity: {by: client, timeout: 1800s, prefix4: 32}\n"
	"    health: {type: tcp, interval: 3000ms, timeout: 500ms, rise: 1, fall: 2, port: 390}\n"
	"    backends:\n      - {name: l1, address: '192.0.2.21', weight: 0}\n"
	"      - {name: l2, dns: 'ldap.example.net', weight: 100}\n"
	"  - name: plain\n    address: '203.0.113.12'\n    protocol: tcp\n    port: 25\n"
	"    mode: nat\n    scheduler: round-robin\n"
	"    health: {type: none, agent: {port: 7778, interval: 500ms}}\n"
	"    backends:\n      - {name: m1, address: '192.0.2.31', weight: 100, port: 2525}\n"
	"  - name: deaf\n    address: '203.0.113.15'\n    protocol: tcp\n    port: 25\n"
	"    mode: nat\n    scheduler: round-robin\n    health: {type: none}\n";

static const char *const haproxy_notes[] = {
	":1: global: settings of HAProxy itself",
	":8: timeout client: write timeouts.tcp.established",
	":10: option tcplog",
	":15: bind *:8080: a service needs an address",
	":16: bind with ssl: berth ends no TLS",
	":18: acl: berth sees no HTTP",
	":19: use_backend: ",
	":24: cookie SRV: sessions are by the client's address",
	":28: maxconn: max-flows",
	":29: send-proxy: ",
	":30: a backup server",
	":31: server localhost:8080: neither an address nor a full DNS name",
	":38: option ldap-check: type tcp is used",
	":40: parameters of a server from \"mystery\" on",
	":44: agent-send: berth sends agents nothing",
	":53: peers: settings of HAProxy itself",
	":20: web is in mode http",
	":20: mode nat is used",
	":14: 2 of its servers are of another family than 2001:db8:f::10",
	":47: agent-check without agent-port",
	":52: default_backend nowhere: not in this file",
	":14: 2 of its servers answer for 203.0.113.10 too, at line 14",
};

static void proxies_of_haproxy_become_services(void **state)
{
	const size_t n = sizeof(haproxy_notes) / sizeof(haproxy_notes[0]);
	expect_import(*state, "haproxy", haproxy, imported_from_haproxy, haproxy_notes, n);
	expect_import(*state, "haproxy", haproxy, more_from_haproxy, haproxy_notes, n);
}

/* Braces that do not match, words without values, servers outside of proxies: nothing is lost but themselves. */
static void damaged_files_are_read_as_far_as_they_go(void **state)
{
	static const char broken_keepalived[] =
		"}\n}\n{\n}\nvirtual_server\nvirtual_server {\n}\n"
		"virtual_server 203.0.113.10 99999 {\nweight\nreal_server {\n}\n"
		"real_server 192.0.2.11 80 {\nweight x\nMISC_CHECK {\n}\nHTTP_GET {\nurl {\n";
	static const char broken_haproxy[] =
		"server a 192.0.2.1:80\ndefaults\nserver a 192.0.2.1:80\nbind 203.0.113.9:80\n"
		"listen\nbind\nserver\nserver x\nserver x 192.0.2.1:80 weight\n"
		"default_backend\noption\nbind 203.0.113.10:80\nserver a 192.0.2.2:70000\n";
	struct fixture *f = *state;
	char path[96], words[160];
	for (int i = 0; i < 2; i++) {
		const char *text = i ? broken_haproxy : broken_keepalived;
		snprintf(path, sizeof(path), "%s/rules", f->berthd.dir);
		assert_int_equal(berth_file_write(path, text, strlen(text), 0644), 0);
		snprintf(words, sizeof(words), "config import %s %s", i ? "haproxy" : "keepalived", path);
		struct outcome outcome = run_until(f, words, NULL);
		unlink(path);
		assert_int_equal(outcome.status, 0);
		if (!strstr(outcome.out,
			    i ? "address: '192.0.2.1', weight: 100" : "address: '192.0.2.11', weight: 1000"))
			fail_msg("%s", outcome.out);
	}
}

static void what_is_not_imported_is_refused(void **state)
{
	struct fixture *f = *state;
	struct outcome outcome = run_until(f, "config import ipvs /nonexistent", NULL);
	expect_outcome(&outcome, 3, "No such file");
	outcome = run_until(f, "config import haproxy /etc/passwd", NULL);
	expect_outcome(&outcome, 3, "/etc/passwd: no services of haproxy found");
	outcome = run_until(f, "config import nginx x", NULL);
	expect_outcome(&outcome, 2, "needs ipvs");
	outcome = run_until(f, "config import haproxy", NULL);
	expect_outcome(&outcome, 2, "and a file");
}

int main(int argc, char **argv)
{
	if (!find_berthctl(argc, argv))
		return 2;
#define ALONE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		ALONE(rules_of_ipvs_become_a_configuration_and_the_rest_is_named),
		ALONE(virtual_servers_of_keepalived_become_services),
		ALONE(proxies_of_haproxy_become_services),
		ALONE(damaged_files_are_read_as_far_as_they_go),
		ALONE(what_is_not_imported_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
