/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every command, once. From this list come berthd's table of handlers (cmd/cmd.c, berth_cmd_SYMBOL) and its
 * check of arguments, and berthctl's parser, help and suggestions.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum berth_argument_kind {
	BERTH_ARGUMENT_TEXT,   /* a string, as it was typed */
	BERTH_ARGUMENT_FILE,   /* a string, the file's name; what is in the file is sent as "text" */
	BERTH_ARGUMENT_FLAG,   /* --name: true, or left out */
	BERTH_ARGUMENT_OPTION, /* --name VALUE: a string, as it was typed */
};

struct berth_argument {
	const char *name; /* its key in "arguments"; NULL after the last */
	enum berth_argument_kind kind;
	bool optional;
	const char *shown; /* in help */
	const char *help;
};

enum {
	BERTH_COMMAND_ARGUMENTS = 6, /* with the one after the last */
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
#define BERTH_ARG_FLOWS_ONLY                                                                                       \
	"flows-only", BERTH_ARGUMENT_FLAG, true, "--flows-only",                                                   \
		"keep its flows alone: its clients' new flows go elsewhere"
#define BERTH_OPT_DEADLINE "deadline", BERTH_ARGUMENT_OPTION, true, "--deadline 60s", "evict it after that time"
#define BERTH_OPT_TIMEOUT                                                                                          \
	"timeout", BERTH_ARGUMENT_OPTION, true, "--timeout 60s", "give up after that time, with exit status 1"
#define BERTH_ARG_CLIENT                                                                                           \
	"client", BERTH_ARGUMENT_TEXT, false, "CLIENT", "its address, or as `show sessions` names it"
#define BERTH_ARG_TO "backend", BERTH_ARGUMENT_TEXT, false, "SERVICE/BACKEND", "where its new flows go"
#define BERTH_ARG_OF_SERVICE "service", BERTH_ARGUMENT_TEXT, false, "SERVICE", "a service, or a group"
#define BERTH_OPT_SERVICE                                                                                          \
	"service", BERTH_ARGUMENT_OPTION, true, "--service SERVICE", "only of this service, or of this group"
#define BERTH_OPT_CLIENT                                                                                           \
	"client", BERTH_ARGUMENT_OPTION, true, "--client PREFIX", "only of clients with these addresses"
#define BERTH_OPT_BACKEND                                                                                          \
	"backend", BERTH_ARGUMENT_OPTION, true, "--backend SERVICE/BACKEND", "only those that are there"
#define BERTH_OPT_LIMIT "limit", BERTH_ARGUMENT_OPTION, true, "--limit N", "no more than so many"
#define BERTH_OPT_AFTER                                                                                            \
	"after", BERTH_ARGUMENT_OPTION, true, "--after CURSOR", "go on where an answer before has ended"

/* X(symbol, words, help, arguments...) */
#define BERTH_COMMANDS(X)                                                                                          \
	X(show_services, "show services", "services, what they are and what they carry")                           \
	X(show_backends, "show backends", "backends, their health and what they carry", {BERTH_ARG_SERVICE})       \
	X(show_sessions, "show sessions", "clients, the backends that they stay on, and why", {BERTH_OPT_SERVICE}, \
	  {BERTH_OPT_CLIENT}, {BERTH_OPT_BACKEND}, {BERTH_OPT_LIMIT}, {BERTH_OPT_AFTER})                           \
	X(show_dns, "show dns", "backends by DNS name: addresses, their age, what failed")                         \
	X(show_stats, "show stats", "packets by verdict, table use, events")                                       \
	X(show_drops, "show drops", "packets dropped, by reason")                                                  \
	X(show_engine, "show engine", "what forwards, and how")                                                    \
	X(show_metrics, "show metrics", "all figures, in the text format of Prometheus")                           \
	X(backend_drain, "backend drain", "keep a backend's flows and clients, give it nobody new",                \
	  {BERTH_ARG_BACKEND}, {BERTH_ARG_FLOWS_ONLY}, {BERTH_OPT_DEADLINE})                                       \
	X(backend_evict, "backend evict", "take a backend away at once and forget its flows and sessions",         \
	  {BERTH_ARG_BACKEND})                                                                                     \
	X(wait_drained, "wait drained", "wait until a backend has no flows and no clients any more",               \
	  {BERTH_ARG_BACKEND}, {BERTH_OPT_TIMEOUT})                                                                \
	X(backend_enable, "backend enable", "use a backend again", {BERTH_ARG_BACKEND})                            \
	X(backend_disable, "backend disable", "take a backend away at once; its flows and clients move",           \
	  {BERTH_ARG_BACKEND})                                                                                     \
	X(backend_health, "backend health", "say that a backend is up or down, whatever its checks say",           \
	  {BERTH_ARG_BACKEND}, {BERTH_ARG_HEALTH})                                                                 \
	X(session_pin, "session pin", "give a client a backend until that is cleared, whoever was selected",       \
	  {BERTH_ARG_CLIENT}, {BERTH_ARG_TO})                                                                      \
	X(session_unpin, "session unpin", "take a client's pin away; its next flow is a new client's",             \
	  {BERTH_ARG_CLIENT}, {BERTH_ARG_OF_SERVICE})                                                              \
	X(session_move, "session move", "give a client that has a session another backend", {BERTH_ARG_CLIENT},    \
	  {BERTH_ARG_TO})                                                                                          \
	X(session_clear, "session clear", "forget sessions; their clients' next flows are new clients'",           \
	  {BERTH_OPT_SERVICE}, {BERTH_OPT_CLIENT}, {BERTH_OPT_BACKEND}, {BERTH_OPT_AFTER})                         \
	X(config_check, "config check", "say whether a configuration is right and fits the running engine",        \
	  {BERTH_ARG_FILE})                                                                                        \
	X(config_apply, "config apply", "make a configuration the running one, all of it or nothing",              \
	  {BERTH_ARG_FILE}, {BERTH_ARG_NO_SAVE})                                                                   \
	X(plan, "plan", "say which flows and sessions a configuration would move; change nothing",                 \
	  {BERTH_ARG_FILE})                                                                                        \
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
