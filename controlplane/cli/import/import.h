/* SPDX-License-Identifier: BSD-3-Clause */
/* Services of another load balancer as a configuration of berth. No berthd is needed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum {
	BERTH_IMPORT_WORD = 64,
	BERTH_IMPORT_LONG = 256,
	BERTH_IMPORT_TEXT = 240,
	BERTH_IMPORT_MAX_WEIGHT = 1000, /* of berth */
	BERTH_IMPORT_MAX_FLOWS = 200000000,
};

struct berth_import_health {
	const char *type;
	unsigned int interval_ms;
	unsigned int timeout_ms;
	unsigned int rise;
	unsigned int fall;
	unsigned int port; /* 0: the service's, or the backend's */
	bool has_agent;
	unsigned int agent_port;
	unsigned int agent_interval_ms;
	bool is_head;
	bool is_unverified;
	char path[BERTH_IMPORT_LONG];
	char host[BERTH_IMPORT_LONG];
	char statuses[BERTH_IMPORT_WORD]; /* "200, 300-399"; "": berth's */
	char command[BERTH_IMPORT_LONG];  /* words with spaces between them */
};

struct berth_import_backend {
	char name[BERTH_IMPORT_WORD]; /* "": by its address */
	char address[BERTH_IMPORT_LONG];
	bool is_dns;	   /* the address is a DNS name */
	unsigned int port; /* 0: the service's */
	unsigned int weight;
	unsigned int max_flows; /* 0: no limit */
};

struct berth_import_service {
	size_t line;		      /* where it begins */
	char name[BERTH_IMPORT_WORD]; /* "": by its protocol, address and port */
	char protocol[4];
	char address[BERTH_IMPORT_WORD];
	unsigned int port; /* 0: any */
	char mode[8];	   /* of its first backend; "": it has none yet */
	unsigned int gue_port;
	const char *scheduler;
	unsigned int affinity_s; /* timeout of sessions; 0: none */
	unsigned int prefix4;
	unsigned int prefix6; /* 0: berth's */
	struct berth_import_health health;
	struct berth_import_backend *backends;
	size_t n;
};

struct berth_import {
	const char *name; /* of the file */
	size_t line;	  /* that is being read */
	struct berth_import_service *services;
	size_t n;
	char **notes; /* what does not carry over, with its place */
	size_t n_notes;
	bool has_failed; /* out of memory */
};

__attribute__((format(printf, 2, 3))) void berth_import_note(struct berth_import *import, const char *format, ...);
/* NULL: out of memory. */
struct berth_import_service *berth_import_add_service(struct berth_import *import);
struct berth_import_backend *berth_import_add_backend(struct berth_import *import,
						      struct berth_import_service *service);
/* False, with a note: the service has a backend of this address already, or backends of another mode. */
bool berth_import_fits(struct berth_import *import, struct berth_import_service *service, const char *address,
		       const char *mode);

/* Two services of mode nat must not share a server's address and port: the answers of that server could belong to
 * either. Removes such backends from the later service, with a note for each service. */
void berth_import_separate(struct berth_import *import);

/* print.c: the configuration, as text. */
void berth_import_print(FILE *out, const struct berth_import *import);

/* Each reads what its program writes or is configured with: ipvs.c the output of `ipvsadm -Sn`. */
void berth_import_ipvs(struct berth_import *import, FILE *in);
void berth_import_keepalived(struct berth_import *import, FILE *in);
void berth_import_haproxy(struct berth_import *import, FILE *in);
