/* SPDX-License-Identifier: BSD-3-Clause */
#include <rte_ethdev.h>

#include "dataplane/frame.h"
#include "dataplane/pipeline.h"

uint32_t berth_pipeline_send_host(struct berth_pipeline *pipeline, const struct berth_view *view)
{
	uint32_t total = 0;
	for (uint32_t port = 0; port < pipeline->n_ports; port++) {
		struct rte_mbuf *mbufs[BERTH_BURST];
		if (!pipeline->ports[port].host)
			continue;
		uint32_t n = rte_ring_sc_dequeue_burst(pipeline->ports[port].host, (void **)mbufs, BERTH_BURST,
						       NULL);
		if (!n)
			continue;
		uint32_t sent = rte_eth_tx_burst(pipeline->ports[port].id, pipeline->queue, mbufs, (uint16_t)n);
		if (sent < n)
			rte_pktmbuf_free_bulk(mbufs + sent, n - sent);
		for (uint32_t i = sent; i < n; i++)
			berth_count_event(view, BERTH_EVENT_HOST_UNSENT);
		total += n;
	}
	return total;
}

void berth_pipeline_release(struct berth_pipeline *pipeline, const struct berth_view *view)
{
	for (uint32_t i = 0; i < pipeline->n_held; i++)
		rte_pktmbuf_free(pipeline->held[i].mbuf);
	berth_count_verdict(view, BERTH_VERDICT_FRAGMENT_UNKNOWN, pipeline->n_held);
	pipeline->n_held = 0;
}
