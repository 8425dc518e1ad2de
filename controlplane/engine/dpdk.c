// SPDX-License-Identifier: BSD-3-Clause
/*
 * The DPDK engine, as berthd sees it: an image in a file (dpdk_image.h), and the process berth-dpdk that maps it
 * (dpdk_process.h). Each of berthd and berth-dpdk survives the end of the other.
 */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "controlplane/engine/dpdk_command.h"
#include "controlplane/engine/dpdk_image.h"
#include "controlplane/engine/dpdk_process.h"
#include "controlplane/engine/engine.h"
#include "controlplane/engine/numa.h"
#include "controlplane/engine/object.h"
#include "controlplane/util/interface.h"
#include "controlplane/util/log.h"
#include "dataplane/interface/names.h"

struct dpdk_engine {
	struct berth_engine engine;
	struct berth_dpdk_image file;
	struct berth_dpdk_process process;
	/* Interfaces of the kernel that berth-dpdk has opened; devices are not among them. */
	struct dpdk_interface {
		char name[BERTH_IFNAME_BYTES];
		uint32_t ifindex;
	} interfaces[BERTH_MAX_PORTS];
	size_t n_interfaces;
};

static void list_interfaces(struct dpdk_engine *dpdk, const struct berth_config *config)
{
	for (size_t i = 0; i < config->n_interfaces; i++) {
		struct dpdk_interface *interface = &dpdk->interfaces[dpdk->n_interfaces];
		if (config->interfaces[i].device[0])
			continue;
		snprintf(interface->name, sizeof(interface->name), "%s", config->interfaces[i].name);
		interface->ifindex = if_nametoindex(interface->name);
		dpdk->n_interfaces++;
	}
}

/* berth-dpdk keeps the interface that it opened, also when that is gone: another one needs a new process. */
static void dpdk_follow_interfaces(struct berth_engine *engine)
{
	struct dpdk_engine *dpdk = (struct dpdk_engine *)engine;
	for (size_t i = 0; i < dpdk->n_interfaces; i++) {
		struct dpdk_interface *interface = &dpdk->interfaces[i];
		uint32_t ifindex = if_nametoindex(interface->name);
		if (ifindex == interface->ifindex)
			continue;
		interface->ifindex = ifindex;
		berth_log(ifindex ? "%s: the interface was created again; restarting berth-dpdk"
				  : "ALARM: %s: the interface was removed: berth forwards no packet on it",
			  interface->name);
		if (ifindex)
			berth_dpdk_process_restart(&dpdk->process);
	}
}

static int dpdk_check(const struct berth_config *config, char error[BERTH_ERROR_BYTES])
{
	char path[512];
	if (berth_object_path("berth-dpdk", path, sizeof(path), error))
		return -ENOENT;
	for (size_t i = 0; i < config->n_interfaces; i++) {
		struct berth_port port;
		if (config->interfaces[i].device[0] || berth_interface_read(config->interfaces[i].name, &port) == 0)
			continue;
		snprintf(error, BERTH_ERROR_BYTES,
			 "interface %s does not exist and has no device; `ip link` lists interfaces, "
			 "`dpdk-devbind.py -s` devices (interfaces[%zu])",
			 config->interfaces[i].name, i);
		return -ENODEV;
	}
	return 0;
}

static void dpdk_close(struct berth_engine *engine, bool stop)
{
	struct dpdk_engine *dpdk = (struct dpdk_engine *)engine;
	berth_dpdk_process_detach(&dpdk->process);
	if (stop) {
		berth_dpdk_process_stop(dpdk->file.fd, dpdk->process.status_path, dpdk->process.child);
		unlink(dpdk->file.path);
		unlink(dpdk->process.status_path);
	}
	berth_dpdk_image_close(&dpdk->file);
	free(dpdk);
}

static struct berth_engine *dpdk_open(const struct berth_config *config, const struct berth_engine_paths *paths,
				      const struct berth_geometry *geometry, char error[BERTH_ERROR_BYTES])
{
	char program[512];
	struct dpdk_engine *dpdk = calloc(1, sizeof(*dpdk));
	if (!dpdk) {
		snprintf(error, BERTH_ERROR_BYTES, "out of memory");
		return NULL;
	}
	struct berth_dpdk_process *process = &dpdk->process;
	dpdk->engine.ops = &berth_engine_dpdk;
	dpdk->engine.workers = geometry->workers;
	dpdk->file.fd = -1;
	berth_dpdk_status_path(process->status_path, sizeof(process->status_path), paths->run_dir, paths->instance);
	int node = berth_numa_node(config->interfaces, config->n_interfaces);
	/* For the tables, and for berth-dpdk's memory outside of hugepages. If it fails, forwarding is slower only.
	 */
	if (node != BERTH_NO_NODE)
		berth_numa_prefer(node);
	if (berth_object_path("berth-dpdk", program, sizeof(program), error) ||
	    berth_dpdk_image_open(&dpdk->file, &dpdk->engine, paths, geometry, process->status_path, error)) {
		dpdk_close(&dpdk->engine, false);
		return NULL;
	}
	const struct berth_dpdk_command_paths command_paths = {
		.program = program,
		.instance = paths->instance,
		.image = dpdk->file.path,
		.run_dir = paths->run_dir,
	};
	process->image_fd = dpdk->file.fd;
	list_interfaces(dpdk, config);
	berth_dpdk_command_make(&process->command, &command_paths, config, node);
	return &dpdk->engine;
}

static int dpdk_start(struct berth_engine *engine, struct event_base *base, char error[BERTH_ERROR_BYTES])
{
	return berth_dpdk_process_start(&((struct dpdk_engine *)engine)->process, base, error);
}

static bool dpdk_is_running(const struct berth_engine *engine)
{
	return berth_dpdk_process_is_running(((const struct dpdk_engine *)engine)->file.fd);
}

/* A worker is quiescent when it has read the current generation, or does not run. */
static bool dpdk_is_quiescent(struct berth_engine *engine)
{
	const struct berth_image *image = &engine->image;
	uint64_t generation = image->ctl->generation;
	if (!dpdk_is_running(engine))
		return true;
	for (uint32_t w = 0; w < image->geometry.workers; w++)
		if (BERTH_LOAD(&image->workers[w].running) && BERTH_LOAD(&image->workers[w].seen) != generation)
			return false;
	return true;
}

static json_t *dpdk_status(struct berth_engine *engine)
{
	const struct dpdk_engine *dpdk = (const struct dpdk_engine *)engine;
	json_t *status = berth_dpdk_process_read_status(dpdk->process.status_path);
	if (!status)
		status = json_pack("{s:[]}", "ports");
	json_object_set_new(status, "running", json_boolean(dpdk_is_running(engine)));
	json_object_set_new(status, "restarts", json_integer(dpdk->process.restarts));
	json_object_set_new(status, "segment", json_string(dpdk->file.path));
	return status;
}

const struct berth_engine_ops berth_engine_dpdk = {
	.name = "dpdk",
	.check = dpdk_check,
	.open = dpdk_open,
	.start = dpdk_start,
	.is_quiescent = dpdk_is_quiescent,
	.is_running = dpdk_is_running,
	.follow_interfaces = dpdk_follow_interfaces,
	.status = dpdk_status,
	.close = dpdk_close,
};
