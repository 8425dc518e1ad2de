// SPDX-License-Identifier: BSD-3-Clause
/* Passes the configuration, health and admin states to the oracle. */
#include "tests/soak/world.h"

/* The soak's numbers, from names of the model. */
static uint32_t service_of(const struct soak_world *world, const struct berth_model_service *service)
{
	for (uint32_t i = 0; i < world->n_services; i++)
		if (strcmp(world->services[i].name, service->config.name) == 0)
			return i;
	soak_fail("an unknown service: %s", service->config.name);
}

static uint32_t server_of(const struct berth_model_backend *backend)
{
	return (uint32_t)atoi(backend->config.name + 1);
}

struct berth_model_backend *soak_backend(struct soak_world *world, uint32_t service, uint32_t server)
{
	char name[16];
	struct berth_model_service *found = berth_model_service(&world->model, world->services[service].name);
	snprintf(name, sizeof(name), "b%u", server);
	return found ? berth_model_backend(found, name) : NULL;
}

void soak_each(struct soak_world *world, soak_each_fn *what)
{
	for (size_t i = 0; i < world->model.n_services; i++) {
		struct berth_model_service *service = &world->model.services[i];
		uint32_t number = service_of(world, service);
		for (size_t j = 0; j < service->n_backends; j++)
			what(world, &service->backends[j], number, server_of(&service->backends[j]));
	}
}

static enum oracle_admin oracle_admin_of(enum berth_admin admin)
{
	static const enum oracle_admin same[] = {
		[BERTH_ADMIN_ENABLED] = ORACLE_ADMIN_ENABLED,	[BERTH_ADMIN_DRAINING] = ORACLE_ADMIN_DRAINING,
		[BERTH_ADMIN_DISABLED] = ORACLE_ADMIN_DISABLED, [BERTH_ADMIN_FLOWS_ONLY] = ORACLE_ADMIN_FLOWS_ONLY,
		[BERTH_ADMIN_EVICTED] = ORACLE_ADMIN_EVICTED,
	};
	return same[admin];
}

/* Admin state and health come from the soak, not from the model under test. */
static void update_one(struct soak_world *world, struct berth_model_backend *backend, uint32_t service,
		       uint32_t server)
{
	const struct soak_server *known = &world->services[service].server[server];
	const bool for_clients = !known->reported_up && backend->is_kept_for_clients;
	const enum berth_admin admin = for_clients && known->admin == BERTH_ADMIN_ENABLED ? BERTH_ADMIN_DRAINING
											  : known->admin;
	oracle_set_health(world->oracle, service, server, known->reported_up || backend->is_kept || for_clients);
	oracle_set_admin(world->oracle, service, server, oracle_admin_of(admin));
	oracle_set_load(world->oracle, service, server, berth_model_weight_hundredths(backend),
			backend->load & BERTH_OVER_SHARE, backend->load & BERTH_AT_LIMIT);
}

/* The oracle's number of a group: it follows those of the services. */
static uint32_t group_number(const struct soak_world *world, const struct berth_model_service *group)
{
	return SOAK_SERVICES + (uint32_t)(group - world->model.groups);
}

/* A server is evicted in a group when it is in all services of that group. */
static void update_group(struct soak_world *world, const struct berth_model_service *group)
{
	for (size_t i = 0; i < group->n_backends; i++) {
		const uint32_t server = server_of(&group->backends[i]);
		bool is_evicted = true;
		for (uint32_t j = 0; j < world->n_services; j++) {
			const struct soak_service *known = &world->services[j];
			if (known->group && strcmp(known->group, group->config.name) == 0 &&
			    soak_backend(world, j, server))
				is_evicted &= known->server[server].admin == BERTH_ADMIN_EVICTED;
		}
		oracle_set_admin(world->oracle, group_number(world, group), server,
				 is_evicted ? ORACLE_ADMIN_EVICTED : ORACLE_ADMIN_ENABLED);
	}
}

void soak_update_oracle(struct soak_world *world)
{
	soak_each(world, update_one);
	for (size_t i = 0; i < world->model.n_groups; i++)
		update_group(world, &world->model.groups[i]);
	oracle_set_stale(world->oracle, world->dirty);
}

static void fill_server(struct soak_world *world, struct berth_model_backend *backend, uint32_t service,
			uint32_t server, struct oracle_server *out)
{
	const struct soak_server *known = &world->services[service].server[server];
	bool has_backup = known->backup >= 0 && world->services[service].server[known->backup].present;
	*out = (struct oracle_server){
		.present = true,
		.weight = known->weight,
		.counts = berth_model_weight_hundredths(backend),
		.backup = has_backup ? (uint8_t)known->backup : ORACLE_NO_SERVER,
		.max_flows = server == 0 ? world->services[service].max_flows : 0,
	};
}

static struct oracle_row *rows_of(struct soak_world *world, const struct berth_model_service *service)
{
	static struct oracle_row rows[SOAK_SERVICES][SOAK_ROWS];
	static uint8_t server_by_number[BERTH_MAX_BACKENDS];
	struct oracle_row *out = rows[service_of(world, service)];
	server_by_number[0] = ORACLE_NO_SERVER;
	for (size_t i = 0; i < service->n_backends; i++)
		server_by_number[service->backends[i].number] = (uint8_t)server_of(&service->backends[i]);
	for (uint32_t i = 0; i < service->n_rows; i++)
		out[i] = (struct oracle_row){server_by_number[service->rows[i].primary],
					     server_by_number[service->rows[i].alternate]};
	return out;
}

static uint32_t service_numbered(struct soak_world *world, uint32_t number)
{
	for (size_t i = 0; i < world->model.n_services; i++)
		if (world->model.services[i].number == number)
			return service_of(world, &world->model.services[i]);
	for (size_t i = 0; i < world->model.n_groups; i++)
		if (world->model.groups[i].number == number)
			return group_number(world, &world->model.groups[i]);
	soak_fail("sessions of an unknown service");
}

static void fill_service(struct soak_world *world, struct berth_model_service *service, struct oracle_service *out)
{
	const struct soak_service *known = &world->services[service_of(world, service)];
	*out = (struct oracle_service){
		.present = true,
		.is_udp = known->protocol[0] == 'u',
		.by_client = known->by_client,
		.resets = known->resets,
		.spills = known->spills,
		.returns = known->returns,
		.prefix4 = known->prefix4,
		.prefix6 = known->prefix6,
		.sessions_of = (uint8_t)service_numbered(world, service->session_service),
		.flow_key = (uint32_t)service->id,
		.session_key = service->session_key,
		.scheduler = known->is_timed		  ? ORACLE_LEAST_CONN
			     : known->scheduler[0] == 'r' ? ORACLE_ROUND_ROBIN
			     : known->scheduler[0] == 'l' ? ORACLE_LEAST_CONN
							  : ORACLE_MAGLEV,
		.is_timed = known->is_timed,
		.bound = known->scheduler[0] == 'b' ? SOAK_BOUND : 0,
		.n_rows = service->n_backends ? service->n_rows : 0,
		.rows = rows_of(world, service),
	};
	memcpy(out->timeout, known->timeout, sizeof(known->timeout));
	out->timeout[ORACLE_SESSION] = known->session_timeout;
	for (size_t i = 0; i < service->n_backends; i++) {
		uint32_t server = server_of(&service->backends[i]);
		fill_server(world, &service->backends[i], service_of(world, service), server, &out->server[server]);
	}
}

/* An unconfirmed session lives as long as any service of the group finds it. */
static void raise_unconfirmed_timeouts(struct oracle_service *group, const struct oracle_service *service)
{
	const uint32_t seconds = service->timeout[service->is_udp ? ORACLE_UNREPLIED : ORACLE_HALF_OPEN];
	uint32_t *half_open = &group->timeout[ORACLE_HALF_OPEN], *unreplied = &group->timeout[ORACLE_UNREPLIED];
	*half_open = *unreplied = seconds > *half_open ? seconds : *half_open;
}

/* `services`: filled. A group has the servers of all its services, and selects none. */
static void fill_group(struct soak_world *world, const struct berth_model_service *group,
		       struct oracle_service services[ORACLE_SERVICES])
{
	struct oracle_service *out = &services[group_number(world, group)];
	for (uint32_t i = 0; i < world->n_services; i++) {
		const struct oracle_service *service = &services[i];
		if (!service->present || service->sessions_of != group_number(world, group))
			continue;
		out->present = out->by_client = true;
		out->prefix4 = service->prefix4;
		out->prefix6 = service->prefix6;
		out->sessions_of = service->sessions_of;
		out->session_key = service->session_key;
		out->timeout[ORACLE_SESSION] = service->timeout[ORACLE_SESSION];
		raise_unconfirmed_timeouts(out, service);
		for (uint32_t j = 0; j < ORACLE_SERVERS; j++)
			if (service->server[j].present && !out->server[j].present)
				out->server[j] = (struct oracle_server){.present = true,
									.backup = service->server[j].backup};
	}
}

/* Passes the generation that has just become current. */
void soak_update_oracle_generation(struct soak_world *world)
{
	static struct oracle_service services[ORACLE_SERVICES];
	char error[256];
	memset(services, 0, sizeof(services));
	for (size_t i = 0; i < world->model.n_services; i++)
		fill_service(world, &world->model.services[i],
			     &services[service_of(world, &world->model.services[i])]);
	for (size_t i = 0; i < world->model.n_groups; i++)
		fill_group(world, &world->model.groups[i], services);
	oracle_publish(world->oracle, services, error);
	if (error[0])
		soak_fail("a selection table is invalid: %s", error);
}
