// SPDX-License-Identifier: BSD-3-Clause
/* The XDP program in the kernel, by test-run. */
#include "tests/diff/engine.h"

#include "tests/diff/loaded.h"
#include "tests/diff/world.h"

struct xdp {
	struct loaded loaded;
	const char *path;
};

static void run(struct engine *engine, const struct sent *sent, struct engine_outcome *outcome)
{
	struct xdp *xdp = engine->own;
	/* Never due: jiffies are 2^62 below this value. */
	engine->image.ctl->refresh = UINT64_C(1) << 62;
	engine->image.ctl->now = sent->now;
	engine->image.ctl->now_ns = sent->now * UINT64_C(1000000000);
	outcome->bytes = sizeof(outcome->frame);
	int action = run_program(&xdp->loaded, sent->frame, sent->bytes, WORLD_LOOPBACK, outcome->frame,
				 &outcome->bytes);
	switch (action) {
	case XDP_PASS:
		outcome->class = BERTH_CLASS_PASS;
		break;
	case XDP_DROP:
		outcome->class = BERTH_CLASS_DROP;
		break;
	case XDP_TX: /* by the ingress port: forwarded by port 0, or an answer; engine_run() decides */
	case XDP_REDIRECT:
		outcome->class = BERTH_CLASS_FORWARD;
		outcome->port = action == XDP_TX ? 0 : 1;
		break;
	default:
		die("test-run", action < 0 ? action : EINVAL);
	}
}

/* Loads the program again, with the existing maps. */
static void restart(struct engine *engine)
{
	struct xdp *xdp = engine->own;
	reload_program(&xdp->loaded, xdp->path);
}

static void close_xdp(struct engine *engine)
{
	struct xdp *xdp = engine->own;
	bpf_object__close(xdp->loaded.object);
	free(xdp);
}

/* The image is a copy of loaded.image: both refer to the same maps. */
void engine_xdp_open(struct engine *engine, const struct berth_geometry *geometry, const char *object)
{
	struct xdp *xdp = calloc(1, sizeof(*xdp));
	if (!xdp)
		die("XDP", ENOMEM);
	xdp->path = object;
	load_program(&xdp->loaded, object, geometry);
	*engine = (struct engine){
		.name = "XDP program",
		.own = xdp,
		.image = xdp->loaded.image,
		.shortest = BERTH_ETH_BYTES, /* the minimum of test-run */
		.longest = 3000,	     /* fits one page with headroom and tailroom */
		.run = run,
		.restart = restart,
		.close = close_xdp,
	};
}
