// SPDX-License-Identifier: BSD-3-Clause
#include "tests/soak/chaos.h"

#include "controlplane/model/agent.h"

static struct soak_service *any_service(struct soak_world *world, uint32_t *number)
{
	*number = random_below(&world->random, world->n_services);
	return &world->services[*number];
}

static uint32_t any_server(struct soak_world *world, const struct soak_service *service)
{
	return random_below(&world->random, service->n_servers);
}

/* A random server that is present, or absent; n_servers: there is none. */
static uint32_t any_server_that(struct soak_world *world, const struct soak_service *service, bool present)
{
	uint32_t first = any_server(world, service);
	for (uint32_t i = 0; i < service->n_servers; i++) {
		uint32_t server = (first + i) % service->n_servers;
		if (service->server[server].present == present)
			return server;
	}
	return service->n_servers;
}

static uint32_t count_present(const struct soak_service *service)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < service->n_servers; i++)
		n += service->server[i].present;
	return n;
}

/* A server goes down or up, and its health check reports it. */
static void set_up_state(struct soak_world *world, uint32_t service, uint32_t server, bool up)
{
	world->services[service].server[server].up = up;
	soak_check(world, service, server);
}

static void change_one(struct soak_world *world)
{
	uint32_t number;
	struct soak_service *service = any_service(world, &number);
	uint32_t server = any_server(world, service);
	set_up_state(world, number, server, !service->server[server].up || random_one_in(&world->random, 3));
	/* In a group, mostly the whole machine. */
	for (uint32_t i = 0; service->group && i < world->n_services; i++)
		if (world->services[i].group && !random_one_in(&world->random, 4))
			set_up_state(world, i, server, service->server[server].up);
}

static void flap(struct soak_world *world)
{
	uint32_t number;
	struct soak_service *service = any_service(world, &number);
	uint32_t server = any_server(world, service);
	bool up = service->server[server].up;
	set_up_state(world, number, server, !up);
	set_up_state(world, number, server, up);
}

/* Takes down a server and its backup (or its neighbour). */
static void take_two_down(struct soak_world *world)
{
	uint32_t number;
	struct soak_service *service = any_service(world, &number);
	uint32_t server = any_server(world, service);
	set_up_state(world, number, server, false);
	set_up_state(world, number, (server ^ 1) % service->n_servers, false);
}

static void change_all(struct soak_world *world)
{
	uint32_t number;
	struct soak_service *service = any_service(world, &number);
	bool up = !random_one_in(&world->random, 4);
	for (uint32_t i = 0; i < service->n_servers; i++)
		set_up_state(world, number, i, up);
}

static void administer(struct soak_world *world)
{
	static const enum berth_admin states[] = {
		BERTH_ADMIN_ENABLED,	BERTH_ADMIN_ENABLED,  BERTH_ADMIN_ENABLED, BERTH_ADMIN_DRAINING,
		BERTH_ADMIN_FLOWS_ONLY, BERTH_ADMIN_DISABLED, BERTH_ADMIN_EVICTED};
	uint32_t number;
	struct soak_service *service = any_service(world, &number);
	uint32_t state = random_below(&world->random, sizeof(states) / sizeof(states[0]));
	soak_administer(world, number, any_server(world, service), states[state]);
}

static void change_weights(struct soak_world *world)
{
	static const uint32_t weights[] = {0, 1, 50, 100, 100, 100, 200, 1000};
	uint32_t number;
	struct soak_service *service = any_service(world, &number);
	for (uint32_t i = 1 + random_below(&world->random, 3); i > 0; i--)
		service->server[any_server(world, service)].weight = weights[random_below(&world->random, 8)];
	soak_apply(world);
}

/* The weight follows in steps. */
static void hear_agent(struct soak_world *world)
{
	static const uint16_t percents[] = {1, 25, 50, 90, 98, 100, 150, 200};
	uint32_t number;
	struct soak_service *service = any_service(world, &number);
	struct berth_model_backend *backend = soak_backend(world, number, any_server(world, service));
	const struct berth_agent_words words = {.has_percent = 1,
						.percent = percents[random_below(&world->random, 8)]};
	if (backend)
		berth_agent_hear(backend, &words);
	world->actions += backend != NULL;
}

/* Removes and adds servers; in a group mostly in all of its services. */
static void change_servers(struct soak_world *world)
{
	uint32_t number;
	struct soak_service *service = any_service(world, &number);
	for (uint32_t i = 1 + random_below(&world->random, 3); i > 0; i--) {
		uint32_t server = any_server(world, service);
		bool present = !service->server[server].present;
		if (!present && count_present(service) <= 2)
			continue;
		service->server[server].present = present;
		for (uint32_t j = 0; service->group && j < world->n_services; j++)
			if (world->services[j].group && !random_one_in(&world->random, 6))
				world->services[j].server[server].present = present;
	}
	soak_apply(world);
}

/* Replaces a server before a scan has passed over the tables, perhaps with a restart of berthd in between. */
static void replace(struct soak_world *world)
{
	uint32_t number;
	struct soak_service *service = any_service(world, &number);
	uint32_t old = any_server_that(world, service, true), new = any_server_that(world, service, false);
	if (old == service->n_servers || new == service->n_servers || !service->present)
		return;
	service->server[old].present = false;
	soak_apply(world);
	if (random_one_in(&world->random, 2))
		soak_restart_control(world);
	service->server[new].present = true;
	soak_apply(world);
	set_up_state(world, number, new, true);
}

static void change_timeouts(struct soak_world *world)
{
	struct random *random = &world->random;
	uint32_t number;
	struct soak_service *service = any_service(world, &number);
	service->timeout[random_below(random, 5)] = 5 + random_below(random, 60);
	service->session_timeout = 10 + random_below(random, random_one_in(random, 2) ? 20 : 150);
	for (uint32_t i = 0; service->group && i < world->n_services; i++)
		if (world->services[i].group)
			world->services[i].session_timeout = service->session_timeout;
	soak_apply(world);
}

static void change_policy(struct soak_world *world)
{
	uint32_t number;
	struct soak_service *service = any_service(world, &number);
	bool is_udp = service->protocol[0] == 'u';
	service->resets = !is_udp && random_one_in(&world->random, 2);
	service->returns = service->by_client && random_one_in(&world->random, 2);
	service->spills = service->by_client && random_one_in(&world->random, 2);
	soak_apply(world);
}

static void change_services(struct soak_world *world)
{
	uint32_t number;
	struct soak_service *service = any_service(world, &number);
	uint32_t n = 0;
	for (uint32_t i = 0; i < world->n_services; i++)
		n += world->services[i].present;
	if (service->present && n < world->n_services - 2)
		return;
	service->present = !service->present;
	soak_apply(world);
}

/* Often an evicted server: a session pinned to it waits. */
static uint32_t server_to_name(struct soak_world *world, const struct soak_service *service)
{
	const bool evicted = random_one_in(&world->random, 3);
	for (uint32_t i = 0; i < service->n_servers && evicted; i++)
		if (service->server[i].present && service->server[i].admin == BERTH_ADMIN_EVICTED)
			return i;
	return any_server(world, service);
}

/* An operator's command on a session, mostly of a recent client. */
void soak_operate_on_sessions(struct soak_world *world)
{
	struct random *random = &world->random;
	uint32_t number;
	const struct soak_service *service = any_service(world, &number);
	const uint64_t n = world->n_recent[number];
	if (!service->present || !service->by_client || !n)
		return;
	const uint32_t client = random_below(random, n < SOAK_RECENT ? (uint32_t)n : SOAK_RECENT);
	const uint32_t server = server_to_name(world, service);
	switch (random_below(random, 10)) {
	case 0:
		soak_clear_server(world, number, server);
		break;
	case 1:
		soak_unpin(world, number, client);
		break;
	case 2:
		soak_clear(world, number, client);
		break;
	case 3:
	case 4:
	case 5:
		soak_move(world, number, client, server);
		break;
	default:
		soak_pin(world, number, client, server);
	}
}

void soak_probe(struct soak_world *world)
{
	for (uint32_t i = 0; i < world->n_services; i++)
		for (uint32_t j = 0; j < world->services[i].n_servers; j++)
			soak_check(world, i, j);
}

/* Half of the servers that are down come up; else soon all would be down. */
static void recover(struct soak_world *world)
{
	for (uint32_t i = 0; i < world->n_services; i++)
		for (uint32_t j = 0; j < world->services[i].n_servers; j++)
			if (!world->services[i].server[j].up && random_one_in(&world->random, 2))
				set_up_state(world, i, j, true);
}

void soak_chaos(struct soak_world *world)
{
	typedef void chaos_fn(struct soak_world *);
	static const struct {
		chaos_fn *what;
		uint32_t often;
	} events[] = {
		{change_one, 40},	  {flap, 10},		{take_two_down, 4},   {change_all, 2},
		{administer, 25},	  {change_weights, 8},	{change_servers, 10}, {change_timeouts, 4},
		{change_policy, 3},	  {change_services, 3}, {recover, 6},	      {soak_restart_control, 4},
		{soak_restart_engine, 2}, {replace, 8},		{hear_agent, 8},
	};
	uint32_t all = 0;
	for (uint32_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		all += events[i].often;
	uint32_t draw = random_below(&world->random, all), i = 0;
	for (; draw >= events[i].often; i++)
		draw -= events[i].often;
	events[i].what(world);
}
