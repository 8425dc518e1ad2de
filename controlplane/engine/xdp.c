// SPDX-License-Identifier: BSD-3-Clause
/*
 * The XDP engine: a program and its maps, pinned in bpffs under /sys/fs/bpf/berth/INSTANCE.
 *
 *   SECTION        a map for each section of the image (xdp_image.h)
 *   link-IFNAME    the program's attachment to an interface (xdp_links.h)
 *
 * The pins are the whole state: packets are forwarded without berthd. A new berthd, also of a new version, adopts
 * the maps, loads its own program with them, and replaces the attached program by one update of each link.
 */
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>

#include "controlplane/engine/engine.h"
#include "controlplane/engine/grace_period.h"
#include "controlplane/engine/xdp_image.h"
#include "controlplane/engine/xdp_links.h"

struct xdp_engine {
	struct berth_engine engine;
	struct berth_xdp_image pinned;
	struct berth_xdp_links links;
	struct berth_grace_period grace_period;
};

static int discard_message(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

static int xdp_check(const struct berth_config *config, char error[BERTH_ERROR_BYTES])
{
	for (size_t i = 0; i < config->n_interfaces; i++) {
		if (if_nametoindex(config->interfaces[i].name))
			continue;
		snprintf(error, BERTH_ERROR_BYTES,
			 "interface %s does not exist; `ip link` lists interfaces (interfaces[%zu].name)",
			 config->interfaces[i].name, i);
		return -ENODEV;
	}
	return 0;
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
	berth_xdp_image_close(&xdp->pinned, engine);
	berth_grace_period_close(&xdp->grace_period);
	if (stop)
		berth_xdp_pins_remove(xdp->pinned.dir);
	free(xdp);
}

static struct berth_engine *xdp_open(const struct berth_config *config, const struct berth_engine_paths *paths,
				     const struct berth_geometry *geometry, char error[BERTH_ERROR_BYTES])
{
	struct xdp_engine *xdp = calloc(1, sizeof(*xdp));
	if (!xdp) {
		snprintf(error, BERTH_ERROR_BYTES, "out of memory");
		return NULL;
	}
	libbpf_set_print(discard_message);
	xdp->engine.ops = &berth_engine_xdp;
	xdp->engine.workers = (uint32_t)libbpf_num_possible_cpus();
	if (check_cpus(xdp->engine.workers, error) ||
	    berth_xdp_image_prepare(&xdp->pinned, paths->instance, error) ||
	    berth_xdp_image_open(&xdp->pinned, &xdp->engine, geometry, paths->secret, error) ||
	    berth_xdp_links_init(&xdp->links, config, error)) {
		xdp_close(&xdp->engine, false);
		return NULL;
	}
	return &xdp->engine;
}

static int xdp_start(struct berth_engine *engine, struct event_base *base, char error[BERTH_ERROR_BYTES])
{
	(void)base;
	struct xdp_engine *xdp = (struct xdp_engine *)engine;
	return berth_xdp_links_attach(&xdp->links, xdp->pinned.program, xdp->pinned.dir, error);
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
	struct xdp_engine *xdp = (struct xdp_engine *)engine;
	berth_xdp_links_follow(&xdp->links, xdp->pinned.program, xdp->pinned.dir);
}

static json_t *xdp_status(struct berth_engine *engine)
{
	const struct xdp_engine *xdp = (const struct xdp_engine *)engine;
	json_t *ports = json_array();
	for (size_t i = 0; i < xdp->links.n; i++)
		json_array_append_new(ports, json_pack("{s:s, s:s}", "name", xdp->links.link[i].name, "mode",
						       xdp->links.link[i].is_generic ? "generic" : "native"));
	return json_pack("{s:s, s:o}", "pin_directory", xdp->pinned.dir, "ports", ports);
}

const struct berth_engine_ops berth_engine_xdp = {
	.name = "xdp",
	.check = xdp_check,
	.open = xdp_open,
	.start = xdp_start,
	.is_quiescent = xdp_is_quiescent,
	.is_running = xdp_is_running,
	.follow_interfaces = xdp_follow_interfaces,
	.status = xdp_status,
	.close = xdp_close,
};
