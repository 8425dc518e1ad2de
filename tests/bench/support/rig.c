// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/support/rig.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/compile/compile.h"
#include "controlplane/config/parse.h"
#include "controlplane/tables/publish.h"
#include "tests/bench/support/bench.h"

/* No header is added while the table is filled. */
#include "tests/bench/support/stages.h"

enum {
	BACKENDS = 8,
	BACKENDS_OF_MANY = 6, /* of each of many services */
	BURST = 32,
	AHEAD = 2 * BURST,
};

static void fail(const char *what)
{
	fprintf(stderr, "rig: %s\n", what);
	exit(1);
}

static bool is_quiescent(struct berth_engine *engine)
{
	(void)engine;
	return true;
}

static const struct berth_engine_ops ops = {.name = "bench", .is_quiescent = is_quiescent};

static void add_service(FILE *text, const struct rig_options *options, uint32_t i)
{
	char address[INET_ADDRSTRLEN] = "203.0.113.10";
	if (options->services)
		inet_ntop(AF_INET, &(uint32_t){htonl(RIG_SERVICES + i)}, address, sizeof(address));
	fprintf(text,
		"  - {name: web%u, address: '%s', protocol: tcp, port: 80, mode: %s,\n"
		"     affinity: {by: %s}, health: {type: none}, backends: [",
		i, options->is6 ? "2001:db8:f::10" : address, options->mode,
		options->by_client ? "client" : "flow");
	for (int k = 1; k <= (options->services ? BACKENDS_OF_MANY : BACKENDS); k++)
		fprintf(text, "{name: b%d, address: '%s%d'}, ", k, options->is_outer6 ? "2001:db8:2::" : "192.0.2.",
			k);
	fputs("]}\n", text);
}

static struct berth_config *configure(const struct rig_options *options)
{
	char *text = NULL, error[BERTH_ERROR_BYTES];
	size_t bytes = 0;
	const uint32_t flows = options->flows + options->room, services = options->services;
	FILE *stream = open_memstream(&text, &bytes);
	if (!stream)
		fail("out of memory");
	fprintf(stream,
		"engine: 'null'\ninterfaces: [{name: eth0}]\n"
		"limits: {flows: %u, sessions: %u, services: %u, backends: %u}\nservices:\n",
		flows < 1024 ? 1024 : flows, options->clients < 1024 ? 1024 : options->clients, services + 4,
		services * BACKENDS_OF_MANY + 60);
	for (uint32_t i = 0; i == 0 || i < services; i++)
		add_service(stream, options, i);
	if (fclose(stream))
		fail("out of memory");
	struct berth_config *config = berth_config_parse("bench", text, bytes, error);
	free(text);
	if (!config)
		fail(error);
	return config;
}

static void set_up_service(const struct berth_model_service *service)
{
	for (size_t i = 0; i < service->n_backends; i++) {
		struct berth_model_backend *backend = &service->backends[i];
		backend->health = BERTH_HEALTH_UP;
		backend->next_hop = (struct berth_next_hop){
			.is_resolved = true,
			.dst_mac = {2, 0, 0, 0, 2, (uint8_t)i},
			.src_mac = {2, 0, 0, 0, 1, 1},
			.mtu = 1500,
			.source = backend->config.address,
		};
	}
}

static void set_up(struct berth_model *model)
{
	/* A BPF test run receives on the loopback interface (1): the program sends its packet where it came from.
	 */
	model->ports[0] = (struct berth_port){.ifindex = 1, .mac = {2, 0, 0, 0, 1, 1}};
	for (size_t i = 0; i < model->n_services; i++)
		set_up_service(&model->services[i]);
}

/* Returns the number of the first service. */
static uint32_t publish(const struct berth_image *image, struct berth_config *config)
{
	char error[BERTH_ERROR_BYTES] = "";
	struct berth_engine engine = {.ops = &ops, .image = *image};
	struct berth_model model;
	if (berth_model_init(&model, &image->geometry) || berth_model_apply(&model, config, error))
		fail(error);
	set_up(&model);
	struct berth_publisher *publisher = berth_publisher_new(&engine);
	struct berth_generation *generation = berth_compile(&model, &image->geometry, error);
	if (!publisher || !generation || berth_publish(publisher, generation, error))
		fail(error);
	for (size_t s = 0; s < model.n_services; s++)
		for (size_t i = 0; i < model.services[s].n_backends; i++)
			berth_publish_eligibility(publisher, model.services[s].backends[i].number,
						  BERTH_ELIGIBLE_ALL);
	uint32_t service = model.services[0].number;
	berth_generation_free(generation);
	berth_publisher_free(publisher);
	berth_model_clear(&model);
	return service;
}

void rig_packet(const struct rig *rig, uint32_t i, struct berth_packet *packet)
{
	/* Up to 2^24 clients, then more ports. */
	uint32_t clients = rig->options.by_client ? rig->options.clients : 1 << 24;
	uint32_t client = i % clients;
	memset(packet, 0, sizeof(*packet));
	packet->is6 = rig->options.is6;
	if (packet->is6) {
		packet->src.word[0] = berth_to_be32(0x20010db8);
		packet->src.word[1] = berth_to_be32(client);
		packet->src.word[3] = berth_to_be32(1);
		packet->dst.word[0] = berth_to_be32(0x20010db8);
		packet->dst.word[1] = berth_to_be32(0x000f0000);
		packet->dst.word[3] = berth_to_be32(0x10);
	} else {
		berth_addr_set4(&packet->src, berth_to_be32(0x0a000000 + client));
		berth_addr_set4(&packet->dst, berth_to_be32(0xcb00710a));
	}
	packet->sport = berth_to_be16((uint16_t)(1024 + i / clients));
	packet->dport = berth_to_be16(80);
	packet->protocol = BERTH_PROTO_TCP;
	packet->tcp_flags = BERTH_TCP_ACK;
	packet->service = (uint16_t)rig->service;
	packet->flow_key = rig->flow_key;
}

uint32_t rig_frame(const struct rig *rig, uint32_t i, uint8_t flags, uint8_t *frame)
{
	struct berth_packet packet;
	struct berth_eth *eth = (struct berth_eth *)(void *)frame;
	uint32_t header = rig->options.is6 ? BERTH_IP6_BYTES : BERTH_IP4_BYTES;
	uint32_t bytes = BERTH_ETH_BYTES + header + BERTH_TCP_BYTES;
	rig_packet(rig, i, &packet);
	memset(frame, 0, bytes);
	memcpy(eth->dst, (uint8_t[]){2, 0, 0, 0, 1, 1}, 6);
	memcpy(eth->src, (uint8_t[]){2, 0, 0, 0, 0, 1}, 6);
	eth->type = berth_to_be16(rig->options.is6 ? BERTH_ETHERTYPE_IP6 : BERTH_ETHERTYPE_IP4);
	if (rig->options.is6) {
		struct berth_ip6 *ip = (struct berth_ip6 *)(void *)(frame + BERTH_ETH_BYTES);
		ip->version_class_label = berth_to_be32(6u << 28);
		ip->payload = berth_to_be16(BERTH_TCP_BYTES);
		ip->next_header = BERTH_PROTO_TCP;
		ip->hop_limit = 64;
		ip->src = packet.src;
		ip->dst = packet.dst;
	} else {
		struct berth_ip4 *ip = (struct berth_ip4 *)(void *)(frame + BERTH_ETH_BYTES);
		ip->version_ihl = 0x45;
		ip->length = berth_to_be16(BERTH_IP4_BYTES + BERTH_TCP_BYTES);
		ip->ttl = 64;
		ip->protocol = BERTH_PROTO_TCP;
		ip->src = packet.src.word[3];
		ip->dst = packet.dst.word[3];
	}
	struct berth_tcp *tcp = (struct berth_tcp *)(void *)(frame + BERTH_ETH_BYTES + header);
	tcp->sport = packet.sport;
	tcp->dport = packet.dport;
	tcp->offset = 5 << 4;
	tcp->flags = flags;
	return bytes;
}

/* Two packets per flow: the second one establishes it. In bursts: else 50 M flows would take half a minute. */
static void fill(struct rig *rig)
{
	struct berth_view view = berth_image_view(&rig->image, 0, RIG_NOW);
	struct berth_packet packet[BURST];
	for (uint32_t first = 0; first < rig->options.flows; first += BURST) {
		uint32_t n = rig->options.flows - first < BURST ? rig->options.flows - first : BURST;
		for (uint32_t i = 0; i < n; i++) {
			rig_packet(rig, first + i, &packet[i]);
			berth_hash_packet(&view, &packet[i]);
			__builtin_prefetch(berth_at_flows(&view, (uint32_t)packet[i].hash & view.flow_mask));
			__builtin_prefetch(
				berth_at_flows(&view, berth_second_bucket(packet[i].hash, view.flow_mask)));
		}
		for (uint32_t i = 0; i < 2 * n; i++) {
			struct berth_packet again = packet[i % n];
			bench_steer(&view, &again);
		}
	}
}

struct berth_geometry rig_geometry(const struct rig_options *options, uint32_t workers)
{
	struct berth_config *config = configure(options);
	uint64_t lines = 0;
	for (size_t i = 0; i < config->n_services; i++)
		lines += berth_config_row_lines(&config->services[i]);
	struct berth_geometry geometry = berth_geometry_of(&config->limits, lines, workers);
	berth_config_free(config);
	return geometry;
}

uint32_t rig_publish(const struct rig_options *options, struct berth_image *image)
{
	if (image->ctl->magic != BERTH_MAGIC && berth_image_create(image, &image->geometry, NULL))
		fail("no random bytes");
	return publish(image, configure(options));
}

/* A service of the current generation. */
static uint64_t service_id(const struct berth_image *image, uint32_t number)
{
	struct berth_view view = berth_image_view(image, 0, RIG_NOW);
	return berth_service_of(&view, number)->id;
}

struct rig *rig_new(const struct rig_options *options)
{
	struct berth_geometry geometry = rig_geometry(options, options->workers ? options->workers : 1);
	struct rig *rig = calloc(1, sizeof(*rig));
	if (!rig)
		fail("out of memory");
	rig->options = *options;
	berth_image_place(&rig->image, &geometry, bench_memory(berth_image_bytes(&geometry)));
	rig->service = rig_publish(options, &rig->image);
	rig->flow_key = (uint32_t)service_id(&rig->image, rig->service);
	fill(rig);
	return rig;
}

void rig_reset_flows(const struct rig *rig, bool full)
{
	const struct berth_image *image = &rig->image;
	for (uint32_t i = 0; i < image->geometry.flow_buckets; i++)
		for (uint32_t j = 0; j < BERTH_BUCKET_WORDS; j++)
			image->flows[i].word[j] =
				full ? berth_word_make(i * 8 + j, 1, RIG_NOW - 1, BERTH_STATE_UNCONFIRMED) : 0;
}

void rig_free(struct rig *rig)
{
	bench_release(rig->image.ctl, berth_image_bytes(&rig->image.geometry));
	free(rig);
}

/* The packets of a burst that the fast path does not find. */
struct away {
	uint32_t n;
	const struct berth_packet *packet[BURST];
};

/* Hashes a burst, then prefetches its home buckets: a prefetch that misses the TLB delays what follows it, and many
 * at once delay it only once. */
BERTH_INLINE void begin(const struct berth_view *view, struct berth_packet *burst)
{
	for (uint32_t i = 0; i < BURST; i++)
		berth_hash_packet(view, &burst[i]);
	for (uint32_t i = 0; i < BURST; i++)
		__builtin_prefetch(berth_at_flows(view, (uint32_t)burst[i].hash & view->flow_mask));
}

BERTH_INLINE void look_home(const struct berth_view *view, struct berth_packet *packet, struct away *away)
{
	uint64_t value;
	if (berth_flowtab_lookup_fast(view, packet->hash, packet->service, &value)) {
		packet->backend = (uint16_t)berth_word_backend(value);
		return;
	}
	__builtin_prefetch(berth_at_flows(view, berth_second_bucket(packet->hash, view->flow_mask)));
	away->packet[away->n++] = packet;
}

/* Looks all packets of `away` up; returns the number not found. */
static uint32_t look_everywhere(const struct berth_view *view, struct away *away)
{
	uint32_t misses = 0;
	for (uint32_t i = 0; i < away->n; i++) {
		const struct berth_packet *packet = away->packet[i];
		struct berth_key key = berth_key_make(view, BERTH_TABLE_FLOWS, packet->service, packet->hash);
		struct berth_entry entry;
		berth_flowtab_lookup(view, &key, &entry);
		misses += entry.at == BERTH_NOT_FOUND;
	}
	away->n = 0;
	return misses;
}

/* Each burst is hashed and prefetched two bursts before it is looked up on the fast path; misses are looked up one
 * burst later. So memory is what is measured. */
uint64_t rig_look_up(const struct rig *rig, struct berth_packet *packets, uint32_t n)
{
	struct berth_view view = berth_image_view(&rig->image, 0, RIG_NOW);
	struct away away[2] = {{.n = 0}, {.n = 0}};
	uint64_t misses = 0;
	uint32_t turn = 0;
	for (uint32_t first = 0; first < AHEAD; first += BURST)
		begin(&view, &packets[first]);
	for (uint32_t first = 0; first < n; first += BURST) {
		begin(&view, &packets[first + AHEAD < n ? first + AHEAD : 0]);
		for (uint32_t i = 0; i < BURST; i++)
			look_home(&view, &packets[first + i], &away[turn]);
		turn ^= 1;
		misses += look_everywhere(&view, &away[turn]);
	}
	return misses + look_everywhere(&view, &away[!turn]);
}
