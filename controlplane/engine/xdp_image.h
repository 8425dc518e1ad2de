/* SPDX-License-Identifier: BSD-3-Clause */
/* The XDP engine's image: one BPF map per section of the image, pinned in bpffs, and the program that uses them. */
#pragma once

#include "controlplane/engine/engine.h"

struct bpf_object;

struct berth_xdp_image {
	char dir[256]; /* of the pins: /sys/fs/bpf/berth/INSTANCE */
	struct bpf_object *object;
	int program; /* descriptor, owned by the object */
};

/* Sets the directory of the instance's pins. */
void berth_xdp_image_dir(struct berth_xdp_image *pinned, const char *instance);
/* Creates that directory; mounts bpffs if the host has not. 0, or -errno with one line in
 * `error`. */
int berth_xdp_image_prepare(struct berth_xdp_image *pinned, const char *instance, char error[BERTH_ERROR_BYTES]);
/* Loads the program with the pinned maps if they are compatible with `geometry` and `secret` (NULL: any), else with
 * new ones, which it pins. Sets `engine`'s image and `adopted`. 0, or -errno with one line in `error`. */
int berth_xdp_image_open(struct berth_xdp_image *pinned, struct berth_engine *engine,
			 const struct berth_geometry *geometry, const uint8_t *secret,
			 char error[BERTH_ERROR_BYTES]);
/* Unmaps the maps and closes the program; the pins keep both alive. */
void berth_xdp_image_close(struct berth_xdp_image *pinned, struct berth_engine *engine);
