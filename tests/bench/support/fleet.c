// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/support/fleet.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/config/parse.h"
#include "dataplane/core/packet.h"
#include "tests/bench/support/bench.h"

/* Mode l2 adds no header. */
#include "tests/bench/support/stages.h"

enum {
	NOW = 1000,
	FLOWS = 1 << 20,
	FRAME_BYTES = 64, /* buffer of one frame; Ethernet, IPv4 and TCP are 54 */
	CLIENT = 0x0a000000,
	SERVICE = 0xcb007100, /* 203.0.113.0; the services are ports of it */
	FIRST_PORT = 1000,
	KNOWN_PORT = 1023, /* source port of existing flows; new flows have ports above */
	TEXT_BYTES = 2 << 20,
	SPARE = 64, /* backends that can replace others */
};

static void fail(const char *what)
{
	fprintf(stderr, "fleet: %s\n", what);
	exit(1);
}

/* As dpdk_is_quiescent: every running worker has read the current generation. */
static bool is_quiescent(struct berth_engine *engine)
{
	const struct berth_image *image = &engine->image;
	uint64_t generation = image->ctl->generation;
	for (uint32_t w = 0; w < image->geometry.workers; w++)
		if (BERTH_LOAD(&image->workers[w].running) && BERTH_LOAD(&image->workers[w].seen) != generation)
			return false;
	return true;
}

static const struct berth_engine_ops ops = {.name = "bench", .is_quiescent = is_quiescent};

char *fleet_text(void)
{
	char *text = malloc(TEXT_BYTES);
	if (!text)
		fail("out of memory");
	int n = snprintf(text, TEXT_BYTES,
			 "engine: 'null'\ninterfaces: [{name: eth0}]\n"
			 "limits: {flows: %d, sessions: 1024, services: %d, backends: %d}\nservices:\n",
			 FLOWS, FLEET_SERVICES, FLEET_SERVICES * FLEET_BACKENDS + SPARE);
	for (int i = 0; i < FLEET_SERVICES; i++) {
		n += snprintf(text + n, TEXT_BYTES - (size_t)n,
			      "  - name: service%d\n    address: 203.0.113.0\n    protocol: tcp\n    port: %d\n"
			      "    mode: l2\n    health: {type: none}\n    backends:\n",
			      i, FIRST_PORT + i);
		for (int j = 0; j < FLEET_BACKENDS; j++)
			n += snprintf(text + n, TEXT_BYTES - (size_t)n,
				      "      - {name: b%d, address: 192.0.2.%d, weight: 100}\n", j, 10 + j);
	}
	return text;
}

/* The link address of a backend is its number, so that a frame shows its backend. */
static void set_up(struct berth_model *model)
{
	for (size_t i = 0; i < model->n_services; i++) {
		for (size_t j = 0; j < model->services[i].n_backends; j++) {
			struct berth_model_backend *backend = &model->services[i].backends[j];
			uint32_t n = backend->number;
			backend->health = BERTH_HEALTH_UP;
			backend->next_hop = (struct berth_next_hop){
				.is_resolved = true,
				.dst_mac = {2, 0, 0, 0, (uint8_t)(n >> 8), (uint8_t)n},
				.mtu = 1500,
			};
		}
	}
}

static uint32_t count_workers(void)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	uint32_t workers = cores > 2 ? (uint32_t)cores - 1 : 1;
	return workers < FLEET_MAX_WORKERS ? workers : FLEET_MAX_WORKERS;
}

static struct berth_config *parse(const char *text)
{
	char error[BERTH_ERROR_BYTES] = "";
	struct berth_config *config = berth_config_parse("fleet", text, strlen(text), error);
	if (!config)
		fail(error);
	return config;
}

static void make(struct fleet *fleet, struct berth_config *config)
{
	char error[BERTH_ERROR_BYTES] = "";
	*fleet = (struct fleet){.engine.ops = &ops, .n_workers = count_workers()};
	struct berth_geometry geometry = berth_geometry_of(&config->limits, 0, fleet->n_workers);
	fleet->memory = bench_memory(berth_image_bytes(&geometry));
	berth_image_place(&fleet->engine.image, &geometry, fleet->memory);
	if (berth_image_create(&fleet->engine.image, &geometry, NULL))
		fail("no random bytes");
	fleet->publisher = berth_publisher_new(&fleet->engine);
	if (!fleet->publisher || berth_model_init(&fleet->model, &geometry) ||
	    berth_model_apply(&fleet->model, config, error))
		fail(error);
	set_up(&fleet->model);
	fleet_publish(fleet);
}

void fleet_make_from(struct fleet *fleet, const char *text)
{
	make(fleet, parse(text));
}

void fleet_make_for(struct fleet *fleet, uint32_t flows)
{
	char *text = fleet_text();
	struct berth_config *config = parse(text);
	free(text);
	config->limits.flows = flows;
	make(fleet, config);
}

void fleet_make(struct fleet *fleet)
{
	fleet_make_for(fleet, FLOWS);
}

void fleet_drop(struct fleet *fleet)
{
	uint64_t bytes = berth_image_bytes(&fleet->engine.image.geometry);
	berth_publisher_free(fleet->publisher);
	berth_model_clear(&fleet->model);
	bench_release(fleet->memory, bytes);
}

static void publish_eligibility(struct fleet *fleet)
{
	for (size_t i = 0; i < fleet->model.n_services; i++) {
		const struct berth_model_service *service = &fleet->model.services[i];
		for (size_t j = 0; j < service->n_backends; j++)
			berth_publish_eligibility(fleet->publisher, service->backends[j].number,
						  berth_model_eligibility(&service->backends[j]));
	}
}

void fleet_publish(struct fleet *fleet)
{
	char error[BERTH_ERROR_BYTES] = "";
	struct berth_generation *generation = berth_compile(&fleet->model, &fleet->engine.image.geometry, error);
	int err = generation ? berth_publish(fleet->publisher, generation, error) : -ENOMEM;
	if (err)
		fail(error[0] ? error : strerror(err < 0 ? -err : EAGAIN));
	publish_eligibility(fleet);
	berth_generation_free(generation);
}

void fleet_await_seen(const struct fleet *fleet)
{
	const struct berth_image *image = &fleet->engine.image;
	for (uint32_t w = 0; w < fleet->n_workers; w++)
		while (BERTH_LOAD(&image->workers[w].seen) != image->ctl->generation)
			__builtin_ia32_pause();
}

void fleet_await_bursts(const struct fleet *fleet, uint32_t bursts)
{
	uint64_t before[FLEET_MAX_WORKERS];
	for (uint32_t w = 0; w < fleet->n_workers; w++)
		before[w] = BERTH_LOAD(&fleet->workers[w].bursts);
	/* One more: the first burst that ends may have begun before the call. */
	for (uint32_t w = 0; w < fleet->n_workers; w++)
		while (BERTH_LOAD(&fleet->workers[w].bursts) < before[w] + bursts + 1)
			__builtin_ia32_pause();
}

/* --- workers --- */

static struct berth_tcp *tcp_of(uint8_t *frame)
{
	return (struct berth_tcp *)(void *)(frame + BERTH_ETH_BYTES + BERTH_IP4_BYTES);
}

static uint32_t backend_in(const uint8_t *frame)
{
	return (uint32_t)frame[4] << 8 | frame[5];
}

/* No checksums: in mode l2 berth neither verifies nor changes them. */
static void write_frame(uint8_t *frame, uint32_t client, uint32_t service)
{
	struct berth_eth *eth = (struct berth_eth *)(void *)frame;
	struct berth_ip4 *ip = (struct berth_ip4 *)(void *)(frame + BERTH_ETH_BYTES);
	memset(frame, 0, FRAME_BYTES);
	eth->type = berth_to_be16(BERTH_ETHERTYPE_IP4);
	ip->version_ihl = 0x45;
	ip->length = berth_to_be16(BERTH_IP4_BYTES + BERTH_TCP_BYTES);
	ip->ttl = 64;
	ip->protocol = BERTH_PROTO_TCP;
	ip->src = berth_to_be32(CLIENT + client);
	ip->dst = berth_to_be32(SERVICE);
	tcp_of(frame)->dport = berth_to_be16((uint16_t)(FIRST_PORT + service));
	tcp_of(frame)->offset = 5 << 4;
}

static bool forward(const struct berth_view *view, uint8_t *frame, uint16_t port, uint8_t flags)
{
	struct berth_tcp *tcp = tcp_of(frame);
	/* The frame is sent repeatedly: undo the rewrite. (The address of the port is 0.) */
	memset(frame, 0, BERTH_ETH_ADDR_BYTES);
	frame[BERTH_ETH_BYTES + offsetof(struct berth_ip4, ttl)] = 64;
	struct berth_frame packet = {.data = frame,
				     .end = frame + BERTH_ETH_BYTES + BERTH_IP4_BYTES + BERTH_TCP_BYTES};
	uint32_t out = 0;
	tcp->sport = berth_to_be16(port);
	tcp->flags = flags;
	enum berth_verdict verdict = berth_forward(view, &packet, &(struct berth_packet){0},
						   (uint32_t)(packet.end - packet.data), &out);
	return BERTH_VERDICT_CLASS(verdict) == BERTH_CLASS_FORWARD;
}

static void make_frames(struct fleet_worker *worker, uint16_t *known)
{
	struct fleet *fleet = worker->fleet;
	const struct berth_view view = berth_image_view(&fleet->engine.image, worker->number, NOW);
	for (uint32_t i = 0; i < FLEET_SERVICES; i++) {
		uint8_t *frame = &worker->frames[i * FRAME_BYTES];
		write_frame(frame, worker->number, i);
		worker->lost += !forward(&view, frame, KNOWN_PORT, BERTH_TCP_SYN);
		worker->lost += !forward(&view, frame, KNOWN_PORT, BERTH_TCP_ACK);
		known[i] = (uint16_t)backend_in(frame);
	}
}

static void run_burst(struct fleet_worker *worker, const struct berth_view *view, const uint16_t *known,
		      uint32_t first, uint16_t port)
{
	uint64_t lost = 0, moved = 0;
	for (uint32_t i = first; i < first + FLEET_BURST / 2; i++) {
		uint32_t service = i % FLEET_SERVICES;
		uint8_t *frame = &worker->frames[service * FRAME_BYTES];
		lost += !forward(view, frame, port, BERTH_TCP_SYN);
		lost += !forward(view, frame, KNOWN_PORT, BERTH_TCP_ACK);
		moved += backend_in(frame) != known[service];
	}
	BERTH_STORE(&worker->lost, worker->lost + lost);
	BERTH_STORE(&worker->moved, worker->moved + moved);
}

/* The loop of dataplane/worker.c, with an endless supply of packets. */
static void *work(void *arg)
{
	struct fleet_worker *worker = arg;
	struct fleet *fleet = worker->fleet;
	struct berth_worker *line = &fleet->engine.image.workers[worker->number];
	uint16_t known[FLEET_SERVICES];
	uint32_t service = 0;
	uint16_t port = 0;
	__atomic_store_n(&line->running, 1, __ATOMIC_SEQ_CST);
	make_frames(worker, known);
	while (!BERTH_LOAD(&fleet->stop)) {
		uint64_t generation = BERTH_LOAD(&fleet->engine.image.ctl->generation);
		BERTH_STORE(&line->seen, generation);
		const struct berth_view view = berth_view_make(&fleet->engine.image, &fleet->engine.image.geometry,
							       generation, worker->number, NOW);
		run_burst(worker, &view, known, service, port | 1 << 15);
		service = (service + FLEET_BURST / 2) % FLEET_SERVICES;
		port++;
		BERTH_STORE(&worker->bursts, worker->bursts + 1);
	}
	BERTH_STORE(&line->running, 0);
	return NULL;
}

void fleet_pin(pthread_t thread, uint32_t core)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(core, &set);
	/* Can be forbidden; the scheduler then selects the core. */
	pthread_setaffinity_np(thread, sizeof(set), &set);
}

void fleet_start(struct fleet *fleet)
{
	fleet_pin(pthread_self(), 0);
	for (uint32_t i = 0; i < fleet->n_workers; i++) {
		struct fleet_worker *worker = &fleet->workers[i];
		*worker = (struct fleet_worker){.fleet = fleet, .number = i};
		worker->frames = bench_memory(FLEET_SERVICES * FRAME_BYTES);
		if (pthread_create(&worker->thread, NULL, work, worker))
			fail("no thread");
		fleet_pin(worker->thread, i + 1);
	}
	fleet_await_bursts(fleet, 1);
}

void fleet_stop(struct fleet *fleet)
{
	BERTH_STORE(&fleet->stop, true);
	for (uint32_t i = 0; i < fleet->n_workers; i++) {
		pthread_join(fleet->workers[i].thread, NULL);
		bench_release(fleet->workers[i].frames, FLEET_SERVICES * FRAME_BYTES);
	}
}
