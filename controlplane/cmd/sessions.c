// SPDX-License-Identifier: BSD-3-Clause
/*
 * Sessions. A table of millions is read and cleared in pages, each a few milliseconds of berthd's loop. The cursor
 * between two pages is an index of the table. Entries never move, so it stays valid while the table changes.
 */
#include "controlplane/tables/sessions.h"
#include "controlplane/tables/former_words.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/cmd/cmd.h"
#include "controlplane/cmd/show/rows.h"
#include "controlplane/util/address.h"
#include "controlplane/util/clock.h"
#include "dataplane/core/session.h"

enum {
	PAGE_SLOTS = 1 << 17, /* scanned per page: about 1 ms where no entry matches */
};

/* The session table under the current generation. */
struct session_table {
	const struct berth_model *model;
	struct berth_view view;
	uint32_t slots;
};

static struct session_table table_of(const struct berth_daemon_state *state)
{
	const struct berth_image *image = &state->engine->image;
	/* Then all sessions are in one table. */
	berth_former_words_empty(image, BERTH_TABLE_SESSIONS, berth_clock_s());
	return (struct session_table){
		.model = state->model,
		.view = berth_sessions_view(image, berth_clock_s()),
		.slots = image->geometry.session_buckets * BERTH_BUCKET_WORDS,
	};
}

/* `name`: a service or a group; of a group the first service. NULL with one line in `error`. */
static const struct berth_model_service *find_service(const struct session_table *table, const char *name,
						      char error[BERTH_ERROR_BYTES])
{
	const struct berth_model *model = table->model;
	const struct berth_model_service *found = berth_model_service(model, name);
	for (size_t i = 0; !found && i < model->n_services; i++)
		if (name[0] && strcmp(model->services[i].config.group, name) == 0)
			found = &model->services[i];
	const struct berth_service *service = found ? berth_service_of(&table->view, found->number) : NULL;
	if (service && service->id == found->id)
		return found;
	snprintf(error, BERTH_ERROR_BYTES,
		 found ? "\"%s\" is not in force yet; try again"
		       : "service or group \"%s\" not found; `berthctl show services` lists all services",
		 name);
	return NULL;
}

/* The service number in the keys of a service's sessions. */
static uint32_t session_service(const struct session_table *table, const struct berth_model_service *service)
{
	return berth_service_of(&table->view, service->number)->session_service;
}

/* Finds the argument SERVICE/BACKEND: the service, and the backend number in the words of its sessions. */
static enum berth_code find_backend(const struct session_table *table, const json_t *arguments,
				    const struct berth_model_service **service, uint32_t *number,
				    char error[BERTH_ERROR_BYTES])
{
	char service_name[BERTH_NAME_BYTES];
	const char *name = NULL;
	enum berth_code code = berth_cmd_parse_backend(arguments, service_name, &name, error);
	if (code)
		return code;
	*service = find_service(table, service_name, error);
	if (!*service)
		return BERTH_CODE_NOT_FOUND;
	struct berth_model_service *found = berth_model_service(table->model, (*service)->config.name);
	const struct berth_model_backend *backend = berth_model_backend(found, name);
	if (!backend)
		return berth_cmd_no_backend(service_name, name, error);
	*number = (uint32_t)berth_sibling(&table->view, backend->number, session_service(table, *service));
	if (*number)
		return BERTH_CODE_OK;
	return berth_cmd_fail(error, BERTH_CODE_NOT_FOUND, "%s/%s is not in force yet; try again", service_name,
			      name);
}

/* Parses the filter of a request, and the slot at which its page starts. */
static enum berth_code parse_search(const struct session_table *table, const json_t *arguments,
				    struct berth_session_filter *filter, uint32_t *at,
				    char error[BERTH_ERROR_BYTES])
{
	const char *service_name = berth_cmd_text(arguments, "service");
	const char *client = berth_cmd_text(arguments, "client");
	const struct berth_model_service *service = NULL;
	*filter = (struct berth_session_filter){.by_client = client != NULL};
	*at = 0;
	if (service_name) {
		service = find_service(table, service_name, error);
		if (!service)
			return BERTH_CODE_NOT_FOUND;
		filter->service = session_service(table, service);
	}
	if (client && berth_prefix_parse(client, &filter->prefix, &filter->bits))
		return berth_cmd_fail(error, BERTH_CODE_INVALID,
				      "invalid client \"%.64s\"; write an address or a prefix, as 198.51.100.0/24",
				      client);
	filter->prefix = berth_prefix_of(&filter->prefix, filter->bits);
	if (berth_cmd_text(arguments, "backend")) {
		enum berth_code code = find_backend(table, arguments, &service, &filter->backend, error);
		if (code)
			return code;
	}
	return berth_cmd_parse_number(arguments, "after", table->slots, at, error);
}

/* The end of a page that starts at `at`. */
static uint32_t page_end(const struct session_table *table, uint32_t at)
{
	return table->slots - at > PAGE_SLOTS ? at + PAGE_SLOTS : table->slots;
}

/* The cursor after a page that ended at `at`. */
static json_t *next_json(const struct session_table *table, uint32_t at)
{
	return at < table->slots ? json_sprintf("%u", at) : json_null();
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

static json_t *client_json(const struct session_table *table, const struct berth_session *session)
{
	char text[BERTH_PREFIX_TEXT];
	const struct berth_backend *backend = berth_backend_of(&table->view, berth_word_backend(session->word));
	const struct berth_service *service = berth_service_of(&table->view, backend->service);
	uint8_t bits = berth_sessions_prefix_bits(service, &session->client.addr);
	return json_string(berth_prefix_format(&session->client.addr, bits, text));
}

/* `pinned`: the pinned backend while another backend has the session; else the backend before the last move. */
static json_t *other_backend_json(const struct session_table *table, const struct berth_row_name *names,
				  const struct berth_session *session, bool pinned)
{
	uint32_t from = session->client.from;
	if (pinned != (session->client.reason == BERTH_REASON_PINNED) || !from || from >= table->view.backends ||
	    from == berth_word_backend(session->word) || !names[from].backend)
		return json_null();
	return json_incref(names[from].backend);
}

/* The fields of the client line; null where the line belongs to another word. */
static void add_client(json_t *row, const struct session_table *table, const struct berth_row_name *names,
		       const struct berth_session *session)
{
	const struct berth_client *client = &session->client;
	bool has_client = session->has_client;
	/* After a reboot a session can be older than the clock. */
	int32_t age = (int32_t)(table->view.now - client->since);
	json_object_set_new_nocheck(row, "reason",
				    has_client ? json_string_nocheck(reason_name(client->reason)) : json_null());
	json_object_set_new_nocheck(row, "previous_backend",
				    has_client ? other_backend_json(table, names, session, false) : json_null());
	json_object_set_new_nocheck(row, "pinned_backend",
				    has_client ? other_backend_json(table, names, session, true) : json_null());
	json_object_set_new_nocheck(row, "age_s", has_client ? json_integer(age > 0 ? age : 0) : json_null());
	json_object_set_new_nocheck(row, "new_flows", has_client ? json_integer(client->flows) : json_null());
}

/* NULL: the model has removed the backend of the session. */
static json_t *row_json(const struct session_table *table, const struct berth_row_name *names,
			const struct berth_session *session)
{
	const struct berth_row_name *name = &names[berth_word_backend(session->word)];
	if (!name->backend)
		return NULL;
	json_t *row = json_object();
	/* berthd refreshes pinned sessions, so their age is not idle time. */
	bool is_idle_known = !session->has_client || session->client.reason != BERTH_REASON_PINNED;
	json_object_set_new_nocheck(row, "client", session->has_client ? client_json(table, session) : json_null());
	json_object_set_nocheck(row, "service", name->service);
	json_object_set_nocheck(row, "group", name->group);
	json_object_set_nocheck(row, "backend", name->backend);
	json_object_set_new_nocheck(
		row, "state",
		json_string_nocheck(berth_session_is_confirmed(session) ? "confirmed" : "unconfirmed"));
	json_object_set_new_nocheck(row, "idle_s",
				    is_idle_known ? json_integer(berth_word_age(session->word, table->view.now))
						  : json_null());
	add_client(row, table, names, session);
	return row;
}

enum berth_code berth_cmd_show_sessions(const struct berth_cmd_context *context, const json_t *arguments,
					json_t **result, char error[BERTH_ERROR_BYTES])
{
	const struct session_table table = table_of(context->state);
	struct berth_session_filter filter;
	struct berth_session session;
	uint32_t at, limit = BERTH_WIRE_PAGE;
	enum berth_code code = parse_search(&table, arguments, &filter, &at, error);
	if (!code)
		code = berth_cmd_parse_number(arguments, "limit", BERTH_WIRE_PAGE, &limit, error);
	if (code)
		return code;
	struct berth_row_name *names = berth_row_names_new(table.model, table.view.backends, BERTH_ROW_SESSIONS);
	json_t *rows = names ? json_array() : NULL;
	const uint32_t end = page_end(&table, at);
	while (rows && json_array_size(rows) < limit &&
	       berth_sessions_next(&table.view, &filter, &at, end, &session)) {
		json_t *row = row_json(&table, names, &session);
		if (row)
			json_array_append_new(rows, row);
	}
	berth_row_names_free(names, table.view.backends);
	*result = json_pack("{s:o, s:o}", "sessions", rows, "next", next_json(&table, at));
	return BERTH_CODE_OK;
}

static bool is_pinned(const struct berth_session *session)
{
	return session->has_client && session->client.reason == BERTH_REASON_PINNED;
}

static void unpin(const struct berth_cmd_context *context, const struct berth_service *service,
		  const union berth_addr *client)
{
	const struct berth_cmd_origin origin = berth_cmd_origin(context);
	const struct berth_pin pin = {
		.service = service->id, .client = *client, .bits = berth_sessions_prefix_bits(service, client)};
	context->actions->unpin(context->daemon, &pin, &origin);
}

/* A removed session takes its pin with it. */
static void forget_pin(const struct berth_cmd_context *context, const struct session_table *table,
		       const struct berth_session *session)
{
	const struct berth_backend *backend = berth_backend_of(&table->view, berth_word_backend(session->word));
	const struct berth_service *service = backend ? berth_service_of(&table->view, backend->service) : NULL;
	if (service && is_pinned(session))
		unpin(context, service, &session->client.addr);
}

/* Other nodes clear theirs by themselves: of each service that the filter means. False: one of them was not told.
 */
static bool tell_clear(const struct berth_cmd_context *context, const struct session_table *table,
		       const struct berth_session_filter *filter)
{
	const struct berth_view *view = &table->view;
	const struct berth_backend *backend = filter->backend ? berth_backend_of(view, filter->backend) : NULL;
	struct berth_cluster_record command = {.table = BERTH_CLUSTER_CLEAR, .backend = backend ? backend->id : 0};
	bool is_told = true;
	if (filter->by_client) {
		command.client = filter->prefix;
		command.client_bits = filter->bits;
	}
	for (uint32_t i = 1; i < view->services; i++) {
		const struct berth_service *service = berth_service_of(view, i);
		if (!service || !service->id || service->affinity != BERTH_AFFINITY_CLIENT ||
		    service->session_service != i || (filter->service && filter->service != i))
			continue;
		command.service = service->id;
		is_told &= berth_cmd_tell_sessions(context, &command);
	}
	return is_told;
}

enum berth_code berth_cmd_session_clear(const struct berth_cmd_context *context, const json_t *arguments,
					json_t **result, char error[BERTH_ERROR_BYTES])
{
	const struct session_table table = table_of(context->state);
	struct berth_session_filter filter;
	struct berth_session session;
	uint64_t cleared = 0;
	uint32_t at;
	enum berth_code code = parse_search(&table, arguments, &filter, &at, error);
	if (code)
		return code;
	if (!filter.service && !filter.backend && !filter.by_client)
		return berth_cmd_fail(error, BERTH_CODE_INVALID,
				      "session clear needs --service, --client or --backend");
	const uint32_t end = page_end(&table, at);
	while (berth_sessions_next(&table.view, &filter, &at, end, &session))
		if (berth_sessions_remove(&table.view, &session)) {
			forget_pin(context, &table, &session);
			cleared++;
		}
	context->actions->save(context->daemon);
	*result = json_pack("{s:o, s:o}", "cleared_sessions", berth_cmd_count(cleared), "next",
			    next_json(&table, at));
	if (at >= table.slots)
		berth_cmd_add_told(context, *result, tell_clear(context, &table, &filter));
	return BERTH_CODE_OK;
}

/* Parses the argument CLIENT: one client of a service. */
static enum berth_code parse_client(const struct session_table *table, const json_t *arguments,
				    const struct berth_model_service *model, union berth_addr *client,
				    char error[BERTH_ERROR_BYTES])
{
	const char *text = berth_cmd_text(arguments, "client");
	const struct berth_service *service = berth_service_of(&table->view, model->number);
	uint8_t bits;
	if (service->affinity != BERTH_AFFINITY_CLIENT)
		return berth_cmd_fail(
			error, BERTH_CODE_INVALID,
			"%s has no sessions: its affinity is by flow; `affinity: {by: client}` gives it some",
			model->config.name);
	if (berth_prefix_parse(text, client, &bits))
		return berth_cmd_fail(error, BERTH_CODE_INVALID,
				      "invalid client \"%.64s\"; write an address, as 198.51.100.7", text);
	*client = berth_prefix_of(client, bits);
	if (bits < berth_sessions_prefix_bits(service, client))
		return berth_cmd_fail(error, BERTH_CODE_INVALID, "%s covers more than one client of %s", text,
				      model->config.name);
	return BERTH_CODE_OK;
}

/* The session is placed: by a pin, or by a move, which ends a pin. */
static void follow_pin(const struct berth_cmd_context *context, const struct session_table *table,
		       const struct berth_model_service *service, const struct berth_session *session,
		       enum berth_reason reason)
{
	const union berth_addr *client = &session->client.addr;
	const uint32_t number = (uint32_t)berth_sibling(&table->view, berth_word_backend(session->word),
							service->number);
	const struct berth_backend *backend = berth_backend_of(&table->view, number);
	const struct berth_service *in_table = berth_service_of(&table->view, service->number);
	if (reason == BERTH_REASON_PINNED && backend) {
		const struct berth_cmd_origin origin = berth_cmd_origin(context);
		const uint8_t bits = berth_sessions_prefix_bits(in_table, client);
		const struct berth_pin pin = {service->id, backend->id, *client, bits};
		context->actions->pin(context->daemon, &pin, &origin);
	} else {
		unpin(context, in_table, client);
	}
	context->actions->save(context->daemon);
}

static bool tell_move(const struct berth_cmd_context *context, const struct session_table *table,
		      const struct berth_session *session)
{
	const struct berth_backend *backend = berth_backend_of(&table->view, berth_word_backend(session->word));
	const struct berth_service *service = backend ? berth_service_of(&table->view, backend->service) : NULL;
	if (!service)
		return false;
	const struct berth_cluster_record command = {
		.table = BERTH_CLUSTER_MOVE,
		.service = service->id,
		.backend = backend->id,
		.client = session->client.addr,
		.client_bits = berth_sessions_prefix_bits(service, &session->client.addr),
	};
	return berth_cmd_tell_sessions(context, &command);
}

/* Puts the session of a client on a backend. */
static enum berth_code assign(const struct berth_cmd_context *context, const json_t *arguments,
			      enum berth_reason reason, json_t **result, char error[BERTH_ERROR_BYTES])
{
	const struct session_table table = table_of(context->state);
	struct berth_session session;
	union berth_addr client;
	uint32_t backend = 0;
	const struct berth_model_service *service = NULL;
	enum berth_code code = find_backend(&table, arguments, &service, &backend, error);
	if (!code)
		code = parse_client(&table, arguments, service, &client, error);
	if (code)
		return code;
	int err = berth_sessions_assign(&table.view, &client, service->number, backend, reason, &session);
	if (err == -ENOENT)
		return berth_cmd_fail(error, BERTH_CODE_NOT_FOUND,
				      "%s has no session in %s; `berthctl session pin` creates one",
				      berth_cmd_text(arguments, "client"), service->config.name);
	if (err)
		return berth_cmd_fail(error, BERTH_CODE_INTERNAL,
				      err == -ENOSPC ? "the session table is full; raise limits.sessions"
						     : "the session changed during the command; try again");
	follow_pin(context, &table, service, &session, reason);
	struct berth_row_name *names = berth_row_names_new(table.model, table.view.backends, BERTH_ROW_SESSIONS);
	*result = names ? json_pack("{s:o}", "session", row_json(&table, names, &session)) : NULL;
	berth_row_names_free(names, table.view.backends);
	if (reason == BERTH_REASON_PINNED)
		berth_cmd_add_scope(context, *result);
	else
		berth_cmd_add_told(context, *result, tell_move(context, &table, &session));
	return BERTH_CODE_OK;
}

enum berth_code berth_cmd_session_pin(const struct berth_cmd_context *context, const json_t *arguments,
				      json_t **result, char error[BERTH_ERROR_BYTES])
{
	return assign(context, arguments, BERTH_REASON_PINNED, result, error);
}

enum berth_code berth_cmd_session_move(const struct berth_cmd_context *context, const json_t *arguments,
				       json_t **result, char error[BERTH_ERROR_BYTES])
{
	return assign(context, arguments, BERTH_REASON_MOVED, result, error);
}

enum berth_code berth_cmd_session_unpin(const struct berth_cmd_context *context, const json_t *arguments,
					json_t **result, char error[BERTH_ERROR_BYTES])
{
	const struct session_table table = table_of(context->state);
	const struct berth_model_service *service = find_service(&table, berth_cmd_text(arguments, "service"),
								 error);
	struct berth_session session;
	union berth_addr client;
	if (!service)
		return BERTH_CODE_NOT_FOUND;
	enum berth_code code = parse_client(&table, arguments, service, &client, error);
	if (code)
		return code;
	if (!berth_sessions_lookup(&table.view, &client, service->number, &session) || !is_pinned(&session))
		return berth_cmd_fail(error, BERTH_CODE_NOT_FOUND, "%s is not pinned in %s",
				      berth_cmd_text(arguments, "client"), service->config.name);
	bool cleared = berth_sessions_remove(&table.view, &session);
	unpin(context, berth_service_of(&table.view, service->number), &session.client.addr);
	context->actions->save(context->daemon);
	*result = json_pack("{s:i}", "cleared_sessions", cleared);
	berth_cmd_add_scope(context, *result);
	return BERTH_CODE_OK;
}
