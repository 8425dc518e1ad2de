// SPDX-License-Identifier: BSD-3-Clause
/*
 * Writes berth's tables as one JSON object: the commands, those of berthctl itself, its exit statuses, the JSON
 * schema of the configuration. packaging/reference.py makes manual pages and the completion of it. Run while berth
 * is built; not installed.
 */
#include <stdio.h>
#include <stdlib.h>

#include "controlplane/api/commands.h"
#include "controlplane/api/own_commands.h"
#include "controlplane/reference/json_schema.h"

static const char *const kinds[] = {
	[BERTH_ARGUMENT_TEXT] = "text",	      [BERTH_ARGUMENT_FILE] = "file",
	[BERTH_ARGUMENT_FLAG] = "flag",	      [BERTH_ARGUMENT_OPTION] = "option",
	[BERTH_ARGUMENT_LOCAL_FLAG] = "flag", [BERTH_ARGUMENT_LOCAL_OPTION] = "option",
	[BERTH_ARGUMENT_REST] = "rest",
};

static const char *const roles[] = {
	[BERTH_ROLE_NONE] = "none",
	[BERTH_ROLE_VIEWER] = "viewer",
	[BERTH_ROLE_OPERATOR] = "operator",
	[BERTH_ROLE_ADMIN] = "admin",
};

static json_t *arguments(const struct berth_command *command)
{
	json_t *list = json_array();
	for (const struct berth_argument *argument = command->arguments; argument->name; argument++)
		json_array_append_new(list, json_pack("{s:s, s:s, s:b, s:s, s:s}", "name", argument->name, "kind",
						      kinds[argument->kind], "optional", argument->optional,
						      "usage", argument->usage, "help", argument->help));
	return list;
}

static json_t *commands(void)
{
	json_t *list = json_array();
	for (size_t i = 0; i < BERTH_COMMAND_COUNT; i++) {
		const struct berth_command *command = &berth_commands[i];
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:o}", "words", command->words, "help",
						      command->help, "role", roles[command->kind], "arguments",
						      arguments(command)));
	}
	return list;
}

static json_t *own_commands(void)
{
	json_t *list = json_array();
	for (size_t i = 0; i < BERTH_OWN_COMMAND_COUNT; i++)
		json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "words", berth_own_commands[i].words,
						      "usage", berth_own_commands[i].arguments, "help",
						      berth_own_commands[i].help));
	return list;
}

static json_t *statuses(void)
{
	json_t *list = json_array();
#define X(symbol, status, help) json_array_append_new(list, json_pack("[i, s]", status, help));
	BERTH_CLI_STATUSES(X)
#undef X
	return list;
}

int main(void)
{
	json_t *schema = berth_reference_schema(&berth_config_root);
	json_t *all = json_pack("{s:s, s:o, s:o, s:o, s:o}", "version", BERTH_VERSION, "commands", commands(),
				"own_commands", own_commands(), "statuses", statuses(), "schema", schema);
	if (!all || json_dumpf(all, stdout, JSON_INDENT(2)) || putchar('\n') == EOF) {
		fputs("reference: the tables cannot be written\n", stderr);
		return EXIT_FAILURE;
	}
	json_decref(all);
	return EXIT_SUCCESS;
}
