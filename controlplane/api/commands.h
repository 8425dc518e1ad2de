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
	BERTH_ARGUMENT_FILE,   /* a file name; berthctl sends the content of "fileX" as "textX" */
	BERTH_ARGUMENT_FLAG,   /* --name: true, or absent */
	BERTH_ARGUMENT_OPTION, /* --name VALUE: a string */
	BERTH_ARGUMENT_REST,   /* all other words: a list of strings */
	/* For berthctl itself: no request has them. */
	BERTH_ARGUMENT_LOCAL_FLAG,
	BERTH_ARGUMENT_LOCAL_OPTION,
};

struct berth_argument {
	const char *name; /* key in "arguments" of a request; NULL after the last argument */
	enum berth_argument_kind kind;
	bool optional;
	const char *usage; /* as help prints it; "-r, --read FILE": the option has a letter, too */
	const char *help;
};

static inline bool berth_argument_is_local(const struct berth_argument *argument)
{
	return argument->kind == BERTH_ARGUMENT_LOCAL_FLAG || argument->kind == BERTH_ARGUMENT_LOCAL_OPTION;
}

static inline bool berth_argument_is_flag(const struct berth_argument *argument)
{
	return argument->kind == BERTH_ARGUMENT_FLAG || argument->kind == BERTH_ARGUMENT_LOCAL_FLAG;
}

static inline bool berth_argument_is_option(const struct berth_argument *argument)
{
	return argument->kind == BERTH_ARGUMENT_OPTION || argument->kind == BERTH_ARGUMENT_LOCAL_OPTION;
}

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
	BERTH_COMMAND_ARGUMENTS = 8, /* including the NULL entry */
	BERTH_COMMAND_WORDS = 2,     /* at most */
};

struct berth_command {
	const char *words;
	const char *help;
	enum berth_command_kind kind;
	struct berth_argument arguments[BERTH_COMMAND_ARGUMENTS];
};

#define BERTH_ARG_BACKENDS                                                                                         \
	"service", BERTH_ARGUMENT_TEXT, true, "GLOB[/GLOB]", "only these services, or backends, as in 'web*/b?'"
#define BERTH_OPT_SERVICES                                                                                         \
	"service", BERTH_ARGUMENT_OPTION, true, "--service GLOB",                                                  \
		"only services of this name; * and ? stand for any"
#define BERTH_OPT_DOWN "down", BERTH_ARGUMENT_FLAG, true, "--down", "only backends that are not up"
#define BERTH_OPT_TROUBLE                                                                                          \
	"down", BERTH_ARGUMENT_FLAG, true, "--down", "only services with an alarm, or a backend that is not up"
#define BERTH_OPT_HOST                                                                                             \
	"host", BERTH_ARGUMENT_OPTION, true, "--host ADDRESS", "only what the server with this address is for"
#define BERTH_OPT_SORT                                                                                             \
	"sort", BERTH_ARGUMENT_LOCAL_OPTION, true, "--sort COLUMN",                                                \
		"largest first, texts from a to z; -COLUMN: reversed"
#define BERTH_OPT_ALL "all", BERTH_ARGUMENT_LOCAL_FLAG, true, "--all", "also those that have not occurred"
#define BERTH_OPT_DROPS_OF                                                                                         \
	"service", BERTH_ARGUMENT_OPTION, true, "--service SERVICE", "of this service, with samples"
#define BERTH_OPT_OF_SERVICES                                                                                      \
	"service", BERTH_ARGUMENT_OPTION, true, "--service GLOB", "only events of services of this name"
#define BERTH_OPT_SINCE                                                                                            \
	"since", BERTH_ARGUMENT_OPTION, true, "--since TIME", "only events of the last TIME, as in 10m"
#define BERTH_OPT_FOLLOW                                                                                           \
	"follow", BERTH_ARGUMENT_FLAG, true, "--follow", "go on with events as they happen, until it is ended"
#define BERTH_ARG_READY_SERVICE "service", BERTH_ARGUMENT_TEXT, true, "SERVICE", "check only this service"
#define BERTH_ARG_BACKEND                                                                                          \
	"backend", BERTH_ARGUMENT_TEXT, false, "SERVICE/BACKEND", "a backend of a service, as in web/b1"
#define BERTH_ARG_HOST "address", BERTH_ARGUMENT_TEXT, false, "ADDRESS", "address of a server, as in 192.0.2.11"
#define BERTH_ARG_HEALTH                                                                                           \
	"health", BERTH_ARGUMENT_TEXT, false, "up|down|auto", "the health state; auto: as the health checks say"
#define BERTH_ARG_TARGET                                                                                           \
	"target", BERTH_ARGUMENT_TEXT, true, "SERVICE[/BACKEND]", "check only this service or backend"
#define BERTH_ARG_PACKET                                                                                           \
	"packet", BERTH_ARGUMENT_TEXT, true, "PACKET", "as in 'tcp 198.51.100.7:4242 -> 203.0.113.10:80', or hex"
#define BERTH_OPT_INTERFACE                                                                                        \
	"interface", BERTH_ARGUMENT_OPTION, true, "--interface NAME", "where it arrives; default: the first one"
#define BERTH_OPT_READ                                                                                             \
	"read", BERTH_ARGUMENT_LOCAL_OPTION, true, "-r, --read FILE", "instead: packets of a pcap or pcapng file"
#define BERTH_OPT_PACKET_NUMBER                                                                                    \
	"packet", BERTH_ARGUMENT_LOCAL_OPTION, true, "--packet N", "only the packet with this number in the file"
#define BERTH_OPT_COUNT                                                                                            \
	"count", BERTH_ARGUMENT_LOCAL_OPTION, true, "--count N", "at most N packets of the file; default 10"
#define BERTH_ARG_FILTER                                                                                           \
	"filter", BERTH_ARGUMENT_TEXT, true, "FILTER", "as in 'tcp host 198.51.100.7 port 80 verdict no_backend'"
#define BERTH_OPT_WRITE                                                                                            \
	"write", BERTH_ARGUMENT_LOCAL_OPTION, true, "-w, --write FILE", "write pcapng; - is standard output"
#define BERTH_ARG_DROPS "drops", BERTH_ARGUMENT_FLAG, true, "--drops", "only dropped packets"
#define BERTH_ARG_SUMMARY                                                                                          \
	"summary", BERTH_ARGUMENT_LOCAL_FLAG, true, "--summary", "at the end: packets by verdict, with one of each"
#define BERTH_OPT_CAPTURE_COUNT                                                                                    \
	"count", BERTH_ARGUMENT_LOCAL_OPTION, true, "--count N", "end after N packets; default 1000"
#define BERTH_OPT_CAPTURE_TIME                                                                                     \
	"time", BERTH_ARGUMENT_LOCAL_OPTION, true, "--time SECONDS", "end after this time; default 10"
#define BERTH_ARG_FILE "file", BERTH_ARGUMENT_FILE, false, "FILE", "a YAML configuration; - is standard input"
#define BERTH_ARG_BEFORE "file", BERTH_ARGUMENT_FILE, true, "FILE", "default: the configuration file of berthd"
#define BERTH_ARG_AFTER                                                                                            \
	"file2", BERTH_ARGUMENT_FILE, true, "FILE2", "compare FILE with it, and not what is in force with FILE"
#define BERTH_OPT_CONFIRM                                                                                          \
	"confirm", BERTH_ARGUMENT_OPTION, true, "--confirm TIME", "undo it after this time, unless it is confirmed"
#define BERTH_OPT_UNDO                                                                                             \
	"undo", BERTH_ARGUMENT_OPTION, true, "--undo N", "the one that `config undo N` would bring back"
#define BERTH_ARG_STEPS "steps", BERTH_ARGUMENT_TEXT, true, "N", "how many changes to go back; default 1"
#define BERTH_ARG_EDITED                                                                                           \
	"backend", BERTH_ARGUMENT_TEXT, false, "SERVICE/BACKEND", "also with * and ?, as '*/b1', or host:192.0.2.11"
#define BERTH_ARG_NEW_BACKEND                                                                                      \
	"backend", BERTH_ARGUMENT_TEXT, false, "SERVICE/NAME", "the service, and a name that is new in it"
#define BERTH_ARG_NEW_ADDRESS                                                                                      \
	"address", BERTH_ARGUMENT_TEXT, false, "ADDRESS", "of the server, as 192.0.2.11, or dns:NAME"
#define BERTH_ARG_EDITED_SERVICE                                                                                   \
	"service", BERTH_ARGUMENT_TEXT, false, "SERVICE", "a service; also with * and ?, as 'web*'"
#define BERTH_ARG_NEW_SERVICE "service", BERTH_ARGUMENT_TEXT, false, "NAME", "a name that is new"
#define BERTH_ARG_KEYS                                                                                             \
	"keys", BERTH_ARGUMENT_REST, false, "KEY VALUE...", "keys of the configuration; value default: without it"
#define BERTH_ARG_MORE_KEYS "keys", BERTH_ARGUMENT_REST, true, "KEY VALUE...", "more keys, as weight 50"
#define BERTH_ARG_PLAN "plan", BERTH_ARGUMENT_FLAG, true, "--plan", "say what it would move; change nothing"
#define BERTH_ARGS_CHANGE                                                                                          \
	{BERTH_ARG_PLAN}, {BERTH_ARG_NO_SAVE}, {BERTH_OPT_CONFIRM},                                                \
	{                                                                                                          \
		BERTH_ARG_FORCE                                                                                    \
	}
#define BERTH_ARG_FORCE                                                                                            \
	"force", BERTH_ARGUMENT_FLAG, true, "--force", "overwrite what others have changed meanwhile"
#define BERTH_ARG_NO_SAVE                                                                                          \
	"no-save", BERTH_ARGUMENT_FLAG, true, "--no-save", "do not write the configuration file on disk"
#define BERTH_ARG_FLOWS_ONLY                                                                                       \
	"flows-only", BERTH_ARGUMENT_FLAG, true, "--flows-only",                                                   \
		"keep existing flows only; new flows of its clients move"
#define BERTH_OPT_LOCAL                                                                                            \
	"local", BERTH_ARGUMENT_FLAG, true, "--local", "on this node alone, not on all nodes of its cluster"
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
#define BERTH_ARG_NAMES_KIND "kind", BERTH_ARGUMENT_TEXT, false, "services|backends|hosts", "of what"
#define BERTH_ARG_NAMES_PREFIX "prefix", BERTH_ARGUMENT_TEXT, true, "PREFIX", "only names that begin so"
#define BERTH_OPT_FLOWS_OF "service", BERTH_ARGUMENT_OPTION, true, "--service SERVICE", "flows of this service"
#define BERTH_OPT_FLOWS_ON                                                                                         \
	"backend", BERTH_ARGUMENT_OPTION, true, "--backend SERVICE/BACKEND", "flows on this backend"
#define BERTH_OPT_PROTOCOL "protocol", BERTH_ARGUMENT_OPTION, true, "--protocol tcp|udp", "flows of this protocol"
#define BERTH_OPT_STATE "state", BERTH_ARGUMENT_OPTION, true, "--state STATE", "flows in this state, as in closing"
#define BERTH_OPT_IDLE                                                                                             \
	"idle", BERTH_ARGUMENT_OPTION, true, "--idle TIME", "flows without a packet for so long, as in 60s"
#define BERTH_OPT_LIMIT_FLOWS "limit", BERTH_ARGUMENT_OPTION, true, "--limit N", "at most N flows"
#define BERTH_OPT_LIMIT "limit", BERTH_ARGUMENT_OPTION, true, "--limit N", "at most N sessions"
#define BERTH_OPT_AFTER                                                                                            \
	"after", BERTH_ARGUMENT_OPTION, true, "--after CURSOR", "continue after the end of an earlier page"

/* X(symbol, READ, CHANGE or ADMIN, words, help, arguments...). berthd logs each CHANGE and ADMIN. Help texts have
 * at most 60 characters: `berthctl --help` fits 80 columns.
 */
#define BERTH_COMMANDS(X)                                                                                          \
	X(show_services, READ, "show services", "services: address, mode, traffic, flows, sessions, alarm",        \
	  {BERTH_OPT_SERVICES}, {BERTH_OPT_TROUBLE}, {BERTH_OPT_HOST}, {BERTH_OPT_SORT}, {BERTH_OPT_AFTER})        \
	X(show_backends, READ, "show backends", "backends: address, state, health, traffic, next hop",             \
	  {BERTH_ARG_BACKENDS}, {BERTH_OPT_SERVICES}, {BERTH_OPT_DOWN}, {BERTH_OPT_HOST}, {BERTH_OPT_SORT},        \
	  {BERTH_OPT_AFTER})                                                                                       \
	X(show_sessions, READ, "show sessions", "sessions: client, backend, and the reason for that backend",      \
	  {BERTH_OPT_SERVICE}, {BERTH_OPT_CLIENT}, {BERTH_OPT_BACKEND}, {BERTH_OPT_LIMIT}, {BERTH_OPT_AFTER})      \
	X(show_flows, READ, "show flows", "entries of the flow table: backend, state, idle time",                  \
	  {BERTH_OPT_FLOWS_OF}, {BERTH_OPT_FLOWS_ON}, {BERTH_OPT_PROTOCOL}, {BERTH_OPT_STATE}, {BERTH_OPT_IDLE},   \
	  {BERTH_OPT_LIMIT_FLOWS}, {BERTH_OPT_AFTER})                                                              \
	X(show_dns, READ, "show dns", "DNS names of backends: addresses, age, errors", {BERTH_OPT_AFTER})          \
	X(show_names, READ, "show names", "names of services, backends or servers, for completion",                \
	  {BERTH_ARG_NAMES_KIND}, {BERTH_ARG_NAMES_PREFIX})                                                        \
	X(show_stats, READ, "show stats", "packets by verdict, events, table use")                                 \
	X(show_drops, READ, "show drops", "dropped packets by reason, or the last of a service",                   \
	  {BERTH_OPT_DROPS_OF}, {BERTH_OPT_ALL})                                                                   \
	X(show_engine, READ, "show engine", "the engine: type, workers, generation, ports")                        \
	X(show_ports, READ, "show ports", "the ports: driver, link, speed, queues, offloads, errors")              \
	X(events, READ, "events", "what has happened: the last 1000 lines of berthd's log", {BERTH_OPT_FOLLOW},    \
	  {BERTH_OPT_SINCE}, {BERTH_OPT_OF_SERVICES}, {BERTH_OPT_AFTER})                                           \
	X(ready, READ, "ready", "whether this node answers packets now; else the reasons",                         \
	  {BERTH_ARG_READY_SERVICE})                                                                               \
	X(show_cluster, READ, "show cluster", "this node and its cluster: do configuration and secret agree")      \
	X(wait_ready, READ, "wait ready", "wait until this node is ready", {BERTH_ARG_READY_SERVICE},              \
	  {BERTH_OPT_TIMEOUT})                                                                                     \
	X(show_node, READ, "show node", "this node: what is announced, and why not", {BERTH_OPT_AFTER})            \
	X(node_drain, CHANGE, "node drain", "withdraw all service addresses; forwarding goes on")                  \
	X(node_enable, CHANGE, "node enable", "end a drain of the node")                                           \
	X(wait_withdrawn, READ, "wait withdrawn", "wait until a drained node has no routes and no packets come",   \
	  {BERTH_OPT_TIMEOUT})                                                                                     \
	X(show_metrics, READ, "show metrics", "all metrics in the text format of Prometheus")                      \
	X(backend_drain, CHANGE, "backend drain", "stop new clients; keep the backend's flows and sessions",       \
	  {BERTH_ARG_BACKEND}, {BERTH_ARG_FLOWS_ONLY}, {BERTH_OPT_DEADLINE}, {BERTH_OPT_LOCAL})                    \
	X(backend_evict, CHANGE, "backend evict", "stop all traffic; delete the backend's flows and sessions",     \
	  {BERTH_ARG_BACKEND}, {BERTH_OPT_LOCAL})                                                                  \
	X(wait_drained, READ, "wait drained", "wait until a backend has no flows and no sessions left",            \
	  {BERTH_ARG_BACKEND}, {BERTH_OPT_TIMEOUT})                                                                \
	X(backend_enable, CHANGE, "backend enable", "end a drain, an eviction or a disable", {BERTH_ARG_BACKEND},  \
	  {BERTH_OPT_LOCAL})                                                                                       \
	X(backend_disable, CHANGE, "backend disable", "stop all traffic; the backend's flows and sessions move",   \
	  {BERTH_ARG_BACKEND}, {BERTH_OPT_LOCAL})                                                                  \
	X(backend_health, CHANGE, "backend health", "override the health checks of a backend",                     \
	  {BERTH_ARG_BACKEND}, {BERTH_ARG_HEALTH}, {BERTH_OPT_LOCAL})                                              \
	X(backend_set, CHANGE, "backend set", "change keys of backends in the configuration", {BERTH_ARG_EDITED},  \
	  {BERTH_ARG_KEYS}, BERTH_ARGS_CHANGE)                                                                     \
	X(backend_add, ADMIN, "backend add", "add a backend to the configuration", {BERTH_ARG_NEW_BACKEND},        \
	  {BERTH_ARG_NEW_ADDRESS}, {BERTH_ARG_MORE_KEYS}, BERTH_ARGS_CHANGE)                                       \
	X(backend_remove, ADMIN, "backend remove", "remove backends from the configuration", {BERTH_ARG_EDITED},   \
	  BERTH_ARGS_CHANGE)                                                                                       \
	X(service_set, ADMIN, "service set", "change keys of services in the configuration",                       \
	  {BERTH_ARG_EDITED_SERVICE}, {BERTH_ARG_KEYS}, BERTH_ARGS_CHANGE)                                         \
	X(service_add, ADMIN, "service add", "add a service to the configuration", {BERTH_ARG_NEW_SERVICE},        \
	  {BERTH_ARG_KEYS}, BERTH_ARGS_CHANGE)                                                                     \
	X(service_remove, ADMIN, "service remove", "remove services from the configuration",                       \
	  {BERTH_ARG_EDITED_SERVICE}, BERTH_ARGS_CHANGE)                                                           \
	X(host_drain, CHANGE, "host drain", "`backend drain` for a server in all of its services",                 \
	  {BERTH_ARG_HOST}, {BERTH_ARG_FLOWS_ONLY}, {BERTH_OPT_DEADLINE}, {BERTH_OPT_LOCAL})                       \
	X(host_disable, CHANGE, "host disable", "`backend disable` for a server in all of its services",           \
	  {BERTH_ARG_HOST}, {BERTH_OPT_LOCAL})                                                                     \
	X(host_enable, CHANGE, "host enable", "end a drain or a disable of a server in all of its services",       \
	  {BERTH_ARG_HOST}, {BERTH_OPT_LOCAL})                                                                     \
	X(session_pin, CHANGE, "session pin", "keep a client on a backend until it is unpinned or cleared",        \
	  {BERTH_ARG_CLIENT}, {BERTH_ARG_TO}, {BERTH_OPT_LOCAL})                                                   \
	X(session_unpin, CHANGE, "session unpin", "delete a pinned session; the next flow is selected anew",       \
	  {BERTH_ARG_CLIENT}, {BERTH_ARG_OF_SERVICE}, {BERTH_OPT_LOCAL})                                           \
	X(session_move, CHANGE, "session move", "move an existing session to another backend", {BERTH_ARG_CLIENT}, \
	  {BERTH_ARG_TO}, {BERTH_OPT_LOCAL})                                                                       \
	X(session_clear, CHANGE, "session clear", "delete sessions; the clients' next flows are selected anew",    \
	  {BERTH_OPT_SERVICE}, {BERTH_OPT_CLIENT}, {BERTH_OPT_BACKEND}, {BERTH_OPT_LOCAL}, {BERTH_OPT_AFTER})      \
	X(config_check, READ, "config check", "validate a configuration; change nothing", {BERTH_ARG_FILE})        \
	X(config_apply, ADMIN, "config apply", "apply a configuration, all of it or nothing", {BERTH_ARG_FILE},    \
	  {BERTH_ARG_NO_SAVE}, {BERTH_OPT_CONFIRM}, {BERTH_ARG_FORCE})                                             \
	X(config_confirm, ADMIN, "config confirm", "keep what was applied with --confirm")                         \
	X(config_show, READ, "config show", "the configuration in force", {BERTH_OPT_UNDO})                        \
	X(config_diff, READ, "config diff", "what changes from one configuration to another", {BERTH_ARG_BEFORE},  \
	  {BERTH_ARG_AFTER})                                                                                       \
	X(config_save, ADMIN, "config save", "write the configuration in force to its file", {BERTH_ARG_FORCE})    \
	X(config_history, READ, "config history", "configurations that were in force: when, who, what")            \
	X(config_undo, ADMIN, "config undo", "bring an earlier configuration back", {BERTH_ARG_STEPS},             \
	  {BERTH_ARG_NO_SAVE}, {BERTH_ARG_FORCE})                                                                  \
	X(explain, READ, "explain", "what the engine would do with a packet now, and why", {BERTH_ARG_PACKET},     \
	  {BERTH_OPT_INTERFACE}, {BERTH_OPT_READ}, {BERTH_OPT_PACKET_NUMBER}, {BERTH_OPT_COUNT})                   \
	X(capture, ADMIN, "capture", "copies of packets with their verdicts, as lines or pcapng",                  \
	  {BERTH_ARG_FILTER}, {BERTH_OPT_WRITE}, {BERTH_ARG_DROPS}, {BERTH_ARG_SUMMARY},                           \
	  {BERTH_OPT_CAPTURE_COUNT}, {BERTH_OPT_CAPTURE_TIME}, {BERTH_OPT_AFTER})                                  \
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

/* The exit status of berthctl. X(symbol, status, help) */
#define BERTH_CLI_STATUSES(X)                                                                                      \
	X(OK, 0, "success")                                                                                        \
	X(FAILURE, 1, "refused, not in force yet, not ready, problems found, or wait timed out")                   \
	X(USAGE, 2, "invalid command line")                                                                        \
	X(CONFIG, 3, "invalid configuration, or file not readable")                                                \
	X(UNREACHABLE, 4, "berthd not reached, or no answer")

/* Most arguments have no letter, and leave it out. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
static const struct berth_command berth_commands[BERTH_COMMAND_COUNT] = {
#define X(symbol, kind_, words_, help_, ...)                                                                       \
	{.words = words_, .help = help_, .kind = BERTH_COMMAND_KIND_##kind_, .arguments = {__VA_ARGS__}},
	BERTH_COMMANDS(X)
#undef X
};
#pragma GCC diagnostic pop
