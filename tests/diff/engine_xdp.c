// SPDX-License-Identifier: BSD-3-Clause
/* The program as the kernel runs it. */
#include "tests/diff/engine.h"

#include "tests/diff/loaded.h"
#include "tests/diff/world.h"

static struct loaded loaded;
static const char *path;

static void run(struct engine *engine, const struct sent *sent, struct outcome *outcome)
{
	/* Never due: jiffies are behind this by 2^62. */
	engine->image.ctl->refresh = UINT64_C(1) << 62;
	engine->image.ctl->now = sent->now;
	outcome->bytes = sizeof(outcome->frame);
	int action = run_program(&loaded, sent->frame, sent->bytes, WORLD_LOOPBACK, outcome->frame,
				 &outcome->bytes);
	switch (action) {
	case XDP_PASS:
		outcome->class = BERTH_CLASS_PASS;
		break;
	case XDP_DROP:
		outcome->class = BERTH_CLASS_DROP;
		break;
	case XDP_TX: /* back where it came from: forwarded by port 0 or answered, engine_run() sees which */
	case XDP_REDIRECT:
		outcome->class = BERTH_CLASS_FORWARD;
		outcome->port = action == XDP_TX ? 0 : 1;
		break;
	default:
		die("test-run", action < 0 ? action : EINVAL);
	}
}

/* The program anew, over the maps that are there. */
static void restart(struct engine *engine)
{
	(void)engine;
	reload_program(&loaded, path);
}

static void close_xdp(struct engine *engine)
{
	(void)engine;
	bpf_object__close(loaded.object);
}

/* Fills loaded.image, and gives a copy: the sections are the kernel's maps either way. */
void engine_xdp_open(struct engine *engine, const struct berth_geometry *geometry, const char *object)
{
	path = object;
	load_program(&loaded, object, geometry);
	*engine = (struct engine){
		.name = "XDP program",
		.image = loaded.image,
		.shortest = BERTH_ETH_BYTES, /* test-run takes no shorter one */
		.longest = 3000,	     /* what surely stands in one page beside head and tail room */
		.run = run,
		.restart = restart,
		.close = close_xdp,
	};
}
