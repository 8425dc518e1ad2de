/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line of berth-dpdk. Read once, before any other thread runs. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/interface/option_limits.h"

struct berth_port_options {
	char name[BERTH_IFNAME_BYTES];
	char device[BERTH_DEVICE_BYTES]; /* "": an AF_XDP port on the kernel interface `name` */
	uint32_t queues;
};

struct berth_options {
	const char *instance;
	const char *image;   /* path of the image file */
	const char *run_dir; /* of the status file */
	const char *bpf_dir; /* NULL: found by berth_inject_open */
	uint32_t workers;    /* at most; 0: as many as the port with the most queues has */
	bool adaptive;	     /* idle workers sleep */
	bool no_hugepages;   /* even if there are free ones */
	uint32_t memory_mb;  /* for packet buffers */
	int node;	     /* NUMA node of the NICs; -1: any */
	uint32_t rx_ring;    /* descriptors per queue */
	uint32_t tx_ring;
	struct berth_port_options ports[BERTH_MAX_PORTS];
	uint32_t n_ports;
	char **eal; /* what follows "--" */
	int n_eal;
};

/* 0; -EINVAL: said on stderr what is wrong; -ECANCELED: help was asked for and given. Strings stay in argv. */
int berth_options_parse(struct berth_options *options, int argc, char **argv);
