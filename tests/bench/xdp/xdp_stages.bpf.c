// SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only
/*
 * berth's XDP program cut off after each of its stages, with the maps of the loaded one. The cost of a stage is the
 * difference to the program before.
 *
 * Floors, which check nothing: `floor_line` parses, hashes and reads one random line of the flow table.
 * `floor_lines` also reads what no balancer with many services can do without, each at a place that the one before
 * gives: the classifier's slot, the flow's line, the facts of a backend; and adds to the backend's counters.
 */
#include "bpf/maps.h"

#include "dataplane/core/packet.h"

static inline __attribute__((always_inline)) bool berth_frame_push(struct berth_frame *frame, uint32_t bytes)
{
	(void)frame;
	(void)bytes;
	return false;
}

static inline __attribute__((always_inline)) bool berth_frame_trim(struct berth_frame *frame, uint32_t bytes)
{
	(void)frame;
	(void)bytes;
	return false;
}

#include "dataplane/core/stages.h"

enum stage {
	LINE,
	LINES,
	PARSE,
	HASH,
	STEER,
};

/* The service and the flow key of the packet, from the slot where a search for them begins. */
static __always_inline void read_slot(const struct berth_view *view, struct berth_packet *packet)
{
	const uint32_t word = berth_vip_word(BERTH_VIP_EXACT, packet->dport, packet->protocol);
	const uint32_t home = berth_vip_home(&packet->dst, word) & view->vip_mask;
	const struct berth_vip *vip = berth_at_vips(view, view->first_vip + home);
	packet->service = vip ? (uint16_t)vip->service : 0;
	packet->flow_key = vip ? vip->flow_key : 0;
}

static __always_inline uint64_t read_line(const struct berth_view *view, struct berth_packet *packet)
{
	berth_hash_packet(view, packet);
	const struct berth_bucket *home = berth_at_flows(view, (uint32_t)packet->hash & view->flow_mask);
	return home ? BERTH_LOAD(&home->word[packet->hash >> 61]) : 0;
}

static __always_inline uint64_t read_lines(const struct berth_view *view, struct berth_packet *packet)
{
	read_slot(view, packet);
	packet->backend = (uint16_t)berth_word_backend(read_line(view, packet));
	const struct berth_backend *backend = berth_backend_of(view, packet->backend);
	berth_count_packet(view, packet, BERTH_VERDICT_FLOW);
	return backend ? backend->service : 0;
}

static __always_inline uint64_t run(const struct berth_view *view, struct berth_frame *frame, enum stage last)
{
	struct berth_packet packet;
	if (!berth_is_to_port(view, frame) ||
	    berth_parse(frame, &packet, (uint32_t)(frame->end - frame->data)) != BERTH_NO_VERDICT)
		return 0;
	if (last == LINE) {
		packet.flow_key = 1;
		return read_line(view, &packet);
	}
	if (last == LINES)
		return read_lines(view, &packet);
	if (last == PARSE)
		return packet.src.half[1] ^ packet.dst.half[1] ^ packet.sport.raw ^ packet.dport.raw;
	if (berth_classify(view, &packet) != BERTH_NO_VERDICT)
		return 0;
	berth_hash_packet(view, &packet);
	if (last == HASH)
		return packet.hash;
	struct berth_steering steering = berth_steered(BERTH_NO_VERDICT);
	struct berth_entry entry;
	berth_steer(view, &packet, &steering, &entry, 1);
	return berth_steer_finish(view, &packet, steering, &entry) ^ packet.backend;
}

static __always_inline int stop_after(struct xdp_md *ctx, enum stage last)
{
	struct berth_ctl *ctl = berth_at_ctl(NULL, 0);
	if (!ctl)
		return XDP_ABORTED;
	struct berth_view view = berth_view_make(NULL, &ctl->geometry, BERTH_LOAD(&ctl->generation),
						 bpf_get_smp_processor_id(), (uint32_t)BERTH_LOAD(&ctl->now));
	berth_view_set_port(&view, ctl, 0);
	struct berth_frame frame = {
		.data = (uint8_t *)(long)ctx->data,
		.end = (uint8_t *)(long)ctx->data_end,
		.handle = ctx,
	};
	/* The result is used, so that the compiler removes nothing. */
	uint64_t result = run(&view, &frame, last);
	return result == UINT64_MAX ? XDP_PASS : XDP_TX;
}

#define STAGE(name, last)                                                                                          \
	SEC("xdp") int name(struct xdp_md *ctx)                                                                    \
	{                                                                                                          \
		return stop_after(ctx, last);                                                                      \
	}
STAGE(floor_line, LINE)
STAGE(floor_lines, LINES)
STAGE(stage_parse, PARSE)
STAGE(stage_hash, HASH)
STAGE(stage_steer, STEER)

const char _license[] SEC("license") = "Dual BSD/GPL";
