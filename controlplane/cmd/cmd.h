/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The handlers of the commands in api/commands.h, one file per noun. A handler may read all of the state; it
 * changes berthd only through the actions below. Its arguments are checked before it runs: only those that the list
 * of commands has, with the right JSON types. All run on the thread of berthd's event loop.
 */
#pragma once

#include "controlplane/api/commands.h"
#include "controlplane/cluster/record.h"
#include "controlplane/saved/pins.h"
#include "controlplane/server/server.h"
#include "controlplane/state/state.h"
#include "controlplane/tables/counters.h"

struct berth_cmd_parser;
struct berth_cmd_planner;
struct berth_daemon;

/* A configuration that is to be in force. */
struct berth_cmd_apply {
	const char *name; /* of its file, in messages */
	const char *text;
	size_t length;
	struct berth_config **config; /* what the text was parsed to, which `apply` takes; NULL: not parsed yet */
	const char *what;	      /* the command, for the history */
	int64_t uid;		      /* who asks for it; -1: berthd itself */
	bool save;		      /* also writes the text to the configuration file */
	bool force;		      /* although others have changed that file since berthd read or wrote it */
	uint32_t confirm_s; /* undone after this time unless it is confirmed, and saved then; 0: it stays */
};

/* Who has sent a command, and for which nodes. */
struct berth_cmd_origin {
	bool is_local;			  /* --local: this node alone, not all of its cluster */
	char by[BERTH_OPERATOR_BY_BYTES]; /* "uid 0" */
};

/* The changes that commands can make. Each gets the daemon of the context. 0, or -errno with one line in `error`. A
 * change is in force when state->publication is not pending. */
struct berth_cmd_actions {
	/* Whether the running engine can use the configuration; false with one line in `error`. */
	bool (*accepts)(const struct berth_daemon *daemon, const struct berth_config *config,
			char error[BERTH_ERROR_BYTES]);
	/* Adds the backends of the latest DNS answers to a parsed configuration. */
	int (*expand)(struct berth_daemon *daemon, struct berth_config *config, char error[BERTH_ERROR_BYTES]);
	/* -EBUSY: another configuration waits for its confirmation. -EEXIST: the file was changed by others. */
	int (*apply)(struct berth_daemon *daemon, const struct berth_cmd_apply *apply,
		     char error[BERTH_ERROR_BYTES]);
	/* Applies the configuration that was in force `steps` changes before; sets its text in `apply`. Also ends
	 * the wait for a confirmation. -ENOENT: it is not kept. */
	int (*undo)(struct berth_daemon *daemon, size_t steps, struct berth_cmd_apply *apply,
		    char error[BERTH_ERROR_BYTES]);
	/* The configuration that waits for it stays. -ENOENT: none does. `is_saved`: its file is written. */
	int (*confirm)(struct berth_daemon *daemon, bool *is_saved, char error[BERTH_ERROR_BYTES]);
	/* Writes the configuration in force to its file. As `apply`. */
	int (*save_config)(struct berth_daemon *daemon, bool force, char error[BERTH_ERROR_BYTES]);
	/* -ENOENT: not found. `deadline_ms`: a drain becomes an eviction after it; 0: never. */
	int (*set_admin)(struct berth_daemon *daemon, const char *service, const char *backend,
			 enum berth_admin admin, uint64_t deadline_ms, const struct berth_cmd_origin *origin,
			 char error[BERTH_ERROR_BYTES]);
	/* The same for the backends of all services with this address. Their number, or -ENOENT. */
	int (*set_host_admin)(struct berth_daemon *daemon, const union berth_addr *address, enum berth_admin admin,
			      uint64_t deadline_ms, const struct berth_cmd_origin *origin,
			      char error[BERTH_ERROR_BYTES]);
	int (*force_health)(struct berth_daemon *daemon, const char *service, const char *backend,
			    enum berth_forced forced, const struct berth_cmd_origin *origin,
			    char error[BERTH_ERROR_BYTES]);
	/* Withdraws this node's addresses, or ends that. */
	void (*drain_node)(struct berth_daemon *daemon, bool drain);
	/* Keep a pin, or remove that of a client in a service (by id) and its group, where they survive a reboot.
	 */
	void (*pin)(struct berth_daemon *daemon, const struct berth_pin *pin,
		    const struct berth_cmd_origin *origin);
	/* Of this client; the pin's backend has no meaning. */
	void (*unpin)(struct berth_daemon *daemon, const struct berth_pin *pin,
		      const struct berth_cmd_origin *origin);
	/* Before the answer to a command: writes what is to survive a reboot. */
	void (*save)(struct berth_daemon *daemon);
	/* Calls the waiter when the changes made so far are in force; cancel ends the wait, if there is one. */
	void (*wait)(struct berth_daemon *daemon, struct berth_publication_waiter *waiter);
	void (*cancel)(struct berth_publication_waiter *waiter);
	/* Stops forwarding and ends berthd. */
	void (*shut_down)(struct berth_daemon *daemon);
};

/* The parts of berthd that handlers use. */
struct berth_cmd_context {
	const struct berth_daemon_state *state;
	const struct berth_cmd_actions *actions;
	struct berth_daemon *daemon; /* argument of the actions */
	struct event_base *base;
	struct berth_server *server;
	struct berth_cmd_parser *parser;   /* NULL: the loop parses */
	struct berth_cmd_planner *planner; /* NULL: a plan is made in one turn */
	/* Of the request that is being run. */
	const struct berth_command *command;
	const json_t *arguments;
};

/* The function of the server: checks and runs a request. `context` is a struct berth_cmd_context. */
enum berth_code berth_cmd_run(void *context, const char *command, const json_t *arguments, json_t **result,
			      char error[BERTH_ERROR_BYTES]);

/* The handlers: berth_cmd_show_services and so on. */
typedef enum berth_code berth_cmd_fn(const struct berth_cmd_context *context, const json_t *arguments,
				     json_t **result, char error[BERTH_ERROR_BYTES]);
#define X(symbol, ...) berth_cmd_fn berth_cmd_##symbol;
BERTH_COMMANDS(X)
#undef X

/* Logs a change in one line: client, command, result, once its answer is known. `error`: NULL, or the line of a
 * failed command. `result` may be NULL. A result that deleted no session is no change and is not logged. */
void berth_cmd_log(struct berth_server_peer peer, const struct berth_command *command, const json_t *arguments,
		   const char *error, const json_t *result);
enum {
	BERTH_CMD_LINE_BYTES = 400, /* of a command with its arguments; the rest is cut off */
};
/* The command of a request as a line of berthctl, without the content of files and the cursor of a page. */
void berth_cmd_format_line(char text[BERTH_CMD_LINE_BYTES], const struct berth_command *command,
			   const json_t *arguments);
/* For handlers: writes one line to `error` and returns `code`. */
enum berth_code berth_cmd_fail(char error[BERTH_ERROR_BYTES], enum berth_code code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
const char *berth_cmd_text(const json_t *arguments, const char *name); /* NULL: absent */
json_t *berth_cmd_count(uint64_t count);
/* What a response time is measured by; NULL: there is no time. */
const char *berth_cmd_response_from(uint32_t response_us, bool is_by_connections);
const char *berth_cmd_state_name(uint32_t state); /* of a table word, enum berth_state */
/* Lists of rows come in pages of BERTH_WIRE_PAGE: parses the argument "after", the number of rows before the page.
 */
enum berth_code berth_cmd_parse_cursor(const json_t *arguments, uint64_t *after, char error[BERTH_ERROR_BYTES]);
/* Parses a whole number. Absent: `number` stays. Above `max`: it is `max`. */
enum berth_code berth_cmd_parse_number(const json_t *arguments, const char *name, uint32_t max, uint32_t *number,
				       char error[BERTH_ERROR_BYTES]);
/* The cursor after the page that starts at row `after`, of `n` rows; null: it is the last page. */
json_t *berth_cmd_next_page(uint64_t after, uint64_t n);
/* Cursor `at`, of `n` rows; null: there are no more. */
json_t *berth_cmd_cursor(uint64_t at, uint64_t n);
/* Adds the fields of `more` to `object`. Takes both; NULL: out of memory. */
json_t *berth_cmd_merge(json_t *object, json_t *more);
/* Finds the service of the argument "service"; NULL: the argument is absent. */
enum berth_code berth_cmd_find_service(const struct berth_cmd_context *context, const json_t *arguments,
				       const struct berth_model_service **service, char error[BERTH_ERROR_BYTES]);
/* Parses the argument "backend", SERVICE/BACKEND. */
enum berth_code berth_cmd_parse_backend(const json_t *arguments, char service[BERTH_NAME_BYTES],
					const char **backend, char error[BERTH_ERROR_BYTES]);
/* Says that there is no such backend, or no such service. */
enum berth_code berth_cmd_no_backend(const char *service, const char *backend, char error[BERTH_ERROR_BYTES]);
/* What is valid in the configuration, but probably a mistake: an array of lines. */
json_t *berth_cmd_warnings(const struct berth_config *config);
/* {"services", "backends", "dns_names", "warnings"} of a configuration. No DNS lookup. NULL: out of memory. */
json_t *berth_cmd_config_summary(const struct berth_config *config);
/* The differences of two configurations, in the order of the file: an array. */
json_t *berth_cmd_changes(const struct berth_config *before, const struct berth_config *after);
/* What `plan` says of a text. `name`: of its file, in messages. */
enum berth_code berth_cmd_plan_text(const struct berth_cmd_context *context, const char *name, const char *text,
				    size_t length, json_t **result, char error[BERTH_ERROR_BYTES]);
/* Fills in who asks for a configuration, by which command, and its options. `line` outlives `apply`. */
enum berth_code berth_cmd_begin_apply(const struct berth_cmd_context *context, const json_t *arguments,
				      struct berth_cmd_apply *apply, char line[BERTH_CMD_LINE_BYTES],
				      char error[BERTH_ERROR_BYTES]);
/* The code of an action's -errno. */
enum berth_code berth_cmd_apply_code(int err);
/* Ends a command that has put `summary` in force, which it takes: adds "saved" and "confirm_s", and answers. */
enum berth_code berth_cmd_end_apply(const struct berth_cmd_context *context, const struct berth_cmd_apply *apply,
				    json_t *summary, json_t **result);
/* Of the request that is being run. */
struct berth_cmd_origin berth_cmd_origin(const struct berth_cmd_context *context);
/* Adds `applies_to` to the result of a command that changed what the cluster shares: one line which says on which
 * nodes it is in force; null: there is no cluster. */
void berth_cmd_add_scope(const struct berth_cmd_context *context, json_t *result);
/* Tells other nodes what an operator does once with sessions (cluster/sender.h), unless it is for this node alone.
 * False: they are not told. */
bool berth_cmd_tell_sessions(const struct berth_cmd_context *context, const struct berth_cluster_record *command);
/* `applies_to` of such a command: they are told now or never. */
void berth_cmd_add_told(const struct berth_cmd_context *context, json_t *result, bool is_told);
enum {
	BERTH_CMD_WAIT_MS = 60000, /* of `wait` without --timeout */
};
/* Parses the option `name`, a duration of 1 s to 24 h; 0: absent. */
enum berth_code berth_cmd_parse_duration(const json_t *arguments, const char *name, uint64_t *ms,
					 char error[BERTH_ERROR_BYTES]);
/* A row of `show backends`. */
json_t *berth_cmd_backend(const struct berth_daemon_state *state, const struct berth_model_service *service,
			  const struct berth_model_backend *backend);
json_t *berth_cmd_effective_weight(const struct berth_model_backend *backend);
/* Ends a command that has changed the model: adds "in_force" and "publish_error" to `result`, and answers when the
 * change is in force, or after a second with "in_force" false. */
enum berth_code berth_cmd_answer_in_force(const struct berth_cmd_context *context, json_t **result);
/* The same for a configuration: if the engine restarts for it, the answer waits until the engine forwards, or is
 * the reason why it does not. */
enum berth_code berth_cmd_answer_applied(const struct berth_cmd_context *context, json_t **result);
