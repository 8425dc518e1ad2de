/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/status.h"

#include <errno.h>
#include <limits.h>
#include <rte_eal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dataplane/interface/names.h"
#include "dataplane/log.h"

/* Names need no escapes: options.c checks them. */
static void print_port(FILE *file, const struct berth_eth_port *port, const char *tap)
{
	fprintf(file, "{\"name\": \"%s\", \"driver\": \"%s\", ", port->name, port->driver);
	fprintf(file, "\"mac\": \"%02x:%02x:%02x:%02x:%02x:%02x\", ", port->mac[0], port->mac[1], port->mac[2],
		port->mac[3], port->mac[4], port->mac[5]);
	fprintf(file, "\"mtu\": %u, \"queues\": %u, ", port->mtu, port->rx_queues);
	if (*tap)
		fprintf(file, "\"tap\": \"%s\"}", tap);
	else
		fprintf(file, "\"tap\": null}");
}

static void print_status(FILE *file, const struct berth_options *options, uint32_t workers,
			 const struct berth_ports *ports, const struct berth_kernel_path *kernel_path)
{
	fprintf(file, "{\"pid\": %d, \"workers\": %u, \"idle\": \"%s\", \"hugepages\": %s, \"ports\": [", getpid(),
		workers, options->adaptive ? "adaptive" : "poll", rte_eal_has_hugepages() ? "true" : "false");
	for (uint32_t i = 0; i < ports->n; i++) {
		fputs(i ? ", " : "", file);
		print_port(file, &ports->port[i], kernel_path->tap_name[i]);
	}
	fputs("]}\n", file);
}

int berth_status_write(const struct berth_options *options, uint32_t workers, const struct berth_ports *ports,
		       const struct berth_kernel_path *kernel_path)
{
	char path[PATH_MAX];
	char temporary[PATH_MAX + 4];
	berth_dpdk_status_path(path, sizeof(path), options->run_dir, options->instance);
	snprintf(temporary, sizeof(temporary), "%s.new", path);
	/* "x": a new file, not one to which a link leads. */
	unlink(temporary);
	FILE *file = fopen(temporary, "wxe");
	if (!file)
		goto fail;
	print_status(file, options, workers, ports, kernel_path);
	if (fclose(file) || rename(temporary, path))
		goto fail;
	return 0;

fail:;
	int error = errno;
	berth_log("%s: cannot be written: %s", path, strerror(error));
	unlink(temporary);
	return -error;
}

void berth_status_remove(const struct berth_options *options)
{
	char path[PATH_MAX];
	berth_dpdk_status_path(path, sizeof(path), options->run_dir, options->instance);
	unlink(path);
}
