/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/capture/recorder.h"

#include <linux/bpf.h>
#include <rte_cycles.h>
#include <time.h>

enum {
	NANOSECONDS = 1000000000,
	CLOCK_READS_PER_SECOND = 100,
};

void berth_recorder_init(struct berth_recorder *recorder, const struct berth_capture_filter *filter,
			 struct berth_capture_ring *ring)
{
	const uint64_t hz = rte_get_tsc_hz();
	memset(recorder, 0, sizeof(*recorder));
	recorder->filter = *filter;
	recorder->ring = ring;
	recorder->ns_per_cycle = ((uint64_t)NANOSECONDS << 32) / hz;
	recorder->interval_cycles = hz / CLOCK_READS_PER_SECOND;
}

static void read_clock(struct berth_recorder *recorder)
{
	const uint64_t cycles = rte_get_tsc_cycles();
	uint64_t since = cycles - recorder->read_at_cycles;
	if (since >= recorder->interval_cycles) {
		struct timespec now;
		clock_gettime(CLOCK_MONOTONIC, &now);
		recorder->read_at_cycles = cycles;
		recorder->read_ns = (uint64_t)now.tv_sec * NANOSECONDS + (uint64_t)now.tv_nsec;
		since = 0;
	}
	recorder->now_ns = recorder->read_ns + (since * recorder->ns_per_cycle >> 32);
}

/* Returns the number of bytes. */
static uint16_t copy_frame(uint8_t to[BERTH_CAPTURE_SNAP], const struct rte_mbuf *mbuf)
{
	const uint32_t n = RTE_MIN(rte_pktmbuf_pkt_len(mbuf), (uint32_t)BERTH_CAPTURE_SNAP);
	const void *bytes = rte_pktmbuf_read(mbuf, 0, n, to);
	if (bytes && bytes != to)
		memcpy(to, bytes, n);
	return bytes ? (uint16_t)n : 0;
}

void berth_recorder_arrive(struct berth_recorder *recorder, const struct rte_mbuf *mbuf, uint32_t port)
{
	if (recorder->n == BERTH_RECORDER_PACKETS)
		return;
	struct berth_capture_record *record = &recorder->record[recorder->n];
	recorder->mbuf[recorder->n++] = mbuf;
	record->verdict = BERTH_NO_VERDICT;
	record->in_port = (uint8_t)(port + 1);
	record->in_bytes = rte_pktmbuf_pkt_len(mbuf);
	record->in_copied = copy_frame(record->in, mbuf);
}

void berth_recorder_begin(struct berth_recorder *recorder, struct rte_mbuf *const *mbufs, uint32_t n, uint32_t port)
{
	read_clock(recorder);
	recorder->n = 0;
	for (uint32_t i = 0; i < n; i++)
		berth_recorder_arrive(recorder, mbufs[i], port);
}

/* NULL: it did not arrive in this burst. */
static struct berth_capture_record *find(struct berth_recorder *recorder, const struct rte_mbuf *mbuf)
{
	for (uint32_t i = 0; i < recorder->n; i++)
		if (recorder->mbuf[i] == mbuf)
			return &recorder->record[i];
	return NULL;
}

/* The action of an XDP program that does the same. */
static uint32_t action_of(enum berth_verdict verdict, uint32_t in_port, uint32_t out_port)
{
	switch (BERTH_VERDICT_CLASS(verdict)) {
	case BERTH_CLASS_DROP:
		return XDP_DROP;
	case BERTH_CLASS_PASS:
		return XDP_PASS;
	default:
		return in_port == out_port ? XDP_TX : XDP_REDIRECT;
	}
}

void berth_recorder_decide(struct berth_recorder *recorder, const struct rte_mbuf *mbuf,
			   const struct berth_packet *packet, enum berth_verdict verdict, uint32_t out_port)
{
	struct berth_capture_record *record = find(recorder, mbuf);
	if (!record)
		return;
	const bool leaves = BERTH_VERDICT_CLASS(verdict) <= BERTH_CLASS_ANSWER;
	record->packet = *packet;
	record->verdict = (uint8_t)verdict;
	record->out_port = leaves ? (uint8_t)(out_port + 1) : 0;
	record->action = action_of(verdict, record->in_port, record->out_port);
	record->out_bytes = leaves ? rte_pktmbuf_pkt_len(mbuf) : 0;
	record->out_copied = leaves ? copy_frame(record->out, mbuf) : 0;
}

void berth_recorder_revoke(struct berth_recorder *recorder, struct rte_mbuf *const *mbufs, uint32_t n,
			   enum berth_verdict verdict)
{
	for (uint32_t i = 0; i < n; i++) {
		struct berth_capture_record *record = find(recorder, mbufs[i]);
		if (!record)
			continue;
		record->verdict = (uint8_t)verdict;
		record->action = XDP_DROP;
		record->out_port = 0;
		record->out_bytes = 0;
		record->out_copied = 0;
	}
}

static bool is_within_rate(struct berth_recorder *recorder)
{
	/* By shifts: about a second. */
	const uint64_t second = recorder->now_ns >> 30;
	if (recorder->second != second) {
		recorder->second = second;
		recorder->in_second = 0;
	}
	return recorder->in_second++ < BERTH_CAPTURE_PER_SECOND;
}

static void write_record(struct berth_recorder *recorder, const struct berth_capture_record *record)
{
	struct berth_capture_ring *ring = recorder->ring;
	const uint64_t written = ring->written;
	if (!is_within_rate(recorder) || written - BERTH_LOAD(&ring->read) >= BERTH_CAPTURE_SLOTS) {
		BERTH_STORE(&ring->missed, ring->missed + 1);
		return;
	}
	ring->record[written % BERTH_CAPTURE_SLOTS] = *record;
	BERTH_STORE(&ring->written, written + 1);
}

void berth_recorder_end(struct berth_recorder *recorder)
{
	for (uint32_t i = 0; i < recorder->n; i++) {
		struct berth_capture_record *record = &recorder->record[i];
		record->time_ns = recorder->now_ns;
		if (record->verdict != BERTH_NO_VERDICT &&
		    berth_capture_matches(&recorder->filter, &record->packet, record->verdict))
			write_record(recorder, record);
	}
}
