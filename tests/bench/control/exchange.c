// SPDX-License-Identifier: BSD-3-Clause
/*
 * Two nodes and a store, Debian's redis-server, as processes of their own: a change of the backends of ten or a
 * thousand services makes exceptions of a tenth of a million flows, and the time is taken from its publication
 * until the last of them is in the other node's table. And the time in which a node that comes later reads so many
 * exceptions from the store, and has them in its table.
 */
#include <arpa/inet.h>
#include <event2/event.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "controlplane/cluster/receiver.h"
#include "controlplane/store/store.h"
#include "controlplane/tables/load.h"
#include "controlplane/tables/sessions.h"
#include "controlplane/util/clock.h"
#include "dataplane/core/select.h"
#include "tests/bench/support/bench.h"
#include "tests/bench/support/fleet.h"

enum {
	FLOWS = 1000000, /* of which a tenth will be exceptions */
	CHANGED = 10,	 /* services, which have these flows */
	HORIZON_S = 360,
	SLICE = 4096, /* buckets */
	HURRY_US = BERTH_LOAD_TICK_MS * 1000 / 2,
	STILL_MS = 2000, /* without a record: all have come */
	WAIT_MS = 180000,
};

/* What the processes tell each other. */
struct shared {
	uint64_t inserted;
	uint64_t last_ms; /* when the last one was inserted */
	uint64_t begin_ms;
	uint64_t synchronised_ms;
	bool go;
};

struct side {
	struct fleet *fleet;
	struct event_base *base;
	struct berth_helper *helper;
	struct berth_store *store;
	struct berth_cluster_config config;
	struct berth_sender *sender;
	struct berth_receiver *receiver;
	struct berth_scan *scan;
	struct shared *shared;
};

static void fail(const char *what)
{
	fprintf(stderr, "exchange: %s\n", what);
	exit(1);
}

static void *check(void *made, const char *what)
{
	if (!made)
		fail(what);
	return made;
}

/* --- a node --- */

static bool tell(void *arg, uint64_t service, const uint8_t *batch, size_t bytes)
{
	const struct side *side = arg;
	return berth_store_status(side->store)->is_connected &&
	       berth_store_tell(side->store, service, batch, bytes);
}

static bool on_batch(void *arg, const struct berth_store_batch *read)
{
	struct side *side = arg;
	const struct berth_receiver_batch batch = {
		.service = read->service, .records = read->records, .bytes = read->bytes, .age_s = read->age_s};
	const bool is_taken = berth_receiver_take(side->receiver, &side->fleet->engine.image, berth_clock_s(),
						  &batch);
	BERTH_STORE(&side->shared->inserted, berth_receiver_counts(side->receiver)->put[BERTH_RECEIVED_INSERTED]);
	BERTH_STORE(&side->shared->last_ms, berth_clock_ms());
	return is_taken;
}

static void on_synchronised(void *arg)
{
	const struct side *side = arg;
	BERTH_STORE(&side->shared->synchronised_ms, berth_clock_ms());
}

static void describe(void *arg, struct berth_presence *own)
{
	(void)arg;
	memset(own->config_digest, '0', BERTH_PRESENCE_CONFIG_DIGITS);
	memset(own->secret_digest, '0', BERTH_PRESENCE_SECRET_DIGITS);
}

static void follow_all(struct side *side)
{
	static struct berth_followed_wish wishes[FLEET_SERVICES];
	for (int i = 0; i < FLEET_SERVICES; i++)
		wishes[i] = (struct berth_followed_wish){.id = side->fleet->model.services[i].id,
							 .horizon_s = HORIZON_S,
							 .is_read = true,
							 .may_join = true};
	if (berth_store_follow_services(side->store, wishes, FLEET_SERVICES))
		fail("out of memory");
}

/* Built beside this program. */
static const char *helper_path(void)
{
	static char path[4096 + 64];
	char self[4096] = "";
	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		fail("no /proc");
	snprintf(path, sizeof(path), "%s/../../controlplane/berth-helper", dirname(self));
	return path;
}

static void open_side(struct side *side, struct fleet *fleet, struct shared *shared, const char *name,
		      uint16_t port)
{
	const struct berth_helper_options options = {.program = helper_path(), .name = "store", .run_dir = "/tmp"};
	const struct berth_store_listener listener = {
		.on_batch = on_batch, .on_synchronised = on_synchronised, .arg = side};
	*side = (struct side){.fleet = fleet, .shared = shared};
	strcpy(side->config.name, "bench");
	strcpy(side->config.node, name);
	side->config.store.servers[0] = (struct berth_store_server){
		.address.byte = {[10] = 0xff, 0xff, 127, 0, 0, 1}, .port = port};
	side->config.store.n_servers = 1;
	side->base = check(event_base_new(), "no event loop");
	side->helper = check(berth_helper_new(side->base, &options), "out of memory");
	side->store = check(berth_store_new(side->base, side->helper, &side->config, describe, side),
			    "out of memory");
	side->sender = check(
		berth_sender_new(&(struct berth_sender_options){
			.node = name[0], .epoch = name[0], .most = 2 * FLOWS, .tell = tell, .arg = side}),
		"out of memory");
	side->receiver = check(berth_receiver_new(side->sender), "out of memory");
	side->scan = check(berth_scan_new(&fleet->engine.image), "out of memory");
	berth_scan_set_exception_fn(side->scan, berth_sender_show, side->sender);
	berth_store_set_listener(side->store, &listener);
	follow_all(side);
}

static void loop_for(const struct side *side, uint32_t ms)
{
	const struct timeval wait = {.tv_usec = ms * 1000};
	event_base_loopexit(side->base, &wait);
	event_base_dispatch(side->base);
}

/* A process that reads: from the beginning, or once it is told to. */
static pid_t start_reader(struct fleet *fleet, struct shared *shared, uint16_t port)
{
	static struct side side;
	const pid_t pid = fork();
	if (pid < 0)
		fail("no process");
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (!BERTH_LOAD(&shared->go))
		usleep(1000);
	BERTH_STORE(&shared->begin_ms, berth_clock_ms());
	open_side(&side, fleet, shared, "reader", port);
	for (;;)
		loop_for(&side, 500);
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static pid_t start_redis(uint16_t port)
{
	char text[8];
	snprintf(text, sizeof(text), "%u", port);
	const pid_t pid = fork();
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!freopen("/dev/null", "w", stdout))
		_exit(1);
	execlp("redis-server", "redis-server", "--bind", "127.0.0.1", "--port", text, "--save", "", "--dir", "/tmp",
	       NULL);
	_exit(1);
}

static uint16_t free_port(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(at);
	const int fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, length) || getsockname(fd, (struct sockaddr *)&at, &length))
		fail("no port");
	close(fd);
	return ntohs(at.sin_port);
}

static void await_connection(const struct side *side)
{
	for (int i = 0; i < 300 && !berth_store_status(side->store)->is_connected; i++)
		loop_for(side, 50);
	if (!berth_store_status(side->store)->is_connected)
		fail(berth_store_status(side->store)->error);
}

/* --- exceptions of a change --- */

static void fill(const struct fleet *fleet, int changed)
{
	const struct berth_view view = berth_sessions_view(&fleet->engine.image, berth_clock_s());
	struct berth_received_places places;
	srandom(1);
	for (uint32_t i = 0; i < FLOWS; i++) {
		const uint32_t service = fleet->model.services[i % (uint32_t)changed].number;
		const uint32_t tag = (uint32_t)random() & ((1u << BERTH_TAG_BITS) - 1);
		const struct berth_received flow = {
			.table = BERTH_TABLE_FLOWS,
			.service = service,
			.backend = (uint32_t)berth_select_stateless(&view, service, tag),
			.tag = tag,
			.low = (uint32_t)random() << 1 ^ (uint32_t)random(),
			.low_bits = 32,
			.state = BERTH_STATE_CONFIRMED,
		};
		berth_received_put(&view, &flow, &places);
	}
}

/* As berthd scans after a change (daemon/timers.c). */
static void scan_tick(const struct side *side)
{
	const double begin = bench_cpu_ns();
	bool ended = false;
	while (!ended && bench_cpu_ns() - begin < HURRY_US * 1e3)
		ended = berth_scan_step(side->scan, SLICE, berth_clock_s());
	const struct berth_view view = berth_sessions_view(berth_scan_image(side->scan), berth_clock_s());
	berth_sender_flush(side->sender, &view);
	if (ended)
		berth_sender_scan_ended(side->sender);
}

static void scan_for(const struct side *side, uint32_t ms)
{
	for (const uint64_t end_ms = berth_clock_ms() + ms; berth_clock_ms() < end_ms;) {
		scan_tick(side);
		loop_for(side, BERTH_LOAD_TICK_MS - HURRY_US / 1000);
	}
}

/* The first backend of these services gets hardly anything: its flows stay, a tenth of all. */
static void change(struct fleet *fleet, int changed)
{
	char error[BERTH_ERROR_BYTES] = "";
	struct berth_config *config = berth_config_copy_configured(fleet->model.config);
	for (int i = 0; i < changed; i++)
		config->services[i].backends[0].weight = 1;
	if (berth_model_apply(&fleet->model, config, error))
		fail(error);
	fleet_publish(fleet);
}

static void await_still(const struct side *side, const struct shared *shared)
{
	const uint64_t begin_ms = berth_clock_ms();
	uint64_t last_ms;
	do {
		if (side->scan)
			scan_for(side, 100);
		last_ms = BERTH_LOAD(&shared->last_ms);
		if (berth_clock_ms() - begin_ms > WAIT_MS)
			fail("the records do not come");
	} while (!last_ms || berth_clock_ms() - last_ms < STILL_MS);
}

/* From when the new rows are in force: before, there are no exceptions. */
static void measure_change(struct fleet *fleet, struct shared *shared, uint16_t port, const char *id, int changed)
{
	static struct side side;
	char count[64];
	fill(fleet, changed);
	open_side(&side, fleet, shared, "node", port);
	await_connection(&side);
	scan_for(&side, 2000);
	if (berth_sender_counts(side.sender)->batches)
		fail("exceptions before the change");
	change(fleet, changed);
	const uint64_t begin_ms = berth_clock_ms();
	await_still(&side, shared);
	bench_print_value(id, "s", (double)(shared->last_ms - begin_ms) / 1e3, 1);
	snprintf(count, sizeof(count), "%s.exceptions", id);
	bench_print_value(count, "k", (double)shared->inserted / 1e3, 0);
	snprintf(count, sizeof(count), "%s.batches", id);
	bench_print_value(count, "", (double)berth_store_records(side.store)->told_batches, 0);
}

static void measure_changes(const char *id, int changed)
{
	static struct fleet fleet;
	const uint16_t port = free_port();
	const pid_t redis = start_redis(port);
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
				     0);
	shared->go = true;
	fleet_make_for(&fleet, 2 * FLOWS);
	const pid_t reader = start_reader(&fleet, shared, port);
	measure_change(&fleet, shared, port, id, changed);
	end(reader);
	end(redis);
	fleet_drop(&fleet);
}

/* --- a node that comes later --- */

static struct berth_cluster_record any_record(const struct fleet *fleet, uint32_t service, uint64_t sequence)
{
	const struct berth_model_service *model = &fleet->model.services[service];
	return (struct berth_cluster_record){
		.table = BERTH_CLUSTER_FLOW,
		.state = BERTH_STATE_CONFIRMED,
		.low_bits = 32,
		.tag = (uint32_t)random() & ((1u << BERTH_TAG_BITS) - 1),
		.low = (uint32_t)random() << 1 ^ (uint32_t)random(),
		.node = 1,
		.service = model->id,
		.backend = model->backends[sequence % FLEET_BACKENDS].id,
		.epoch = 1,
		.sequence = sequence,
	};
}

/* In batches of each service in turn, as a scan finds them. */
static void tell_many(const struct side *side, uint32_t n)
{
	static uint8_t batch[BERTH_SENDER_BATCH_BYTES];
	for (uint32_t told = 0, service = 0; told < n; service = (service + 1) % FLEET_SERVICES) {
		size_t bytes = 0;
		for (int i = 0; i < BERTH_SENDER_BATCH; i++) {
			const struct berth_cluster_record record = any_record(side->fleet, service, ++told);
			bytes += berth_cluster_record_encode(&record, batch + bytes);
		}
		while (!berth_store_tell(side->store, side->fleet->model.services[service].id, batch, bytes))
			loop_for(side, 20);
	}
	while (berth_store_records(side->store)->queue_batches)
		loop_for(side, 20);
}

static void measure_late(uint32_t n, const char *id)
{
	static struct fleet fleet;
	static struct side side;
	const uint16_t port = free_port();
	const pid_t redis = start_redis(port);
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
				     0);
	char rate[64];
	fleet_make_for(&fleet, 2 * n);
	const pid_t reader = start_reader(&fleet, shared, port);
	open_side(&side, &fleet, &(struct shared){0}, "node", port);
	await_connection(&side);
	tell_many(&side, n);
	BERTH_STORE(&shared->go, true);
	for (const uint64_t begin_ms = berth_clock_ms(); !BERTH_LOAD(&shared->synchronised_ms);
	     loop_for(&side, 100))
		if (berth_clock_ms() - begin_ms > WAIT_MS)
			fail("the node does not synchronise");
	bench_print_value(id, "s", (double)(shared->synchronised_ms - shared->begin_ms) / 1e3, 0);
	snprintf(rate, sizeof(rate), "%s.inserted", id);
	bench_print_value(rate, "k", (double)shared->inserted / 1e3, 0);
	end(reader);
	end(redis);
	fleet_drop(&fleet);
}

int main(int argc, char **argv)
{
	const bool quick = bench_quick(&argc, &argv);
	if (bench_wanted(argc, argv, "exchange.change"))
		measure_changes("exchange.change", CHANGED);
	if (bench_wanted(argc, argv, "exchange.services"))
		measure_changes("exchange.services", FLEET_SERVICES);
	if (bench_wanted(argc, argv, "exchange.sync.1m"))
		measure_late(1000000, "exchange.sync.1m");
	if (!quick && bench_wanted(argc, argv, "exchange.sync.10m"))
		measure_late(10000000, "exchange.sync.10m");
	return 0;
}
