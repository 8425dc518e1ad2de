// SPDX-License-Identifier: BSD-3-Clause
#include "tests/soak/world.h"

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <unistd.h>

#include "controlplane/compile/compile.h"
#include "controlplane/model/effective_weight.h"
#include "controlplane/model/panic.h"
#include "controlplane/tables/counters.h"

enum {
	QUIET_ONE_IN = 3, /* one publication in so many finds the workers quiescent */
	SHOWN = 5,
	/* Slices of a scan: few, so that flows are counted often; many, so that stale words stay long. */
	FAST_SCAN = 6,
	SLOW_SCAN = 40,
};

void soak_fail(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	fprintf(stderr, "soak: ");
	vfprintf(stderr, format, arguments);
	fprintf(stderr, "\n");
	va_end(arguments);
	exit(1);
}

static struct soak_world *the_world;

/* Here workers are always quiescent; sometimes the soak denies it, as real workers do. */
static bool is_quiescent(struct berth_engine *engine)
{
	(void)engine;
	return !the_world->chaotic || random_one_in(&the_world->random, QUIET_ONE_IN);
}

static const struct berth_engine_ops ops = {.name = "soak", .is_quiescent = is_quiescent};

static uint64_t now_ms(const struct soak_world *world)
{
	return (uint64_t)world->now * 1000;
}

static void publish_one_eligibility(struct soak_world *world, struct berth_model_backend *backend, uint32_t service,
				    uint32_t server)
{
	(void)service;
	(void)server;
	berth_publish_eligibility(world->publisher, backend->number, berth_model_eligibility(backend));
}

/* Updates panics and slow starts after a change, as berthd does. */
static void follow(struct soak_world *world)
{
	uint64_t next_ms;
	for (size_t i = 0; i < world->model.n_services; i++)
		world->dirty |= berth_panic_update(&world->model.services[i], now_ms(world));
	world->dirty |= berth_effective_weight_step(&world->model, now_ms(world), &next_ms);
	soak_each(world, publish_one_eligibility);
}

static void set_hop(struct soak_world *world, struct berth_model_backend *backend, uint32_t service,
		    uint32_t server)
{
	(void)world;
	backend->next_hop = (struct berth_next_hop){
		.is_resolved = true,
		.dst_mac = {2, 0x77, (uint8_t)service, 0, (uint8_t)server, 1},
		.src_mac = {2, 0, 0, 0, 1, 1},
		.mtu = 1500,
		.source = backend->config.address,
	};
}

void soak_publish(struct soak_world *world)
{
	char error[BERTH_ERROR_BYTES] = "";
	/* An apply keeps the ports of interfaces that were configured before; netlink finds all others. */
	world->model.ports[0] = (struct berth_port){.ifindex = 1, .mac = {2, 0, 0, 0, 1, 1}, .mtu = 1500};
	struct berth_generation *generation = berth_compile(&world->model, &world->control.image.geometry, error);
	int err = generation ? berth_publish(world->publisher, generation, error) : -ENOMEM;
	berth_generation_free(generation);
	if (err == -EAGAIN)
		return;
	if (err)
		soak_fail("publishing: %d %s", err, error);
	world->publications++;
	world->dirty = false;
	for (uint32_t n = 1; n < world->model.backend_numbers.size; n++)
		if (!world->model.backend_numbers.id[n])
			berth_publish_eligibility(world->publisher, n, 0);
	soak_each(world, publish_one_eligibility);
	soak_update_oracle_generation(world);
	soak_update_oracle(world);
}

/* An operator's change is in force when its answer arrives. */
static void publish_now(struct soak_world *world)
{
	world->dirty = true;
	while (world->dirty)
		soak_publish(world);
}

/* Resets the state of absent servers: a new server is enabled and not probed yet. */
static void reset_absent_servers(struct soak_world *world)
{
	for (uint32_t i = 0; i < world->n_services; i++)
		for (uint32_t j = 0; j < world->services[i].n_servers; j++) {
			if (soak_backend(world, i, j))
				continue;
			world->services[i].server[j].reported_up = false;
			world->services[i].server[j].admin = BERTH_ADMIN_ENABLED;
		}
}

static void install(struct soak_world *world)
{
	char error[BERTH_ERROR_BYTES];
	struct berth_config *config = soak_configure(world);
	if (berth_model_apply(&world->model, config, error))
		soak_fail("applying: %s", error);
	berth_counters_clear_new(&world->control.image, &world->model);
	soak_each(world, set_hop);
	follow(world);
	publish_now(world);
}

void soak_apply(struct soak_world *world)
{
	world->actions++;
	reset_absent_servers(world);
	install(world);
}

void soak_check(struct soak_world *world, uint32_t service, uint32_t server)
{
	struct berth_model_backend *backend = soak_backend(world, service, server);
	struct soak_server *known = &world->services[service].server[server];
	enum berth_health_state state = known->up ? BERTH_HEALTH_UP : BERTH_HEALTH_DOWN;
	if (!backend || !berth_model_set_health(backend, state, now_ms(world)))
		return;
	world->actions++;
	known->reported_up = known->up;
	world->dirty = true;
	follow(world);
	soak_update_oracle(world);
}

void soak_administer(struct soak_world *world, uint32_t service, uint32_t server, enum berth_admin admin)
{
	struct berth_model_backend *backend = soak_backend(world, service, server);
	if (!backend)
		return;
	world->actions++;
	world->services[service].server[server].admin = admin;
	berth_model_set_admin(&world->model, backend, admin, 0);
	follow(world);
	soak_update_oracle(world);
	publish_now(world);
}

static void open_control(struct soak_world *world)
{
	world->publisher = berth_publisher_new(&world->control);
	world->scan = berth_scan_new(&world->control.image);
	world->load = berth_load_new(&world->control.image);
	if (!world->publisher || !world->scan || !world->load ||
	    berth_model_init(&world->model, &world->control.image.geometry))
		soak_fail("no memory");
}

static void close_control(struct soak_world *world)
{
	berth_model_clear(&world->model);
	berth_load_free(world->load);
	berth_scan_free(world->scan);
	berth_publisher_free(world->publisher);
}

/* After a restart, checks report their first result. A server that came up with no publication since is down again:
 * the record has its health from the last one. */
static void check_one(struct soak_world *world, struct berth_model_backend *backend, uint32_t service,
		      uint32_t server)
{
	if (backend->health == BERTH_HEALTH_UNKNOWN)
		soak_check(world, service, server);
	else
		world->services[service].server[server].reported_up = backend->health == BERTH_HEALTH_UP;
}

void soak_restart_control(struct soak_world *world)
{
	world->restarts++;
	world->actions++;
	close_control(world);
	open_control(world);
	oracle_reset_measures(world->oracle);
	if (berth_model_adopt(&world->model, world->control.record, &world->control.image))
		soak_fail("no memory");
	install(world);
	soak_each(world, check_one);
	soak_update_oracle(world);
}

void soak_restart_engine(struct soak_world *world)
{
	world->restarts++;
	world->actions++;
	world->engine.restart(&world->engine);
	world->control.image = world->engine.image;
}

static void on_load(void *arg, const struct berth_model_backend *backend)
{
	const struct soak_world *world = arg;
	berth_publish_eligibility(world->publisher, backend->number, berth_model_eligibility(backend));
}

void soak_report_finding(struct soak_world *world)
{
	if (world->shown++ < SHOWN)
		printf("UNEXPLAINED: %s\n", oracle_why(world->oracle));
}

/* The times of servers change with each scan; one in eight has none, as before its first probe. */
static void take_response(struct soak_world *world, struct berth_model_backend *backend, uint32_t service,
			  uint32_t server)
{
	static const uint32_t us[] = {100, 150, 400, 400, 1000, 1000, 10000, 60000000};
	struct soak_server *known = &world->services[service].server[server];
	if (!world->services[service].is_timed)
		return;
	if (random_one_in(&world->random, 4))
		known->response_us = random_one_in(&world->random, 8) ? 0 : us[random_below(&world->random, 8)];
	backend->response_us = known->response_us;
	backend->is_by_connections = world->services[service].is_by_connections;
	oracle_set_response(world->oracle, service, server, known->response_us, backend->is_by_connections);
}

/* In mode nat a service changes between times of probes and of connections. */
static void take_responses(struct soak_world *world)
{
	for (uint32_t i = 0; i < world->n_services; i++)
		if (world->services[i].is_timed && world->services[i].mode[0] == 'n')
			world->services[i].is_by_connections ^= random_one_in(&world->random, 4);
	soak_each(world, take_response);
}

void soak_scan(struct soak_world *world)
{
	const struct berth_geometry *g = &world->control.image.geometry;
	const uint64_t scans = world->scans;
	const uint32_t buckets = (g->flow_buckets + g->session_buckets) / world->slices + 1;
	if (!berth_scan_step(world->scan, buckets, world->now)) {
		berth_load_update_estimates(world->load, &world->model, on_load, world);
	} else {
		world->scans++;
		world->model.scans++;
		take_responses(world);
		berth_load_update_counts(world->load, &world->model, world->scan, on_load, world);
		if (!world->dirty && berth_publisher_is_quiescent(world->publisher))
			berth_model_scan_ended(&world->model);
		world->slices = random_one_in(&world->random, 4) ? SLOW_SCAN : FAST_SCAN;
	}
	soak_update_oracle(world);
	if (!oracle_measured(world->oracle, world->scans != scans))
		soak_report_finding(world);
}

void soak_set_time(struct soak_world *world, uint32_t now)
{
	world->now = now;
	oracle_set_time(world->oracle, now);
	follow(world);
	soak_update_oracle(world);
}

void soak_change_worker(struct soak_world *world)
{
	uint32_t workers = world->control.image.geometry.workers;
	uint32_t worker = random_below(&world->random, workers);
	if (world->engine.shortest) {
		/* test-run uses the caller's CPU. */
		cpu_set_t set;
		CPU_ZERO(&set);
		CPU_SET(worker, &set);
		if (sched_setaffinity(0, sizeof(set), &set))
			return;
	}
	engine_worker = worker;
}

uint64_t soak_flows_of(const struct soak_world *world, uint32_t service, uint32_t server)
{
	struct berth_model_backend *backend = soak_backend((struct soak_world *)(uintptr_t)world, service, server);
	return backend ? berth_scan_flows(world->scan, backend->number) +
				 berth_scan_closing(world->scan, backend->number)
		       : 0;
}

static void open_engine(struct soak_world *world, const char *engine, const char *object,
			const struct berth_geometry *geometry, uint64_t seed)
{
	struct random random = random_new(seed, 1);
	struct berth_ctl *ctl;
#ifdef BERTH_TEST_DPDK
	if (strcmp(engine, "dpdk") == 0)
		engine_dpdk_start();
#endif
	if (strcmp(engine, "xdp") == 0)
		engine_xdp_open(&world->engine, geometry, object);
#ifdef BERTH_TEST_DPDK
	else if (strcmp(engine, "dpdk") == 0)
		engine_dpdk_open(&world->engine, geometry);
#endif
	else
		soak_fail("engine not built: %s", engine);
	ctl = world->engine.image.ctl;
	if (berth_image_create(&world->engine.image, geometry, NULL))
		soak_fail("no random bytes");
	/* The same seed gives the same run. */
	for (uint32_t i = 0; i < BERTH_SECRET_BYTES; i++)
		ctl->secret[i] = (uint8_t)random_word(&random);
}

void soak_open(struct soak_world *world, const char *engine, const char *object, uint32_t flows, uint32_t sessions,
	       uint64_t seed)
{
	const struct berth_limits limits = {.flows = flows, .sessions = sessions, .services = 40, .backends = 1000};
	uint32_t workers = (uint32_t)sysconf(_SC_NPROCESSORS_CONF);
	struct berth_geometry geometry = berth_geometry_of(&limits, SOAK_ROWS, workers);
	the_world = world;
	world->random = random_new(seed, 0);
	world->now = SOAK_START;
	world->slices = FAST_SCAN;
	open_engine(world, engine, object, &geometry, seed);
	world->control = (struct berth_engine){.ops = &ops, .image = world->engine.image, .workers = workers};
	world->control.record = calloc(1, berth_record_bytes(geometry.services, geometry.backends));
	if (!world->control.record)
		soak_fail("no memory");
	world->control.record->n_services = geometry.services;
	world->control.record->n_backends = geometry.backends;
	world->oracle = oracle_new(world->engine.image.ctl->secret, geometry.flow_buckets);
	oracle_set_time(world->oracle, world->now);
	soak_change_worker(world);
	open_control(world);
	install(world);
	soak_each(world, check_one);
	publish_now(world);
}

void soak_close(struct soak_world *world)
{
	close_control(world);
	oracle_free(world->oracle);
	free(world->control.record);
	world->engine.close(&world->engine);
}
