/* SPDX-License-Identifier: BSD-3-Clause */
/* Invalid prefixes and ranges of ports, and services and answers that could be mistaken for each other. */
#pragma once

#include "tests/unit/controlplane/config/config_bad.h"

static const struct bad bad_overlap[] = {
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
};
