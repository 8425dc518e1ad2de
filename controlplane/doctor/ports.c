// SPDX-License-Identifier: BSD-3-Clause
/* Findings about ports of the DPDK engine, by what their drivers say and count. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/doctor/system.h"
#include "dataplane/core/atomic.h"

enum {
	FEW_PACKETS = 1000, /* of less than that a queue may have got none by chance */
};

/* The remedy where a device gives all packets to one queue. */
static void add_unused(json_t *checks, const char *name, const json_t *port, size_t queue, uint64_t total)
{
	const char *driver = json_string_value(json_object_get(port, "driver"));
	if (json_is_true(json_object_get(port, "rss")))
		berth_doctor_addf(
			checks, name, BERTH_DOCTOR_NOTE,
			"more clients, or flows that differ in their ports: RSS puts a flow into one queue",
			"queue %zu has got none of %" PRIu64
			" packets: its device spreads flows (RSS), and none has come "
			"to this queue",
			queue, total);
	else
		berth_doctor_addf(checks, name, BERTH_DOCTOR_NOTE,
				  "set `queues: 1` of the interface, or use a NIC with RSS",
				  "queue %zu has got none of %" PRIu64
				  " packets: its device or driver (%s) does not spread flows "
				  "over queues (no RSS), so that its worker does nothing",
				  queue, total, driver ? driver : "not known");
}

void berth_doctor_queues(const json_t *port, const uint64_t *received, size_t n, json_t *checks)
{
	const char *name = json_string_value(json_object_get(port, "name"));
	const size_t queues = (size_t)json_integer_value(json_object_get(port, "queues"));
	uint64_t total = 0;
	for (size_t i = 0; i < n; i++)
		total += received[i];
	for (size_t i = 0; name && total >= FEW_PACKETS && i < queues && i < n; i++)
		if (!received[i])
			add_unused(checks, name, port, i, total);
}

/* What a driver has lost since berth-dpdk started. */
static void check_losses(const json_t *port, const char *name, json_t *checks)
{
	static const struct {
		const char *key, *what, *remedy;
	} losses[] = {
		{"rx_missed", "frames for which no descriptor was free (rx_missed)",
		 "more workers and queues, or raise dpdk.rx-ring"},
		{"rx_no_buffers", "frames for which no packet buffer was free (rx_no_buffers)",
		 "raise dpdk.memory-mb"},
		{"rx_errors", "receive errors (rx_errors)", "check cable, duplex and the MTU of the network"},
		{"tx_errors", "transmit errors (tx_errors)", "check cable and link"},
	};
	for (size_t i = 0; i < sizeof(losses) / sizeof(losses[0]); i++) {
		const json_int_t lost = json_integer_value(json_object_get(port, losses[i].key));
		if (lost > 0)
			berth_doctor_addf(checks, name, BERTH_DOCTOR_NOTE, losses[i].remedy,
					  "%" PRIi64 " %s since berth-dpdk started", (int64_t)lost, losses[i].what);
	}
}

void berth_doctor_dpdk_ports(const struct berth_daemon_state *state, const json_t *status, json_t *checks)
{
	const struct berth_image *image = &state->engine->image;
	uint64_t received[BERTH_MAX_WORKERS] = {0};
	size_t n = 0, i;
	json_t *port;
	for (uint32_t w = 0; w < image->geometry.workers && w < BERTH_MAX_WORKERS; w++)
		if (BERTH_LOAD(&image->workers[w].running))
			received[n++] = BERTH_LOAD(&image->workers[w].received);
	json_array_foreach(json_object_get(status, "ports"), i, port)
	{
		const char *name = json_string_value(json_object_get(port, "name"));
		if (!name || !json_object_get(port, "rx_missed"))
			continue;
		berth_doctor_queues(port, received, n, checks);
		check_losses(port, name, checks);
	}
}
