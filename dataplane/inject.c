/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/inject.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "dataplane/interface/object.h"
#include "dataplane/log.h"

static const char object_name[] = "berth_inject.bpf.o";

static void find_object(const char *bpf_dir, char path[PATH_MAX])
{
	if (bpf_dir)
		snprintf(path, PATH_MAX, "%s/%s", bpf_dir, object_name);
	else
		berth_object_find(object_name, path, PATH_MAX);
}

/* Sets berth_inject_ifindex, the only constant of the program. */
static int set_target(struct bpf_object *object, uint32_t ifindex)
{
	struct bpf_map *map = bpf_object__find_map_by_name(object, ".rodata");
	if (!map || bpf_map__value_size(map) != sizeof(ifindex))
		return -EINVAL;
	return bpf_map__set_initial_value(map, &ifindex, sizeof(ifindex));
}

static int attach(struct bpf_object *object, uint32_t tap)
{
	const struct bpf_program *program = bpf_object__find_program_by_name(object, "berth_inject");
	if (!program)
		return -EINVAL;
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)tap, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, options, .prog_fd = bpf_program__fd(program));
	int error = bpf_tc_hook_create(&hook);
	if (error && error != -EEXIST)
		return error;
	return bpf_tc_attach(&hook, &options);
}

int berth_inject_attach(const char *bpf_dir, const char *tap, const char *interface)
{
	char path[PATH_MAX];
	find_object(bpf_dir, path);
	struct bpf_object *object = bpf_object__open_file(path, NULL);
	if (!object) {
		int error = -errno;
		berth_log("%s: cannot be read: %s; set its directory with --bpf-dir", path, strerror(-error));
		return error;
	}
	int error = set_target(object, if_nametoindex(interface));
	if (!error)
		error = bpf_object__load(object);
	if (!error)
		error = attach(object, if_nametoindex(tap));
	if (error)
		berth_log("%s: cannot be attached to %s: %s", path, tap, strerror(-error));
	/* The tc hook keeps a reference to the program. */
	bpf_object__close(object);
	return error;
}
