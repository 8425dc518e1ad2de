// SPDX-License-Identifier: BSD-3-Clause
/* An operator's commands on sessions, with the functions of berthd's commands. */
#include "controlplane/tables/sessions.h"

#include <errno.h>

#include "dataplane/core/session.h"
#include "tests/soak/world.h"

/* A client of a service, and the arguments of a command. */
struct session_command {
	struct berth_view view;
	const struct berth_model_service *service;
	struct oracle_packet packet;
	union berth_addr client;
};

static struct session_command session_command_of(struct soak_world *world, uint32_t service, uint32_t client)
{
	const struct soak_client *known = &world->recent[service][client];
	struct session_command session_command = {
		.view = berth_sessions_view(&world->control.image, world->now),
		.service = berth_model_service(&world->model, world->services[service].name),
		.packet = {.service = (uint8_t)service, .is6 = known->is6},
	};
	memcpy(session_command.packet.client, known->address, sizeof(known->address));
	memcpy(&session_command.client, known->address, sizeof(known->address));
	return session_command;
}

/* The backend number of a server in sessions; 0: none. */
static uint32_t number_of(struct soak_world *world, const struct session_command *session_command, uint32_t server)
{
	const struct berth_model_backend *backend = soak_backend(world, session_command->packet.service, server);
	const struct berth_service *service = berth_service_of(&session_command->view,
							       session_command->service->number);
	return backend ? (uint32_t)berth_sibling(&session_command->view, backend->number, service->session_service)
		       : 0;
}

static void check_answer(struct soak_world *world, bool right)
{
	world->actions++;
	if (!right)
		soak_report_finding(world);
}

static int place(const struct session_command *session_command, uint32_t number, enum berth_reason reason)
{
	struct berth_session placed;
	int err = berth_sessions_assign(&session_command->view, &session_command->client,
					session_command->service->number, number, reason, &placed);
	if (err && err != -ENOENT && err != -ENOSPC)
		soak_fail("%s: a session cannot be placed: %d", session_command->service->config.name, err);
	return err;
}

void soak_pin(struct soak_world *world, uint32_t service, uint32_t client, uint32_t server)
{
	const struct session_command session_command = session_command_of(world, service, client);
	const uint32_t number = number_of(world, &session_command, server);
	if (!number)
		return;
	int err = place(&session_command, number, BERTH_REASON_PINNED);
	check_answer(world, oracle_session_pin(world->oracle, &session_command.packet, server, !err));
}

void soak_move(struct soak_world *world, uint32_t service, uint32_t client, uint32_t server)
{
	const struct session_command session_command = session_command_of(world, service, client);
	const uint32_t number = number_of(world, &session_command, server);
	if (!number)
		return;
	int err = place(&session_command, number, BERTH_REASON_MOVED);
	check_answer(world, oracle_session_move(world->oracle, &session_command.packet, server, !err));
}

void soak_unpin(struct soak_world *world, uint32_t service, uint32_t client)
{
	const struct session_command session_command = session_command_of(world, service, client);
	struct berth_session found;
	bool cleared = berth_sessions_lookup(&session_command.view, &session_command.client,
					     session_command.service->number, &found) &&
		       found.has_client && found.client.reason == BERTH_REASON_PINNED &&
		       berth_sessions_remove(&session_command.view, &found);
	check_answer(world, oracle_session_unpin(world->oracle, &session_command.packet, cleared));
}

static void clear(struct soak_world *world, const struct berth_session_filter *filter)
{
	const struct berth_view view = berth_sessions_view(&world->control.image, world->now);
	const uint32_t end = world->control.image.geometry.session_buckets * BERTH_BUCKET_WORDS;
	struct berth_session found;
	uint32_t at = 0;
	while (berth_sessions_next(&view, filter, &at, end, &found))
		if (!berth_sessions_remove(&view, &found))
			soak_fail("a session cannot be cleared");
}

void soak_clear(struct soak_world *world, uint32_t service, uint32_t client)
{
	const struct session_command session_command = session_command_of(world, service, client);
	const struct berth_service *published = berth_service_of(&session_command.view,
								 session_command.service->number);
	const struct berth_session_filter filter = {
		.service = published->session_service,
		.by_client = true,
		.prefix = session_command.client,
		.bits = 128,
	};
	clear(world, &filter);
	oracle_session_clear(world->oracle, &session_command.packet);
	world->actions++;
}

void soak_clear_server(struct soak_world *world, uint32_t service, uint32_t server)
{
	const struct session_command session_command = session_command_of(world, service, 0);
	const struct berth_session_filter filter = {.backend = number_of(world, &session_command, server)};
	if (!filter.backend)
		return;
	clear(world, &filter);
	oracle_session_clear_server(world->oracle, service, server);
	world->actions++;
}
