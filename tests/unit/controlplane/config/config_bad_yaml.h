/* SPDX-License-Identifier: BSD-3-Clause */
/* Files that are no configuration in YAML. */
#pragma once

#include "tests/unit/controlplane/config/config_bad.h"

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
