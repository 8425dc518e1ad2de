// SPDX-License-Identifier: BSD-3-Clause
/*
 * Saves sessions to a file and restores them into the empty tables of another berthd, as after a reboot: the time
 * by the clock. While a thread saves, as berthd's does, the main thread wants a turn each millisecond, as its event
 * loop does: its longest delay.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "controlplane/tables/session_file.h"
#include "controlplane/tables/sessions.h"
#include "controlplane/util/clock.h"
#include "tests/bench/support/bench.h"
#include "tests/bench/support/fleet.h"

enum {
	UNIX_S = 1000,
	FIRST_CLIENT = 0x0a000000,
	SECONDS_GOAL = 10,
	DELAY_GOAL_MS = 10,
};

static const double MS = 1e6, S = 1e9; /* in ns */

struct save {
	const struct fleet *fleet;
	const char *path;
	double ns;
	uint64_t sessions;
	bool is_over;
};

static void fail(const char *what)
{
	fprintf(stderr, "sessions: %s\n", what);
	exit(1);
}

static void print(const char *of, const char *what, const char *unit, double value, double goal)
{
	char id[64];
	snprintf(id, sizeof(id), "sessions.%s.%s", what, of);
	bench_print_value(id, unit, value, goal);
}

static void make(struct fleet *fleet, uint32_t n)
{
	char text[1024];
	snprintf(text, sizeof(text),
		 "engine: 'null'\ninterfaces: [{name: eth0}]\n"
		 "limits: {flows: 1024, sessions: %u, services: 2, backends: 8}\nservices:\n"
		 "  - {name: web, address: 203.0.113.10, protocol: tcp, port: 80, mode: l2, affinity: {by: "
		 "client},\n"
		 "     health: {type: none}, backends: [{name: b1, address: 192.0.2.11}, {name: b2, address: "
		 "192.0.2.12}]}\n",
		 2 * n);
	fleet_make_from(fleet, text);
}

static void fill(const struct fleet *fleet, uint32_t n)
{
	const struct berth_model_service *service = &fleet->model.services[0];
	const struct berth_view view = berth_sessions_view(&fleet->engine.image, berth_clock_s());
	struct berth_session_record record = {
		.service = service->number, .flows = 2, .reason = BERTH_REASON_SELECTED};
	for (uint32_t i = 0; i < n; i++) {
		const struct berth_be32 client = berth_to_be32(FIRST_CLIENT + i);
		record.client = (union berth_addr){.byte = {[10] = 0xff, [11] = 0xff}};
		memcpy(&record.client.byte[12], &client, sizeof(client));
		record.backend = service->backends[i % 2].number;
		berth_sessions_restore(&view, &record);
	}
}

static void *save(void *arg)
{
	struct save *save = arg;
	struct berth_session_file_result result;
	char error[BERTH_ERROR_BYTES] = "";
	const double begin_ns = bench_now_ns();
	if (berth_session_file_write(&save->fleet->engine.image, save->path, UNIX_S, &result, error))
		fail(error);
	save->ns = bench_now_ns() - begin_ns;
	save->sessions = result.sessions;
	BERTH_STORE(&save->is_over, true);
	return NULL;
}

/* Returns how many there are in the file. */
static uint64_t measure_save(const struct fleet *fleet, const char *path, const char *of)
{
	struct save task = {.fleet = fleet, .path = path};
	double longest_ns = 0;
	pthread_t thread;
	if (pthread_create(&thread, NULL, save, &task))
		fail("no thread");
	for (double before_ns = bench_now_ns(), ns; !BERTH_LOAD(&task.is_over); before_ns = ns) {
		nanosleep(&(struct timespec){.tv_nsec = (long)MS}, NULL);
		ns = bench_now_ns();
		longest_ns = ns - before_ns - MS > longest_ns ? ns - before_ns - MS : longest_ns;
	}
	pthread_join(thread, NULL);
	print(of, "save", "s", task.ns / S, 0);
	print(of, "save.delay", "ms", longest_ns / MS, DELAY_GOAL_MS);
	return task.sessions;
}

static void measure_restore(uint32_t n, uint64_t saved, const char *path, const char *of)
{
	static struct fleet fleet;
	struct berth_session_file_result result;
	char error[BERTH_ERROR_BYTES] = "";
	make(&fleet, n);
	const double begin_ns = bench_now_ns();
	if (berth_session_file_restore(&fleet.engine.image, &fleet.model, path, UNIX_S, &result, error))
		fail(error);
	print(of, "restore", "s", (bench_now_ns() - begin_ns) / S, SECONDS_GOAL);
	if (saved < n / 10 * 9 || result.sessions + result.no_room != saved)
		fail("other sessions were restored than were saved");
	print(of, "restored", "k", (double)result.sessions / 1e3, 0);
	fleet_drop(&fleet);
}

static void measure(uint32_t n, const char *of)
{
	static struct fleet fleet;
	char dir[] = "/var/tmp/berth-bench-XXXXXX", path[64];
	if (!mkdtemp(dir))
		fail("no directory in /var/tmp");
	snprintf(path, sizeof(path), "%s/sessions", dir);
	make(&fleet, n);
	fill(&fleet, n);
	const uint64_t saved = measure_save(&fleet, path, of);
	fleet_drop(&fleet);
	measure_restore(n, saved, path, of);
	unlink(path);
	rmdir(dir);
}

int main(int argc, char **argv)
{
	const bool quick = bench_quick(&argc, &argv);
	if (quick)
		measure(1000000, "1m");
	else
		measure(10000000, "10m");
	return 0;
}
