/* SPDX-License-Identifier: BSD-3-Clause */
/* The XDP engine's image: one BPF map per section of the image, pinned in bpffs, and the program that uses them. */
#pragma once

#include "controlplane/engine/engine.h"
#include "controlplane/engine/kept_program/kept_program.h"

struct bpf_map;
struct bpf_object;

struct berth_xdp_image {
	char dir[256]; /* of the pins: /sys/fs/bpf/berth/INSTANCE */
	struct bpf_object *object;
	/* Of the object, by store: a map that is used again takes the name that it had when it was made. */
	struct bpf_map *stores[BERTH_STORES];
	int program;				 /* descriptor, owned by the object unless `is_kept` */
	bool is_kept;				 /* of a former berthd: the object is not loaded */
	char kept_name[BERTH_KEPT_PROGRAM_NAME]; /* of its pin; "": it gets none */
};

/* Sets the directory of the instance's pins. */
void berth_xdp_image_dir(struct berth_xdp_image *pinned, const char *instance);
/* Creates that directory; mounts bpffs if the host has not. 0, or -errno with one line in
 * `error`. */
int berth_xdp_image_prepare(struct berth_xdp_image *pinned, const char *instance, char error[BERTH_ERROR_BYTES]);
/* Opens the stores, and keeps the program, or loads it with them and with the pinned sections if these are
 * compatible with `geometry`, else with new ones. Sets `engine`'s image. 0, or -errno with one line in `error`. */
int berth_xdp_image_open(struct berth_xdp_image *pinned, struct berth_engine *engine,
			 const struct berth_geometry *geometry, const struct berth_engine_paths *paths,
			 char error[BERTH_ERROR_BYTES]);
/* Pins new sections in place of those of the former image, removes stores that the record does not have, and starts
 * the timer that sweeps the tables. 0, or -errno with one line in `error`. */
int berth_xdp_image_install(const struct berth_xdp_image *pinned, struct berth_engine *engine,
			    char error[BERTH_ERROR_BYTES]);
/* The operations of the engine of these names. */
void berth_xdp_image_drop_former(const struct berth_xdp_image *pinned, const struct berth_record *record);
uint32_t berth_xdp_image_swept(const char *instance);
int berth_xdp_image_map_stores(const char *instance, const struct berth_record *record,
			       struct berth_mapped_stores *mapped);
/* Unmaps the maps and closes the program; the pins keep both alive. */
void berth_xdp_image_close(struct berth_xdp_image *pinned, struct berth_engine *engine);
