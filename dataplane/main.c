/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * berth-dpdk: the DPDK engine. It maps the image that berthd made, opens its ports and forwards until a signal
 * stops it. After its start it does not need berthd.
 *
 *   main lcore        starts the workers, then runs the slow path to the kernel (kernel_path.h)
 *   worker lcores     poll the ports and forward (worker.h)
 */
#include <errno.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "dataplane/activation.h"
#include "dataplane/capture/capture.h"
#include "dataplane/catch_up.h"
#include "dataplane/eal.h"
#include "dataplane/image_file.h"
#include "dataplane/interface/process.h"
#include "dataplane/kernel_path.h"
#include "dataplane/log.h"
#include "dataplane/options.h"
#include "dataplane/port_watch.h"
#include "dataplane/ports.h"
#include "dataplane/privileges.h"
#include "dataplane/removal.h"
#include "dataplane/status.h"
#include "dataplane/worker.h"

enum {
	/* For hugepages of a former process that was killed; with small pages a start takes longer than that. */
	HUGEPAGES_WAIT_MS = 2000,
};

struct engine_process {
	struct berth_options options;
	struct berth_image_file file;
	struct berth_ports ports;
	struct berth_kernel_path kernel_path;
	struct rte_mempool *pool;
	struct berth_worker_context *workers;
	uint32_t n_workers;
};

/* Written by the signal handler, read by every lcore. */
static bool stop;

static void on_stop(int signal)
{
	(void)signal;
	BERTH_STORE(&stop, true);
}

/* The engine outlives the process that started it: a closed pipe or terminal does not end it. */
static void handle_signals(void)
{
	struct sigaction action = {.sa_handler = on_stop};
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	action.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	/* They have no meaning here, and would end the process. */
	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGUSR2, &action, NULL);
	sigaction(SIGALRM, &action, NULL);
	sigaction(SIGVTALRM, &action, NULL);
	sigaction(SIGPROF, &action, NULL);
	sigaction(SIGIO, &action, NULL);
	sigaction(SIGPWR, &action, NULL);
}

/* The limit applies to BPF objects before kernel 5.11, and to the buffers of AF_XDP in every kernel. */
static void remove_memlock_limit(void)
{
	const struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
	setrlimit(RLIMIT_MEMLOCK, &unlimited);
}

/* Checked here because drivers report a missing permission as many different errors. */
static bool is_permitted(void)
{
	if (berth_has_capability(CAP_NET_ADMIN))
		return true;
	berth_log("no permission to drive network interfaces: CAP_NET_ADMIN is missing; run as root");
	return false;
}

/* One worker for each receive queue of the port with the most queues. Bounds: the option, the counters in the
 * image, the lcores of DPDK without the main one. */
static uint32_t count_workers(const struct berth_options *options, const struct berth_geometry *geometry)
{
	uint32_t workers = 1;
	for (uint32_t i = 0; i < options->n_ports; i++)
		workers = RTE_MAX(workers, options->ports[i].queues);
	if (options->workers)
		workers = RTE_MIN(workers, options->workers);
	uint32_t limit = RTE_MIN(geometry->workers, (uint32_t)RTE_MAX_LCORE - 1);
	if (workers > limit) {
		berth_log("workers: %u instead of %u: the image has counters for %u, DPDK has lcores for %u", limit,
			  workers, geometry->workers, RTE_MAX_LCORE - 1);
		workers = limit;
	}
	return workers;
}

static void describe_port(const struct engine_process *engine, uint32_t i, struct berth_pipeline_port *port)
{
	const struct berth_eth_port *eth = &engine->ports.port[i];
	*port = (struct berth_pipeline_port){
		.id = eth->id,
		.chains = eth->sends_chains,
		.kernel_has_own = eth->delivery == BERTH_DELIVERY_COPY,
		.host = engine->kernel_path.from_kernel[i],
	};
}

static int launch_workers(struct engine_process *engine)
{
	static struct berth_pipeline_port ports[BERTH_MAX_PORTS]; /* all workers read the same */
	for (uint32_t i = 0; i < engine->ports.n; i++)
		describe_port(engine, i, &ports[i]);
	engine->workers = rte_zmalloc("workers", engine->n_workers * sizeof(*engine->workers), RTE_CACHE_LINE_SIZE);
	if (!engine->workers)
		return -ENOMEM;
	for (uint32_t i = 0; i < engine->n_workers; i++) {
		struct berth_worker_context *worker = &engine->workers[i];
		worker->image = &engine->file.image;
		worker->number = i;
		worker->adaptive = engine->options.adaptive;
		worker->stop = &stop;
		worker->run = berth_pipeline_for_cpu();
		worker->doorbell = &engine->kernel_path.doorbell;
		for (uint32_t j = 0; j < engine->ports.n; j++)
			worker->rx_queues[j] = engine->ports.port[j].rx_queues;
		worker->pipeline.ports = ports;
		worker->pipeline.n_ports = engine->ports.n;
		worker->pipeline.queue = (uint16_t)i;
		worker->pipeline.pass = engine->kernel_path.to_kernel[i];
		int error = rte_eal_remote_launch(berth_worker_run, worker, i + 1);
		if (error)
			return error;
	}
	return 0;
}

/* An engine that was killed left its workers marked as running; none of them runs. Then berthd may see who runs. */
static void take_over(const struct berth_image *image)
{
	for (uint32_t i = 0; i < image->geometry.workers; i++)
		BERTH_STORE(&image->workers[i].running, 0);
	BERTH_STORE(&image->ctl->engine_pid, (uint32_t)getpid());
}

/* What the main lcore does beside the slow path. */
struct chores {
	struct berth_port_watch watch;
	struct berth_status status;
	struct berth_capture capture;
};

/* At once: the workers of a device that is gone may not return from its driver. */
static void end_if_removed(const struct chores *chores)
{
	const char *port = berth_removal_port(chores->status.ports);
	if (!port)
		return;
	berth_log("ALARM: %s: its device is being removed: ending, to start again without it", port);
	berth_status_remove(chores->status.options);
	berth_status_write_fault(chores->status.options, berth_log_last());
	_exit(BERTH_EXIT_ENGINE);
}

static void on_turn(void *arg)
{
	struct chores *chores = arg;
	end_if_removed(chores);
	chores->status.is_due |= berth_port_watch_look(&chores->watch);
	berth_status_keep(&chores->status);
	berth_capture_follow(&chores->capture);
}

static int forward(struct engine_process *engine)
{
	struct chores chores = {
		.watch = {.ports = &engine->ports, .kernel_path = &engine->kernel_path},
		.status = {.options = &engine->options,
			   .workers = engine->n_workers,
			   .ports = &engine->ports,
			   .kernel_path = &engine->kernel_path},
		.capture = {.instance = engine->options.instance,
			    .image = &engine->file.image,
			    .n_workers = engine->n_workers},
	};
	int error = launch_workers(engine);
	chores.capture.workers = engine->workers;
	if (!error) {
		berth_port_watch_look(&chores.watch);
		berth_removal_watch(&engine->ports);
		chores.status.watch = &chores.watch;
		chores.status.is_due = true;
		berth_status_keep(&chores.status);
		berth_privileges_run(berth_eal_has_pci(&engine->options));
		berth_log("ready: %u worker(s), %u port(s), idle %s", engine->n_workers, engine->ports.n,
			  engine->options.adaptive ? "adaptive" : "poll");
		berth_kernel_path_run(&engine->kernel_path, &stop, on_turn, &chores);
		berth_status_remove(&engine->options);
		berth_log("stopping");
	}
	BERTH_STORE(&stop, true);
	rte_eal_mp_wait_lcore();
	berth_capture_close(&chores.capture);
	rte_free(engine->workers);
	return error;
}

static int run(struct engine_process *engine)
{
	engine->n_workers = count_workers(&engine->options, &engine->file.image.geometry);
	int error = berth_eal_start(&engine->options, engine->n_workers,
				    berth_status_take_hugepages(&engine->options) ? HUGEPAGES_WAIT_MS : 0);
	if (error)
		return error;
	engine->pool = berth_eal_pool(&engine->options);
	if (!engine->pool) {
		error = -ENOMEM;
		goto stop_eal;
	}
	error = berth_ports_open(&engine->ports, &engine->options, engine->n_workers, engine->pool);
	if (error)
		goto stop_eal;
	error = berth_kernel_path_open(&engine->kernel_path, &engine->ports, engine->n_workers, engine->pool,
				       engine->options.bpf_dir);
	if (error)
		goto close_ports;
	error = forward(engine);
	berth_kernel_path_close(&engine->kernel_path);
close_ports:
	berth_ports_close(&engine->ports);
stop_eal:
	berth_eal_stop(&engine->options);
	return error;
}

static enum berth_exit exit_code(int error)
{
	switch (error) {
	case 0:
		return BERTH_EXIT_OK;
	case -EPERM:
	case -EACCES:
		return BERTH_EXIT_PERMISSION;
	default:
		return BERTH_EXIT_ENGINE;
	}
}

static enum berth_exit run_image(struct engine_process *engine)
{
	if (!is_permitted())
		return BERTH_EXIT_PERMISSION;
	handle_signals();
	remove_memlock_limit();
	int error = berth_image_file_open(&engine->file, engine->options.image);
	if (error == -EBUSY)
		return BERTH_EXIT_INSTANCE;
	if (error)
		return exit_code(error);
	berth_privileges_start(berth_eal_has_pci(&engine->options));
	take_over(&engine->file.image);
	berth_catch_up(&engine->file.image, berth_clock_read());
	error = run(engine);
	berth_image_file_close(&engine->file);
	return exit_code(error);
}

int main(int argc, char **argv)
{
	static struct engine_process engine;
	if (berth_is_activated(argc, argv))
		return exit_code(berth_activation_run());
	int error = berth_options_parse(&engine.options, argc, argv);
	if (error)
		return error == -ECANCELED ? BERTH_EXIT_OK : BERTH_EXIT_USAGE;
	const enum berth_exit code = run_image(&engine);
	if (code)
		berth_status_write_fault(&engine.options, berth_log_last());
	return code;
}
