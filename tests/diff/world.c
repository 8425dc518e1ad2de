// SPDX-License-Identifier: BSD-3-Clause
#include "tests/diff/world.h"

const struct world_shape world_shapes[WORLD_SERVICES] = {
#define FLOW BERTH_AFFINITY_FLOW
#define CLIENT BERTH_AFFINITY_CLIENT
#define L2 BERTH_MODE_L2
#define IPIP BERTH_MODE_IPIP
	[1] = {"203.0.113.1", 6, 80, FLOW, L2, 4, 1, false, 32, 64},
	[2] = {"203.0.113.1", 17, 53, FLOW, IPIP, 4, 1, false, 32, 64},
	[3] = {"203.0.113.3", 6, 80, CLIENT, IPIP, 6, 1, false, 32, 64},
	[4] = {"2001:db8:1::4", 6, 443, CLIENT, IPIP, 6, 1, false, 32, 64},
	[5] = {"2001:db8:1::5", 17, 0, FLOW, IPIP, 4, 1, false, 32, 64},
	[6] = {"2001:db8:1::5", 6, 80, CLIENT, L2, 6, 1, false, 32, 64},
	[7] = {"203.0.113.7", 6, 80, FLOW, L2, 0, 0, false, 32, 64},
	[8] = {"203.0.113.8", 6, 80, FLOW, L2, 4, 1, true, 32, 64},
	[9] = {"203.0.113.9", 17, 0, CLIENT, L2, 4, 1, false, 32, 64},
	[10] = {"2001:db8:1::a", 17, 53, FLOW, IPIP, 6, 1, false, 32, 64},
	[11] = {"203.0.113.11", 17, 53, FLOW, IPIP, 6, 1, false, 32, 64},
#undef FLOW
#undef CLIENT
#undef L2
#undef IPIP
};

const struct berth_geometry world_geometry = {
	.services = WORLD_SERVICES,
	.backends = 64,
	.vips = 64,
	.row_lines = WORLD_SERVICES,
	.flow_buckets = 64,
	.session_buckets = 16,
};

static void lay_out_backends(struct berth_image *image, uint32_t service, const struct world_shape *shape)
{
	uint16_t numbers[WORLD_BACKENDS_EACH];
	for (uint32_t i = 0; i < shape->backends; i++) {
		uint32_t number = world_backend(service, i);
		char address[INET6_ADDRSTRLEN];
		snprintf(address, sizeof(address), shape->outer == 6 ? "2001:db8:3::%u" : "192.0.2.%u", number);
		struct berth_backend *backend = fixture_backend(image, number, service, shape->mode, address);
		backend->port = (uint8_t)((service + i) & 1);
		if (shape->unreachable)
			backend->flags = 0;
		numbers[i] = (uint16_t)number;
	}
	fixture_rows(image, service, numbers, shape->backends);
}

void world_lay_out(struct berth_image *image, const struct world_shape shapes[WORLD_SERVICES])
{
	/* The sections at their full size, whatever of the tables is in use. */
	struct berth_geometry full = world_geometry;
	const struct berth_geometry *g = &full;
	full.workers = image->geometry.workers;
#define X(section, type, count) memset(image->section, 0, sizeof(type) * (size_t)(count));
	BERTH_SECTIONS(X)
#undef X
	fixture_found(image);
	for (uint32_t service = 1; service < WORLD_SERVICES; service++) {
		const struct world_shape *shape = &shapes[service];
		struct berth_service *made = fixture_service(image, service, shape->address, shape->protocol,
							     shape->port, shape->affinity);
		made->prefix4 = shape->prefix4;
		made->prefix6 = shape->prefix6;
		lay_out_backends(image, service, shape);
	}
}

void world_draw(struct random *random, struct world_shape shapes[WORLD_SERVICES])
{
	memcpy(shapes, world_shapes, sizeof(world_shapes));
	for (uint32_t service = 1; service < WORLD_SERVICES; service++) {
		struct world_shape *shape = &shapes[service];
		if (random_one_in(random, 8))
			shape->port = 0;
		shape->affinity = random_one_in(random, 2) ? BERTH_AFFINITY_CLIENT : BERTH_AFFINITY_FLOW;
		shape->mode = random_one_in(random, 3) ? BERTH_MODE_L2 : BERTH_MODE_IPIP;
		shape->outer = random_one_in(random, 2) ? 4 : 6;
		shape->backends = random_one_in(random, 16)
					  ? 0
					  : (uint8_t)(1 + random_below(random, WORLD_BACKENDS_EACH));
		shape->unreachable = random_one_in(random, 16);
		shape->prefix4 = (uint8_t)(random_one_in(random, 2) ? 32 : random_below(random, 33));
		shape->prefix6 = (uint8_t)(random_one_in(random, 2) ? 64 : random_below(random, 129));
	}
}

struct world_event world_draw_event(struct random *random)
{
	static const uint8_t kinds[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 3, 3};
	struct world_event event = {.kind = kinds[random_below(random, sizeof(kinds))]};
	for (uint32_t i = 0; i < 3; i++)
		event.draw[i] = random_word(random) >> 8;
	return event;
}

/* The next generation: a backend changed, a service's timeouts and prefixes, too. */
static void publish_change(struct berth_image *image, uint32_t number, const uint32_t draw[3])
{
	const struct berth_geometry *g = &image->geometry;
	uint64_t half = image->ctl->generation & 1, next = half ^ 1;
#define COPY(section, n)                                                                                           \
	memcpy(&image->section[next * (n)], &image->section[half * (n)], sizeof(*image->section) * (n))
	COPY(services, g->services);
	COPY(backends, g->backends);
	COPY(vips, g->vips);
#undef COPY
	struct berth_backend *backend = &image->backends[next * g->backends + number];
	struct berth_service *service = &image->services[next * g->services + backend->service];
	backend->id = draw[2] % 4 ? 0xbac0000 + number : 0;
	backend->flags = draw[2] / 4 % 8 ? BERTH_BACKEND_NEXT_HOP : 0;
	backend->mtu = draw[2] / 32 % 4 ? 1500 : 100;
	service->timeout[BERTH_STATE_ESTABLISHED] = 5 + draw[2] / 128 % 200;
	service->timeout[BERTH_STATE_SESSION] = 5 + draw[2] / 128 % 400;
	service->prefix4 = (uint8_t)(draw[1] % 33);
	service->prefix6 = (uint8_t)(draw[1] % 129);
	image->ctl->generation++;
}

void world_disturb(struct berth_image *image, const struct world_event *event)
{
	const struct berth_geometry *g = &image->geometry;
	static const uint8_t admits[] = {
		BERTH_ADMIT_ALL, BERTH_ADMIT_ALL, BERTH_ADMIT_ALL, BERTH_ADMIT_ALL, 3, 1, 0, 0};
	const uint32_t *draw = event->draw;
	uint32_t number = world_backend(1 + draw[0] % (WORLD_SERVICES - 1), draw[1] % WORLD_BACKENDS_EACH);
	struct berth_bucket *bucket;
	switch (event->kind) {
	case 0: /* up, draining, flows only, down */
		fixture_admit(image, number, admits[draw[2] % sizeof(admits)]);
		break;
	case 1: /* the walk frees a word */
		image->flows[draw[0] % g->flow_buckets].word[draw[1] % BERTH_BUCKET_WORDS] = 0;
		break;
	case 2: /* a worker died after it claimed a word */
		bucket = draw[0] % 2 ? &image->flows[draw[1] % g->flow_buckets]
				     : &image->sessions[draw[1] % g->session_buckets];
		bucket->word[draw[2] % BERTH_BUCKET_WORDS] &= ~(uint64_t)BERTH_STATE_MASK;
		break;
	default:
		publish_change(image, number, draw);
		break;
	}
}
