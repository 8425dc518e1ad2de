/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/worker.h"

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_pause.h>
#include <sys/prctl.h>
#include <time.h>

#include "dataplane/core/sweep.h"

enum {
	/* Empty turns before an adaptive worker sleeps: some microseconds, longer than the gaps within a burst. */
	SPINS = 64,
	MICROSECOND = 1000,
	NANOSECONDS = 1000000000,
	CLOCK_READS_PER_SECOND = 100,
	/* A fragment is held for the first one of its datagram for 20 ms; networks reorder packets within less. */
	HOLDS_PER_SECOND = 50,
};

/* The time of the tables, at most 10 ms late, and the time of a turn in nanoseconds. The clock is read every 10 ms;
 * the cycle counter decides when, and adds what has passed since, so its drift does not matter. */
struct clock {
	const struct berth_ctl *ctl;
	uint64_t cycles;      /* now: when this turn of the worker began */
	uint64_t turn_cycles; /* since the turn before began */
	uint64_t read_at_cycles;
	uint64_t interval_cycles;
	uint64_t ns_per_cycle; /* times 2^32 */
	uint64_t read_ns;      /* CLOCK_MONOTONIC, when it was read */
	uint64_t now_ns;       /* when this turn began */
	uint32_t seconds;
	bool is_due_to_sweep; /* the clock was read since the last step of a sweep */
};

static uint32_t clock_now(struct clock *clock)
{
	uint64_t cycles = rte_get_tsc_cycles();
	clock->turn_cycles = cycles - clock->cycles;
	clock->cycles = cycles;
	if (BERTH_UNLIKELY(cycles - clock->read_at_cycles >= clock->interval_cycles)) {
		struct timespec now;
		clock_gettime(CLOCK_MONOTONIC, &now);
		clock->read_at_cycles = cycles;
		clock->read_ns = (uint64_t)now.tv_sec * NANOSECONDS + (uint64_t)now.tv_nsec;
		clock->seconds = berth_clock_now(clock->ctl, (uint32_t)now.tv_sec);
		clock->is_due_to_sweep = true;
	}
	clock->now_ns = clock->read_ns + ((cycles - clock->read_at_cycles) * clock->ns_per_cycle >> 32);
	return clock->seconds;
}

/* A step every 10 ms, of one worker: the main lcore may not read a generation, because a grace period does not wait
 * for it. */
static void sweep(const struct berth_worker_context *worker, const struct berth_view *view, struct clock *clock,
		  struct berth_sweep *own)
{
	if (BERTH_LIKELY(!clock->is_due_to_sweep) || worker->number)
		return;
	clock->is_due_to_sweep = false;
	berth_sweep_step(worker->image->ctl, view, own);
}

struct idle {
	bool adaptive;
	uint32_t empty_turns; /* since the last packet */
	uint32_t sleep_us;    /* the latest sleep */
	uint32_t slept_us;    /* since the last packet; stops at BERTH_WORKER_LONG_PAUSE_US */
};

static void pause_if_idle(struct idle *idle, uint32_t packets)
{
	if (packets) {
		idle->empty_turns = 0;
		idle->sleep_us = 0;
		idle->slept_us = 0;
		return;
	}
	if (!idle->adaptive || ++idle->empty_turns < SPINS) {
		rte_pause();
		return;
	}
	bool is_long = idle->slept_us >= BERTH_WORKER_LONG_PAUSE_US;
	uint32_t limit_us = is_long ? BERTH_WORKER_LONG_SLEEP_US : BERTH_WORKER_SLEEP_US;
	idle->sleep_us = idle->sleep_us ? RTE_MIN(idle->sleep_us * 2, limit_us) : 1;
	if (!is_long)
		idle->slept_us += idle->sleep_us;
	const struct timespec sleep = {.tv_nsec = (long)idle->sleep_us * MICROSECOND};
	nanosleep(&sleep, NULL);
}

static uint32_t poll_ports(struct berth_worker_context *worker, const struct berth_view *view, uint64_t *bursts)
{
	uint32_t total = 0;
	for (uint32_t port = 0; port < worker->pipeline.n_ports; port++) {
		struct rte_mbuf *mbufs[BERTH_BURST];
		if (worker->number >= worker->rx_queues[port])
			continue;
		uint32_t n = rte_eth_rx_burst(worker->pipeline.ports[port].id, (uint16_t)worker->number, mbufs,
					      BERTH_BURST);
		if (!n)
			continue;
		BERTH_LOAD (&worker->run)(&worker->pipeline, view, port, mbufs, n);
		(*bursts)++;
		total += n;
	}
	return total;
}

/* `packets`: of the turn before. */
static void begin_turn(struct berth_worker *counters, const struct clock *clock, uint32_t packets)
{
	counters->busy_cycles += packets ? clock->turn_cycles : 0;
	BERTH_STORE(&counters->polled_ns, clock->now_ns);
}

int berth_worker_run(void *context)
{
	struct berth_worker_context *worker = context;
	struct berth_worker *counters = &worker->image->workers[worker->number];
	struct clock clock = {.ctl = worker->image->ctl,
			      .interval_cycles = rte_get_tsc_hz() / CLOCK_READS_PER_SECOND,
			      .ns_per_cycle = ((uint64_t)NANOSECONDS << 32) / rte_get_tsc_hz()};
	struct berth_sweep own = {0};
	struct idle idle = {.adaptive = worker->adaptive};
	worker->pipeline.hold_cycles = rte_get_tsc_hz() / HOLDS_PER_SECOND;

	/* The default slack of 50 us would lengthen sleeps of 1 us. */
	prctl(PR_SET_TIMERSLACK, 1UL);

	/* Before the first read of the generation: berthd publishes, then reads `running`. Either it finds this
	 * worker running, or this worker reads the new generation. */
	__atomic_store_n(&counters->running, 1, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	uint32_t packets = 0;
	while (!BERTH_LOAD(worker->stop)) {
		uint64_t generation = BERTH_LOAD(&worker->image->ctl->generation);
		/* No read of an older generation follows. */
		BERTH_STORE(&counters->seen, generation);
		struct berth_view view = berth_view_make(worker->image, &worker->image->geometry, generation,
							 worker->number, clock_now(&clock));
		view.now_ns = clock.now_ns;
		begin_turn(counters, &clock, packets);
		berth_view_set_former(&view, worker->image);
		packets = poll_ports(worker, &view, &counters->bursts);
		if (worker->pipeline.n_held)
			BERTH_LOAD (&worker->run)(&worker->pipeline, &view, 0, NULL, 0);
		sweep(worker, &view, &clock, &own);
		if (worker->number == 0)
			packets += berth_pipeline_send_host(&worker->pipeline, &view);
		if (packets && !rte_ring_empty(worker->pipeline.pass))
			berth_doorbell_ring(worker->doorbell);
		counters->polls++;
		pause_if_idle(&idle, packets);
	}
	const struct berth_view last = berth_image_view(worker->image, worker->number, clock_now(&clock));
	berth_pipeline_release(&worker->pipeline, &last);
	BERTH_STORE(&counters->running, 0);
	return 0;
}
