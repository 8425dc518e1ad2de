// SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only
/*
 * The program of the XDP engine while a capture runs: the same, with a copy of each packet that matches the filter,
 * from before and after. It takes the place of berth_xdp for that time, so that a capture costs nothing while none
 * runs. berthd gives it the maps of the engine; those of engine.h come first in both objects.
 */
#include "bpf/engine.h"

#include "dataplane/interface/capture.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, BERTH_CAPTURE_RING_BYTES);
} records SEC(".maps");

/* Of a CPU, from before to after the engine. */
struct capture {
	uint64_t verdict[BERTH_WORKER_VERDICTS]; /* counters before */
	uint64_t second;			 /* of `n` */
	uint32_t n;				 /* records in that second */
	uint32_t in_bytes;
	uint32_t in_copied;
	uint32_t pad;
	uint8_t in[BERTH_CAPTURE_SNAP];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, BERTH_MAX_WORKERS);
	__type(key, __u32);
	__type(value, struct capture);
} captures SEC(".maps");

/* Set by berthd before it loads the program. */
const volatile struct berth_capture_filter filter = {.verdicts = 0};
/* Packets that matched and have no record, of all CPUs. */
uint64_t missed;

/* Copies the first bytes of the frame. Returns their number. */
static __always_inline uint32_t copy_frame(uint8_t to[BERTH_CAPTURE_SNAP], struct xdp_md *ctx, uint32_t bytes)
{
	uint32_t n = bytes;
	if (n > BERTH_CAPTURE_SNAP)
		n = BERTH_CAPTURE_SNAP;
	if (n == 0)
		return 0;
	BERTH_OPAQUE(n);
	/* 1 to BERTH_CAPTURE_SNAP: the verifier of kernel 6.1 does not learn that from the comparisons. */
	n = ((n - 1) & (BERTH_CAPTURE_SNAP - 1)) + 1;
	return bpf_xdp_load_bytes(ctx, 0, to, n) ? 0 : n;
}

/* Steps of their own: the stack of the engine has no room for their variables. */
BERTH_RARE_STEP int berth_capture_before(struct xdp_md *ctx)
{
	const uint32_t cpu = bpf_get_smp_processor_id();
	struct capture *capture = bpf_map_lookup_elem(&captures, &cpu);
	const struct berth_worker *worker = berth_at_workers(NULL, cpu);
	if (!capture || !worker)
		return 0;
	__builtin_memcpy(capture->verdict, worker->verdict, sizeof(capture->verdict));
	capture->in_bytes = (uint32_t)(ctx->data_end - ctx->data);
	capture->in_copied = copy_frame(capture->in, ctx, capture->in_bytes);
	return 0;
}

/* The verdict of the packet: the counter that differs from before. */
static __always_inline uint32_t find_verdict(const struct capture *capture, const struct berth_worker *worker)
{
	for (uint32_t i = 0; i < BERTH_WORKER_VERDICTS; i++)
		if (worker->verdict[i] != capture->verdict[i])
			return i;
	return BERTH_NO_VERDICT;
}

static __always_inline bool is_within_rate(struct capture *capture, uint64_t now_ns)
{
	const uint64_t second = now_ns / NANOSECONDS;
	if (capture->second != second) {
		capture->second = second;
		capture->n = 0;
	}
	return capture->n++ < BERTH_CAPTURE_PER_SECOND;
}

static __always_inline void fill(struct berth_capture_record *record, const struct capture *capture,
				 struct xdp_md *ctx, uint32_t action)
{
	record->ifindex = ctx->ingress_ifindex;
	record->action = action;
	record->in_port = 0;
	record->out_port = 0;
	record->pad = 0;
	record->in_bytes = capture->in_bytes;
	record->in_copied = (uint16_t)capture->in_copied;
	__builtin_memcpy(record->in, capture->in, sizeof(record->in));
	record->out_bytes = 0;
	record->out_copied = 0;
	if (action != XDP_TX && action != XDP_REDIRECT)
		return;
	record->out_bytes = (uint32_t)(ctx->data_end - ctx->data);
	record->out_copied = (uint16_t)copy_frame(record->out, ctx, record->out_bytes);
}

BERTH_RARE_STEP int berth_capture_after(struct xdp_md *ctx, uint32_t action)
{
	const uint32_t cpu = bpf_get_smp_processor_id();
	struct capture *capture = bpf_map_lookup_elem(&captures, &cpu);
	const struct berth_worker *worker = berth_at_workers(NULL, cpu);
	const struct scratch *scratch = bpf_map_lookup_elem(&scratches, &cpu);
	if (!capture || !worker || !scratch)
		return 0;
	const uint32_t verdict = find_verdict(capture, worker);
	const struct berth_capture_filter *wanted = (const struct berth_capture_filter *)&filter;
	BERTH_OPAQUE(wanted); /* clang would take the value that it sees here */
	if (!berth_capture_matches(wanted, &scratch->packet, verdict))
		return 0;
	const uint64_t now_ns = bpf_ktime_get_ns();
	struct berth_capture_record *record = is_within_rate(capture, now_ns)
						      ? bpf_ringbuf_reserve(&records, sizeof(*record), 0)
						      : NULL;
	if (!record) {
		__sync_fetch_and_add(&missed, 1);
		return 0;
	}
	record->packet = scratch->packet;
	record->time_ns = now_ns;
	record->verdict = (uint8_t)verdict;
	fill(record, capture, ctx, action);
	bpf_ringbuf_submit(record, 0);
	return 0;
}

SEC("xdp")
int berth_capture(struct xdp_md *ctx)
{
	berth_capture_before(ctx);
	const int action = berth_run(ctx);
	berth_capture_after(ctx, (uint32_t)action);
	return action;
}

const char _license[] SEC("license") = "Dual BSD/GPL";
