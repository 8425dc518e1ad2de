/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * struct berth_frame of the core on an mbuf: its first segment, which must hold all headers. Include this instead
 * of core/stages.h. Any thread.
 */
#pragma once

#include <rte_mbuf.h>

#include "dataplane/core/image.h"
#include "dataplane/core/packet.h"

BERTH_INLINE struct berth_frame berth_frame_of(struct rte_mbuf *mbuf)
{
	uint8_t *data = rte_pktmbuf_mtod(mbuf, uint8_t *);
	return (struct berth_frame){.data = data, .end = data + rte_pktmbuf_data_len(mbuf), .handle = mbuf};
}

BERTH_INLINE bool berth_frame_push(struct berth_frame *frame, uint32_t bytes)
{
	struct rte_mbuf *mbuf = frame->handle;
	if (!rte_pktmbuf_prepend(mbuf, (uint16_t)bytes))
		return false;
	*frame = berth_frame_of(mbuf);
	return true;
}

BERTH_INLINE bool berth_frame_trim(struct berth_frame *frame, uint32_t bytes)
{
	struct rte_mbuf *mbuf = frame->handle;
	if (bytes > rte_pktmbuf_data_len(mbuf))
		return false;
	rte_pktmbuf_free(mbuf->next);
	mbuf->next = NULL;
	mbuf->nb_segs = 1;
	mbuf->data_len = (uint16_t)bytes;
	mbuf->pkt_len = bytes;
	*frame = berth_frame_of(mbuf);
	return true;
}

/* Whether another mbuf refers to the buffer of the first segment; then it must not be written. */
BERTH_INLINE bool berth_mbuf_is_shared(const struct rte_mbuf *mbuf)
{
	if (rte_mbuf_refcnt_read(mbuf) != 1 || RTE_MBUF_CLONED(mbuf))
		return true;
	return RTE_MBUF_HAS_EXTBUF(mbuf) && rte_mbuf_ext_refcnt_read(mbuf->shinfo) != 1;
}

#include "dataplane/core/drops.h"
#include "dataplane/core/stages.h"
