/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line of berth-dpdk. Main thread, once, before DPDK starts. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/interface/option_limits.h"

struct berth_port_options {
	char name[BERTH_IFNAME_BYTES];
	char device[BERTH_DEVICE_BYTES]; /* "": an AF_XDP port on the kernel interface `name` */
	uint32_t queues;		 /* receive queues */
	uint32_t mtu;			 /* bytes; 0: the driver's default, or that of the kernel interface */
};

struct berth_options {
	const char *instance;
	const char *image;   /* path of the image file */
	const char *run_dir; /* directory of the status file */
	const char *bpf_dir; /* directory of berth_inject.bpf.o; NULL: see berth_inject_attach */
	uint32_t workers;    /* limit; 0: as many as the port with the most queues has queues */
	bool adaptive;	     /* idle workers sleep */
	bool no_hugepages;   /* use small pages even if hugepages are free */
	uint32_t memory_mb;  /* packet buffers, MiB */
	int node;	     /* NUMA node of the NICs; -1: any */
	uint32_t rx_ring;    /* descriptors of a queue, a power of two */
	uint32_t tx_ring;
	struct berth_port_options ports[BERTH_MAX_PORTS];
	uint32_t n_ports;
	char **eal; /* arguments after "--", for DPDK */
	int n_eal;
};

/* Strings point into argv. 0; -EINVAL: the reason is logged; -ECANCELED: --help or --version was printed. */
int berth_options_parse(struct berth_options *options, int argc, char **argv);
