/* SPDX-License-Identifier: BSD-3-Clause */
/* Invalid files, and the error for each without the file name. */
#pragma once

#include "tests/unit/controlplane/config/config.h"

struct bad {
	const char *text;
	const char *error;
};

/* Two services of a group; the second has one more key of affinity. */
#define GROUPED(key)                                                                                               \
	SERVICE "  affinity: {by: client, group: shop}\n"                                                          \
		"- {name: w2, address: 203.0.113.11, port: 80, mode: l2, affinity: {" key                          \
		", by: client, group: shop}}\n",

/* Endings of messages. */
#define SECONDS "a whole number with its unit (ms, s, m or h), from 1s to 24h in full seconds"
#define DURATION "a whole number with its unit (ms, s, m or h), from "
#define NAME "1 to 63 of the characters A-Z a-z 0-9 . _ -"
#define ADDRESS "the IPv4 or IPv6 address of one host, like 192.0.2.10 or 2001:db8::10"
#define PREFIX "an IPv4 or IPv6 address or prefix of hosts, like 192.0.2.10 or 2001:db8::/64"
#define PORTS "a port from 1 to 65535, a range like 8000-8099, or any"
#define STORE_SERVER                                                                                               \
	"4:36: invalid server of the store; write its address and port, like 192.0.2.60:6379 or "                  \
	"\"[2001:db8::60]:6379\""
#define LISTEN "an address and a port, like 127.0.0.1:9427 or \"[::1]:9427\""
#define TOP_KEYS                                                                                                   \
	"engine, interfaces, dpdk, limits, tunnel, dns, timeouts, metrics, announce, access, sessions, cluster, "  \
	"state-dir, secret-file, "                                                                                 \
	"services"

static const struct bad bad_yaml[] = {
	{"", "1:1: the configuration has no keys; write \"KEY: VALUE\", at least \"interfaces: ...\""},
	{"# nothing\n", "1:1: the configuration has no keys; write \"KEY: VALUE\", at least \"interfaces: ...\""},
	{"---\n", "1:1: the configuration has no keys; write \"KEY: VALUE\", at least \"interfaces: ...\""},
	{"web\n", "1:1: the configuration has no keys; write \"KEY: VALUE\", at least \"interfaces: ...\""},
	{"- a\n", "1:1: the configuration has no keys; write \"KEY: VALUE\", at least \"interfaces: ...\""},
	{"interfaces: [\n", "2:1: did not find expected node content while parsing a flow node; check the "
			    "indentation and the quotes here"},
	{"interfaces:\n\t- name: eth0\n",
	 "2:1: found character that cannot start any token while scanning for the next token; indent with spaces, "
	 "and quote text that begins with a special character"},
	{"a: b: c\n", "1:5: mapping values are not allowed in this context; check the indentation, and quote text "
		      "that has a \": \" or ends in \":\""},
	{"a: \"x\n",
	 "2:1: found unexpected end of stream while scanning a quoted scalar from line 1 on; close the quote"},
	{"a: b\n c: d\n", "2:3: mapping values are not allowed in this context; check the indentation, and quote "
			  "text that has a \": \" or ends in \":\""},
	{"a\nb: 1\n", "2:2: mapping values are not allowed in this context; check the indentation, and quote text "
		      "that has a \": \" or ends in \":\""},
	{"a: {b: 1\nc: 2\n", "2:2: did not find expected ',' or '}' while parsing a flow mapping from line 1 on; "
			     "separate the keys with \",\" and end the section with \"}\""},
	{"a: %x\n", "1:4: found character that cannot start any token while scanning for the next token; indent "
		    "with spaces, and quote text that begins with a special character"},
	{"a: @x\n", "1:4: found character that cannot start any token while scanning for the next token; indent "
		    "with spaces, and quote text that begins with a special character"},
	{"a: \"\\q\"\n", "1:5: found unknown escape character while parsing a quoted scalar; write \"\\\\\" for a "
			 "backslash, or use single quotes"},
	{"a: \001\n", "1:4: control characters are not allowed; remove this one"},
	{"ok: 1\n\303\266: \303\251\007\n", "2:5: control characters are not allowed; remove this one"},
	{"\377\376a: 1\n", "1:1: invalid leading UTF-8 octet; save the file as UTF-8"},
	{INTERFACES "---\nengine: xdp\n",
	 "3:1: a second document; the file is one document, remove the \"---\" or what follows it"},
	{INTERFACES "...\n---\n",
	 "4:1: a second document; the file is one document, remove the \"---\" or what follows it"},
	{INTERFACES "---\n",
	 "3:1: a second document; the file is one document, remove the \"---\" or what follows it"},
	{"%YAML 1.1\n---\n" INTERFACES, "1:1: a directive; remove the line that begins with \"%\""},
	{"%TAG ! x:\n---\n" INTERFACES, "1:1: a directive; remove the line that begins with \"%\""},
	{"engine: &e xdp\n", "1:9: anchor &e; remove it, and repeat the value where it is needed"},
	{"engine: xdp\ndpdk: &d {idle: poll}\n",
	 "2:7: anchor &d; remove it, and repeat the value where it is needed"},
	{"interfaces: &i [{name: eth0}]\n", "1:13: anchor &i; remove it, and repeat the value where it is needed"},
	{"engine: *e\n", "1:9: alias *e; write the value itself"},
	{"engine: !!str xdp\n",
	 "1:9: tag (tag:yaml.org,2002:str); remove it, the key determines the type of its value"},
	{"dpdk: !x {}\n", "1:7: tag (!x); remove it, the key determines the type of its value"},
	{"interfaces: !!seq []\n",
	 "1:13: tag (tag:yaml.org,2002:seq); remove it, the key determines the type of its value"},
	{"<<: {engine: xdp}\n", "1:1: merge key <<; write the keys themselves"},
	{"engine: xdp\nengine: dpdk\n", "2:1: duplicate key \"engine\", first at line 1; remove one of them"},
	{INTERFACES "dpdk: {workers: 1, workers: 2}\n",
	 "3:20: duplicate key \"workers\", first at line 3; remove one of them"},
	{"? [a]\n: b\n", "1:3: a list or section as a key; write a word"},
	{"? {a: b}\n: c\n", "1:3: a list or section as a key; write a word"},
	{": x\n", "1:1: did not find expected key while parsing a block mapping; check the indentation of this "
		  "line and of the one above"},
	{"\"\": x\n", "1:1: an empty key; write a word before the \":\""},
	{"&a enginea engine: xdp\n", "1:1: anchor &a; remove it, and repeat the value where it is needed"},
	{"*a : xdp\n", "1:1: alias *a; write the value itself"},
	{"engine: \"x\\0y\"\n", "1:9: a null byte in a text; remove it"},
	{"\"en\\0gine\": xdp\n", "1:1: a null byte in a text; remove it"},
	{INTERFACES "-\n", "3:2: an empty item; write a value or remove it"},
	{"a: [[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]\n",
	 "1:19: nested more than 16 deep; remove it, no key has so many levels below it"},
	{"a: [[[[[[[[[[[[[[[]]]]]]]]]]]]]]]\n",
	 "1:1: unknown key \"a\" in the configuration; remove it, the keys here are: " TOP_KEYS},
	{"- - - - - - - - - - - - - - - - - a\n",
	 "1:33: nested more than 16 deep; remove it, no key has so many levels below it"},
	{"a: 'b\n--- c'\n", "2:1: found unexpected document indicator while scanning a quoted scalar from line 1 "
			    "on; check the indentation and the quotes here"},
	{"a: [b]]\n", "1:7: did not find expected key while parsing a block mapping; check the indentation of this "
		      "line and of the one above"},
	{"[a: {b}: c\n", "1:8: did not find expected ',' or ']' while parsing a flow sequence; separate the items "
			 "with \",\" and end the list with \"]\""},
	{"a: &\n", "1:5: did not find expected alphabetic or numeric character while scanning an anchor; quote "
		   "text that begins with \"&\" or \"*\""},
	{INTERFACES " name: eth1\n", "3:2: did not find expected key while parsing a block mapping from line 1 on; "
				     "check the indentation of this line and of the one above"},
	{"address: 2001:db8::\n", "1:19: mapping values are not allowed in this context; check the indentation, "
				  "and quote text that has a \": \" or ends in \":\""},
	{"\357\273\277engine: xdpp\n", "1:9: engine cannot be \"xdpp\"; write auto, xdp, dpdk or null"},
};

static const struct bad bad_config[] = {
	{"engin: xdp\n" INTERFACES, "1:1: unknown key \"engin\" in the configuration; did you mean \"engine\"?"},
	{"interface: []\n", "1:1: unknown key \"interface\" in the configuration; did you mean \"interfaces\"?"},
	{"foo: 1\n" INTERFACES,
	 "1:1: unknown key \"foo\" in the configuration; remove it, the keys here are: " TOP_KEYS},
	{INTERFACES "dpdk: {rx_ring: 512}\n", "3:8: unknown key \"rx_ring\" in dpdk; did you mean \"rx-ring\"?"},
	{INTERFACES "dpdk: {zz: 1}\n", "3:8: unknown key \"zz\" in dpdk; remove it, the keys here are: workers, "
				       "idle, memory-mb, rx-ring, tx-ring"},
	{SERVICE "  adress: 1.2.3.4\n", "8:3: unknown key \"adress\" in a service; did you mean \"address\"?"},
	{SERVICE "  frobnicate: 1\n",
	 "8:3: unknown key \"frobnicate\" in a service; remove it, the keys here are: name, address, protocol, "
	 "port, announce, mode, gue-port, second-hop, affinity, scheduler, bound, overload, failback, "
	 "on-down, new-flows, slow-start, panic-threshold, table-size, timeouts, health, backends"},
	{SERVICE "  health: {typ: tcp}\n", "8:12: unknown key \"typ\" in health; did you mean \"type\"?"},
	{SERVICE "  affinity: {prefix: 64}\n",
	 "8:14: unknown key \"prefix\" in affinity; did you mean \"prefix4\"?"},
	{SERVICE "  affinity: {zz: 1}\n",
	 "8:14: unknown key \"zz\" in affinity; remove it, the keys here are: by, timeout, prefix4, prefix6, "
	 "group"},
	{SERVICE "  timeouts: {half_open: 10s}\n",
	 "8:14: unknown key \"half_open\" in timeouts; did you mean \"half-open\"?"},
	{INTERFACES "\"a\\nb\\e[31m\": 1\n",
	 "3:1: unknown key \"a?b?[31m\" in the configuration; remove it, the keys here are: " TOP_KEYS},
	{INTERFACES "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		    "xxxxxx: 1\n",
	 "3:1: unknown key \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\" in the configuration; "
	 "remove it, the keys here are: " TOP_KEYS},
	{"engine: xpd\n" INTERFACES, "1:9: engine cannot be \"xpd\"; write auto, xdp, dpdk or null"},
	{"engine: 5\n" INTERFACES, "1:9: engine cannot be 5; write auto, xdp, dpdk or null"},
	{"engine:\n" INTERFACES, "1:1: engine cannot be empty; write auto, xdp, dpdk or null"},
	{"engine: [xdp]\n" INTERFACES, "1:9: engine cannot be a list; write auto, xdp, dpdk or null"},
	{"engine: {a: b}\n" INTERFACES, "1:9: engine cannot be a section; write auto, xdp, dpdk or null"},
	{"engine: []\n" INTERFACES, "1:9: engine cannot be empty; write auto, xdp, dpdk or null"},
	{"engine: xdp\n", "1:1: the configuration has no interfaces; add \"interfaces:\" and after it a list of at "
			  "least one item, each item after a \"- \""},
	{"interfaces:\n",
	 "1:1: interfaces cannot be empty; write a list of at least one item, each item after a \"- \""},
	{"interfaces: []\n",
	 "1:13: interfaces cannot be empty; write a list of at least one item, each item after a \"- \""},
	{"interfaces: eth0\n",
	 "1:13: interfaces cannot be \"eth0\"; write a list of at least one item, each item after a \"- \""},
	{"interfaces: {name: eth0}\n",
	 "1:13: interfaces cannot be a section; write a list of at least one item, each item after a \"- \""},
	{"interfaces: [eth0]\n", "1:14: an interface has no keys; write \"KEY: VALUE\", at least \"name: ...\""},
	{"interfaces:\n- xdp: auto\n",
	 "2:3: an interface has no name; add \"name:\" and after it the name of an interface, at most 15 bytes"},
	{"interfaces:\n- name: interface-name-16\n",
	 "2:9: name cannot be \"interface-name-16\"; write the name of an interface, at most 15 bytes"},
	{"interfaces:\n- name: a/b\n",
	 "2:9: name cannot be \"a/b\"; write the name of an interface, at most 15 bytes"},
	{"interfaces:\n- name: a b\n",
	 "2:9: name cannot be \"a b\"; write the name of an interface, at most 15 bytes"},
	{"interfaces:\n- name: \"..\"\n",
	 "2:9: name cannot be \"..\"; write the name of an interface, at most 15 bytes"},
	{"interfaces:\n- name: \"\"\n",
	 "2:9: name cannot be \"\"; write the name of an interface, at most 15 bytes"},
	{"interfaces:\n- name:\n", "2:3: name cannot be empty; write the name of an interface, at most 15 bytes"},
	{INTERFACES "- name: eth0\n", "3:9: duplicate interface name eth0, first at line 2; remove one of them"},
	{INTERFACES "- {name: eth1, device: net_tap0}\n- {name: eth2, device: net_tap0}\n",
	 "4:24: duplicate device net_tap0, first at line 3; give each interface a device of its own"},
	{INTERFACES "  device: --no-huge\n", "3:11: device cannot be \"--no-huge\"; write a PCI address like "
					     "\"0000:03:00.0\" or a DPDK vdev like net_tap0, at most 127 bytes"},
	{INTERFACES "  device: a b\n", "3:11: device cannot be \"a b\"; write a PCI address like \"0000:03:00.0\" "
				       "or a DPDK vdev like net_tap0, at most 127 bytes"},
	{INTERFACES "  device: "
		    "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
		    "dddddddddddddddddddddddddddddddddd\n",
	 "3:11: device cannot be \"dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd\"; write a PCI "
	 "address like \"0000:03:00.0\" or a DPDK vdev like net_tap0, at most 127 bytes"},
	{INTERFACES "  xdp: fast\n", "3:8: xdp cannot be \"fast\"; write auto, native or generic"},
	{INTERFACES "  queues: 0\n", "3:11: queues cannot be 0; write a whole number from 1 to 255"},
	{INTERFACES "  queues: 256\n", "3:11: queues cannot be 256; write a whole number from 1 to 255"},
	{INTERFACES "  mtu: 1500\n",
	 "3:8: mtu is for a port with a device; set it in the kernel: ip link set dev eth0 mtu 1500"},
	{INTERFACES "  device: net_tap0\n  mtu: 100\n",
	 "4:8: mtu cannot be 100; write a whole number from 576 to 65535"},
	{INTERFACES "  queues: 01\n",
	 "3:11: queues cannot be \"01\"; write a whole number from 1 to 255, without quotes"},
	{INTERFACES "  queues: 1.5\n", "3:11: queues cannot be \"1.5\"; write a whole number from 1 to 255"},
	{INTERFACES "- name: eth1\n- name: eth2\n- name: eth3\n- name: eth4\n- name: eth5\n- name: eth6\n- name: "
		    "eth7\n- name: eth8\n- name: eth9\n- name: eth10\n- name: eth11\n- name: eth12\n- name: "
		    "eth13\n- name: eth14\n- name: eth15\n- name: eth16\n",
	 "18:3: 17 interfaces; remove all but 16"},
	{INTERFACES "dpdk: 1\n", "3:7: dpdk cannot be 1; write keys, like {workers: ...}"},
	{INTERFACES "dpdk: {workers: 257}\n", "3:17: workers cannot be 257; write a whole number from 0 to 255"},
	{INTERFACES "dpdk: {workers: -1}\n", "3:17: workers cannot be -1; write a whole number from 0 to 255"},
	{INTERFACES "dpdk: {idle: always}\n", "3:14: idle cannot be \"always\"; write auto, poll or adaptive"},
	{INTERFACES "dpdk: {memory-mb: 15}\n",
	 "3:19: memory-mb cannot be 15; write a whole number from 16 to 1048576"},
	{INTERFACES "dpdk: {memory-mb: 1GB}\n",
	 "3:19: memory-mb cannot be \"1GB\"; write a whole number from 16 to 1048576"},
	{INTERFACES "dpdk: {rx-ring: 500}\n", "3:17: rx-ring cannot be 500; write a power of two from 64 to 32768"},
	{INTERFACES "dpdk: {tx-ring: 65536}\n",
	 "3:17: tx-ring cannot be 65536; write a power of two from 64 to 32768"},
	{INTERFACES "limits: {flows: 1023}\n",
	 "3:17: flows cannot be 1023; write a whole number from 1024 to 200000000"},
	{INTERFACES "limits: {flows: 200000001}\n",
	 "3:17: flows cannot be 200000001; write a whole number from 1024 to 200000000"},
	{INTERFACES "limits: {sessions: 0}\n",
	 "3:20: sessions cannot be 0; write a whole number from 1024 to 200000000"},
	{INTERFACES "limits: {services: 0}\n", "3:20: services cannot be 0; write a whole number from 1 to 65534"},
	{INTERFACES "limits: {services: 65535}\n",
	 "3:20: services cannot be 65535; write a whole number from 1 to 65534"},
	{INTERFACES "limits: {backends: 65535}\n",
	 "3:20: backends cannot be 65535; write a whole number from 1 to 65534"},
	{INTERFACES "limits: {backends: 99999999999999999999}\n",
	 "3:20: backends cannot be \"99999999999999999999\"; write a whole number from 1 to 65534"},
	{INTERFACES "limits: {flows: 0x1000}\n",
	 "3:17: flows cannot be \"0x1000\"; write a whole number from 1024 to 200000000"},
	{INTERFACES "limits: {flows: \"4096\"}\n",
	 "3:17: flows cannot be \"4096\"; write a whole number from 1024 to 200000000, without quotes"},
	{INTERFACES "limits: []\n", "3:9: limits cannot be empty; write keys, like {flows: ...}"},
	{INTERFACES "timeouts: {established: 60}\n", "3:25: established cannot be 60; write " SECONDS},
	{INTERFACES "timeouts: {established: 0s}\n", "3:25: established cannot be \"0s\"; write " SECONDS},
	{INTERFACES "timeouts: {established: 25h}\n", "3:25: established cannot be \"25h\"; write " SECONDS},
	{INTERFACES "timeouts: {established: 1500ms}\n", "3:25: established cannot be \"1500ms\"; write " SECONDS},
	{INTERFACES "timeouts: {established: 1d}\n", "3:25: established cannot be \"1d\"; write " SECONDS},
	{INTERFACES "timeouts: {established: s}\n", "3:25: established cannot be \"s\"; write " SECONDS},
	{INTERFACES "timeouts: {established: 1 h}\n", "3:25: established cannot be \"1 h\"; write " SECONDS},
	{INTERFACES "timeouts: {established: 5124095576030432h}\n",
	 "3:25: established cannot be \"5124095576030432h\"; write " SECONDS},
	{INTERFACES "timeouts: {established: -1s}\n", "3:25: established cannot be \"-1s\"; write " SECONDS},
	{INTERFACES "services: web\n", "3:11: services cannot be \"web\"; write a list, each item after a \"- \""},
	{SERVICES "- web\n", "4:3: a service has no keys; write \"KEY: VALUE\", at least \"name: ...\""},
	{SERVICES "- {}\n", "4:3: a service has no name; add \"name:\" and after it " NAME},
	{SERVICES "- {name: web}\n", "4:3: a service has no address; add \"address:\" and after it " PREFIX},
	{SERVICES "- {name: web, address: 203.0.113.10}\n",
	 "4:3: a service has no port; add \"port:\" and after it " PORTS},
	{SERVICES "- {name: web, address: 203.0.113.10, port: 80}\n",
	 "4:3: a service has no mode; add \"mode:\" and after it l2, ipip, gue or nat"},
	{SERVICES "- name: a/b\n  address: 203.0.113.10\n  port: 80\n  mode: ipip\n",
	 "4:9: name cannot be \"a/b\"; write " NAME},
	{SERVICES "- name: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n  address: "
		  "203.0.113.10\n  port: 80\n  mode: ipip\n",
	 "4:9: name cannot be \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"; write " NAME},
	{SERVICES "- name: \"\"\n  address: 203.0.113.10\n  port: 80\n  mode: ipip\n",
	 "4:9: name cannot be \"\"; write " NAME},
	{SERVICES "- name: web\n  address: 203.0.113.300\n  port: 80\n  mode: ipip\n",
	 "5:12: address cannot be \"203.0.113.300\"; write " PREFIX},
	{SERVICES "- name: web\n  address: 80\n  port: 80\n  mode: ipip\n",
	 "5:12: address cannot be 80; write " PREFIX},
	{SERVICES "- name: web\n  address: web.example\n  port: 80\n  mode: ipip\n",
	 "5:12: address cannot be \"web.example\"; write " PREFIX "; the name \"web.example\" is not looked up"},
	{SERVICES "- name: web\n  address: 203.0.113.10\n  port: 80\n  mode: DR\n",
	 "7:9: mode cannot be \"DR\"; write l2"},
	{SERVICES "- name: web\n  address: 203.0.113.10\n  port: 80\n  mode: IPIP\n",
	 "7:9: mode cannot be \"IPIP\"; write ipip"},
	{SERVICE "  scheduler: wlc\n", "8:14: scheduler cannot be \"wlc\"; write least-conn"},
	{SERVICE "  health: {half-life: 5s}\n", "8:23: half-life belongs to the scheduler response-time; write "
						"scheduler: response-time, or remove half-life"},
	{SERVICE "  scheduler: response-time\n  health: {half-life: 10ms}\n",
	 "9:23: half-life cannot be \"10ms\"; write a whole number with its unit (ms, s, m or h), from 50ms to 1h"},
	{SERVICE "  scheduler: response-time\n  health: {type: none}\n",
	 "9:18: the scheduler response-time compares the times of health checks, and there are none; write another "
	 "type, or scheduler: least-conn"},
	{SERVICE "  health: {agent: {interval: 5s}}\n",
	 "8:19: agent has no port; add \"port:\" and after it a whole number from 1 to 65535"},
	{SERVICE "  health: {agent: 7777}\n", "8:19: agent cannot be 7777; write keys, like {port: ...}"},
	{SERVICE "  health: {agent: {port: 0}}\n", "8:26: port cannot be 0; write a whole number from 1 to 65535"},
	{SERVICE "  health: {agent: {port: 7777, interval: 10ms}}\n",
	 "8:42: interval cannot be \"10ms\"; write " DURATION "50ms to 1h"},
	{SERVICE "  health: {agent: {port: 7777, timeout: 2h}}\n",
	 "8:41: timeout cannot be \"2h\"; write " DURATION "1ms to 1h"},
	{SERVICE "  health: {agent: {port: 1, prt: 7777}}\n",
	 "8:29: unknown key \"prt\" in agent; did you mean \"port\"?"},
	{SERVICE "  scheduler: source\n",
	 "8:14: scheduler cannot be \"source\"; write maglev, and affinity: {by: client}"},
	{SERVICE "  lb_algo: rr\n", "8:3: unknown key \"lb_algo\" in a service; did you mean \"scheduler\"?"},
	{SERVICES "- name: web\n  vip: 203.0.113.10\n  port: 80\n  mode: l2\n",
	 "5:3: unknown key \"vip\" in a service; did you mean \"address\"?"},
	{SERVICE "  backends: [{name: b1, host: 192.0.2.11}]\n",
	 "8:25: unknown key \"host\" in a backend; did you mean \"address\"?"},
	{SERVICE "  backends: [{name: b1, hostname: b1.example.org}]\n",
	 "8:25: unknown key \"hostname\" in a backend; did you mean \"dns\"?"},
	{SERVICE "  backends: [{name: b1, address: b1.example.org}]\n",
	 "8:34: address cannot be \"b1.example.org\"; write the IPv4 or IPv6 address of one host, like 192.0.2.10 "
	 "or 2001:db8::10; for a name in DNS write \"dns: b1.example.org\" and no address"},
	{SERVICES "- name: web\n  address: 0.0.0.0\n  port: 80\n  mode: ipip\n",
	 "5:12: address cannot be \"0.0.0.0\"; write " PREFIX},
	{SERVICES "- name: web\n  address: \"::\"\n  port: 80\n  mode: ipip\n",
	 "5:12: address cannot be \"::\"; write " PREFIX},
	{SERVICES "- name: web\n  address: 224.0.0.1\n  port: 80\n  mode: ipip\n",
	 "5:12: address cannot be \"224.0.0.1\"; write " PREFIX},
	{SERVICES "- name: web\n  address: ff02::1\n  port: 80\n  mode: ipip\n",
	 "5:12: address cannot be \"ff02::1\"; write " PREFIX},
	{SERVICES "- name: web\n  address: 255.255.255.255\n  port: 80\n  mode: ipip\n",
	 "5:12: address cannot be \"255.255.255.255\"; write " PREFIX},
	{SERVICES "- name: web\n  address: ::ffff:192.0.2.1\n  port: 80\n  mode: ipip\n",
	 "5:12: address cannot be \"::ffff:192.0.2.1\"; write " PREFIX},
	{SERVICES "- name: web\n  address: fe80::1%eth0\n  port: 80\n  mode: ipip\n",
	 "5:12: address cannot be \"fe80::1%eth0\"; write " PREFIX},
	{SERVICES "- name: web\n  address: 203.0.113.10\n  port: 0\n  mode: ipip\n",
	 "6:9: port cannot be 0; write " PORTS},
	{SERVICES "- name: web\n  address: 203.0.113.10\n  port: 65536\n  mode: ipip\n",
	 "6:9: port cannot be 65536; write " PORTS},
	{SERVICES "- name: web\n  address: 203.0.113.10\n  port: \"80\"\n  mode: ipip\n",
	 "6:9: port cannot be \"80\"; write " PORTS ", without quotes"},
	{SERVICES "- name: web\n  address: 203.0.113.10\n  port: http\n  mode: ipip\n",
	 "6:9: port cannot be \"http\"; write " PORTS},
	{SERVICES "- name: web\n  address: 203.0.113.10\n  port: \n  mode: ipip\n",
	 "6:3: port cannot be empty; write " PORTS},
	{SERVICES "- name: web\n  address: 203.0.113.10\n  port: 80\n  mode: dsr\n",
	 "7:9: mode cannot be \"dsr\"; write l2, ipip, gue or nat"},
	{SERVICE "  protocol: sctp\n", "8:13: protocol cannot be \"sctp\"; write tcp or udp"},
	{SERVICE "  affinity: client\n", "8:13: affinity cannot be \"client\"; write keys, like {by: ...}"},
	{SERVICE "  affinity: {by: cookie}\n", "8:18: by cannot be \"cookie\"; write flow or client"},
	{SERVICE "  affinity: {timeout: 0s}\n", "8:23: timeout cannot be \"0s\"; write " SECONDS},
	{SERVICE "  affinity: {timeout: 25h}\n", "8:23: timeout cannot be \"25h\"; write " SECONDS},
	{SERVICE "  affinity: {prefix4: 33}\n", "8:23: prefix4 cannot be 33; write a whole number from 0 to 32"},
	{SERVICE "  affinity: {prefix6: 129}\n", "8:23: prefix6 cannot be 129; write a whole number from 0 to 128"},
	{SERVICE "  scheduler: bounded\n  bound: 1.04\n",
	 "9:10: bound cannot be \"1.04\"; write a number from 1.05 to 10 with at most two decimals"},
	{SERVICE "  scheduler: bounded\n  bound: 11\n",
	 "9:10: bound cannot be 11; write a number from 1.05 to 10 with at most two decimals"},
	{SERVICE "  scheduler: bounded\n  bound: 1.255\n",
	 "9:10: bound cannot be \"1.255\"; write a number from 1.05 to 10 with at most two decimals"},
	{SERVICE "  scheduler: bounded\n  bound: [1]\n",
	 "9:10: bound cannot be keys or a list; write a number from 1.05 to 10 with at most two decimals"},
	{SERVICE "  bound: 1.5\n",
	 "8:10: bound belongs to the scheduler bounded; write scheduler: bounded, or remove bound"},
	{SERVICE "  new-flows: {burst: 10}\n", "8:22: burst belongs to limit; add limit, or remove burst"},
	{SERVICE "  new-flows: {source-burst: 10, limit: 5}\n",
	 "8:29: source-burst belongs to source-limit; add source-limit, or remove source-burst"},
	{SERVICE "  new-flows: {limit: 1000, burst: 99}\n",
	 "8:35: with limit: 1000, burst is the flows of 0.1 s to 60 s; write a number from 100 to 60000"},
	{SERVICE "  new-flows: {source-limit: 1, source-burst: 61}\n",
	 "8:46: with source-limit: 1, source-burst is the flows of 0.1 s to 60 s; write a number from 1 to 60"},
	{SERVICE "  new-flows: {limit: 5, source-prefix6: 56}\n",
	 "8:41: source-prefix6 belongs to source-limit; add source-limit, or remove source-prefix6"},
	{SERVICE "  new-flows: {source-limit: 5, source-prefix4: 0}\n",
	 "8:48: source-prefix4 cannot be 0; write a whole number from 1 to 32"},
	{SERVICE "  panic-threshold: 50\n",
	 "8:20: panic-threshold cannot be 50; write a share from 1% to 99%, or off"},
	{SERVICE "  panic-threshold: 100%\n",
	 "8:20: panic-threshold cannot be \"100%\"; write a share from 1% to 99%, or off"},
	{SERVICE "  panic-threshold: 0%\n",
	 "8:20: panic-threshold cannot be \"0%\"; write a share from 1% to 99%, or off"},
	{SERVICE "  overload: shed\n", "8:13: overload cannot be \"shed\"; write stick or spill"},
	{SERVICE "  failback: 1\n", "8:13: failback cannot be 1; write stay or return"},
	{SERVICE "  on-down: drop\n", "8:12: on-down cannot be \"drop\"; write rehash or reset"},
	{SERVICE "  protocol: udp\n  on-down: reset\n",
	 "9:12: only TCP has resets, UDP flows move to another backend at once; remove on-down, or write on-down: "
	 "rehash"},
	{SERVICE "  slow-start: 61m\n", "8:15: slow-start cannot be \"61m\"; write " DURATION "0s to 1h"},
	{SERVICE "  affinity: {group: shop}\n",
	 "8:21: services of a group share client sessions; add by: client, or remove group"},
	{SERVICE "  affinity: {group: a/b}\n", "8:21: group cannot be \"a/b\"; write " NAME},
	{GROUPED("timeout: 1h") "9:77: services of group shop share sessions, but timeout differs from service web "
				"at line 4; write the same value in both"},
	{GROUPED("prefix4: 24") "9:77: services of group shop share sessions, but prefix4 differs from service web "
				"at line 4; write the same value in both"},
	{GROUPED("prefix6: 48") "9:77: services of group shop share sessions, but prefix6 differs from service web "
				"at line 4; write the same value in both"},
	{SERVICE "  backends: [{name: b1, address: 192.0.2.1, backup: b2}]\n",
	 "8:53: backup is for client sessions, and this service has none; add affinity: {by: client}, or remove "
	 "backup"},
	{SERVICE "  affinity: {by: client}\n  backends: [{name: b1, address: 192.0.2.1, backup: b2}]\n",
	 "9:53: the service has no backend b2; name another one of its backends"},
	{SERVICE "  affinity: {by: client}\n  backends: [{name: b1, address: 192.0.2.1, backup: b1}]\n",
	 "9:53: a backend cannot be its own backup; name another backend of the service"},
	{SERVICE "  backends: [{name: b1, address: 192.0.2.1, max-flows: 0}]\n",
	 "8:56: max-flows cannot be 0; write a whole number from 1 to 200000000"},
	{SERVICE "  scheduler: rr\n", "8:14: scheduler cannot be \"rr\"; write round-robin"},
	{SERVICE "  table-size: 65536\n",
	 "8:15: table-size cannot be 65536; write a prime number from 2 to 655373"},
	{SERVICE "  table-size: 1\n", "8:15: table-size cannot be 1; write a prime number from 2 to 655373"},
	{SERVICE "  table-size: 121\n", "8:15: table-size cannot be 121; write a prime number from 2 to 655373"},
	{SERVICE "  table-size: 655379\n",
	 "8:15: table-size cannot be 655379; write a prime number from 2 to 655373"},
	{SERVICE "  table-size: many\n",
	 "8:15: table-size cannot be \"many\"; write a prime number from 2 to 655373"},
	{SERVICE "  timeouts: {unreplied: 5}\n", "8:25: unreplied cannot be 5; write " SECONDS},
	{SERVICE "  health: tcp\n", "8:11: health cannot be \"tcp\"; write keys, like {type: ...}"},
	{SERVICE "  health: {type: ftp}\n",
	 "8:18: type cannot be \"ftp\"; write tcp, http, https, udp, icmp, exec or none"},
	{SERVICE "  health: {interval: 49ms}\n", "8:22: interval cannot be \"49ms\"; write " DURATION "50ms to 1h"},
	{SERVICE "  health: {interval: 61m}\n", "8:22: interval cannot be \"61m\"; write " DURATION "50ms to 1h"},
	{SERVICE "  health: {timeout: 0ms}\n", "8:21: timeout cannot be \"0ms\"; write " DURATION "1ms to 1h"},
	{SERVICE "  health: {timeout: 2}\n", "8:21: timeout cannot be 2; write " DURATION "1ms to 1h"},
	{SERVICE "  health: {rise: 0}\n", "8:18: rise cannot be 0; write a whole number from 1 to 100"},
	{SERVICE "  health: {fall: 101}\n", "8:18: fall cannot be 101; write a whole number from 1 to 100"},
	{SERVICE "  health: {port: 0}\n", "8:18: port cannot be 0; write a whole number from 1 to 65535"},
	{SERVICE "  backends: b1\n", "8:13: backends cannot be \"b1\"; write a list, each item after a \"- \""},
	{SERVICE "  backends: [b1]\n", "8:14: a backend has no keys; write \"KEY: VALUE\", at least \"name: ...\""},
	{SERVICE "  backends:\n  - {address: 192.0.2.11}\n",
	 "9:5: a backend has no name; add \"name:\" and after it " NAME},
	{SERVICE "  backends:\n  - {name: b1}\n",
	 "9:5: a backend has no address; add \"address:\" and after it " ADDRESS ", or \"dns:\" and its name"},
	{SERVICE "  backends:\n  - {name: b/1, address: 192.0.2.11}\n",
	 "9:12: name cannot be \"b/1\"; write " NAME},
	{SERVICE "  backends:\n  - {name: b1, address: 192.0.2}\n",
	 "9:25: address cannot be \"192.0.2\"; write " ADDRESS},
	{SERVICE "  backends:\n  - {name: b1, address: 192.0.2.11, weight: 1001}\n",
	 "9:45: weight cannot be 1001; write a whole number from 0 to 1000"},
	{SERVICE "  backends:\n  - {name: b1, address: 192.0.2.11, weight: -1}\n",
	 "9:45: weight cannot be -1; write a whole number from 0 to 1000"},
	{SERVICE "  backends:\n  - {name: b1, address: 192.0.2.11, zzzz: 81}\n",
	 "9:37: unknown key \"zzzz\" in a backend; remove it, the keys here are: name, address, dns, weight, port, "
	 "backup, max-flows"},
	{BACKENDS "  - {name: b1, address: 192.0.2.12}\n",
	 "10:12: duplicate backend name b1, first at line 9; give each backend of a service a name of its own"},
	{BACKENDS "  - {name: b2, address: 192.0.2.11}\n",
	 "10:25: duplicate backend address 192.0.2.11, first at line 9; write each server of a service once"},
	{SERVICE
	 "  backends:\n  - {name: b1, address: \"2001:db8::1\"}\n  - {name: b2, address: \"2001:db8:0::1\"}\n",
	 "10:25: duplicate backend address 2001:db8::1, first at line 9; write each server of a service once"},
	{BACKENDS "  - {name: b2, address: 203.0.113.10}\n",
	 "10:25: the backend has the address of its service; write the server's own address here"},
	{SERVICES "- name: web\n  address: 203.0.113.10\n  port: 80\n  mode: l2\n  backends:\n  - {name: b1, "
		  "address: \"2001:db8::11\"}\n",
	 "9:25: mode l2 rewrites the link addresses only, so an IPv4 service needs IPv4 backends; write such an "
	 "address, or mode: ipip"},
	{SERVICES "- {name: web, address: \"2001:db8::10\", port: 80, mode: l2, backends: [{name: b1, address: "
		  "192.0.2.11}]}\n",
	 "4:91: mode l2 rewrites the link addresses only, so an IPv6 service needs IPv6 backends; write such an "
	 "address, or mode: ipip"},
	{SERVICE "- {name: web, address: 203.0.113.11, port: 80, mode: l2}\n",
	 "8:10: duplicate service name web, first at line 4; give each service a name of its own"},
	{SERVICE "- {name: web2, address: 203.0.113.10, port: 80, mode: l2}\n",
	 "8:25: duplicate service 203.0.113.10 tcp 80, first at line 5; change the address, protocol or port of "
	 "one of them"},
	{"limits: {services: 1}\ninterfaces:\n- name: eth0\nservices:\n- name: web\n  address: 203.0.113.10\n  "
	 "port: 80\n  mode: ipip\n- {name: w2, address: 203.0.113.11, port: 80, mode: l2}\n",
	 "9:3: 2 services, and limits.services is 1; raise it to at least 2"},
	{"limits: {backends: 1}\ninterfaces:\n- name: eth0\nservices:\n- name: web\n  address: 203.0.113.10\n  "
	 "port: 80\n  mode: ipip\n  backends:\n  - {name: b1, address: 192.0.2.11}\n  - {name: b2, address: "
	 "192.0.2.12}\n",
	 "10:3: 2 backends so far, and limits.backends is 1; raise it to at least 2"},
	/* A group has numbers of its own. */
	{"limits: {services: 1}\n" SERVICE "  affinity: {by: client, group: shop}\n",
	 "9:33: 1 service and 1 group, and limits.services is 1; raise it to at least 2"},
	{"limits: {backends: 3}\n" BACKENDS "  - {name: b2, address: 192.0.2.12}\n"
	 "  affinity: {by: client, group: shop}\n",
	 "12:33: 4 backends, counting those of groups, and limits.backends is 3; raise it to at least 4"},
	{BACKENDS "  - {name: b2, address: 192.0.2.12}\n  table-size: 2\n",
	 "11:15: 2 rows are too few for 2 backends; write a prime number above 2"},
	/* Prefixes. */
	{SERVICES "- {name: web, address: 203.0.113.5/28, port: 80, mode: l2}\n",
	 "4:24: address cannot be \"203.0.113.5/28\"; write 203.0.113.0/28, or 203.0.113.5 for this address alone"},
	{SERVICES "- {name: web, address: \"2001:db8::1/64\", port: 80, mode: l2}\n",
	 "4:24: address cannot be \"2001:db8::1/64\"; write 2001:db8::/64, or 2001:db8::1 for this address alone"},
	{SERVICES "- {name: web, address: 203.0.113.0/33, port: 80, mode: l2}\n",
	 "4:24: address cannot be \"203.0.113.0/33\"; write " PREFIX},
	{SERVICES "- {name: web, address: 203.0.113.0/, port: 80, mode: l2}\n",
	 "4:24: address cannot be \"203.0.113.0/\"; write " PREFIX},
	{SERVICES "- {name: web, address: 203.0.113.0/024, port: 80, mode: l2}\n",
	 "4:24: address cannot be \"203.0.113.0/024\"; write " PREFIX},
	{SERVICES "- {name: web, address: 203.0.113.0/255.255.255.0, port: 80, mode: l2}\n",
	 "4:24: address cannot be \"203.0.113.0/255.255.255.0\"; write " PREFIX},
	{SERVICES "- {name: web, address: \"2001:db8::/129\", port: 80, mode: l2}\n",
	 "4:24: address cannot be \"2001:db8::/129\"; write " PREFIX},
	{SERVICES "- {name: web, address: 0.0.0.0/0, port: 80, mode: l2}\n",
	 "4:24: address cannot be \"0.0.0.0/0\"; write " PREFIX},
	{SERVICES "- {name: web, address: 128.0.0.0/1, port: 80, mode: l2}\n",
	 "4:24: address cannot be \"128.0.0.0/1\"; write " PREFIX},
	{SERVICES "- {name: web, address: \"::ffff:0:0/95\", port: 80, mode: l2}\n",
	 "4:24: address cannot be \"::ffff:0:0/95\"; write " PREFIX},
	{SERVICES "- {name: web, address: \"::8000:0:0/81\", port: 80, mode: l2}\n",
	 "4:24: address cannot be \"::8000:0:0/81\"; write " PREFIX},
	{SERVICES "- {name: web, address: \"8000::/1\", port: 80, mode: l2}\n",
	 "4:24: address cannot be \"8000::/1\"; write " PREFIX},
	{SERVICES "- {name: web, address: 203.0.113.0/28, port: 80, mode: ipip, backends: [{name: b1, address: "
		  "203.0.113.15}]}\n",
	 "4:93: the backend has an address of its service; write the server's own address here"},
	{SERVICES "- {name: s1, address: 10.128.0.0/9, port: 80, mode: l2}\n"
		  "- {name: s2, address: 10.0.0.0/10, port: 80, mode: l2}\n"
		  "- {name: s3, address: 10.0.0.0/11, port: 80, mode: l2}\n"
		  "- {name: s4, address: 10.0.0.0/12, port: 80, mode: l2}\n"
		  "- {name: s5, address: 10.0.0.0/13, port: 80, mode: l2}\n"
		  "- {name: s6, address: \"2001:db8::/64\", port: 80, mode: l2}\n"
		  "- {name: s7, address: \"2001:db8::/65\", port: 80, mode: l2}\n"
		  "- {name: s8, address: \"2001:db8::/66\", port: 80, mode: l2}\n"
		  "- {name: s9, address: 10.0.0.0, port: 80, mode: l2}\n"
		  "- {name: sA, address: \"2001:db8::/109\", port: 80, mode: l2}\n"
		  "- {name: sB, address: 10.0.0.0/14, port: 80, mode: l2}\n",
	 "14:23: more than 8 prefix lengths, and each costs a lookup per packet; use a length that another service "
	 "has"},
	/* Ports. */
	{SERVICES "- {name: web, address: 203.0.113.10, port: 8099-8000, mode: l2}\n",
	 "4:44: port cannot be \"8099-8000\"; write " PORTS},
	{SERVICES "- {name: web, address: 203.0.113.10, port: 80-80, mode: l2}\n",
	 "4:44: port cannot be \"80-80\"; write " PORTS},
	{SERVICES "- {name: web, address: 203.0.113.10, port: 0-80, mode: l2}\n",
	 "4:44: port cannot be \"0-80\"; write " PORTS},
	{SERVICES "- {name: web, address: 203.0.113.10, port: 80-65536, mode: l2}\n",
	 "4:44: port cannot be \"80-65536\"; write " PORTS},
	{SERVICES "- {name: web, address: 203.0.113.10, port: 80-65617, mode: l2}\n",
	 "4:44: port cannot be \"80-65617\"; write " PORTS},
	{SERVICES "- {name: web, address: 203.0.113.10, port: 80-99999999999999999999, mode: l2}\n",
	 "4:44: port cannot be \"80-99999999999999999999\"; write " PORTS},
	{SERVICES "- {name: web, address: 203.0.113.10, port: 80-90-100, mode: l2}\n",
	 "4:44: port cannot be \"80-90-100\"; write " PORTS},
	{SERVICES "- {name: web, address: 203.0.113.10, port: 080-90, mode: l2}\n",
	 "4:44: port cannot be \"080-90\"; write " PORTS},
	{SERVICES "- {name: web, address: 203.0.113.10, port: \"*\", mode: l2}\n",
	 "4:44: port cannot be \"*\"; write " PORTS},
	{SERVICES "- {name: web, address: 203.0.113.10, port: 8000-8099, mode: l2}\n",
	 "4:44: a health check probes one port, and the service has \"8000-8099\"; add health: {port: ...} with "
	 "one that accepts TCP, or health: {type: none}"},
	{SERVICES "- {name: web, address: 203.0.113.10, port: any, mode: l2, health: {rise: 1}}\n",
	 "4:67: a health check probes one port, and the service has \"any\"; add health: {port: ...} with one that "
	 "accepts TCP, or health: {type: none}"},
	{SERVICES "- {name: w1, address: 203.0.113.0/28, port: 80, mode: l2}\n"
		  "- {name: w2, address: 203.0.113.0/28, port: 80, mode: l2}\n",
	 "5:23: duplicate service 203.0.113.0/28 tcp 80, first at line 4; change the address, protocol or port of "
	 "one of them"},
	{SERVICES "- {name: w1, address: 203.0.113.1, port: any, mode: l2, health: {type: none}}\n"
		  "- {name: w2, address: 203.0.113.1/32, port: any, mode: l2, health: {type: none}}\n",
	 "5:23: duplicate service 203.0.113.1 tcp any, first at line 4; change the address, protocol or port of "
	 "one of them"},
	{SERVICES "- {name: w1, address: 203.0.113.1, port: 8050-8150, mode: l2, health: {type: none}}\n"
		  "- {name: w2, address: 203.0.113.1, port: 8000-8099, mode: l2, health: {type: none}}\n",
	 "5:42: ports 8000-8099 overlap 8050-8150 of service w1 at line 4 in part; make one range contain the "
	 "other, or separate them"},
	/* Partial overlap within a third range, after one that ends earlier. */
	{SERVICES "- {name: w1, address: 203.0.113.0/28, port: any, mode: l2, health: {type: none}}\n"
		  "- {name: w2, address: 203.0.113.0/28, port: 10-20, mode: l2, health: {type: none}}\n"
		  "- {name: w3, address: 203.0.113.0/28, port: 30-40, mode: l2, health: {type: none}}\n"
		  "- {name: w4, address: 203.0.113.0/28, port: 40-50, mode: l2, health: {type: none}}\n",
	 "7:45: ports 40-50 overlap 30-40 of service w3 at line 6 in part; make one range contain the other, or "
	 "separate them"},
	{SERVICES "- {name: w1, address: 203.0.113.0/28, port: 1, mode: l2}\n"
		  "- {name: w2, address: 203.0.113.0/28, port: 2, mode: l2}\n"
		  "- {name: w3, address: 203.0.113.0/28, port: 3, mode: l2}\n"
		  "- {name: w7, address: 203.0.113.0/28, port: 7, mode: l2}\n"
		  "- {name: w4, address: 203.0.113.0/28, port: 4, mode: l2}\n"
		  "- {name: w5, address: 203.0.113.0/28, port: 5, mode: l2}\n"
		  "- {name: w6, address: 203.0.113.0/28, port: 6, mode: l2}\n",
	 "10:45: 7 services at 203.0.113.0/28 tcp, and the limit is 6; merge neighbouring ports into one service"},
	{SERVICES "- {name: w1, address: 203.0.113.1, port: 1-2, mode: l2, health: {port: 1}}\n"
		  "- {name: w2, address: 203.0.113.1, port: 3-4, mode: l2, health: {port: 1}}\n"
		  "- {name: w3, address: 203.0.113.1, port: 5-6, mode: l2, health: {port: 1}}\n"
		  "- {name: w7, address: 203.0.113.1, port: 7-8, mode: l2, health: {port: 1}}\n"
		  "- {name: w4, address: 203.0.113.1, port: 9-10, mode: l2, health: {port: 1}}\n"
		  "- {name: w5, address: 203.0.113.1, port: 11-12, mode: l2, health: {port: 1}}\n"
		  "- {name: w6, address: 203.0.113.1, port: any, mode: l2, health: {port: 1}}\n",
	 "10:42: 7 port ranges at 203.0.113.1 tcp, and the limit is 6; merge neighbouring ports into one service"},
	/* Partial overlap, with a service of the other protocol between them. */
	{SERVICES "- {name: w1, address: 203.0.113.1, port: 10-20, mode: l2, health: {type: none}}\n"
		  "- {name: w2, address: 203.0.113.1, protocol: udp, port: 15-25, mode: l2, health: {type: none}}\n"
		  "- {name: w3, address: 203.0.113.1, port: 16-26, mode: l2, health: {type: none}}\n",
	 "6:42: ports 16-26 overlap 10-20 of service w1 at line 4 in part; make one range contain the other, or "
	 "separate them"},
	/* Modes. */
	{SERVICE "  gue-port: 6080\n",
	 "8:13: only mode gue has a tunnel with a port; remove gue-port, or write mode: gue"},
	{SERVICE "  second-hop: 1h\n",
	 "8:15: only the header of mode gue names a second hop; remove second-hop, or write mode: gue"},
	{SERVICES "- {name: web, address: 203.0.113.10, port: 53, protocol: udp, mode: gue, second-hop: 1h}\n",
	 "4:86: a second hop is for connections of TCP; remove second-hop"},
	{SERVICES
	 "- {name: web, address: 203.0.113.10, port: 80, mode: gue, scheduler: least-conn, second-hop: 1h}\n",
	 "4:94: with scheduler least-conn the hash does not tell a connection's backend; remove second-hop, or "
	 "write "
	 "scheduler: maglev"},
	{SERVICES "- {name: web, address: 203.0.113.10, port: 80, mode: gue, second-hop: 1ms}\n",
	 "4:71: second-hop cannot be \"1ms\"; write " DURATION "0s to 24h in full seconds"},
	{SERVICES "- {name: web, address: 203.0.113.10, port: 80, mode: gue, gue-port: 0}\n",
	 "4:69: gue-port cannot be 0; write a whole number from 1 to 65535"},
	{SERVICE "  backends:\n  - {name: b1, address: 192.0.2.11, port: 81}\n",
	 "9:43: only mode nat rewrites ports; remove port, or write mode: nat"},
	{NAT "- {name: web, address: 203.0.113.0/28, port: 80, mode: nat}\n",
	 "9:24: mode nat needs a single address: an answer does not identify the address of a prefix that the "
	 "client used; write one, or mode: ipip"},
	{NAT "- {name: web, address: 203.0.113.10, port: 81, mode: nat, backends: [{name: b1, address: "
	     "\"2001:db8::1\"}]}\n",
	 "9:90: mode nat rewrites addresses within their family, so an IPv4 service needs IPv4 backends; write "
	 "such an address, or mode: ipip"},
	{NAT "- {name: web, address: \"2001:db8::10\", port: 81, mode: nat, backends: [{name: b1, address: "
	     "192.0.2.1}]}\n",
	 "9:92: mode nat rewrites addresses within their family, so an IPv6 service needs IPv6 backends; write "
	 "such an address, or mode: ipip"},
	{NAT "- {name: web, address: 203.0.113.10, port: 90-99, mode: nat, backends: [{name: b1, address: "
	     "192.0.2.1, port: 90}], health: {port: 1}}\n",
	 "9:110: the service has many ports, and an answer from this one does not identify the port that the "
	 "client used; remove port, or give the service a single port"},
	/* Answers that could belong to two services. */
	{NAT "- {name: web, address: 203.0.113.10, port: 8080, mode: nat, backends: [{name: b1, address: "
	     "192.0.2.11}]}\n",
	 "9:92: an answer from this address and port could belong to nat/b1 at line 8 too, and in mode nat they "
	 "identify the service; use another address or port of the server"},
	{NAT "- {name: web, address: 203.0.113.10, port: 81, mode: nat, backends: [{name: b1, address: 192.0.2.11, "
	     "port: 8080}]}\n",
	 "9:108: an answer from this address and port could belong to nat/b1 at line 8 too, and in mode nat they "
	 "identify the service; use another address or port of the server"},
	{NAT
	 "- {name: web, address: 203.0.113.10, port: 8000-8080, mode: nat, health: {type: none}, backends: [{name: "
	 "b1, address: 192.0.2.11}]}\n",
	 "9:119: an answer from this address and port could belong to nat/b1 at line 8 too, and in mode nat they "
	 "identify the service; use another address or port of the server"},
	{NAT "- {name: web, address: 203.0.113.9, port: any, mode: nat, health: {type: none}, backends: [{name: "
	     "b1, address: 192.0.2.11}]}\n",
	 "9:112: an answer from this address and port could belong to nat/b1 at line 8 too, and in mode nat they "
	 "identify the service; use another address or port of the server"},
	/* Portless fragments of answers could belong to that service, whatever its port and protocol. */
	{NAT "- {name: web, address: 192.0.2.11, port: 53, protocol: udp, mode: l2}\n",
	 "8:34: the backend has an address of service web at line 9, so its answers could belong to that service; "
	 "write the server's own address"},
	{NAT "- {name: web, address: 192.0.2.0/28, port: 53, protocol: udp, mode: l2}\n",
	 "8:34: the backend has an address of service web at line 9, so its answers could belong to that service; "
	 "write the server's own address"},
	{SERVICES "- {name: w1, address: 203.0.113.1, port: 1-2, mode: nat, health: {port: 1}, backends: [{name: "
		  "b, address: 192.0.2.1}]}\n"
		  "- {name: w2, address: 203.0.113.2, port: 3-4, mode: nat, health: {port: 1}, backends: [{name: "
		  "b, address: 192.0.2.1}]}\n"
		  "- {name: w3, address: 203.0.113.3, port: 5-6, mode: nat, health: {port: 1}, backends: [{name: "
		  "b, address: 192.0.2.1}]}\n"
		  "- {name: w4, address: 203.0.113.4, port: 7-8, mode: nat, health: {port: 1}, backends: [{name: "
		  "b, address: 192.0.2.1}]}\n"
		  "- {name: w5, address: 203.0.113.5, port: 11-12, mode: nat, health: {port: 1}, backends: [{name: "
		  "b, address: 192.0.2.1}]}\n"
		  "- {name: w6, address: 203.0.113.6, port: 13-14, mode: nat, health: {port: 1}, backends: [{name: "
		  "b, address: 192.0.2.1}]}\n"
		  "- {name: w7, address: 203.0.113.7, port: 15-16, mode: nat, health: {port: 1}, backends: [{name: "
		  "b, address: 192.0.2.1}]}\n",
	 "10:109: a server with more than 6 port ranges in mode nat; merge neighbouring ports into one service, or "
	 "use another address of the server"},
	/* Tunnels. */
	{INTERFACES "tunnel: {source: 198.18.0.0/24}\n",
	 "3:10: unknown key \"source\" in tunnel; did you mean \"source4\"?"},
	{INTERFACES "tunnel: {source4: 198.18.0.0/15}\n",
	 "3:19: at most 16 bits vary by flow; write a prefix of /16 or longer"},
	{INTERFACES "tunnel: {source6: \"2001:db8::/111\"}\n",
	 "3:19: at most 16 bits vary by flow; write a prefix of /112 or longer"},
	{INTERFACES "tunnel: {source4: \"2001:db8::/112\"}\n",
	 "3:19: source4 is the source of IPv4 tunnels; write an IPv4 address or prefix"},
	{INTERFACES "tunnel: {source6: 198.18.0.0/24}\n",
	 "3:19: source6 is the source of IPv6 tunnels; write an IPv6 address or prefix"},
	{INTERFACES "tunnel: {source4: 198.18.0.1/24}\n",
	 "3:19: source4 cannot be \"198.18.0.1/24\"; write 198.18.0.0/24, or 198.18.0.1 for this address alone"},
	/* Metrics. */
	{INTERFACES "announce: {min-eligible: 0}\n",
	 "3:26: min-eligible cannot be 0; write a number of backends from 1 to 65535, or a share like 50%"},
	{INTERFACES "announce: {min-eligible: 101%}\n",
	 "3:26: min-eligible cannot be \"101%\"; write a number of backends from 1 to 65535, or a share like 50%"},
	{INTERFACES "announce: {start-timeout: 30}\n",
	 "3:27: start-timeout cannot be 30; write " DURATION "0s to 10m"},
	{INTERFACES "metrics: {port: 9427}\n",
	 "3:11: unknown key \"port\" in metrics; remove it, the keys here are: listen, backends, page"},
	{INTERFACES "metrics: 127.0.0.1:9427\n",
	 "3:10: metrics cannot be \"127.0.0.1:9427\"; write keys, like {listen: ...}"},
	{INTERFACES "access: [{role: admin}]\n",
	 "3:10: an item of access needs either user or group; add one of them"},
	{INTERFACES "access: [{user: a, group: b, role: admin}]\n",
	 "3:10: an item of access needs either user or group; write two items"},
	{INTERFACES "access: [{user: a}]\n",
	 "3:10: an item of access has no role; add \"role:\" and after it viewer, operator or admin"},
	{INTERFACES "access: [{user: a, role: root}]\n",
	 "3:26: role cannot be \"root\"; write viewer, operator or admin"},
	{INTERFACES "access: [{user: \"a b\", role: viewer}]\n",
	 "3:17: user cannot be \"a b\"; write a name of at most 31 bytes, without spaces and \":\""},
	{INTERFACES "secret-file: /k\ncluster: {name: a/b}\n", "4:17: name cannot be \"a/b\"; write " NAME},
	{INTERFACES "secret-file: /k\ncluster: {node: n1}\n",
	 "4:10: cluster has no name; add \"name:\" and after it " NAME},
	{INTERFACES "secret-file: /k\ncluster: {name: a, node: \"\"}\n", "4:26: node cannot be \"\"; write " NAME},
	{INTERFACES "secret-file: /k\ncluster: {name: a, store: {}}\n",
	 "4:27: store has no redis; add \"redis:\" and after it a list of at least one item, each item after a \"- "
	 "\""},
	{INTERFACES "secret-file: /k\ncluster: {name: a, store: {redis: [redis.example.org:6379]}}\n",
	 STORE_SERVER},
	{INTERFACES "secret-file: /k\ncluster: {name: a, store: {redis: [192.0.2.60]}}\n", STORE_SERVER},
	{INTERFACES "secret-file: /k\ncluster: {name: a, store: {redis: [224.0.0.1:6379]}}\n", STORE_SERVER},
	{INTERFACES
	 "secret-file: /k\ncluster: {name: a, store: {redis: [1.1.1.1:1, 1.1.1.2:1, 1.1.1.3:1, 1.1.1.4:1, "
	 "1.1.1.5:1, 1.1.1.6:1, 1.1.1.7:1, 1.1.1.8:1, 1.1.1.9:1]}}\n",
	 "4:124: 9 servers of the store; remove all but 8"},
	{INTERFACES "secret-file: /k\ncluster: {name: a, store: {redis: [192.0.2.60:1], username: berth}}\n",
	 "4:61: username needs a password; write password-file: /etc/berth/store-password"},
	{INTERFACES "secret-file: /k\ncluster: {name: a, store: {redis: [192.0.2.60:1], password-file: pw}}\n",
	 "4:66: password-file cannot be \"pw\"; write the path of a file, as /etc/berth/store-password, at most "
	 "255 "
	 "bytes"},
	{INTERFACES "secret-file: /k\ncluster: {name: a, store: {redis: [192.0.2.60:1], tls: {name: r}}}\n",
	 "4:56: tls has no ca; add \"ca:\" and after it the full path of a file with certificates (PEM)"},
	{INTERFACES "secret-file: /k\ncluster: {name: a, store: {redis: [192.0.2.60:1], tls: {ca: ca.pem}}}\n",
	 "4:61: ca cannot be \"ca.pem\"; write the full path of a file with certificates (PEM)"},
	{INTERFACES
	 "secret-file: /k\ncluster: {name: a, store: {redis: [192.0.2.60:1], tls: {ca: /a, name: a b}}}\n",
	 "4:71: name cannot be \"a b\"; write a host name, at most 255 bytes"},
	{INTERFACES "cluster: {name: shop}\n",
	 "3:10: the nodes of a cluster share a secret; write secret-file: /etc/berth/secret, and copy that file to "
	 "each node"},
	{INTERFACES "state-dir: var\n",
	 "3:12: state-dir cannot be \"var\"; write the path of a directory, as /var/lib/berth, at most 255 bytes"},
	{INTERFACES "sessions: {save: 25h}\n",
	 "3:18: save cannot be \"25h\"; write a whole number with its unit (ms, s, m or h), from 0s to 24h"},
	{INTERFACES "metrics: {listen: }\n", "3:11: listen cannot be empty; write " LISTEN},
	{INTERFACES "metrics: {listen: 9427}\n", "3:19: listen cannot be that; write " LISTEN},
	{INTERFACES "metrics: {listen: 127.0.0.1}\n", "3:19: listen cannot be \"127.0.0.1\"; write " LISTEN},
	{INTERFACES "metrics: {listen: \":9427\"}\n", "3:19: listen cannot be \":9427\"; write " LISTEN},
	{INTERFACES "metrics: {listen: localhost:9427}\n",
	 "3:19: listen cannot be \"localhost:9427\"; write " LISTEN},
	{INTERFACES "metrics: {listen: 127.0.0.1:0}\n", "3:19: listen cannot be \"127.0.0.1:0\"; write " LISTEN},
	{INTERFACES "metrics: {listen: 127.0.0.1:65536}\n",
	 "3:19: listen cannot be \"127.0.0.1:65536\"; write " LISTEN},
	{INTERFACES "metrics: {listen: \"127.0.0.1:94 27\"}\n",
	 "3:19: listen cannot be \"127.0.0.1:94 27\"; write " LISTEN},
	{INTERFACES "metrics: {listen: \"::1:9427\"}\n", "3:19: listen cannot be \"::1:9427\"; write " LISTEN},
	{INTERFACES "metrics: {listen: \"[::1]\"}\n", "3:19: listen cannot be \"[::1]\"; write " LISTEN},
	{INTERFACES "metrics: {listen: \"[::1]9427\"}\n", "3:19: listen cannot be \"[::1]9427\"; write " LISTEN},
	{INTERFACES "metrics: {listen: \"[::1:9427\"}\n", "3:19: listen cannot be \"[::1:9427\"; write " LISTEN},
	{INTERFACES "metrics: {listen: \"[127.0.0.1]:9427\"}\n",
	 "3:19: listen cannot be \"[127.0.0.1]:9427\"; write " LISTEN},
	{INTERFACES "timeouts: {fragment: 0s}\n", "3:22: fragment cannot be \"0s\"; write " SECONDS},
};
