// SPDX-License-Identifier: BSD-3-Clause
/* The burst pipeline of a worker on this CPU, over real mbufs; its ports are rings. It holds no fragments
 * (hold_cycles is 0), so that its outcome is immediate, like that of the other engines. */
#include "tests/diff/engine.h"

#include <rte_eal.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <sched.h>

#include "dataplane/pipeline.h"
#include "tests/diff/world.h"

enum {
	SLOTS = 4 * ENGINE_BURST, /* packets without priority have half of the ring to the kernel */
	BUFFERS = 127,
};

static struct rte_mempool *pool;
static struct rte_ring *out_ring[WORLD_PORTS];
static struct berth_pipeline_port ports[WORLD_PORTS];
static struct berth_pipeline pipeline = {.ports = ports, .n_ports = WORLD_PORTS};

static void need(bool true_one, const char *what)
{
	if (true_one)
		return;
	fprintf(stderr, "DPDK: %s\n", what);
	exit(1);
}

static struct rte_mbuf *buffer_of(const uint8_t *bytes, uint32_t n)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(pool);
	need(mbuf, "no buffer");
	memcpy(rte_pktmbuf_append(mbuf, (uint16_t)n), bytes, n);
	return mbuf;
}

static struct rte_mbuf *chain_of(const struct sent *sent)
{
	if (!sent->first || sent->first == sent->bytes)
		return buffer_of(sent->frame, sent->bytes);
	struct rte_mbuf *head = buffer_of(sent->frame, sent->first);
	need(rte_pktmbuf_chain(head, buffer_of(sent->frame + sent->first, sent->bytes - sent->first)) == 0,
	     "chain");
	return head;
}

/* Takes the packet from the ring into `outcome`; false: the ring was empty. */
static bool take(struct rte_ring *ring, struct engine_outcome *outcome, enum berth_class class, uint32_t port)
{
	struct rte_mbuf *mbuf;
	if (rte_ring_dequeue(ring, (void **)&mbuf))
		return false;
	outcome->class = class;
	outcome->port = port;
	outcome->bytes = rte_pktmbuf_pkt_len(mbuf);
	need(outcome->bytes <= sizeof(outcome->frame), "a frame that is too long");
	const void *bytes = rte_pktmbuf_read(mbuf, 0, outcome->bytes, outcome->frame);
	if (bytes != outcome->frame)
		memcpy(outcome->frame, bytes, outcome->bytes);
	rte_pktmbuf_free(mbuf);
	return true;
}

static void run(struct engine *engine, const struct sent *sent, struct engine_outcome *outcome)
{
	struct rte_mbuf *mbuf = chain_of(sent);
	const struct berth_view view = berth_image_view(&engine->image, engine_worker, sent->now);
	berth_pipeline_for_cpu()(&pipeline, &view, 0, &mbuf, 1);
	if (!take(out_ring[0], outcome, BERTH_CLASS_FORWARD, 0) &&
	    !take(out_ring[1], outcome, BERTH_CLASS_FORWARD, 1) &&
	    !take(pipeline.pass, outcome, BERTH_CLASS_PASS, 0))
		outcome->class = BERTH_CLASS_DROP;
	need(rte_mempool_avail_count(pool) == BUFFERS, "a packet was kept, or is there twice");
}

static uint32_t run_burst(struct engine *engine, const struct sent *sent, uint32_t n, struct engine_outcome *left)
{
	struct rte_mbuf *mbufs[ENGINE_BURST];
	uint32_t taken = 0;
	const struct berth_view view = berth_image_view(&engine->image, engine_worker, sent->now);
	for (uint32_t i = 0; i < n; i++)
		mbufs[i] = chain_of(&sent[i]);
	berth_pipeline_for_cpu()(&pipeline, &view, 0, mbufs, n);
	for (uint32_t port = 0; port < WORLD_PORTS; port++) {
		while (taken < n && take(out_ring[port], &left[taken], BERTH_CLASS_FORWARD, port))
			taken++;
	}
	while (taken < n && take(pipeline.pass, &left[taken], BERTH_CLASS_PASS, 0))
		taken++;
	need(rte_mempool_avail_count(pool) == BUFFERS, "a packet was kept, or is there twice");
	return taken;
}

/* Afterwards the tables are at another address. */
static void restart(struct engine *engine)
{
	const struct berth_geometry geometry = engine->image.geometry;
	const uint64_t bytes = berth_image_bytes(&geometry);
	void *memory = aligned_alloc(BERTH_SECTION_ALIGN, bytes);
	need(memory, "no memory");
	memcpy(memory, engine->image.ctl, bytes);
	fixture_free(&engine->image);
	berth_image_place(&engine->image, &geometry, memory);
	memset(pipeline.out, 0, sizeof(pipeline.out));
}

static void close_dpdk(struct engine *engine)
{
	fixture_free(&engine->image);
}

static void open_port(uint32_t i)
{
	const struct rte_eth_conf conf = {0};
	char name[32];
	snprintf(name, sizeof(name), "out%u", i);
	out_ring[i] = rte_ring_create(name, SLOTS, SOCKET_ID_ANY, RING_F_EXACT_SZ);
	need(out_ring[i], "no ring");
	/* The driver requires a receive ring; it stays unused. */
	int id = rte_eth_from_rings(name, &out_ring[i], 1, &out_ring[i], 1, SOCKET_ID_ANY);
	need(id >= 0, "no port");
	need(rte_eth_dev_configure((uint16_t)id, 0, 1, &conf) == 0 &&
		     rte_eth_tx_queue_setup((uint16_t)id, 0, SLOTS, 0, NULL) == 0 &&
		     rte_eth_dev_start((uint16_t)id) == 0,
	     "a port does not start");
	ports[i] = (struct berth_pipeline_port){.id = (uint16_t)id, .chains = true};
}

void engine_dpdk_start(void)
{
	char cpu[16];
	char *arguments[] = {
		"test",		  "--no-huge",	       "-m", "64", "--no-pci", "-l", cpu, "--no-shconf",
		"--no-telemetry", "--log-level=error", NULL};
	static bool has_started;
	if (has_started)
		return;
	has_started = true;
	snprintf(cpu, sizeof(cpu), "%d", sched_getcpu());
	need(rte_eal_init(10, arguments) >= 0, "does not start");
}

/* All engines send through it, one packet or burst after the other: only their images differ. */
static void open_pipeline(void)
{
	pool = rte_pktmbuf_pool_create("packets", BUFFERS, 0, 0, RTE_PKTMBUF_HEADROOM + FIXTURE_ROOM,
				       SOCKET_ID_ANY);
	need(pool, "no buffers");
	for (uint32_t i = 0; i < WORLD_PORTS; i++)
		open_port(i);
	pipeline.pass = rte_ring_create("pass", SLOTS, SOCKET_ID_ANY, RING_F_EXACT_SZ);
	need(pipeline.pass, "no ring");
}

void engine_dpdk_open(struct engine *engine, const struct berth_geometry *geometry)
{
	*engine = (struct engine){
		.name = "DPDK pipeline",
		.takes_chains = true,
		.longest = FIXTURE_ROOM - FIXTURE_HEADROOM,
		.run = run,
		.run_burst = run_burst,
		.restart = restart,
		.close = close_dpdk,
	};
	if (!pool)
		open_pipeline();
	fixture_new(&engine->image, geometry);
}
