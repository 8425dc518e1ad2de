// SPDX-License-Identifier: BSD-3-Clause
/*
 * The XDP engine: a program and its maps, pinned in bpffs under /sys/fs/bpf/berth/INSTANCE.
 *
 *   SECTION        a map for each section of the image (xdp_image.h)
 *   STORE-BUCKETS  a map for each store: flows, sessions, clients
 *   program-DIGEST the program, for a berthd that would load the same (kept_program/)
 *   sweeper        the timer that sweeps the tables without berthd (bpf/sweeper.h)
 *   link-IFNAME    the program's attachment to an interface (xdp_links.h)
 *   refused        frames that drivers refused, counted by the programs trace-NAME (xdp_trace.h)
 *
 * The pins are the whole state: packets are forwarded without berthd. A new berthd, also of a new version, adopts
 * the maps, loads its own program with them unless it is the same, and replaces the attached program by one update
 * of each link.
 */
#include <bpf/libbpf.h>
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "controlplane/engine/capture/xdp_capture.h"
#include "controlplane/engine/engine.h"
#include "controlplane/engine/grace_period.h"
#include "controlplane/engine/merging/merging.h"
#include "controlplane/engine/object.h"
#include "controlplane/engine/xdp_image.h"
#include "controlplane/engine/xdp_links.h"
#include "controlplane/util/log.h"

struct xdp_engine {
	struct berth_engine engine;
	struct berth_xdp_image pinned;
	struct berth_xdp_links links;
	struct berth_xdp_trace trace;
	struct berth_xdp_capture capture;
	struct berth_grace_period grace_period;
	struct event *watch;
};

enum {
	WATCH_S = 1,
};

static int discard_message(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

/* Seconds by which CLOCK_MONOTONIC here is ahead of the kernel's own, which the program uses (time_namespaces(7)).
 */
static long long clock_offset_s(void)
{
	char line[128];
	long long offset_s = 0;
	FILE *file = fopen("/proc/self/timens_offsets", "re");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "monotonic %lld", &offset_s) == 1)
			break;
	if (file)
		fclose(file);
	return offset_s;
}

static int xdp_check(const struct berth_config *config, char error[BERTH_ERROR_BYTES])
{
	(void)config;
	const long long offset_s = clock_offset_s();
	if (!offset_s)
		return 0;
	snprintf(error, BERTH_ERROR_BYTES,
		 "berthd's clock differs by %lld s from the one that the XDP program uses: berthd is in a time "
		 "namespace; start it in the host's",
		 offset_s);
	return -EINVAL;
}

/* Each possible CPU is a worker. A CPU without a worker's counters would pass all packets to the kernel, uncounted.
 */
static int check_cpus(uint32_t possible, char error[BERTH_ERROR_BYTES])
{
	if (possible <= BERTH_MAX_WORKERS)
		return 0;
	snprintf(error, BERTH_ERROR_BYTES,
		 "the XDP engine supports up to %d CPUs, and this kernel has %u possible ones "
		 "(/sys/devices/system/cpu/possible): boot it with possible_cpus=%d",
		 BERTH_MAX_WORKERS, possible, BERTH_MAX_WORKERS);
	return -E2BIG;
}

static void xdp_close(struct berth_engine *engine, bool stop)
{
	struct xdp_engine *xdp = (struct xdp_engine *)engine;
	/* A start that fails leaves nothing of its own. */
	bool is_useless = !engine->adopted && !engine->is_started;
	if (xdp->watch)
		event_free(xdp->watch);
	berth_xdp_capture_stop(&xdp->capture);
	berth_xdp_trace_close(&xdp->trace);
	berth_xdp_image_close(&xdp->pinned, engine);
	berth_grace_period_close(&xdp->grace_period);
	if (xdp->pinned.dir[0] && (stop || is_useless))
		berth_xdp_pins_remove(xdp->pinned.dir);
	free(xdp);
}

static struct berth_engine *xdp_open(const struct berth_config *config, const struct berth_engine_paths *paths,
				     const struct berth_geometry *geometry, char error[BERTH_ERROR_BYTES])
{
	(void)config;
	char object[512];
	struct xdp_engine *xdp = calloc(1, sizeof(*xdp));
	if (!xdp) {
		snprintf(error, BERTH_ERROR_BYTES, "out of memory");
		return NULL;
	}
	libbpf_set_print(discard_message);
	xdp->engine.ops = &berth_engine_xdp;
	xdp->engine.adopted = paths->has_stores;
	xdp->engine.workers = (uint32_t)libbpf_num_possible_cpus();
	if (check_cpus(xdp->engine.workers, error) ||
	    berth_xdp_image_prepare(&xdp->pinned, paths->instance, error) ||
	    berth_xdp_image_open(&xdp->pinned, &xdp->engine, geometry, paths, error) ||
	    berth_object_path("berth_trace.bpf.o", object, sizeof(object), error)) {
		xdp_close(&xdp->engine, false);
		return NULL;
	}
	berth_xdp_trace_open(&xdp->trace, object, xdp->pinned.dir);
	xdp->links.program = xdp->pinned.program;
	xdp->links.merged = bpf_object__find_map_fd_by_name(xdp->pinned.object, "merged");
	xdp->links.dir = xdp->pinned.dir;
	xdp->links.trace = &xdp->trace;
	return &xdp->engine;
}

static enum berth_engine_change xdp_compare(const struct berth_engine *engine, const struct berth_config *config,
					    uint32_t *pause_ms)
{
	*pause_ms = 0;
	return berth_xdp_links_differ(&((const struct xdp_engine *)engine)->links, config) ? BERTH_ENGINE_LIVE
											   : BERTH_ENGINE_SAME;
}

static int xdp_configure(struct berth_engine *engine, const struct berth_config *config,
			 char error[BERTH_ERROR_BYTES])
{
	struct xdp_engine *xdp = (struct xdp_engine *)engine;
	if (!berth_xdp_links_differ(&xdp->links, config))
		return 0;
	return berth_xdp_links_configure(&xdp->links, config, error);
}

static void on_watch(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	berth_xdp_links_watch(&((struct xdp_engine *)arg)->links);
}

static int xdp_start(struct berth_engine *engine, struct event_base *base, char error[BERTH_ERROR_BYTES])
{
	struct xdp_engine *xdp = (struct xdp_engine *)engine;
	const struct timeval period = {.tv_sec = WATCH_S};
	if (!xdp->watch)
		xdp->watch = event_new(base, -1, EV_PERSIST, on_watch, xdp);
	if (!xdp->watch || event_add(xdp->watch, &period)) {
		snprintf(error, BERTH_ERROR_BYTES, "out of memory");
		return -ENOMEM;
	}
	int err = berth_xdp_links_start(&xdp->links, error);
	if (!err)
		err = berth_xdp_image_install(&xdp->pinned, engine, error);
	engine->is_started |= !err;
	return err;
}

static bool xdp_is_quiescent(struct berth_engine *engine)
{
	return berth_grace_period_wait(&((struct xdp_engine *)engine)->grace_period) == 0;
}

static bool xdp_is_running(const struct berth_engine *engine)
{
	return berth_xdp_links_are_attached(&((const struct xdp_engine *)engine)->links);
}

static void xdp_follow_interfaces(struct berth_engine *engine)
{
	berth_xdp_links_follow(&((struct xdp_engine *)engine)->links);
}

static json_t *port_json(const struct xdp_engine *xdp, const struct berth_xdp_link *link)
{
	const struct berth_xdp_refused refused = berth_xdp_trace_refused(&xdp->trace, link->ifindex);
	char fault[BERTH_ERROR_BYTES];
	berth_xdp_links_describe(&xdp->links, link, fault);
	return json_pack("{s:s, s:s?, s:I, s:I, s:s?}", "name", link->name, "mode",
			 !link->ifindex	    ? NULL
			 : link->is_generic ? "generic"
					    : "native",
			 "refused_frames", (json_int_t)refused.frames, "merged_packets",
			 (json_int_t)(link->is_generic ? berth_merging_count(xdp->links.merged, link->ifindex) : 0),
			 "fault", fault[0] ? fault : NULL);
}

static json_t *xdp_status(struct berth_engine *engine)
{
	const struct xdp_engine *xdp = (const struct xdp_engine *)engine;
	json_t *ports = json_array();
	for (size_t i = 0; i < xdp->links.n; i++)
		json_array_append_new(ports, port_json(xdp, &xdp->links.link[i]));
	return json_pack("{s:s, s:o}", "pin_directory", xdp->pinned.dir, "ports", ports);
}

static int xdp_capture_start(struct berth_engine *engine, const struct berth_capture_filter *filter,
			     char error[BERTH_ERROR_BYTES])
{
	struct xdp_engine *xdp = (struct xdp_engine *)engine;
	char path[512];
	berth_xdp_capture_stop(&xdp->capture);
	int err = berth_object_path("berth_capture.bpf.o", path, sizeof(path), error);
	return err ? err : berth_xdp_capture_start(&xdp->capture, &xdp->pinned, &xdp->links, path, filter, error);
}

static int xdp_capture_read(struct berth_engine *engine, uint32_t most, berth_capture_fn *fn, void *arg,
			    uint64_t *missed)
{
	return berth_xdp_capture_read(&((struct xdp_engine *)engine)->capture, most, fn, arg, missed);
}

static void xdp_capture_stop(struct berth_engine *engine)
{
	berth_xdp_capture_stop(&((struct xdp_engine *)engine)->capture);
}

static void xdp_drop_former(struct berth_engine *engine)
{
	berth_xdp_image_drop_former(&((struct xdp_engine *)engine)->pinned, engine->record);
}

static int xdp_map_stores(const struct berth_engine_paths *paths, struct berth_mapped_stores *stores)
{
	return berth_xdp_image_map_stores(paths->instance, paths->record, stores);
}

static uint32_t xdp_swept(const struct berth_engine_paths *paths)
{
	return berth_xdp_image_swept(paths->instance);
}

static void xdp_halt(const struct berth_engine_paths *paths)
{
	struct berth_xdp_image pinned = {0};
	berth_xdp_image_dir(&pinned, paths->instance);
	berth_xdp_links_halt(pinned.dir);
}

static void xdp_remove(const struct berth_engine_paths *paths)
{
	struct berth_xdp_image pinned = {0};
	berth_xdp_image_dir(&pinned, paths->instance);
	if (access(pinned.dir, F_OK))
		return;
	berth_log("stopping the xdp engine of this instance");
	berth_xdp_pins_remove(pinned.dir);
}

const struct berth_engine_ops berth_engine_xdp = {
	.name = "xdp",
	.is_replaced_live = true,
	.check = xdp_check,
	.open = xdp_open,
	.compare = xdp_compare,
	.configure = xdp_configure,
	.start = xdp_start,
	.is_quiescent = xdp_is_quiescent,
	.is_running = xdp_is_running,
	.follow_interfaces = xdp_follow_interfaces,
	.status = xdp_status,
	.capture_start = xdp_capture_start,
	.capture_read = xdp_capture_read,
	.capture_stop = xdp_capture_stop,
	.drop_former = xdp_drop_former,
	.map_stores = xdp_map_stores,
	.swept = xdp_swept,
	.halt = xdp_halt,
	.close = xdp_close,
	.remove = xdp_remove,
};
