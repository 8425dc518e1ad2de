/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line of berth-decap. */
#pragma once

#include <stdio.h>

#include "bpf/decap_maps.h"
#include "dataplane/core/types.h"

struct berth_decap_options {
	const char *command;
	const char *interface;
	unsigned int ifindex;
	const char *object; /* path of the BPF object; NULL: berth_object_find */
	union berth_addr address[BERTH_DECAP_MAX_ADDRESSES];
	unsigned int n_addresses; /* 0: all addresses of the interface */
	struct berth_be16 port[BERTH_DECAP_MAX_PORTS];
	unsigned int n_ports; /* 0: BERTH_DECAP_GUE_PORT */
};

/* Parses the command line. Strings point into argv; ifindex is not set. 0; -EINVAL: the reason is printed, or
 * the number of words is wrong; -ECANCELED: --help or --version was printed. */
int berth_decap_options_parse(struct berth_decap_options *options, int argc, char **argv);
/* Adds all addresses of options->interface. 0 or -errno. */
int berth_decap_options_add_interface(struct berth_decap_options *options);
void berth_decap_usage(FILE *to);
