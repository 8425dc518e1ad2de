/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every command, once. From this list come berthd's table of handlers (cmd/cmd.c, berth_cmd_SYMBOL) and its
 * check of arguments, and berthctl's parser, help and suggestions.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum berth_argument_kind {
	BERTH_ARGUMENT_TEXT, /* a string, as it was typed */
	BERTH_ARGUMENT_FILE, /* a string, the file's name; what is in the file is sent as "text" */
	BERTH_ARGUMENT_FLAG, /* --name: true, or left out */
};

struct berth_argument {
	const char *name; /* its key in "arguments"; NULL after the last */
	enum berth_argument_kind kind;
	bool optional;
	const char *shown; /* in help */
	const char *help;
};

enum {
	BERTH_COMMAND_ARGUMENTS = 3, /* with the one after the last */
	BERTH_COMMAND_WORDS = 2,     /* at most */
};

struct berth_command {
	const char *words;
	const char *help;
	struct berth_argument arguments[BERTH_COMMAND_ARGUMENTS];
};

#define BERTH_ARG_SERVICE "service", BERTH_ARGUMENT_TEXT, true, "SERVICE", "only this service's"
#define BERTH_ARG_BACKEND "backend", BERTH_ARGUMENT_TEXT, false, "SERVICE/BACKEND", "as `show backends` names them"
#define BERTH_ARG_HEALTH                                                                                           \
	"health", BERTH_ARGUMENT_TEXT, false, "up|down|auto", "what it is from now on; auto: what its checks say"
#define BERTH_ARG_OF                                                                                               \
	"of", BERTH_ARGUMENT_TEXT, true, "SERVICE[/BACKEND]", "only this service's backends, or this one"
#define BERTH_ARG_FILE "file", BERTH_ARGUMENT_FILE, false, "FILE", "a configuration in YAML; - is standard input"
#define BERTH_ARG_NO_SAVE                                                                                          \
	"no-save", BERTH_ARGUMENT_FLAG, true, "--no-save", "leave the configuration file on disk as it is"

/* X(symbol, words, help, arguments...) */
#define BERTH_COMMANDS(X)                                                                                          \
	X(show_services, "show services", "services, what they are and what they carry")                           \
	X(show_backends, "show backends", "backends, their health and what they carry", {BERTH_ARG_SERVICE})       \
	X(show_stats, "show stats", "packets by verdict, table use, events")                                       \
	X(show_drops, "show drops", "packets dropped, by reason")                                                  \
	X(show_engine, "show engine", "what forwards, and how")                                                    \
	X(backend_drain, "backend drain", "keep a backend's flows and clients, give it nobody new",                \
	  {BERTH_ARG_BACKEND})                                                                                     \
	X(backend_enable, "backend enable", "use a backend again", {BERTH_ARG_BACKEND})                            \
	X(backend_disable, "backend disable", "take a backend away at once; its flows and clients move",           \
	  {BERTH_ARG_BACKEND})                                                                                     \
	X(backend_health, "backend health", "say that a backend is up or down, whatever its checks say",           \
	  {BERTH_ARG_BACKEND}, {BERTH_ARG_HEALTH})                                                                 \
	X(config_check, "config check", "say whether a configuration is right and fits the running engine",        \
	  {BERTH_ARG_FILE})                                                                                        \
	X(config_apply, "config apply", "make a configuration the running one, all of it or nothing",              \
	  {BERTH_ARG_FILE}, {BERTH_ARG_NO_SAVE})                                                                   \
	X(doctor, "doctor", "probe the backends and say what is wrong with the set-up, and how to mend it",        \
	  {BERTH_ARG_OF})                                                                                          \
	X(shutdown, "shutdown", "stop forwarding, remove what is in the kernel or shared memory, end berthd")

enum berth_command_index {
#define X(symbol, ...) BERTH_COMMAND_##symbol,
	BERTH_COMMANDS(X)
#undef X
	BERTH_COMMAND_COUNT,
};

static const struct berth_command berth_commands[BERTH_COMMAND_COUNT] = {
#define X(symbol, words_, help_, ...) {.words = words_, .help = help_, .arguments = {__VA_ARGS__}},
	BERTH_COMMANDS(X)
#undef X
};
