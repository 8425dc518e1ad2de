// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/engine/xdp_trace.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controlplane/util/interface.h"
#include "controlplane/util/log.h"
#include "dataplane/interface/trace.h"

enum {
	TRIALS = 3, /* a full queue may refuse one frame */
};

static struct berth_trace_key key_of(const struct berth_xdp_trace *trace, uint32_t ifindex)
{
	return (struct berth_trace_key){.netns = trace->netns, .ifindex = ifindex};
}

static int open_object(struct berth_xdp_trace *trace, const char *path, const char *pin,
		       char error[BERTH_ERROR_BYTES])
{
	trace->object = bpf_object__open_file(path, NULL);
	struct bpf_map *map = trace->object ? bpf_object__find_map_by_name(trace->object, "refused") : NULL;
	if (!map || bpf_map__set_pin_path(map, pin)) {
		snprintf(error, BERTH_ERROR_BYTES, "cannot read %s; reinstall berth", path);
		return -EINVAL;
	}
	int err = bpf_object__load(trace->object);
	if (err) {
		/* Counters of another version of berth. */
		unlink(pin);
		snprintf(error, BERTH_ERROR_BYTES, "the kernel rejects %s: %s", path, strerror(-err));
		return err;
	}
	trace->trial_process = bpf_object__find_map_fd_by_name(trace->object, ".bss");
	trace->refused = bpf_map__fd(map);
	trace->program = bpf_program__fd(bpf_object__find_program_by_name(trace->object, "berth_try"));
	return 0;
}

/* A link and its pin, in place of an earlier berthd's. */
static int attach(struct bpf_program *program, const char *dir)
{
	char path[512];
	struct bpf_link *link = bpf_program__attach(program);
	if (!link)
		return -errno;
	snprintf(path, sizeof(path), "%s/trace-%s", dir, bpf_program__name(program));
	unlink(path);
	int err = bpf_link__pin(link, path);
	/* The pin keeps the link alive. */
	bpf_link__destroy(link);
	return err;
}

static int attach_all(const struct berth_xdp_trace *trace, const char *dir, char error[BERTH_ERROR_BYTES])
{
	struct bpf_program *program;
	bpf_object__for_each_program(program, trace->object)
	{
		if (bpf_program__type(program) != BPF_PROG_TYPE_TRACING)
			continue;
		int err = attach(program, dir);
		if (!err)
			continue;
		snprintf(error, BERTH_ERROR_BYTES, "%s: %s", bpf_program__name(program), strerror(-err));
		return err;
	}
	return 0;
}

void berth_xdp_trace_open(struct berth_xdp_trace *trace, const char *object, const char *dir)
{
	char pin[512], error[BERTH_ERROR_BYTES] = "";
	struct stat netns;
	*trace = (struct berth_xdp_trace){0};
	snprintf(pin, sizeof(pin), "%s/refused", dir);
	if (stat("/proc/self/ns/net", &netns) == 0)
		trace->netns = (uint32_t)netns.st_ino;
	if (open_object(trace, object, pin, error) == 0 && attach_all(trace, dir, error) == 0)
		return;
	berth_log("frames that drivers refuse are not counted: %s", error);
	berth_xdp_trace_close(trace);
}

void berth_xdp_trace_close(struct berth_xdp_trace *trace)
{
	bpf_object__close(trace->object);
	trace->object = NULL;
}

void berth_xdp_trace_add(const struct berth_xdp_trace *trace, uint32_t ifindex)
{
	const struct berth_trace_key key = key_of(trace, ifindex);
	const struct berth_trace_cell none = {0};
	if (trace->object && ifindex && bpf_map_update_elem(trace->refused, &key, &none, BPF_NOEXIST) &&
	    errno == E2BIG)
		berth_log("interface %u: no room for a counter of refused frames", ifindex);
}

struct berth_xdp_refused berth_xdp_trace_refused(const struct berth_xdp_trace *trace, uint32_t ifindex)
{
	const struct berth_trace_key key = key_of(trace, ifindex);
	struct berth_trace_cell cell = {0};
	if (!trace->object || bpf_map_lookup_elem(trace->refused, &key, &cell))
		return (struct berth_xdp_refused){0};
	return (struct berth_xdp_refused){.frames = cell.frames, .trials = cell.trials, .err = cell.err};
}

static void set_trial_process(const struct berth_xdp_trace *trace, uint32_t process)
{
	const uint32_t key = 0;
	bpf_map_update_elem(trace->trial_process, &key, &process, BPF_ANY);
}

/* -errno: the kernel cannot run it. */
static int send_frame(const struct berth_xdp_trace *trace, uint32_t from, const struct berth_trace_frame *frame)
{
	struct xdp_md context = {.data_end = sizeof(*frame), .ingress_ifindex = from};
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame, .data_size_in = sizeof(*frame),
		    .ctx_in = &context, .ctx_size_in = sizeof(context), .repeat = 1, .batch_size = 1,
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES);
	set_trial_process(trace, (uint32_t)getpid());
	int err = bpf_prog_test_run_opts(trace->program, &options) ? -errno : 0;
	set_trial_process(trace, 0);
	return err;
}

/* Once: Linux has it since 5.18. */
static void log_cannot_try(struct berth_xdp_trace *trace, int err)
{
	if (!trace->cannot_try)
		berth_log("the kernel cannot try whether drivers send frames of XDP programs: %s", strerror(-err));
	trace->cannot_try = true;
}

static struct berth_trace_frame make_frame(uint32_t to)
{
	struct berth_trace_frame frame = {.ethertype = htons(BERTH_TRACE_ETHERTYPE), .ifindex = to};
	char name[IF_NAMESIZE];
	struct berth_port port;
	if (if_indextoname(to, name) && berth_interface_read(name, &port) == 0) {
		memcpy(frame.destination, port.mac, sizeof(frame.destination));
		memcpy(frame.source, port.mac, sizeof(frame.source));
	}
	return frame;
}

bool berth_xdp_trace_try(struct berth_xdp_trace *trace, uint32_t from, uint32_t to, char reason[BERTH_ERROR_BYTES])
{
	const struct berth_trace_frame frame = make_frame(to);
	struct berth_xdp_refused after = {0};
	for (int i = 0; i < TRIALS; i++) {
		const struct berth_xdp_refused before = berth_xdp_trace_refused(trace, to);
		int err = trace->object ? send_frame(trace, from, &frame) : 0;
		after = berth_xdp_trace_refused(trace, to);
		if (err)
			log_cannot_try(trace, err);
		if (err || after.trials == before.trials)
			return true;
	}
	snprintf(reason, BERTH_ERROR_BYTES, "%s", after.err ? strerror(-after.err) : "no reason given");
	return false;
}
