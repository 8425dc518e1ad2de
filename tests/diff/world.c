// SPDX-License-Identifier: BSD-3-Clause
#include "tests/diff/world.h"

/* Shapes omit fields that are 0, on purpose. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

const struct world_shape world_shapes[WORLD_SERVICES] = {
#define FLOW BERTH_AFFINITY_FLOW
#define CLIENT BERTH_AFFINITY_CLIENT
#define L2 BERTH_MODE_L2
#define IPIP BERTH_MODE_IPIP
#define GUE BERTH_MODE_GUE
#define NAT BERTH_MODE_NAT
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
	[12] = {"203.0.113.12", 17, 53, FLOW, GUE, 4, 1, false, 32, 64},
	[13] = {"203.0.113.13", 6, 80, CLIENT, GUE, 6, 1, false, 32, 64},
	[14] = {"2001:db8:1::e", 6, 443, FLOW, GUE, 4, 1, false, 32, 64, .source_bits = 4},
	[15] = {"2001:db8:1::f", 17, 53, CLIENT, GUE, 6, 1, false, 32, 64, .source_bits = 16, .dport = 6081},
	[16] = {"203.0.113.16", 6, 80, FLOW, NAT, 4, 1, false, 32, 64, .dport = 8080},
	[17] = {"203.0.113.16", 17, 53, FLOW, NAT, 4, 1, false, 32, 64},
	[18] = {"2001:db8:1::12", 6, 443, FLOW, NAT, 6, 1, false, 32, 64, .dport = 8443},
	[19] = {"2001:db8:1::13", 17, 5000, CLIENT, NAT, 6, 1, false, 32, 64, .last = 5999},
	[20] = {"203.0.113.20", 6, 8000, CLIENT, NAT, 4, 1, false, 32, 64, .last = 8099},
	[21] = {"203.0.113.21", 6, 1000, FLOW, L2, 4, 1, false, 32, 64, .last = 1999},
	[22] = {"203.0.113.21", 6, 1500, CLIENT, L2, 4, 1, false, 32, 64, .last = 1599},
	[23] = {"203.0.113.21", 6, 1550, FLOW, L2, 4, 1, false, 32, 64},
	[24] = {"203.0.113.192", 17, 53, FLOW, IPIP, 6, 1, false, 32, 64, .bits = 28},
	[25] = {"203.0.113.192", 17, 0, FLOW, L2, 4, 1, false, 32, 64, .bits = 26},
	[26] = {"2001:db8:1:100::", 6, 443, CLIENT, IPIP, 6, 1, false, 32, 64, .bits = 64},
	[27] = {"2001:db8:1:100::", 6, 400, FLOW, GUE, 6, 1, false, 32, 64, .bits = 56, .last = 499},
	[28] = {"203.0.113.28", 17, 7, FLOW, IPIP, 4, 1, false, 32, 64, .source_bits = 8},
	[29] = {"203.0.113.128", 17, 53, CLIENT, L2, 4, 1, false, 24, 64, .bits = 28},
	[30] = {"203.0.113.30", 17, 0, FLOW, NAT, 4, 1, false, 32, 64},
	[31] = {"2001:db8:1::1f", 17, 53, FLOW, IPIP, 4, 1, false, 32, 64, .mtu = 1280},
	[32] = {"2001:db8:1:200::", 17, 53, CLIENT, L2, 6, 1, false, 32, 48, .bits = 60},
	[34] = {"203.0.113.198", 17, 53, CLIENT, L2, 4, 1, false, 32, 64},
	[33] = {"203.0.113.128", 6, 80, FLOW, GUE, 4, 1, false, 32, 64, .bits = 28},
#undef FLOW
#undef CLIENT
#undef L2
#undef IPIP
#undef GUE
#undef NAT
};

const struct world_route world_routes[WORLD_ROUTES] = {
	{"198.51.100.0", 24, BERTH_ROUTE_HOP, 0, 1500},	  {"198.51.101.0", 24, BERTH_ROUTE_KERNEL, 0, 1500},
	{"198.51.102.0", 24, BERTH_ROUTE_HOP, 1, 600},	  {"198.51.102.0", 23, BERTH_ROUTE_KERNEL, 0, 1500},
	{"2001:db8:2::", 64, BERTH_ROUTE_HOP, 1, 1500},	  {"2001:db8:2:1::", 64, BERTH_ROUTE_KERNEL, 0, 1500},
	{"2001:db8:2:2::", 64, BERTH_ROUTE_HOP, 0, 1300},
};

const struct berth_geometry world_geometry = {
	.services = WORLD_SERVICES,
	.backends = WORLD_BACKENDS,
	.vips = 1024,
	.row_lines = WORLD_ROW_LINES,
	.flow_buckets = WORLD_FLOW_BUCKETS,
	.session_buckets = WORLD_SESSION_BUCKETS,
};

/* Prefix length of a service's address, of 128. */
static uint32_t bits_of(const struct world_shape *shape)
{
	return shape->bits == 0 ? 128 : shape->bits + (world_is6(shape) ? 0u : 96u);
}

static bool is_within(const union berth_addr *addr, const union berth_addr *prefix, uint32_t bits)
{
	uint32_t whole = bits / 8, rest = bits % 8;
	return memcmp(addr, prefix, whole) == 0 &&
	       (rest == 0 || (addr->byte[whole] ^ prefix->byte[whole]) >> (8 - rest) == 0);
}

static void write_backend(struct berth_image *image, uint32_t number, uint32_t service,
			  const struct world_shape *shape)
{
	char address[INET6_ADDRSTRLEN];
	world_backend_address(address, number, shape->outer);
	struct berth_backend *backend = fixture_backend(image, number, service, shape->mode, address);
	backend->port = (uint8_t)(number / WORLD_BACKENDS_EACH + number % WORLD_BACKENDS_EACH) & 1;
	if (shape->unreachable)
		backend->flags = 0;
	if (shape->mode == BERTH_MODE_NAT)
		backend->flags |= BERTH_BACKEND_TIMED;
	if (shape->mtu)
		backend->mtu = shape->mtu;
	if (shape->dport)
		backend->dport = berth_to_be16(shape->dport);
	backend->source_bits = shape->source_bits;
	if (shape->source_bits)
		backend->outer_src = fixture_addr(shape->outer == 6 ? "2001:db8:5::" : "198.18.0.0");
}

static void write_backends(struct berth_image *image, uint32_t service, const struct world_shape *shape)
{
	uint16_t numbers[WORLD_BACKENDS_EACH];
	for (uint32_t i = 0; i < shape->backends; i++) {
		numbers[i] = (uint16_t)world_backend(service, i);
		write_backend(image, numbers[i], service, shape);
	}
	fixture_rows(image, service, numbers, shape->backends);
}

/* Adds a slot for a service's ports at a prefix: of kind `single` for a whole address with one port, else of kind
 * `range`. */
static void write_port_slot(struct berth_image *image, enum berth_vip_kind single, enum berth_vip_kind range,
			    const char *address, uint32_t bits, uint32_t service, const struct world_shape *shape)
{
	struct berth_vip vip = {.addr = fixture_addr(address), .protocol = shape->protocol, .service = service};
	if (bits == 128 && !world_is_ranged(shape)) {
		bool is_return = single == BERTH_VIP_RETURN && shape->dport;
		vip.kind = (uint8_t)single;
		vip.port = berth_to_be16(is_return ? shape->dport : shape->port);
	} else {
		vip.kind = (uint8_t)range;
		vip.port = berth_vip_length(bits);
		vip.first = shape->port;
		vip.last = shape->port == 0 ? UINT16_MAX : shape->last ? shape->last : shape->port;
	}
	fixture_insert_vip(image, vip);
}

/* Mode nat: slots for packets from the backends. */
static void write_return_slots(struct berth_image *image, uint32_t service, const struct world_shape *shape)
{
	struct berth_service *made = fixture_service_at(image, service);
	made->address = fixture_addr(shape->address);
	made->port = berth_to_be16(world_is_ranged(shape) ? 0 : shape->port);
	image->globals[1].has_returns = 1;
	for (uint32_t i = 0; i < shape->backends; i++) {
		char address[INET6_ADDRSTRLEN];
		world_backend_address(address, world_backend(service, i), shape->outer);
		write_port_slot(image, BERTH_VIP_RETURN, BERTH_VIP_RETURN_RANGE, address, 128, service, shape);
		fixture_vip_kind(image, BERTH_VIP_RETURN_ADDRESS, address, 0, 0, 0, service);
	}
}

static void write_address_slot(struct berth_image *image, enum berth_vip_kind kind, uint8_t protocol,
			       uint32_t service, const struct world_shape *shape)
{
	fixture_insert_vip(image, (struct berth_vip){.addr = fixture_addr(shape->address),
						     .port = berth_vip_length(bits_of(shape)),
						     .protocol = protocol,
						     .kind = (uint8_t)kind,
						     .service = service});
}

/* Adds ADDRESS and PORTLESS slots, for the first service of its address and protocol. A PORTLESS slot without a
 * service says that a shorter prefix also has a service of this protocol. */
static void write_address_slots(struct berth_image *image, uint32_t service, const struct world_shape *shapes)
{
	const struct world_shape *shape = &shapes[service];
	const union berth_addr addr = fixture_addr(shape->address);
	bool first_at_address = true, first = true, alone = true, within = false;
	for (uint32_t other = 1; other < WORLD_SERVICES; other++) {
		const union berth_addr theirs = fixture_addr(shapes[other].address);
		uint32_t bits = bits_of(&shapes[other]);
		bool same = bits == bits_of(shape) && berth_addr_equal(&addr, &theirs);
		bool also = shapes[other].protocol == shape->protocol && other != service;
		first_at_address &= !same || other >= service;
		first &= !same || !also || other > service;
		alone &= !same || !also;
		within |= also && bits < bits_of(shape) && is_within(&addr, &theirs, bits);
	}
	if (first_at_address)
		write_address_slot(image, BERTH_VIP_ADDRESS, 0, 0, shape);
	if (first && (within || (alone && shape->affinity == BERTH_AFFINITY_CLIENT)))
		write_address_slot(image, BERTH_VIP_PORTLESS, shape->protocol, within ? 0 : service, shape);
}

static uint32_t ports_of(const struct world_shape *shape)
{
	return shape->port == 0 ? 65536 : shape->last ? shape->last - shape->port + 1u : 1;
}

/* Fills the classifier. Among slots with one key, narrower ranges come first. */
static void write_classifier(struct berth_image *image, const struct world_shape *shapes)
{
	uint32_t order[WORLD_SERVICES];
	for (uint32_t n = 1; n < WORLD_SERVICES; n++) {
		uint32_t at = n;
		for (; at > 1 && ports_of(&shapes[order[at - 1]]) > ports_of(&shapes[n]); at--)
			order[at] = order[at - 1];
		order[at] = n;
	}
	for (uint32_t i = 1; i < WORLD_SERVICES; i++) {
		const struct world_shape *shape = &shapes[order[i]];
		write_port_slot(image, BERTH_VIP_EXACT, BERTH_VIP_RANGE, shape->address, bits_of(shape), order[i],
				shape);
		write_address_slots(image, order[i], shapes);
		if (shape->mode == BERTH_MODE_NAT)
			write_return_slots(image, order[i], shape);
	}
}

static void write_globals(struct berth_globals *globals, const struct world_shape *shapes)
{
	uint32_t n = 0;
	for (uint32_t bits = 127; bits > 0; bits--) {
		bool used = false;
		for (uint32_t service = 1; service < WORLD_SERVICES; service++)
			used |= bits_of(&shapes[service]) == bits;
		if (used)
			globals->prefix_bits[n++] = (uint8_t)bits;
	}
	for (uint32_t i = 0; i < WORLD_ROUTES; i++) {
		const struct world_route *route = &world_routes[i];
		globals->route[i] = (struct berth_route){
			.prefix = fixture_addr(route->prefix),
			.bits = (uint8_t)(route->bits + (strchr(route->prefix, ':') ? 0 : 96)),
			.kind = (uint8_t)route->kind,
			.port = route->port,
			.dst_mac = {2, 0, 0, 0, 3, (uint8_t)i},
			.src_mac = {2, 0, 0, 0, 1, route->port},
			.mtu = route->mtu,
		};
	}
}

/* A limit with a burst of two seconds. */
static struct berth_limit limit_of(uint32_t per_second)
{
	return per_second ? (struct berth_limit){.interval_ns = 1000000000 / per_second, .burst_ms = 2000}
			  : (struct berth_limit){0};
}

/* Writes a service and its backends, without classifier slots. */
static void write_service(struct berth_image *image, uint32_t number, const struct world_shape *shape)
{
	struct berth_service *service = fixture_service_entry(image, number, shape->protocol, shape->affinity);
	service->prefix4 = shape->prefix4;
	service->prefix6 = shape->prefix6;
	service->scheduler = shape->scheduler;
	service->down = shape->down;
	service->overload = shape->overload;
	service->flags = shape->limit || shape->source_limit ? BERTH_SERVICE_LIMITS : 0;
	service->limit = limit_of(shape->limit);
	service->source_limit = limit_of(shape->source_limit);
	service->source_limit.prefix4 = 24;
	service->source_limit.prefix6 = 48;
	write_backends(image, number, shape);
	if (shape->rows_changed) {
		const uint16_t primaries[] = {(uint16_t)world_backend(number, 1), 0,
					      (uint16_t)world_backend(number, 0)};
		fixture_former_rows(image, number, world_former_line(number), primaries, 3);
	}
}

static bool has_source_limits(const struct berth_image *image)
{
	for (uint32_t i = 0; i < 2 * image->geometry.services; i++)
		if (image->services[i].source_limit.interval_ns)
			return true;
	return false;
}

void world_write_image(struct berth_image *image, const struct world_shape shapes[WORLD_SERVICES])
{
	/* Clears the sections at full size, also where the tables in use are smaller. */
	struct berth_geometry full = world_geometry;
	const struct berth_geometry *g = &full;
	full.workers = image->geometry.workers;
	/* A later one: an engine keeps what it has derived from a generation. Odd: it is in half
	 * FIXTURE_GENERATION. */
	const uint64_t generation = (image->ctl->generation + 1) | 1;
	/* Large, and seldom written. */
	const bool has_sources = has_source_limits(image);
#define X(section, type, count)                                                                                    \
	if ((void *)image->section != (void *)image->drops &&                                                      \
	    ((void *)image->section != (void *)image->source_limits || has_sources))                               \
		memset(image->section, 0, sizeof(type) * (size_t)(count));
	BERTH_SECTIONS(X)
#undef X
	fixture_write_header(image);
	image->ctl->generation = generation;
	for (uint32_t service = 1; service < WORLD_SERVICES; service++)
		write_service(image, service, &shapes[service]);
	write_classifier(image, shapes);
	write_globals(&image->globals[FIXTURE_GENERATION], shapes);
	fixture_least_timeouts(image, FIXTURE_GENERATION);
}

/* Mode nat needs a whole address and backends of its family; a range of ports keeps its ports. */
static void draw_mode(struct random *random, struct world_shape *shape)
{
	static const enum berth_mode modes[] = {BERTH_MODE_L2, BERTH_MODE_IPIP, BERTH_MODE_GUE, BERTH_MODE_NAT};
	shape->mode = modes[random_below(random, shape->bits ? 3 : 4)];
	shape->outer = random_one_in(random, 2) ? 4 : 6;
	shape->source_bits = 0;
	shape->dport = 0;
	if (shape->mode == BERTH_MODE_NAT) {
		shape->outer = world_is6(shape) ? 6 : 4;
		if (!world_is_ranged(shape) && random_one_in(random, 2))
			shape->dport = 8080;
	} else if (shape->mode != BERTH_MODE_L2 && random_one_in(random, 2)) {
		shape->source_bits = (uint8_t)random_below(random, BERTH_MAX_SOURCE_BITS + 1);
	}
}

void world_draw(struct random *random, struct world_shape shapes[WORLD_SERVICES])
{
	static const uint16_t mtus[] = {0, 0, 0, 0, 1400, 1280, 600, 68};
	memcpy(shapes, world_shapes, sizeof(world_shapes));
	for (uint32_t service = 1; service < WORLD_SERVICES; service++) {
		struct world_shape *shape = &shapes[service];
		if (random_one_in(random, 8))
			shape->port = 0;
		draw_mode(random, shape);
		shape->affinity = random_one_in(random, 2) ? BERTH_AFFINITY_CLIENT : BERTH_AFFINITY_FLOW;
		shape->backends = random_one_in(random, 16)
					  ? 0
					  : (uint8_t)(1 + random_below(random, WORLD_BACKENDS_EACH));
		shape->unreachable = random_one_in(random, 16);
		shape->mtu = mtus[random_below(random, sizeof(mtus) / sizeof(mtus[0]))];
		shape->prefix4 = (uint8_t)(random_one_in(random, 2) ? 32 : random_below(random, 33));
		shape->prefix6 = (uint8_t)(random_one_in(random, 2) ? 64 : random_below(random, 129));
		shape->scheduler = (uint8_t)random_below(random, 3);
		shape->down = (uint8_t)random_below(random, 2);
		shape->overload = (uint8_t)random_below(random, 2);
		shape->rows_changed = random_one_in(random, 2);
		shape->limit = (uint8_t)(random_one_in(random, 8) ? 1 + random_below(random, 20) : 0);
		shape->source_limit = (uint8_t)(random_one_in(random, 8) ? 1 + random_below(random, 10) : 0);
	}
}

struct world_event world_draw_event(struct random *random)
{
	static const uint8_t kinds[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 3, 3, 4};
	struct world_event event = {.kind = kinds[random_below(random, sizeof(kinds))]};
	for (uint32_t i = 0; i < 3; i++)
		event.draw[i] = random_word(random) >> 8;
	return event;
}

static void change_route(struct berth_route *route, uint32_t draw)
{
	if (route->kind == BERTH_ROUTE_NONE)
		return;
	route->kind = draw % 4 ? BERTH_ROUTE_HOP : BERTH_ROUTE_KERNEL;
	route->port = draw / 4 & 1;
	route->mtu = draw / 8 % 4 ? 1500 : 100;
}

/* Changes a service's scheduler, overload, failback and down policies. */
static void change_policy(struct berth_service *service, struct berth_backend *backend, uint32_t number,
			  uint32_t draw)
{
	uint32_t first = world_backend(backend->service, 0);
	service->scheduler = (uint8_t)(draw % 3);
	service->down = draw / 3 & 1;
	service->overload = draw / 6 & 1;
	service->failback = draw / 12 & 1;
	backend->load_unit = draw / 24 % 4;
	backend->backup = (uint16_t)(draw / 96 & 1 ? first + (number - first + 1) % WORLD_BACKENDS_EACH : 0);
}

/* Publishes a generation with a changed backend, changed timeouts and prefixes, and a changed route. */
static void publish_change(struct berth_image *image, uint32_t number, const uint32_t draw[3])
{
	const struct berth_geometry *g = &image->geometry;
	uint64_t half = image->ctl->generation & 1, next = half ^ 1;
#define COPY(section, n)                                                                                           \
	memcpy(&image->section[next * (n)], &image->section[half * (n)], sizeof(*image->section) * (n))
	COPY(services, g->services);
	COPY(backends, g->backends);
	COPY(vips, g->vips);
	COPY(globals, 1);
#undef COPY
	struct berth_backend *backend = &image->backends[next * g->backends + number];
	struct berth_service *service = &image->services[next * g->services + backend->service];
	backend->id = draw[2] % 4 ? 0xbac0000 + number : 0;
	backend->flags = (uint8_t)((draw[2] / 4 % 8 ? BERTH_BACKEND_NEXT_HOP : 0) | BERTH_BACKEND_TIMED);
	backend->mtu = draw[2] / 32 % 4 ? 1500 : 100;
	service->timeout[BERTH_STATE_CONFIRMED] = 5 + draw[2] / 128 % 200;
	service->timeout[BERTH_STATE_PROVEN] = service->timeout[BERTH_STATE_CONFIRMED];
	service->timeout[BERTH_STATE_SESSION] = 5 + draw[2] / 128 % 400;
	service->timeout[BERTH_STATE_FRAGMENT] = 1 + draw[2] / 128 % 30;
	service->prefix4 = (uint8_t)(draw[1] % 33);
	service->prefix6 = (uint8_t)(draw[1] % 129);
	change_route(&image->globals[next].route[draw[0] % WORLD_ROUTES], draw[1]);
	if (backend->service)
		change_policy(service, backend, number, draw[0] / 64);
	image->loads[number / BERTH_LOADS_PER_LINE].backend[number % BERTH_LOADS_PER_LINE].cost =
		draw[1] % 4 | (draw[1] & BERTH_COST_OF_CONNECTIONS);
	fixture_least_timeouts(image, next);
	image->ctl->generation++;
}

/* Leaves `left` answers of each budget that was used. */
static void spend_budgets(struct berth_budgets *budgets, uint32_t left)
{
	for (uint32_t i = 0; i < BERTH_ANSWER_COUNT * BERTH_ANSWER_SLOTS; i++) {
		uint32_t *slot = &budgets->slot[i / BERTH_ANSWER_SLOTS][i % BERTH_ANSWER_SLOTS];
		if (*slot)
			*slot = (*slot & ~(uint32_t)UINT8_MAX) | (BERTH_MAX_ANSWERS - left);
	}
}

void world_apply_event(struct berth_image *image, const struct world_event *event)
{
	const struct berth_geometry *g = &image->geometry;
	static const uint8_t eligibility[] = {BERTH_ELIGIBLE_ALL,
					      BERTH_ELIGIBLE_ALL,
					      BERTH_ELIGIBLE_ALL,
					      BERTH_ELIGIBLE_ALL,
					      BERTH_ELIGIBLE_ALL | BERTH_OVER_SHARE,
					      BERTH_ELIGIBLE_ALL | BERTH_OVER_SHARE,
					      BERTH_ELIGIBLE_ALL | BERTH_AT_LIMIT,
					      3,
					      1,
					      0,
					      0};
	const uint32_t *draw = event->draw;
	uint32_t number = world_backend(1 + draw[0] % (WORLD_SERVICES - 1), draw[1] % WORLD_BACKENDS_EACH);
	struct berth_bucket *bucket;
	switch (event->kind) {
	case 0: /* eligibility: up, over its share, at its limit, draining, flows only, down */
		fixture_set_eligibility(image, number, eligibility[draw[2] % sizeof(eligibility)]);
		break;
	case 1: /* the scan frees a word */
		image->flows[draw[0] % g->flow_buckets].word[draw[1] % BERTH_BUCKET_WORDS] = 0;
		break;
	case 2: /* a worker died after a claim */
		bucket = draw[0] % 2 ? &image->flows[draw[1] % g->flow_buckets]
				     : &image->sessions[draw[1] % g->session_buckets];
		bucket->word[draw[2] % BERTH_BUCKET_WORDS] &= ~(uint64_t)BERTH_STATE_MASK;
		break;
	case 3:
		publish_change(image, number, draw);
		break;
	default: /* budgets of answers are nearly spent */
		for (uint32_t i = 0; i < g->workers; i++)
			spend_budgets(&image->budgets[i], draw[0] % 4);
		break;
	}
}
