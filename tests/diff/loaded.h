/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Loads the XDP program into the kernel, maps its maps as an image into this process's memory, and sends single
 * packets through it with the kernel's test-run.
 */
#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "dataplane/core/image.h"

struct loaded {
	struct bpf_object *object;
	int program;
	struct berth_image image;
};

static inline void die(const char *what, int err)
{
	fprintf(stderr, "XDP program: %s: %s\n", what, strerror(err < 0 ? -err : err));
	exit(1);
}

/* Maps one section into memory. Its elements are multiples of 8 bytes, so that the BPF array has no gaps. */
static inline void *map_section(struct bpf_object *object, const char *name, size_t bytes)
{
	int fd = bpf_object__find_map_fd_by_name(object, name);
	if (fd < 0)
		die(name, fd);
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		die(name, errno);
	return memory;
}

static inline void set_entries(struct bpf_object *object, const char *name, uint32_t entries)
{
	struct bpf_map *map = bpf_object__find_map_by_name(object, name);
	if (!map)
		die(name, ENOENT);
	int err = bpf_map__set_max_entries(map, entries);
	if (err)
		die(name, err);
}

static inline void load_program(struct loaded *loaded, const char *path, const struct berth_geometry *g)
{
	struct bpf_object *object = bpf_object__open_file(path, NULL);
	if (!object)
		die(path, errno);
#define X(section, type, count) set_entries(object, #section, count);
	BERTH_SECTIONS(X)
#undef X
	int err = bpf_object__load(object);
	if (err)
		die("loading the program (it takes root, or CAP_BPF and CAP_NET_ADMIN)", err);
	loaded->object = object;
	loaded->program = bpf_program__fd(bpf_object__find_program_by_name(object, "berth_xdp"));
	loaded->image.geometry = *g;
#define X(section, type, count)                                                                                    \
	loaded->image.section = map_section(object, #section, sizeof(type) * (size_t)(count));
	BERTH_SECTIONS(X)
#undef X
}

static inline void reuse_section(struct bpf_object *object, struct bpf_object *old, const char *name)
{
	struct bpf_map *map = bpf_object__find_map_by_name(object, name);
	int fd = bpf_object__find_map_fd_by_name(old, name);
	int err = map && fd >= 0 ? bpf_map__reuse_fd(map, fd) : -ENOENT;
	if (err)
		die(name, err);
}

/* Loads the program again with its existing maps; the image stays. */
static inline void reload_program(struct loaded *loaded, const char *path)
{
	struct bpf_object *object = bpf_object__open_file(path, NULL);
	if (!object)
		die(path, errno);
#define X(section, type, count) reuse_section(object, loaded->object, #section);
	BERTH_SECTIONS(X)
#undef X
	int err = bpf_object__load(object);
	if (err)
		die("loading the program again", err);
	bpf_object__close(loaded->object);
	loaded->object = object;
	loaded->program = bpf_program__fd(bpf_object__find_program_by_name(object, "berth_xdp"));
}

/* Runs the program on a frame from interface `ifindex`. Returns the XDP action, or -errno; writes the frame that
 * left to `out`. */
static inline int run_program(const struct loaded *loaded, const uint8_t *frame, uint32_t bytes, uint32_t ifindex,
			      uint8_t *out, uint32_t *out_bytes)
{
	struct xdp_md context = {.data_end = bytes, .ingress_ifindex = ifindex};
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = bytes, .data_out = out,
		    .data_size_out = *out_bytes, .ctx_in = &context, .ctx_size_in = sizeof(context), .repeat = 1);
	int err = bpf_prog_test_run_opts(loaded->program, &run);
	if (err)
		return err;
	*out_bytes = run.data_size_out;
	return (int)run.retval;
}
