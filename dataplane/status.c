/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/status.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_lcore.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dataplane/interface/names.h"
#include "dataplane/interface/private_file.h"
#include "dataplane/log.h"
#include "dataplane/port_stats.h"

#define HUGEPAGES "\"hugepages\": "

/* Names need no escapes: options.c checks them. */
static void print_port(FILE *file, const struct berth_eth_port *port, const struct berth_port_link *link,
		       const char *tap)
{
	fprintf(file, "{\"name\": \"%s\", \"driver\": \"%s\", ", port->name, port->driver);
	fprintf(file, "\"mac\": \"%02x:%02x:%02x:%02x:%02x:%02x\", ", port->mac[0], port->mac[1], port->mac[2],
		port->mac[3], port->mac[4], port->mac[5]);
	fprintf(file, "\"mtu\": %u, \"queues\": %u, ", port->mtu, port->rx_queues);
	berth_port_stats_print(file, port, link);
	fprintf(file, "\"absent\": %s, \"had_fault\": %s, ", port->is_absent ? "true" : "false",
		port->had_fault ? "true" : "false");
	if (port->delivery == BERTH_DELIVERY_INJECT)
		fprintf(file, "\"xdp_program\": %u, ", port->xdp_program);
	if (*tap)
		fprintf(file, "\"tap\": \"%s\"}", tap);
	else
		fprintf(file, "\"tap\": null}");
}

/* The CPU that each worker has for itself. */
static void print_cpus(FILE *file, uint32_t workers)
{
	fputs("\"cpus\": [", file);
	for (uint32_t i = 0; i < workers; i++) {
		const rte_cpuset_t set = rte_lcore_cpuset(i + 1);
		unsigned int cpu = 0;
		while (cpu < CPU_SETSIZE && !CPU_ISSET(cpu, &set))
			cpu++;
		fputs(i ? ", " : "", file);
		if (CPU_COUNT(&set) == 1)
			fprintf(file, "%u", cpu);
		else
			fputs("null", file);
	}
	fputs("], ", file);
}

static void print_status(FILE *file, const struct berth_status *status)
{
	fprintf(file, "{\"pid\": %d, \"workers\": %u, \"idle\": \"%s\", " HUGEPAGES "%s, ", getpid(),
		status->workers, status->options->adaptive ? "adaptive" : "poll",
		rte_eal_has_hugepages() ? "true" : "false");
	print_cpus(file, status->workers);
	fprintf(file, "\"cycles_per_second\": %" PRIu64 ", \"ports\": [", rte_get_tsc_hz());
	for (uint32_t i = 0; i < status->ports->n; i++) {
		fputs(i ? ", " : "", file);
		print_port(file, &status->ports->port[i], &status->watch->port[i],
			   status->kernel_path->tap_name[i]);
	}
	fputs("]}\n", file);
}

/* Writes a temporary file and renames it, so that readers see all of it. 0 or an errno. */
static int write_file(const struct berth_status *status, const char *path)
{
	char temporary[PATH_MAX + 4];
	snprintf(temporary, sizeof(temporary), "%s.new", path);
	/* "x": a new file, not one to which a link leads. */
	unlink(temporary);
	FILE *file = fopen(temporary, "wxe");
	if (!file)
		goto fail;
	print_status(file, status);
	if (fclose(file) || rename(temporary, path))
		goto fail;
	return 0;

fail:;
	int error = errno;
	unlink(temporary);
	return error;
}

void berth_status_keep(struct berth_status *status)
{
	char path[PATH_MAX];
	if (!status->is_due && rte_get_tsc_cycles() - status->tried_cycles < rte_get_tsc_hz())
		return;
	berth_dpdk_status_path(path, sizeof(path), status->options->run_dir, status->options->instance);
	int error = write_file(status, path);
	if (error && error != status->error)
		berth_log("%s: cannot be written: %s; forwarding goes on, and `berthctl show engine` lacks its "
			  "details",
			  path, strerror(error));
	else if (!error && status->error)
		berth_log("%s: written again", path);
	status->is_due = false;
	status->error = error;
	status->tried_cycles = rte_get_tsc_cycles();
}

void berth_status_remove(const struct berth_options *options)
{
	char path[PATH_MAX];
	berth_dpdk_status_path(path, sizeof(path), options->run_dir, options->instance);
	unlink(path);
}

bool berth_status_take_hugepages(const struct berth_options *options)
{
	char status[PATH_MAX], path[PATH_MAX], text[1024];
	const char *fault;
	berth_dpdk_status_path(status, sizeof(status), options->run_dir, options->instance);
	berth_dpdk_former_status_path(path, sizeof(path), status);
	const int fd = berth_private_open(path, O_RDONLY, BERTH_MODE_OTHERS_WRITE, &fault);
	const ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	unlink(path);
	text[n > 0 ? n : 0] = '\0';
	return strstr(text, HUGEPAGES "true");
}

void berth_status_write_fault(const struct berth_options *options, const char *message)
{
	char path[PATH_MAX];
	berth_dpdk_fault_path(path, sizeof(path), options->run_dir, options->instance);
	unlink(path);
	FILE *file = fopen(path, "wxe");
	if (!file)
		return;
	fprintf(file, "%s\n", message);
	fclose(file);
}
