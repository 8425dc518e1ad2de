/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The list of all commands. It generates berthd's table of handlers (cmd/cmd.c, berth_cmd_SYMBOL) and its check of
 * arguments, and berthctl's parser, help and suggestions. docs/commands.md describes each command; a test compares
 * the two.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum berth_argument_kind {
	BERTH_ARGUMENT_TEXT,   /* a string */
	BERTH_ARGUMENT_FILE,   /* a file name; berthctl sends the file's content as "text" */
	BERTH_ARGUMENT_FLAG,   /* --name: true, or absent */
	BERTH_ARGUMENT_OPTION, /* --name VALUE: a string */
};

struct berth_argument {
	const char *name; /* key in "arguments" of a request; NULL after the last argument */
	enum berth_argument_kind kind;
	bool optional;
	const char *usage; /* as help prints it */
	const char *help;
};

/* What a client may do; each role includes those before it. */
enum berth_role {
	BERTH_ROLE_NONE,
	BERTH_ROLE_VIEWER,   /* look */
	BERTH_ROLE_OPERATOR, /* change backends and sessions */
	BERTH_ROLE_ADMIN,    /* everything */
};

enum berth_command_kind {
	BERTH_COMMAND_KIND_READ = BERTH_ROLE_VIEWER,
	BERTH_COMMAND_KIND_CHANGE = BERTH_ROLE_OPERATOR,
	BERTH_COMMAND_KIND_ADMIN = BERTH_ROLE_ADMIN,
};

enum {
	BERTH_COMMAND_ARGUMENTS = 6, /* including the NULL entry */
	BERTH_COMMAND_WORDS = 2,     /* at most */
};

struct berth_command {
	const char *words;
	const char *help;
	enum berth_command_kind kind;
	struct berth_argument arguments[BERTH_COMMAND_ARGUMENTS];
};

#define BERTH_ARG_SERVICE "service", BERTH_ARGUMENT_TEXT, true, "SERVICE", "show only backends of this service"
#define BERTH_ARG_BACKEND                                                                                          \
	"backend", BERTH_ARGUMENT_TEXT, false, "SERVICE/BACKEND", "a backend of a service, as in web/b1"
#define BERTH_ARG_HOST "address", BERTH_ARGUMENT_TEXT, false, "ADDRESS", "address of a server, as in 192.0.2.11"
#define BERTH_ARG_HEALTH                                                                                           \
	"health", BERTH_ARGUMENT_TEXT, false, "up|down|auto", "the health state; auto: as the health checks say"
#define BERTH_ARG_TARGET                                                                                           \
	"target", BERTH_ARGUMENT_TEXT, true, "SERVICE[/BACKEND]", "check only this service or backend"
#define BERTH_ARG_FILE "file", BERTH_ARGUMENT_FILE, false, "FILE", "a YAML configuration; - is standard input"
#define BERTH_ARG_NO_SAVE                                                                                          \
	"no-save", BERTH_ARGUMENT_FLAG, true, "--no-save", "do not write the configuration file on disk"
#define BERTH_ARG_FLOWS_ONLY                                                                                       \
	"flows-only", BERTH_ARGUMENT_FLAG, true, "--flows-only",                                                   \
		"keep existing flows only; new flows of its clients move"
#define BERTH_OPT_DEADLINE                                                                                         \
	"deadline", BERTH_ARGUMENT_OPTION, true, "--deadline TIME", "evict it after this time, as in 60s"
#define BERTH_OPT_TIMEOUT                                                                                          \
	"timeout", BERTH_ARGUMENT_OPTION, true, "--timeout TIME", "fail after this time, as in 90s; default 60s"
#define BERTH_ARG_CLIENT                                                                                           \
	"client", BERTH_ARGUMENT_TEXT, false, "CLIENT", "an address or prefix, as in `show sessions`"
#define BERTH_ARG_TO "backend", BERTH_ARGUMENT_TEXT, false, "SERVICE/BACKEND", "destination of its new flows"
#define BERTH_ARG_OF_SERVICE "service", BERTH_ARGUMENT_TEXT, false, "SERVICE", "a service or a group"
#define BERTH_OPT_SERVICE                                                                                          \
	"service", BERTH_ARGUMENT_OPTION, true, "--service SERVICE", "sessions of this service or group"
#define BERTH_OPT_CLIENT                                                                                           \
	"client", BERTH_ARGUMENT_OPTION, true, "--client PREFIX", "sessions of clients in this prefix"
#define BERTH_OPT_BACKEND                                                                                          \
	"backend", BERTH_ARGUMENT_OPTION, true, "--backend SERVICE/BACKEND", "sessions on this backend"
#define BERTH_OPT_LIMIT "limit", BERTH_ARGUMENT_OPTION, true, "--limit N", "at most N sessions"
#define BERTH_OPT_AFTER                                                                                            \
	"after", BERTH_ARGUMENT_OPTION, true, "--after CURSOR", "continue after the end of an earlier page"

/* X(symbol, READ, CHANGE or ADMIN, words, help, arguments...). berthd logs each CHANGE and ADMIN. Help texts have
 * at most 60 characters: `berthctl --help` fits 80 columns.
 */
#define BERTH_COMMANDS(X)                                                                                          \
	X(show_services, READ, "show services", "services: address, mode, traffic, flows, sessions, alarm",        \
	  {BERTH_OPT_AFTER})                                                                                       \
	X(show_backends, READ, "show backends", "backends: address, state, health, traffic, next hop",             \
	  {BERTH_ARG_SERVICE}, {BERTH_OPT_AFTER})                                                                  \
	X(show_sessions, READ, "show sessions", "sessions: client, backend, and the reason for that backend",      \
	  {BERTH_OPT_SERVICE}, {BERTH_OPT_CLIENT}, {BERTH_OPT_BACKEND}, {BERTH_OPT_LIMIT}, {BERTH_OPT_AFTER})      \
	X(show_dns, READ, "show dns", "DNS names of backends: addresses, age, errors", {BERTH_OPT_AFTER})          \
	X(show_stats, READ, "show stats", "packets by verdict, events, table use")                                 \
	X(show_drops, READ, "show drops", "dropped packets by reason")                                             \
	X(show_engine, READ, "show engine", "the engine: type, workers, generation, ports")                        \
	X(show_metrics, READ, "show metrics", "all metrics in the text format of Prometheus")                      \
	X(backend_drain, CHANGE, "backend drain", "stop new clients; keep the backend's flows and sessions",       \
	  {BERTH_ARG_BACKEND}, {BERTH_ARG_FLOWS_ONLY}, {BERTH_OPT_DEADLINE})                                       \
	X(backend_evict, CHANGE, "backend evict", "stop all traffic; delete the backend's flows and sessions",     \
	  {BERTH_ARG_BACKEND})                                                                                     \
	X(wait_drained, READ, "wait drained", "wait until a backend has no flows and no sessions left",            \
	  {BERTH_ARG_BACKEND}, {BERTH_OPT_TIMEOUT})                                                                \
	X(backend_enable, CHANGE, "backend enable", "end a drain, an eviction or a disable", {BERTH_ARG_BACKEND})  \
	X(backend_disable, CHANGE, "backend disable", "stop all traffic; the backend's flows and sessions move",   \
	  {BERTH_ARG_BACKEND})                                                                                     \
	X(backend_health, CHANGE, "backend health", "override the health checks of a backend",                     \
	  {BERTH_ARG_BACKEND}, {BERTH_ARG_HEALTH})                                                                 \
	X(host_drain, CHANGE, "host drain", "`backend drain` for a server in all of its services",                 \
	  {BERTH_ARG_HOST}, {BERTH_ARG_FLOWS_ONLY}, {BERTH_OPT_DEADLINE})                                          \
	X(host_disable, CHANGE, "host disable", "`backend disable` for a server in all of its services",           \
	  {BERTH_ARG_HOST})                                                                                        \
	X(host_enable, CHANGE, "host enable", "end a drain or a disable of a server in all of its services",       \
	  {BERTH_ARG_HOST})                                                                                        \
	X(session_pin, CHANGE, "session pin", "keep a client on a backend until it is unpinned or cleared",        \
	  {BERTH_ARG_CLIENT}, {BERTH_ARG_TO})                                                                      \
	X(session_unpin, CHANGE, "session unpin", "delete a pinned session; the next flow is selected anew",       \
	  {BERTH_ARG_CLIENT}, {BERTH_ARG_OF_SERVICE})                                                              \
	X(session_move, CHANGE, "session move", "move an existing session to another backend", {BERTH_ARG_CLIENT}, \
	  {BERTH_ARG_TO})                                                                                          \
	X(session_clear, CHANGE, "session clear", "delete sessions; the clients' next flows are selected anew",    \
	  {BERTH_OPT_SERVICE}, {BERTH_OPT_CLIENT}, {BERTH_OPT_BACKEND}, {BERTH_OPT_AFTER})                         \
	X(config_check, READ, "config check", "validate a configuration; change nothing", {BERTH_ARG_FILE})        \
	X(config_apply, ADMIN, "config apply", "apply a configuration, all of it or nothing", {BERTH_ARG_FILE},    \
	  {BERTH_ARG_NO_SAVE})                                                                                     \
	X(plan, READ, "plan", "count flows and sessions that a configuration would move", {BERTH_ARG_FILE})        \
	X(doctor, READ, "doctor", "probe the host and the backends; report problems and fixes",                    \
	  {BERTH_ARG_TARGET})                                                                                      \
	X(shutdown, ADMIN, "shutdown", "stop forwarding, delete the tables, end berthd")

enum berth_command_index {
#define X(symbol, ...) BERTH_COMMAND_##symbol,
	BERTH_COMMANDS(X)
#undef X
	BERTH_COMMAND_COUNT,
};

static const struct berth_command berth_commands[BERTH_COMMAND_COUNT] = {
#define X(symbol, kind_, words_, help_, ...)                                                                       \
	{.words = words_, .help = help_, .kind = BERTH_COMMAND_KIND_##kind_, .arguments = {__VA_ARGS__}},
	BERTH_COMMANDS(X)
#undef X
};
