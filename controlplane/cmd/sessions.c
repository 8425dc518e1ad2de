// SPDX-License-Identifier: BSD-3-Clause
/*
 * Sessions. A table of millions is shown and cleared in pages, each of them some milliseconds of berthd's loop; the
 * cursor between two is a place in the table, where nothing ever moves, so it stays good whatever happens
 * meanwhile.
 */
#include "controlplane/tables/sessions.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/cmd/cmd.h"
#include "controlplane/util/address.h"
#include "controlplane/util/clock.h"
#include "dataplane/core/session.h"

enum {
	PAGE_PLACES = 1 << 17, /* looked at for one page: about a millisecond where nothing is meant */
	CURSOR_BYTES = 12,
};

/* Where a request is about sessions that stand in the tables: the current generation. */
struct scene {
	const struct berth_model *model;
	struct berth_view view;
	uint32_t places; /* of the session table */
};

static struct scene scene_of(const struct berth_daemon_state *state)
{
	const struct berth_image *image = &state->engine->image;
	return (struct scene){
		.model = state->model,
		.view = berth_sessions_view(image, berth_clock_s()),
		.places = image->geometry.session_buckets * BERTH_BUCKET_WORDS,
	};
}

/* By the name of a service, or of a group, whose first service stands for it. NULL with one line in `error`. */
static const struct berth_model_service *find_service(const struct scene *scene, const char *name,
						      char error[BERTH_ERROR_BYTES])
{
	const struct berth_model *model = scene->model;
	const struct berth_model_service *found = berth_model_service(model, name);
	for (size_t i = 0; !found && i < model->n_services; i++)
		if (name[0] && strcmp(model->services[i].config.group, name) == 0)
			found = &model->services[i];
	const struct berth_service *service = found ? berth_service_of(&scene->view, found->number) : NULL;
	if (service && service->id == found->id)
		return found;
	snprintf(error, BERTH_ERROR_BYTES,
		 found ? "\"%s\" is not in force yet; try again"
		       : "there is no service or group \"%s\"; `berthctl show services` lists what there is",
		 name);
	return NULL;
}

/* The number under which a service's sessions stand. */
static uint32_t session_service(const struct scene *scene, const struct berth_model_service *service)
{
	return berth_service_of(&scene->view, service->number)->session_service;
}

/* By the argument SERVICE/BACKEND: the service, and the number that words have for the backend. */
static enum berth_code find_backend(const struct scene *scene, const json_t *arguments,
				    const struct berth_model_service **service, uint32_t *number,
				    char error[BERTH_ERROR_BYTES])
{
	char of[BERTH_NAME_BYTES];
	const char *name = NULL;
	enum berth_code code = berth_cmd_split(arguments, of, &name, error);
	if (code)
		return code;
	*service = find_service(scene, of, error);
	if (!*service)
		return BERTH_CODE_NOT_FOUND;
	struct berth_model_service *in = berth_model_service(scene->model, (*service)->config.name);
	const struct berth_model_backend *backend = berth_model_backend(in, name);
	if (!backend)
		return berth_cmd_fail(error, BERTH_CODE_NOT_FOUND,
				      "there is no backend %s/%s; `berthctl show backends` lists what there is", of,
				      name);
	*number = (uint32_t)berth_sibling(&scene->view, backend->number, session_service(scene, *service));
	if (*number)
		return BERTH_CODE_OK;
	return berth_cmd_fail(error, BERTH_CODE_NOT_FOUND,
			      "%s/%s holds no sessions: the first service of its group has no backend of that "
			      "name, or not yet",
			      of, name);
}

static enum berth_code parse_number(const json_t *arguments, const char *name, uint32_t most, uint32_t *number,
				    char error[BERTH_ERROR_BYTES])
{
	const char *text = berth_cmd_text(arguments, name);
	if (!text)
		return BERTH_CODE_OK;
	char *end;
	errno = 0;
	unsigned long value = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || errno || value > UINT32_MAX)
		return berth_cmd_fail(error, BERTH_CODE_INVALID, "\"%s\" is a whole number, not \"%.32s\"", name,
				      text);
	*number = value < most ? (uint32_t)value : most;
	return BERTH_CODE_OK;
}

/* Which sessions a request is about, and the place where its page begins. */
static enum berth_code parse_search(const struct scene *scene, const json_t *arguments,
				    struct berth_session_filter *filter, uint32_t *at,
				    char error[BERTH_ERROR_BYTES])
{
	const char *of = berth_cmd_text(arguments, "service");
	const char *client = berth_cmd_text(arguments, "client");
	const struct berth_model_service *service = NULL;
	*filter = (struct berth_session_filter){.by_client = client != NULL};
	*at = 0;
	if (of) {
		service = find_service(scene, of, error);
		if (!service)
			return BERTH_CODE_NOT_FOUND;
		filter->service = session_service(scene, service);
	}
	if (client && berth_prefix_parse(client, &filter->prefix, &filter->bits))
		return berth_cmd_fail(error, BERTH_CODE_INVALID,
				      "clients are an address or a prefix, as 198.51.100.0/24, not \"%.64s\"",
				      client);
	filter->prefix = berth_prefix_of(&filter->prefix, filter->bits);
	if (berth_cmd_text(arguments, "backend")) {
		enum berth_code code = find_backend(scene, arguments, &service, &filter->backend, error);
		if (code)
			return code;
	}
	return parse_number(arguments, "after", scene->places, at, error);
}

/* The end of a page that begins at `at`. */
static uint32_t page_end(const struct scene *scene, uint32_t at)
{
	return scene->places - at > PAGE_PLACES ? at + PAGE_PLACES : scene->places;
}

/* Where the page after one that ended at `at` begins. */
static json_t *next_json(const struct scene *scene, uint32_t at)
{
	return at < scene->places ? json_sprintf("%u", at) : json_null();
}

/* What rows say of a backend, by its number. The texts are shared by all rows that have them. */
struct name {
	json_t *service;
	json_t *group;
	json_t *backend;
};

static json_t *text_json(const char *text)
{
	return text[0] ? json_string(text) : json_null();
}

static void free_names(const struct scene *scene, struct name *names)
{
	for (uint32_t n = 0; names && n < scene->view.backends; n++) {
		json_decref(names[n].service);
		json_decref(names[n].group);
		json_decref(names[n].backend);
	}
	free(names);
}

/* NULL: no memory. */
static struct name *names_of(const struct scene *scene)
{
	const struct berth_model *model = scene->model;
	struct name *names = calloc(scene->view.backends, sizeof(*names));
	for (size_t i = 0; names && i < model->n_services; i++) {
		const struct berth_model_service *service = &model->services[i];
		json_t *name = json_string(service->config.name), *group = text_json(service->config.group);
		for (size_t j = 0; j < service->n_backends; j++)
			names[service->backends[j].number] = (struct name){
				.service = json_incref(name),
				.group = json_incref(group),
				.backend = json_string(service->backends[j].config.name),
			};
		json_decref(name);
		json_decref(group);
	}
	return names;
}

static const char *reason_name(uint8_t reason)
{
	static const char *const names[] = {
		[BERTH_REASON_SELECTED] = "selected",
		[BERTH_REASON_SPILLED] = "spilled",
		[BERTH_REASON_FAILED_OVER] = "failed_over",
		[BERTH_REASON_RETURNED] = "returned",
		[BERTH_REASON_MOVED] = "moved",
		[BERTH_REASON_PINNED] = "pinned",
	};
	return reason < sizeof(names) / sizeof(names[0]) && names[reason] ? names[reason] : "unknown";
}

static json_t *client_json(const struct scene *scene, const struct berth_session *session)
{
	char text[BERTH_PREFIX_TEXT];
	const struct berth_backend *backend = berth_backend_of(&scene->view, berth_word_backend(session->word));
	const struct berth_service *service = berth_service_of(&scene->view, backend->service);
	uint8_t bits = berth_sessions_prefix_bits(service, &session->client.addr);
	return json_string(berth_prefix_format(&session->client.addr, bits, text));
}

/* The other backend of the session's reason: the previous one, or the pinned one while another one has the session.
 * null: none. */
static json_t *from_json(const struct scene *scene, const struct name *names, const struct berth_session *session,
			 bool pinned)
{
	uint32_t from = session->client.from;
	if (pinned != (session->client.reason == BERTH_REASON_PINNED) || !from || from >= scene->view.backends ||
	    from == berth_word_backend(session->word) || !names[from].backend)
		return json_null();
	return json_incref(names[from].backend);
}

/* What the line beside the word says, or null for each where it is about another word. */
static void add_client(json_t *row, const struct scene *scene, const struct name *names,
		       const struct berth_session *session)
{
	const struct berth_client *client = &session->client;
	bool known = session->has_client;
	uint32_t age = scene->view.now > client->since ? scene->view.now - client->since : 0;
	json_object_set_new_nocheck(row, "reason",
				    known ? json_string_nocheck(reason_name(client->reason)) : json_null());
	json_object_set_new_nocheck(row, "previous_backend",
				    known ? from_json(scene, names, session, false) : json_null());
	json_object_set_new_nocheck(row, "pinned_backend",
				    known ? from_json(scene, names, session, true) : json_null());
	json_object_set_new_nocheck(row, "age_s", known ? json_integer(age) : json_null());
	json_object_set_new_nocheck(row, "new_flows", known ? json_integer(client->flows) : json_null());
}

/* NULL where the session's backend is one that the model does not have any more. */
static json_t *row_json(const struct scene *scene, const struct name *names, const struct berth_session *session)
{
	const struct name *name = &names[berth_word_backend(session->word)];
	if (!name->backend)
		return NULL;
	json_t *row = json_object();
	/* berthd itself touches what is pinned. */
	bool idle_known = !session->has_client || session->client.reason != BERTH_REASON_PINNED;
	json_object_set_new_nocheck(row, "client", session->has_client ? client_json(scene, session) : json_null());
	json_object_set_nocheck(row, "service", name->service);
	json_object_set_nocheck(row, "group", name->group);
	json_object_set_nocheck(row, "backend", name->backend);
	json_object_set_new_nocheck(row, "idle_s",
				    idle_known ? json_integer(berth_word_age(session->word, scene->view.now))
					       : json_null());
	add_client(row, scene, names, session);
	return row;
}

enum berth_code berth_cmd_show_sessions(const struct berth_cmd_context *context, const json_t *arguments,
					json_t **result, char error[BERTH_ERROR_BYTES])
{
	const struct scene scene = scene_of(context->state);
	struct berth_session_filter filter;
	struct berth_session session;
	uint32_t at, limit = BERTH_WIRE_PAGE;
	enum berth_code code = parse_search(&scene, arguments, &filter, &at, error);
	if (!code)
		code = parse_number(arguments, "limit", BERTH_WIRE_PAGE, &limit, error);
	if (code)
		return code;
	struct name *names = names_of(&scene);
	json_t *rows = names ? json_array() : NULL;
	const uint32_t end = page_end(&scene, at);
	while (rows && json_array_size(rows) < limit &&
	       berth_sessions_next(&scene.view, &filter, &at, end, &session)) {
		json_t *row = row_json(&scene, names, &session);
		if (row)
			json_array_append_new(rows, row);
	}
	free_names(&scene, names);
	*result = json_pack("{s:o, s:o}", "sessions", rows, "next", next_json(&scene, at));
	return BERTH_CODE_OK;
}

enum berth_code berth_cmd_session_clear(const struct berth_cmd_context *context, const json_t *arguments,
					json_t **result, char error[BERTH_ERROR_BYTES])
{
	const struct scene scene = scene_of(context->state);
	struct berth_session_filter filter;
	struct berth_session session;
	uint64_t cleared = 0;
	uint32_t at;
	enum berth_code code = parse_search(&scene, arguments, &filter, &at, error);
	if (code)
		return code;
	if (!filter.service && !filter.backend && !filter.by_client)
		return berth_cmd_fail(error, BERTH_CODE_INVALID,
				      "say which sessions: --service, --client or --backend");
	const uint32_t end = page_end(&scene, at);
	while (berth_sessions_next(&scene.view, &filter, &at, end, &session))
		cleared += berth_sessions_remove(&scene.view, &session);
	*result = json_pack("{s:o, s:o}", "cleared_sessions", berth_cmd_count(cleared), "next",
			    next_json(&scene, at));
	return BERTH_CODE_OK;
}

/* The argument CLIENT: one client of a service. */
static enum berth_code parse_client(const struct scene *scene, const json_t *arguments,
				    const struct berth_model_service *of, union berth_addr *client,
				    char error[BERTH_ERROR_BYTES])
{
	const char *text = berth_cmd_text(arguments, "client");
	const struct berth_service *service = berth_service_of(&scene->view, of->number);
	uint8_t bits;
	if (service->affinity != BERTH_AFFINITY_CLIENT)
		return berth_cmd_fail(error, BERTH_CODE_INVALID, "%s has no sessions: its affinity is by flow",
				      of->config.name);
	if (berth_prefix_parse(text, client, &bits))
		return berth_cmd_fail(error, BERTH_CODE_INVALID,
				      "a client is an address, as 198.51.100.7, not \"%.64s\"", text);
	*client = berth_prefix_of(client, bits);
	if (bits < berth_sessions_prefix_bits(service, client))
		return berth_cmd_fail(error, BERTH_CODE_INVALID, "%s is more than one client of %s", text,
				      of->config.name);
	return BERTH_CODE_OK;
}

static enum berth_code place(const struct berth_cmd_context *context, const json_t *arguments,
			     enum berth_reason reason, json_t **result, char error[BERTH_ERROR_BYTES])
{
	const struct scene scene = scene_of(context->state);
	struct berth_session placed;
	union berth_addr client;
	uint32_t backend = 0;
	const struct berth_model_service *service = NULL;
	enum berth_code code = find_backend(&scene, arguments, &service, &backend, error);
	if (!code)
		code = parse_client(&scene, arguments, service, &client, error);
	if (code)
		return code;
	int err = berth_sessions_assign(&scene.view, &client, service->number, backend, reason, &placed);
	if (err == -ENOENT)
		return berth_cmd_fail(error, BERTH_CODE_NOT_FOUND,
				      "%s has no session in %s; `berthctl session pin` would give it one",
				      berth_cmd_text(arguments, "client"), service->config.name);
	if (err)
		return berth_cmd_fail(error, BERTH_CODE_INTERNAL,
				      err == -ENOSPC ? "the session table is full; raise limits.sessions"
						     : "the session changes all the time; try again");
	struct name *names = names_of(&scene);
	*result = names ? json_pack("{s:o}", "session", row_json(&scene, names, &placed)) : NULL;
	free_names(&scene, names);
	return BERTH_CODE_OK;
}

enum berth_code berth_cmd_session_pin(const struct berth_cmd_context *context, const json_t *arguments,
				      json_t **result, char error[BERTH_ERROR_BYTES])
{
	return place(context, arguments, BERTH_REASON_PINNED, result, error);
}

enum berth_code berth_cmd_session_move(const struct berth_cmd_context *context, const json_t *arguments,
				       json_t **result, char error[BERTH_ERROR_BYTES])
{
	return place(context, arguments, BERTH_REASON_MOVED, result, error);
}

enum berth_code berth_cmd_session_unpin(const struct berth_cmd_context *context, const json_t *arguments,
					json_t **result, char error[BERTH_ERROR_BYTES])
{
	const struct scene scene = scene_of(context->state);
	const struct berth_model_service *service = find_service(&scene, berth_cmd_text(arguments, "service"),
								 error);
	struct berth_session session;
	union berth_addr client;
	if (!service)
		return BERTH_CODE_NOT_FOUND;
	enum berth_code code = parse_client(&scene, arguments, service, &client, error);
	if (code)
		return code;
	if (!berth_sessions_lookup(&scene.view, &client, service->number, &session) || !session.has_client ||
	    session.client.reason != BERTH_REASON_PINNED)
		return berth_cmd_fail(error, BERTH_CODE_NOT_FOUND, "%s is not pinned in %s",
				      berth_cmd_text(arguments, "client"), service->config.name);
	bool cleared = berth_sessions_remove(&scene.view, &session);
	*result = json_pack("{s:i}", "cleared_sessions", cleared);
	return BERTH_CODE_OK;
}
