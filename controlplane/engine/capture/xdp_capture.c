// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/engine/capture/xdp_capture.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/util/log.h"

static const char program_name[] = "berth_capture";

static int on_record(void *arg, void *data, size_t bytes)
{
	struct berth_xdp_capture *capture = arg;
	if (bytes >= sizeof(struct berth_capture_record))
		capture->fn(capture->arg, data);
	/* An error ends the read behind this record. */
	return --capture->left ? 0 : -ECANCELED;
}

/* The map of the engine that this one of the capture's object stands for. A store that is used again has another
 * name there. NULL: it is the capture's own. */
static const struct bpf_map *map_of_engine(const struct berth_xdp_image *engine, const char *name)
{
	static const char *const stores[BERTH_STORES] = {
#define X(section, ...) #section,
		BERTH_STORE_SECTIONS(X) BERTH_FORMER_SECTIONS(X)
#undef X
	};
	for (size_t i = 0; i < BERTH_STORES; i++)
		if (strcmp(name, stores[i]) == 0)
			return engine->stores[i];
	return bpf_object__find_map_by_name(engine->object, name);
}

static int reuse_maps(const struct berth_xdp_image *engine, const struct bpf_object *object)
{
	struct bpf_map *map;
	int err = 0;
	bpf_object__for_each_map(map, object)
	{
		const struct bpf_map *theirs = bpf_map__is_internal(map)
						       ? NULL
						       : map_of_engine(engine, bpf_map__name(map));
		if (theirs && !err)
			err = bpf_map__reuse_fd(map, bpf_map__fd(theirs));
	}
	return err;
}

static int prepare(const struct bpf_object *object, const struct berth_xdp_image *engine,
		   const struct berth_capture_filter *filter)
{
	struct bpf_map *variables = bpf_object__find_map_by_name(object, ".rodata");
	struct bpf_program *program;
	int err = variables ? bpf_map__set_initial_value(variables, filter, sizeof(*filter)) : -EINVAL;
	/* The sweeper runs in the engine's object. */
	bpf_object__for_each_program(program, object) if (!err)
		err = bpf_program__set_autoload(program, strcmp(bpf_program__name(program), program_name) == 0);
	return err ? err : reuse_maps(engine, object);
}

static void *load_in_thread(void *arg)
{
	struct berth_xdp_capture *capture = arg;
	capture->load_error = bpf_object__load(capture->object);
	BERTH_STORE(&capture->is_loaded, true);
	return NULL;
}

int berth_xdp_capture_start(struct berth_xdp_capture *capture, const struct berth_xdp_image *engine,
			    struct berth_xdp_links *links, const char *path,
			    const struct berth_capture_filter *filter, char error[BERTH_ERROR_BYTES])
{
	*capture = (struct berth_xdp_capture){
		.links = links,
		.engine_program = engine->program,
		.object = bpf_object__open_file(path, NULL),
	};
	int err = capture->object ? prepare(capture->object, engine, filter) : -errno;
	if (!err)
		err = -pthread_create(&capture->thread, NULL, load_in_thread, capture);
	capture->is_loading = !err;
	if (!err)
		return 0;
	berth_xdp_capture_stop(capture);
	snprintf(error, BERTH_ERROR_BYTES, "%s is not of this version of berthd: %s; reinstall berth", path,
		 strerror(-err));
	return err;
}

/* The program is loaded: opens its ring, and puts it in place. 0 or -errno. */
static int install(struct berth_xdp_capture *capture)
{
	pthread_join(capture->thread, NULL);
	capture->is_loading = false;
	if (capture->load_error)
		return capture->load_error;
	capture->variables = bpf_object__find_map_fd_by_name(capture->object, ".bss");
	capture->ring = ring_buffer__new(bpf_object__find_map_fd_by_name(capture->object, "records"), on_record,
					 capture, NULL);
	const struct bpf_program *program = bpf_object__find_program_by_name(capture->object, program_name);
	if (!capture->ring || !program)
		return -ENOMEM;
	return berth_xdp_links_exchange(capture->links, bpf_program__fd(program));
}

int berth_xdp_capture_read(struct berth_xdp_capture *capture, uint32_t most, berth_capture_fn *fn, void *arg,
			   uint64_t *missed)
{
	const uint32_t key = 0;
	int err = 0;
	*missed = 0;
	if (!capture->object)
		return -ENOENT;
	if (capture->is_loading && !BERTH_LOAD(&capture->is_loaded))
		return 0;
	if (capture->is_loading)
		err = install(capture);
	if (err) {
		berth_log("no capture: the kernel does not take the program: %s", strerror(-err));
		berth_xdp_capture_stop(capture);
		return -ENOENT;
	}
	capture->fn = fn;
	capture->arg = arg;
	capture->left = most;
	ring_buffer__consume(capture->ring);
	bpf_map_lookup_elem(capture->variables, &key, missed);
	return 0;
}

void berth_xdp_capture_stop(struct berth_xdp_capture *capture)
{
	if (capture->is_loading)
		pthread_join(capture->thread, NULL);
	if (capture->links && capture->links->program != capture->engine_program)
		berth_xdp_links_exchange(capture->links, capture->engine_program);
	ring_buffer__free(capture->ring);
	bpf_object__close(capture->object);
	*capture = (struct berth_xdp_capture){0};
}
