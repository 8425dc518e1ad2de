/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A capture of the XDP engine: while it runs, a program with the same packet path and copies of packets
 * (bpf/berth_capture.bpf.c) is in the place of the engine's, by an update of each link. A thread loads it, because
 * the kernel verifies it for up to a second. If berthd ends meanwhile, that program goes on forwarding until the
 * next berthd puts its own in place.
 */
#pragma once

#include <pthread.h>

#include "controlplane/engine/engine.h"
#include "controlplane/engine/xdp_image.h"
#include "controlplane/engine/xdp_links.h"

struct ring_buffer;

struct berth_xdp_capture {
	struct berth_xdp_links *links;
	int engine_program;	   /* descriptor, not owned */
	struct bpf_object *object; /* NULL: no capture runs */
	pthread_t thread;	   /* that loads the object */
	bool is_loading;	   /* until the thread is joined */
	bool is_loaded;		   /* set by the thread at its end */
	int load_error;		   /* likewise: 0, or -errno */
	struct ring_buffer *ring;
	int variables; /* descriptor of the map with `missed`, owned by the object */
	/* Of the read under way. */
	berth_capture_fn *fn;
	void *arg;
	uint32_t left;
};

/* Begins to load the program of `path` with the maps of the engine. 0, or -errno with one line in `error`. */
int berth_xdp_capture_start(struct berth_xdp_capture *capture, const struct berth_xdp_image *engine,
			    struct berth_xdp_links *links, const char *path,
			    const struct berth_capture_filter *filter, char error[BERTH_ERROR_BYTES]);
/* As the operation of the engine. The first read after the program is loaded puts it in place. */
int berth_xdp_capture_read(struct berth_xdp_capture *capture, uint32_t most, berth_capture_fn *fn, void *arg,
			   uint64_t *missed);
void berth_xdp_capture_stop(struct berth_xdp_capture *capture);
