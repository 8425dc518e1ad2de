// SPDX-License-Identifier: BSD-3-Clause
/*
 * The DPDK engine, as berthd sees it: an image in a file (dpdk_image.h), and the process berth-dpdk that maps it
 * (dpdk_supervisor.h). Each of berthd and berth-dpdk survives the end of the other.
 */
#include <errno.h>
#include <event2/event.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/engine/capture/dpdk_capture.h"
#include "controlplane/engine/dpdk_command.h"
#include "controlplane/engine/dpdk_image.h"
#include "controlplane/engine/dpdk_supervisor.h"
#include "controlplane/engine/engine.h"
#include "controlplane/engine/numa.h"
#include "controlplane/engine/object.h"
#include "controlplane/engine/pci/devices.h"
#include "controlplane/util/clock.h"
#include "controlplane/util/log.h"
#include "dataplane/interface/names.h"
#include "dataplane/interface/xdp_program.h"

enum {
	WATCH_S = 1, /* between two looks at the ports' XDP programs */
};

struct dpdk_engine {
	struct berth_engine engine;
	struct berth_dpdk_image image;
	struct berth_dpdk_process process;
	struct berth_dpdk_capture capture;
	char program[512];
	char instance[BERTH_INSTANCE_BYTES];
	char run_dir[256];
	bool is_configured;
	/* Of the process that this berthd found; argc 0: none, or it runs on. It is known to start with them. */
	struct berth_dpdk_command former;
	/* What the configuration asks for and berth-dpdk does not start with; argc 0: none. */
	struct berth_dpdk_command rejected;
	/* Interfaces of the kernel that berth-dpdk opens; devices are not among them. */
	struct dpdk_interface {
		char name[BERTH_IFNAME_BYTES];
		uint32_t ifindex;
	} interfaces[BERTH_MAX_PORTS];
	size_t n_interfaces;
	struct berth_pci_devices devices;
	/* Why packets of a port do not reach berth-dpdk; "": they do. */
	char port_fault[BERTH_MAX_PORTS][BERTH_ERROR_BYTES];
	struct event *watch; /* of the ports' XDP programs */
};

static void list_interfaces(struct dpdk_engine *dpdk, const struct berth_config *config)
{
	dpdk->n_interfaces = 0;
	for (size_t i = 0; i < config->n_interfaces; i++) {
		struct dpdk_interface *interface = &dpdk->interfaces[dpdk->n_interfaces];
		if (config->interfaces[i].device[0])
			continue;
		snprintf(interface->name, sizeof(interface->name), "%s", config->interfaces[i].name);
		interface->ifindex = if_nametoindex(interface->name);
		dpdk->n_interfaces++;
	}
}

static bool is_listed(const struct dpdk_engine *dpdk, const char *name)
{
	size_t i = 0;
	while (i < dpdk->n_interfaces && strcmp(dpdk->interfaces[i].name, name) != 0)
		i++;
	return i < dpdk->n_interfaces;
}

/* berth-dpdk opens all of its ports or none: it waits for the last interface. */
static void hold(struct dpdk_engine *dpdk)
{
	bool is_held = false;
	for (size_t i = 0; i < dpdk->n_interfaces; i++)
		is_held |= !dpdk->interfaces[i].ifindex;
	dpdk->process.is_held = is_held;
}

/* Logs what happened to an interface. True: berth-dpdk is to open another one of this name. */
static bool follow_interface(const struct dpdk_engine *dpdk, struct dpdk_interface *interface)
{
	const uint32_t ifindex = if_nametoindex(interface->name);
	const bool runs = berth_dpdk_process_is_running(dpdk->image.file.fd);
	if (ifindex == interface->ifindex)
		return false;
	interface->ifindex = ifindex;
	if (!ifindex)
		berth_log("ALARM: %s: the interface was removed: berth forwards no packet on it", interface->name);
	else if (runs)
		berth_log("%s: the interface was created again; restarting berth-dpdk", interface->name);
	else
		berth_log("%s: the interface is there", interface->name);
	return ifindex && runs;
}

/* Compares the XDP program of a port with the one that berth-dpdk attached. True: it is gone, and berth-dpdk is to
 * attach it again. Another one may be there for a reason, and berth-dpdk would not start beside it. */
static bool follow_program(char fault[BERTH_ERROR_BYTES], const json_t *port)
{
	char cause[BERTH_ERROR_BYTES] = "";
	const json_t *own = json_object_get(port, "xdp_program");
	const char *name = json_string_value(json_object_get(port, "name"));
	const uint32_t ifindex = name && json_is_integer(own) ? if_nametoindex(name) : 0;
	if (!ifindex)
		return false;
	const enum berth_xdp_program found = berth_xdp_program_compare(ifindex, (uint32_t)json_integer_value(own));
	if (found == BERTH_XDP_PROGRAM_FOREIGN)
		berth_xdp_program_describe_foreign(name, cause, sizeof(cause));
	else if (found == BERTH_XDP_PROGRAM_MISSING)
		snprintf(cause, sizeof(cause),
			 "%s: the XDP program of berth-dpdk was removed: it receives no packet there; it is "
			 "restarted",
			 name);
	berth_engine_set_port_fault(fault, name, cause);
	return found == BERTH_XDP_PROGRAM_MISSING;
}

/* By what the process that forwards says of its ports. */
static bool follow_ports(struct dpdk_engine *dpdk)
{
	const struct berth_dpdk_process *process = &dpdk->process;
	if (process->is_ending || !berth_dpdk_process_is_forwarding(process))
		return false;
	json_t *status = berth_dpdk_process_read_status(process->status_path), *port;
	bool is_gone = false;
	size_t i;
	if (json_integer_value(json_object_get(status, "pid")) == berth_dpdk_process_pid(process))
		json_array_foreach(json_object_get(status, "ports"), i, port)
			is_gone |= i < BERTH_MAX_PORTS &&
				   (berth_pci_devices_follow(&dpdk->devices, port, dpdk->port_fault[i]) ||
				    follow_program(dpdk->port_fault[i], port));
	json_decref(status);
	return is_gone;
}

/* berth-dpdk keeps the interface that it opened, also when that is gone: another one needs a new process. */
static void dpdk_follow_interfaces(struct berth_engine *engine)
{
	struct dpdk_engine *dpdk = (struct dpdk_engine *)engine;
	bool restart = false;
	for (size_t i = 0; i < dpdk->n_interfaces; i++)
		restart |= follow_interface(dpdk, &dpdk->interfaces[i]);
	hold(dpdk);
	restart |= follow_ports(dpdk);
	if (restart && berth_dpdk_supervisor_end(&dpdk->process))
		berth_log("ALARM: berth-dpdk does not end; it forwards nothing on the new interface");
}

/* No news of the kernel tells that a program was replaced. */
static void on_watch(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	dpdk_follow_interfaces(arg);
}

static int dpdk_check(const struct berth_config *config, char error[BERTH_ERROR_BYTES])
{
	char path[512];
	(void)config;
	return berth_object_path("berth-dpdk", path, sizeof(path), error) ? -ENOENT : 0;
}

struct berth_dpdk_capture *berth_dpdk_capture_of(struct berth_engine *engine)
{
	return &((struct dpdk_engine *)engine)->capture;
}

static void dpdk_close(struct berth_engine *engine, bool stop)
{
	struct dpdk_engine *dpdk = (struct dpdk_engine *)engine;
	/* A start that fails leaves nothing of its own. */
	bool is_useless = !engine->adopted && !engine->is_started;
	if (dpdk->watch)
		event_free(dpdk->watch);
	berth_dpdk_capture_stop(engine);
	berth_dpdk_supervisor_detach(&dpdk->process);
	if (dpdk->image.file.fd >= 0 && (stop || is_useless) && berth_dpdk_process_is_running(dpdk->image.file.fd))
		berth_dpdk_process_stop(dpdk->image.file.fd, dpdk->process.status_path,
					berth_dpdk_process_pid(&dpdk->process));
	berth_dpdk_image_close(&dpdk->image);
	if (stop || is_useless) {
		berth_dpdk_image_remove(dpdk->instance, dpdk->process.status_path);
		unlink(dpdk->process.status_path);
		unlink(dpdk->process.fault_path);
	}
	free(dpdk);
}

static struct berth_engine *dpdk_open(const struct berth_config *config, const struct berth_engine_paths *paths,
				      const struct berth_geometry *geometry, char error[BERTH_ERROR_BYTES])
{
	struct dpdk_engine *dpdk = calloc(1, sizeof(*dpdk));
	if (!dpdk) {
		snprintf(error, BERTH_ERROR_BYTES, "out of memory");
		return NULL;
	}
	struct berth_dpdk_process *process = &dpdk->process;
	dpdk->engine.ops = &berth_engine_dpdk;
	dpdk->engine.adopted = paths->has_stores;
	process->is_beside = paths->is_beside;
	dpdk->engine.workers = geometry->workers;
	dpdk->image.file.fd = -1;
	dpdk->devices.sysfs = "/sys";
	berth_dpdk_capture_init(&dpdk->capture, paths->instance);
	process->connection = -1;
	process->run_dir = dpdk->run_dir;
	snprintf(dpdk->instance, sizeof(dpdk->instance), "%s", paths->instance);
	snprintf(dpdk->run_dir, sizeof(dpdk->run_dir), "%s", paths->run_dir);
	berth_dpdk_status_path(process->status_path, sizeof(process->status_path), paths->run_dir, paths->instance);
	berth_dpdk_fault_path(process->fault_path, sizeof(process->fault_path), paths->run_dir, paths->instance);
	process->report = &dpdk->engine.process;
	int node = berth_numa_node(config->interfaces, config->n_interfaces);
	/* For the tables, and for berth-dpdk's memory outside of hugepages. If it fails, forwarding is slower only.
	 */
	if (node != BERTH_NO_NODE)
		berth_numa_prefer(node);
	if (berth_object_path("berth-dpdk", dpdk->program, sizeof(dpdk->program), error) ||
	    berth_dpdk_image_open(&dpdk->image, &dpdk->engine, paths, geometry, process->status_path, error)) {
		dpdk_close(&dpdk->engine, false);
		return NULL;
	}
	process->image = &dpdk->engine.image;
	process->image_path = dpdk->image.file.path;
	process->image_fd = dpdk->image.file.fd;
	return &dpdk->engine;
}

static void make_command(const struct dpdk_engine *dpdk, const struct berth_config *config,
			 struct berth_dpdk_command *command)
{
	const struct berth_dpdk_command_paths paths = {
		.program = dpdk->program,
		.instance = dpdk->instance,
		.image = dpdk->image.file.path,
		.run_dir = dpdk->run_dir,
	};
	berth_dpdk_command_make(command, &paths, config, berth_numa_node(config->interfaces, config->n_interfaces));
}

/* Whether berth-dpdk runs with these options, or with others because it does not start with these. */
static bool is_in_force(const struct dpdk_engine *dpdk, const struct berth_dpdk_command *command)
{
	return berth_dpdk_command_equals(command, &dpdk->process.command) ||
	       (dpdk->rejected.argc && berth_dpdk_command_equals(command, &dpdk->rejected));
}

static enum berth_engine_change dpdk_compare(const struct berth_engine *engine, const struct berth_config *config,
					     uint32_t *pause_ms)
{
	const struct dpdk_engine *dpdk = (const struct dpdk_engine *)engine;
	struct berth_dpdk_command command;
	make_command(dpdk, config, &command);
	*pause_ms = 0;
	if (is_in_force(dpdk, &command))
		return BERTH_ENGINE_SAME;
	*pause_ms = engine->process.pause_ms ? engine->process.pause_ms : BERTH_ENGINE_ASSUMED_PAUSE_MS;
	return BERTH_ENGINE_RESTART;
}

/* A new interface must exist. One that is missing since the start, or was removed, is waited for. */
static int check_interfaces(const struct dpdk_engine *dpdk, const struct berth_config *config,
			    char error[BERTH_ERROR_BYTES])
{
	for (size_t i = 0; dpdk->is_configured && i < config->n_interfaces; i++) {
		const struct berth_interface_config *interface = &config->interfaces[i];
		if (interface->device[0] || is_listed(dpdk, interface->name) || if_nametoindex(interface->name))
			continue;
		snprintf(error, BERTH_ERROR_BYTES,
			 "interface %s does not exist and has no device; `ip link` lists interfaces, "
			 "`lspci -D` devices (interfaces[%zu])",
			 interface->name, i);
		return -ENODEV;
	}
	return dpdk->is_configured ? berth_pci_devices_check(&dpdk->devices, config, error) : 0;
}

/* Ends a process with other options or ports. */
static int end_other(struct dpdk_engine *dpdk, const struct berth_dpdk_command *command,
		     char error[BERTH_ERROR_BYTES])
{
	char difference[BERTH_ERROR_BYTES];
	if (!berth_dpdk_process_differs(&dpdk->process, command, difference))
		return 0;
	berth_log("berth-dpdk runs with other options (%s): restarting it; flows and sessions are kept",
		  difference);
	if (!dpdk->is_configured)
		berth_dpdk_command_read(&dpdk->former, berth_dpdk_process_pid(&dpdk->process));
	int err = berth_dpdk_supervisor_end(&dpdk->process);
	if (err)
		snprintf(error, BERTH_ERROR_BYTES,
			 "berth-dpdk runs with other options and does not end; try again, or end the process that "
			 "holds %s",
			 dpdk->image.file.path);
	return err;
}

static int dpdk_configure(struct berth_engine *engine, const struct berth_config *config,
			  char error[BERTH_ERROR_BYTES])
{
	struct dpdk_engine *dpdk = (struct dpdk_engine *)engine;
	struct berth_dpdk_command command;
	make_command(dpdk, config, &command);
	if (dpdk->is_configured && is_in_force(dpdk, &command))
		return 0;
	int err = check_interfaces(dpdk, config, error);
	if (!err)
		err = end_other(dpdk, &command, error);
	if (err)
		return err;
	berth_restart_reset(&dpdk->process.policy);
	engine->process.failed_starts = 0;
	dpdk->rejected.argc = 0;
	engine->process.rejected[0] = '\0';
	/* A copy, whose pointers are its own. */
	make_command(dpdk, config, &dpdk->process.command);
	dpdk->process.former_generation = engine->image.ctl->generation;
	list_interfaces(dpdk, config);
	berth_pci_devices_list(&dpdk->devices, config);
	memset(dpdk->port_fault, 0, sizeof(dpdk->port_fault));
	hold(dpdk);
	dpdk->is_configured = true;
	return 0;
}

/* With the program that is installed now. */
static bool can_fall_back(const struct dpdk_engine *dpdk)
{
	return !dpdk->process.is_beside && dpdk->former.argc &&
	       berth_dpdk_command_has_same_ports(&dpdk->former, &dpdk->process.command);
}

/* Starts berth-dpdk with the options of the process that ran before this berthd. */
static int fall_back(struct dpdk_engine *dpdk, struct event_base *base, char error[BERTH_ERROR_BYTES])
{
	struct berth_dpdk_process *process = &dpdk->process;
	berth_log("ALARM: berth-dpdk does not start with the options of the configuration: %s; starting it with "
		  "those of the former process",
		  error);
	snprintf(dpdk->engine.process.rejected, sizeof(dpdk->engine.process.rejected), "%s", error);
	berth_dpdk_command_copy(&dpdk->rejected, &process->command);
	berth_dpdk_command_copy(&process->command, &dpdk->former);
	snprintf(process->command.text[0], sizeof(process->command.text[0]), "%.250s", dpdk->program);
	dpdk->former.argc = 0;
	if (berth_dpdk_process_is_running(process->image_fd))
		berth_dpdk_process_stop(process->image_fd, process->status_path, berth_dpdk_process_pid(process));
	return berth_dpdk_supervisor_start(process, base, error);
}

static int start_watch(struct dpdk_engine *dpdk, struct event_base *base, char error[BERTH_ERROR_BYTES])
{
	const struct timeval period = {.tv_sec = WATCH_S};
	if (!dpdk->watch)
		dpdk->watch = event_new(base, -1, EV_PERSIST, on_watch, dpdk);
	if (dpdk->watch && event_add(dpdk->watch, &period) == 0)
		return 0;
	snprintf(error, BERTH_ERROR_BYTES, "out of memory");
	return -ENOMEM;
}

static int dpdk_start(struct berth_engine *engine, struct event_base *base, char error[BERTH_ERROR_BYTES])
{
	struct dpdk_engine *dpdk = (struct dpdk_engine *)engine;
	for (size_t i = 0; i < dpdk->n_interfaces; i++)
		if (!dpdk->interfaces[i].ifindex)
			berth_log("ALARM: %s: the interface does not exist: berth-dpdk starts when it does",
				  dpdk->interfaces[i].name);
	const bool replaces = dpdk->image.former[0];
	/* The former process forwards until then. */
	if (replaces) {
		dpdk->engine.process.stopped_ms = berth_clock_ms();
		berth_dpdk_command_read(&dpdk->former, berth_dpdk_image_former_pid(&dpdk->image));
	}
	int err = berth_dpdk_image_install(&dpdk->image, error);
	if (err)
		return err;
	err = berth_dpdk_supervisor_start(&dpdk->process, base, error);
	if (err && can_fall_back(dpdk))
		err = fall_back(dpdk, base, error);
	if (err && replaces && berth_dpdk_process_is_running(dpdk->image.file.fd))
		berth_dpdk_process_stop(dpdk->image.file.fd, dpdk->process.status_path,
					berth_dpdk_process_pid(&dpdk->process));
	berth_dpdk_image_settle(&dpdk->image, !err);
	engine->is_started |= !err;
	return err ? err : start_watch(dpdk, base, error);
}

static bool dpdk_is_running(const struct berth_engine *engine)
{
	return berth_dpdk_process_is_running(((const struct dpdk_engine *)engine)->image.file.fd);
}

static bool dpdk_is_awaited(const struct berth_engine *engine)
{
	const struct berth_dpdk_process *process = &((const struct dpdk_engine *)engine)->process;
	return engine->is_started && !process->is_held &&
	       (process->is_ending || process->is_starting || !dpdk_is_running(engine));
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

static void add_port_faults(const struct dpdk_engine *dpdk, json_t *ports)
{
	for (size_t i = 0; i < json_array_size(ports); i++) {
		const char *fault = i < BERTH_MAX_PORTS ? dpdk->port_fault[i] : "";
		json_object_set_new(json_array_get(ports, i), "fault", fault[0] ? json_string(fault) : json_null());
	}
}

static json_t *dpdk_status(struct berth_engine *engine)
{
	const struct dpdk_engine *dpdk = (const struct dpdk_engine *)engine;
	const struct berth_engine_process *process = &engine->process;
	json_t *status = berth_dpdk_process_read_status(dpdk->process.status_path);
	if (!status)
		status = json_pack("{s:[]}", "ports");
	add_port_faults(dpdk, json_object_get(status, "ports"));
	json_object_update_new(status, json_pack("{s:b, s:I, s:I, s:o, s:b, s:s?, s:s?, s:s}", "running",
						 dpdk_is_running(engine), "restarts", (json_int_t)process->restarts,
						 "hangs", (json_int_t)process->hangs, "pause_ms",
						 process->pause_ms ? json_integer(process->pause_ms) : json_null(),
						 "failing", process->is_failing, "last_end",
						 process->fault[0] ? process->fault : NULL, "rejected_options",
						 process->rejected[0] ? process->rejected : NULL, "segment",
						 dpdk->image.file.path));
	return status;
}

static void dpdk_drop_former(struct berth_engine *engine)
{
	const struct berth_store_sizes sizes = berth_record_sizes(engine->record);
	berth_dpdk_stores_remove(((const struct dpdk_engine *)engine)->instance, &sizes);
}

static int dpdk_map_stores(const struct berth_engine_paths *paths, struct berth_mapped_stores *stores)
{
	const struct berth_store_sizes sizes = berth_record_sizes(paths->record);
	return berth_dpdk_stores_map(paths->instance, &sizes, stores);
}

static uint32_t dpdk_swept(const struct berth_engine_paths *paths)
{
	return berth_dpdk_image_swept(paths->instance);
}

static void dpdk_halt(const struct berth_engine_paths *paths)
{
	char path[256];
	berth_dpdk_status_path(path, sizeof(path), paths->run_dir, paths->instance);
	berth_dpdk_image_halt(paths->instance, path);
}

static void dpdk_remove(const struct berth_engine_paths *paths)
{
	char status_path[256];
	berth_dpdk_status_path(status_path, sizeof(status_path), paths->run_dir, paths->instance);
	berth_dpdk_image_remove(paths->instance, status_path);
}

const struct berth_engine_ops berth_engine_dpdk = {
	.name = "dpdk",
	.check = dpdk_check,
	.open = dpdk_open,
	.compare = dpdk_compare,
	.configure = dpdk_configure,
	.start = dpdk_start,
	.is_quiescent = dpdk_is_quiescent,
	.is_awaited = dpdk_is_awaited,
	.is_running = dpdk_is_running,
	.follow_interfaces = dpdk_follow_interfaces,
	.status = dpdk_status,
	.capture_start = berth_dpdk_capture_start,
	.capture_read = berth_dpdk_capture_read,
	.capture_stop = berth_dpdk_capture_stop,
	.drop_former = dpdk_drop_former,
	.map_stores = dpdk_map_stores,
	.swept = dpdk_swept,
	.halt = dpdk_halt,
	.close = dpdk_close,
	.remove = dpdk_remove,
};
