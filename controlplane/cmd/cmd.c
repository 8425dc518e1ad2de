// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/cmd/cmd.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/server/access.h"

static berth_cmd_fn *const handlers[BERTH_COMMAND_COUNT] = {
#define X(symbol, ...) berth_cmd_##symbol,
	BERTH_COMMANDS(X)
#undef X
};

enum berth_code berth_cmd_fail(char error[BERTH_ERROR_BYTES], enum berth_code code, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(error, BERTH_ERROR_BYTES, format, args);
	va_end(args);
	return code;
}

enum berth_code berth_cmd_find_service(const struct berth_cmd_context *context, const json_t *arguments,
				       const struct berth_model_service **service, char error[BERTH_ERROR_BYTES])
{
	const char *name = berth_cmd_text(arguments, "service");
	*service = name ? berth_model_service(context->state->model, name) : NULL;
	if (name && !*service)
		return berth_cmd_fail(error, BERTH_CODE_NOT_FOUND,
				      "service \"%s\" not found; `berthctl show services` lists all services",
				      name);
	return BERTH_CODE_OK;
}

enum berth_code berth_cmd_parse_cursor(const json_t *arguments, uint64_t *after, char error[BERTH_ERROR_BYTES])
{
	const char *text = berth_cmd_text(arguments, "after");
	char *end;
	*after = 0;
	if (!text)
		return BERTH_CODE_OK;
	*after = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || *after > UINT32_MAX)
		return berth_cmd_fail(error, BERTH_CODE_INVALID, "invalid after \"%.32s\"; write a whole number",
				      text);
	return BERTH_CODE_OK;
}

enum berth_code berth_cmd_parse_number(const json_t *arguments, const char *name, uint32_t max, uint32_t *number,
				       char error[BERTH_ERROR_BYTES])
{
	const char *text = berth_cmd_text(arguments, name);
	if (!text)
		return BERTH_CODE_OK;
	char *end;
	errno = 0;
	unsigned long value = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || errno || value > UINT32_MAX)
		return berth_cmd_fail(error, BERTH_CODE_INVALID, "invalid %s \"%.32s\"; write a whole number", name,
				      text);
	*number = value < max ? (uint32_t)value : max;
	return BERTH_CODE_OK;
}

json_t *berth_cmd_cursor(uint64_t at, uint64_t n)
{
	return at < n ? json_sprintf("%" PRIu64, at) : json_null();
}

json_t *berth_cmd_next_page(uint64_t after, uint64_t n)
{
	return berth_cmd_cursor(after + BERTH_WIRE_PAGE, n);
}

const char *berth_cmd_text(const json_t *arguments, const char *name)
{
	return json_string_value(json_object_get(arguments, name));
}

json_t *berth_cmd_merge(json_t *object, json_t *more)
{
	if (json_object_update(object, more) != 0) {
		json_decref(object);
		object = NULL;
	}
	json_decref(more);
	return object;
}

json_t *berth_cmd_count(uint64_t count)
{
	return json_integer((json_int_t)count);
}

const char *berth_cmd_response_from(uint32_t response_us, bool is_by_connections)
{
	return !response_us ? NULL : is_by_connections ? "connections" : "checks";
}

enum berth_code berth_cmd_parse_backend(const json_t *arguments, char service[BERTH_NAME_BYTES],
					const char **backend, char error[BERTH_ERROR_BYTES])
{
	const char *name = berth_cmd_text(arguments, "backend");
	const char *slash = strchr(name, '/');
	if (!slash || slash == name || !slash[1])
		return berth_cmd_fail(error, BERTH_CODE_INVALID,
				      "invalid backend \"%s\"; write SERVICE/BACKEND, as in web/b1", name);
	if ((size_t)(slash - name) >= BERTH_NAME_BYTES)
		return berth_cmd_fail(error, BERTH_CODE_NOT_FOUND, "service not found: its name is too long");
	memcpy(service, name, (size_t)(slash - name));
	service[slash - name] = '\0';
	*backend = slash + 1;
	return BERTH_CODE_OK;
}

enum berth_code berth_cmd_no_backend(const char *service, const char *backend, char error[BERTH_ERROR_BYTES])
{
	return berth_cmd_fail(error, BERTH_CODE_NOT_FOUND,
			      "backend %s/%s not found; `berthctl show backends` lists all backends", service,
			      backend);
}

/* Whether `key` has the content of the file: "text" of "file", "text2" of "file2". */
static bool is_content(const struct berth_argument *argument, const char *key)
{
	return argument->kind == BERTH_ARGUMENT_FILE && strncmp(key, "text", strlen("text")) == 0 &&
	       strcmp(key + strlen("text"), argument->name + strlen("file")) == 0;
}

/* Whether this argument allows `key` in a request. */
static bool allows(const struct berth_argument *argument, const char *key)
{
	return strcmp(argument->name, key) == 0 || is_content(argument, key);
}

static enum berth_code check_known(const struct berth_command *command, const json_t *arguments,
				   char error[BERTH_ERROR_BYTES])
{
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)arguments, key, value)
	{
		const struct berth_argument *argument = command->arguments;
		while (argument->name && (berth_argument_is_local(argument) || !allows(argument, key)))
			argument++;
		if (!argument->name)
			return berth_cmd_fail(error, BERTH_CODE_INVALID, "`%s` has no argument \"%s\"",
					      command->words, key);
	}
	return BERTH_CODE_OK;
}

static enum berth_code check_content(const struct berth_command *command, const struct berth_argument *argument,
				     const json_t *arguments, char error[BERTH_ERROR_BYTES])
{
	char key[16];
	snprintf(key, sizeof(key), "text%s", argument->name + strlen("file"));
	if (json_is_string(json_object_get(arguments, key)))
		return BERTH_CODE_OK;
	return berth_cmd_fail(error, BERTH_CODE_INVALID, "`%s` needs \"%s\", a string: the content of the file",
			      command->words, key);
}

static enum berth_code check_words(const struct berth_command *command, const struct berth_argument *argument,
				   const json_t *value, char error[BERTH_ERROR_BYTES])
{
	size_t i;
	json_t *word;
	json_array_foreach(value, i, word) if (!json_is_string(word)) break;
	if (json_is_array(value) && i == json_array_size(value))
		return BERTH_CODE_OK;
	return berth_cmd_fail(error, BERTH_CODE_INVALID, "`%s` needs \"%s\", a list of strings", command->words,
			      argument->name);
}

static enum berth_code check_argument(const struct berth_command *command, const struct berth_argument *argument,
				      const json_t *arguments, char error[BERTH_ERROR_BYTES])
{
	const json_t *value = json_object_get(arguments, argument->name);
	if (berth_argument_is_local(argument) || (!value && argument->optional))
		return BERTH_CODE_OK;
	if (argument->kind == BERTH_ARGUMENT_FLAG) {
		if (!json_is_boolean(value))
			return berth_cmd_fail(error, BERTH_CODE_INVALID, "`%s`: \"%s\" must be true or false",
					      command->words, argument->name);
		return BERTH_CODE_OK;
	}
	if (argument->kind == BERTH_ARGUMENT_REST)
		return check_words(command, argument, value, error);
	if (!json_is_string(value))
		return berth_cmd_fail(error, BERTH_CODE_INVALID, "`%s` needs \"%s\", a string", command->words,
				      argument->name);
	return argument->kind == BERTH_ARGUMENT_FILE ? check_content(command, argument, arguments, error)
						     : BERTH_CODE_OK;
}

static enum berth_code check(const struct berth_command *command, const json_t *arguments,
			     char error[BERTH_ERROR_BYTES])
{
	enum berth_code code = check_known(command, arguments, error);
	for (const struct berth_argument *argument = command->arguments; argument->name && !code; argument++)
		code = check_argument(command, argument, arguments, error);
	return code;
}

/* A refused change is logged like one that failed. */
static enum berth_code check_role(const struct berth_command *command, const struct berth_cmd_context *context,
				  const json_t *arguments, char error[BERTH_ERROR_BYTES])
{
	const struct berth_server_peer peer = berth_server_peer(context->server);
	const enum berth_role role = berth_access_role(context->state->access, &peer);
	if (role >= (enum berth_role)command->kind)
		return BERTH_CODE_OK;
	berth_cmd_fail(error, BERTH_CODE_DENIED,
		       "`%s` needs the role %s, and uid %u has the role %s; `access` in the configuration sets it",
		       command->words, berth_role_name((enum berth_role)command->kind), (unsigned int)peer.uid,
		       berth_role_name(role));
	if (command->kind != BERTH_COMMAND_KIND_READ)
		berth_cmd_log(peer, command, arguments, error, NULL);
	return BERTH_CODE_DENIED;
}

/* Logs a change and its result. in_force.c logs those that are answered later. A change that is not in force in
 * time is an alarm of its own. */
static enum berth_code run(enum berth_command_index index, struct berth_cmd_context *context,
			   const json_t *arguments, json_t **result, char error[BERTH_ERROR_BYTES])
{
	const struct berth_command *command = &berth_commands[index];
	context->command = command;
	context->arguments = arguments;
	enum berth_code code = handlers[index](context, arguments, result, error);
	if (command->kind != BERTH_COMMAND_KIND_READ && (code || *result))
		berth_cmd_log(berth_server_peer(context->server), command, arguments, code ? error : NULL, *result);
	return code;
}

enum berth_code berth_cmd_run(void *context, const char *command, const json_t *arguments, json_t **result,
			      char error[BERTH_ERROR_BYTES])
{
	for (size_t i = 0; i < BERTH_COMMAND_COUNT; i++) {
		if (strcmp(berth_commands[i].words, command) != 0)
			continue;
		enum berth_code code = check_role(&berth_commands[i], context, arguments, error);
		if (!code)
			code = check(&berth_commands[i], arguments, error);
		return code ? code : run((enum berth_command_index)i, context, arguments, result, error);
	}
	return berth_cmd_fail(error, BERTH_CODE_INVALID, "unknown command; `berthctl help` lists all commands");
}
