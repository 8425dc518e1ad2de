// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/port_stats.h"

#include <inttypes.h>
#include <rte_ethdev.h>

static void print_offloads(FILE *file, const struct berth_eth_port *port)
{
	fprintf(file, "\"offloads\": [%s%s%s], ", port->receives_chains ? "\"scatter\"" : "",
		port->receives_chains && port->sends_chains ? ", " : "",
		port->sends_chains ? "\"multi-segment\"" : "");
}

static void print_link(FILE *file, const struct berth_port_link *link)
{
	fprintf(file, "\"link\": \"%s\", ", link->is_up ? "up" : "down");
	if (link->speed_mbps == RTE_ETH_SPEED_NUM_UNKNOWN)
		fprintf(file, "\"speed_mbps\": null, ");
	else
		fprintf(file, "\"speed_mbps\": %" PRIu32 ", ", link->speed_mbps);
}

void berth_port_stats_print(FILE *file, const struct berth_eth_port *port, const struct berth_port_link *link)
{
	struct rte_eth_stats stats = {0};
	rte_eth_stats_get(port->id, &stats);
	print_link(file, link);
	print_offloads(file, port);
	fprintf(file, "\"rss\": %s, ", port->has_rss ? "true" : "false");
	fprintf(file, "\"rx_packets\": %" PRIu64 ", \"tx_packets\": %" PRIu64 ", ", stats.ipackets, stats.opackets);
	fprintf(file, "\"rx_errors\": %" PRIu64 ", \"rx_missed\": %" PRIu64 ", ", stats.ierrors, stats.imissed);
	fprintf(file, "\"rx_no_buffers\": %" PRIu64 ", \"tx_errors\": %" PRIu64 ", ", stats.rx_nombuf,
		stats.oerrors);
}
