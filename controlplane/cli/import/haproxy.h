/* SPDX-License-Identifier: BSD-3-Clause */
/* What haproxy.c and haproxy_servers.c read together: proxies, their servers and checks. */
#pragma once

#include "controlplane/cli/import/words.h"

enum {
	BERTH_HAPROXY_AFFINITY_S = 10800,
	BERTH_HAPROXY_TIMEOUT_MS = 2000, /* of a check: that of its interval */
};

struct berth_haproxy_bind {
	char address[BERTH_IMPORT_WORD];
	unsigned int port;
	size_t line;
};

struct berth_haproxy_proxy {
	struct berth_import_service service; /* settings and servers; no address */
	struct berth_import_backend default_server;
	struct berth_haproxy_bind *binds;
	size_t n_binds;
	char uses[BERTH_IMPORT_WORD]; /* default_backend; "": it has servers of its own */
	size_t line;
	unsigned int expire_ms; /* of its stick-table; 0: it has none */
	bool is_backend;
	bool is_http;
	bool has_check; /* a server, or default-server, has it */
};

struct berth_haproxy {
	struct berth_import *import;
	struct berth_haproxy_proxy defaults;
	struct berth_haproxy_proxy *proxies;
	size_t n;
	struct berth_haproxy_proxy *proxy; /* that is being read; NULL: a section without proxy */
};

/* haproxy_servers.c */
void berth_haproxy_clear_defaults(struct berth_haproxy_proxy *defaults);
void berth_haproxy_read_server(void *arg, const struct berth_import_words *words);
void berth_haproxy_read_default_server(void *arg, const struct berth_import_words *words);
/* `option httpchk`, and `http-check`. */
void berth_haproxy_http_check(struct berth_haproxy *reader, const struct berth_import_words *words);
void berth_haproxy_read_http_check(void *arg, const struct berth_import_words *words);
