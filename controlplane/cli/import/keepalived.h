/* SPDX-License-Identifier: BSD-3-Clause */
/* What keepalived.c and keepalived_checks.c read together: virtual servers, and the checks of their servers. */
#pragma once

#include "controlplane/cli/import/words.h"

enum {
	BERTH_KEEPALIVED_MAX_DEPTH = 16,
	BERTH_KEEPALIVED_PERSISTENCE_S = 360,
	BERTH_KEEPALIVED_INTERVAL_MS = 60000,
	BERTH_KEEPALIVED_TIMEOUT_MS = 5000,
};

/* What a block between braces is. */
enum berth_keepalived_block {
	BERTH_KEEPALIVED_TOP,
	BERTH_KEEPALIVED_SERVICE, /* virtual_server */
	BERTH_KEEPALIVED_SERVER,  /* real_server */
	BERTH_KEEPALIVED_CHECK,
	BERTH_KEEPALIVED_URL, /* of a check */
	BERTH_KEEPALIVED_IGNORED,
};

struct berth_keepalived {
	struct berth_import *import;
	enum berth_keepalived_block blocks[BERTH_KEEPALIVED_MAX_DEPTH];
	size_t depth; /* of the current block; 0: BERTH_KEEPALIVED_TOP */
	/* Valid in their blocks. */
	struct berth_import_service *service;
	struct berth_import_backend *backend; /* NULL: a server that is not imported */
	char mode[8];			      /* of the service; "": NAT, as keepalived has it */
	unsigned int gue_port;
	unsigned int server_port;
	struct berth_import_health settings; /* for checks of the service */
	struct berth_import_health server_settings;
	struct berth_import_health check;
	size_t n_urls;
	bool has_check; /* the server has one */
};

/* The first value of a statement; "": it has none. */
const char *berth_keepalived_value(const struct berth_import_words *words);

/* keepalived_checks.c */
void berth_keepalived_delay_loop(void *arg, const struct berth_import_words *words);
void berth_keepalived_timeout(void *arg, const struct berth_import_words *words);
void berth_keepalived_retry(void *arg, const struct berth_import_words *words);
void berth_keepalived_virtualhost(void *arg, const struct berth_import_words *words);
enum berth_keepalived_block berth_keepalived_begin_check(struct berth_keepalived *reader, const char *name);
void berth_keepalived_end_check(struct berth_keepalived *reader);
/* A statement of a check, or of its url. */
void berth_keepalived_read_check(struct berth_keepalived *reader, const struct berth_import_words *words);

/* Settings of checks, which a service, a server and a check can have. */
#define BERTH_KEEPALIVED_CHECK_SETTINGS                                                                            \
	{"delay_loop", berth_keepalived_delay_loop, NULL}, {"connect_timeout", berth_keepalived_timeout, NULL},    \
		{"retry", berth_keepalived_retry, NULL}, {"nb_get_retry", berth_keepalived_retry, NULL},           \
		{"delay_before_retry", NULL, "berth repeats a check that failed after its interval"},              \
		{"warmup", NULL, NULL}, {"alpha", NULL, NULL},                                                     \
	{                                                                                                          \
		"log_all_failures", NULL, NULL                                                                     \
	}
