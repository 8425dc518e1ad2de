/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * berthd's side of the commands of api/commands.h, one file per noun. A handler reads the model and the image as
 * it likes, and changes berthd only by the actions below. Its arguments are checked before it runs: strings and
 * flags as the list of commands says, and no others.
 */
#pragma once

#include "controlplane/api/commands.h"
#include "controlplane/server/server.h"
#include "controlplane/state/state.h"
#include "controlplane/tables/counters.h"

struct berth_daemon;

/* What commands can change. Each gets the daemon of the context. 0 or -errno, with one line in `error`. */
struct berth_cmd_actions {
	/* Whether the running engine can take the configuration. */
	bool (*accepts)(const struct berth_daemon *daemon, const struct berth_config *config,
			char error[BERTH_ERROR_BYTES]);
	/* Adds the backends that DNS has to a parsed configuration. */
	int (*expand)(struct berth_daemon *daemon, struct berth_config *config, char error[BERTH_ERROR_BYTES]);
	/* Applies the text of a configuration; `name` is its file in messages. `save`: also writes it to the
	 * configuration file. */
	int (*apply)(struct berth_daemon *daemon, const char *name, const char *text, size_t length, bool save,
		     char error[BERTH_ERROR_BYTES]);
	/* -ENOENT: not found. `deadline_ms`: a drain becomes an eviction after it; 0: never. */
	int (*set_admin)(struct berth_daemon *daemon, const char *service, const char *backend,
			 enum berth_admin admin, uint64_t deadline_ms, char error[BERTH_ERROR_BYTES]);
	int (*force_health)(struct berth_daemon *daemon, const char *service, const char *backend,
			    enum berth_forced forced, char error[BERTH_ERROR_BYTES]);
	/* Ends berthd and forwarding. */
	void (*shut_down)(struct berth_daemon *daemon);
};

/* What a command works on. */
struct berth_cmd_context {
	const struct berth_daemon_state *state;
	const struct berth_cmd_actions *actions;
	struct berth_daemon *daemon; /* opaque: for the actions */
	struct event_base *base;
	struct berth_server *server;
};

/* Checks and runs a request on `context`, a struct berth_cmd_context: the server's function. */
enum berth_code berth_cmd_run(void *context, const char *command, const json_t *arguments, json_t **result,
			      char error[BERTH_ERROR_BYTES]);

/* The handlers: berth_cmd_show_services and so on. */
typedef enum berth_code berth_cmd_fn(const struct berth_cmd_context *context, const json_t *arguments,
				     json_t **result, char error[BERTH_ERROR_BYTES]);
#define X(symbol, ...) berth_cmd_fn berth_cmd_##symbol;
BERTH_COMMANDS(X)
#undef X

/* For handlers: `code`, with one line in `error`. */
enum berth_code berth_cmd_fail(char error[BERTH_ERROR_BYTES], enum berth_code code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
const char *berth_cmd_text(const json_t *arguments, const char *name); /* NULL: left out */
json_t *berth_cmd_count(uint64_t count);
/* Splits the argument "backend", SERVICE/BACKEND. */
enum berth_code berth_cmd_split(const json_t *arguments, char service[BERTH_NAME_BYTES], const char **backend,
				char error[BERTH_ERROR_BYTES]);
/* As in `show backends`. */
json_t *berth_cmd_backend(const struct berth_daemon_state *state, const struct berth_model_service *service,
			  const struct berth_model_backend *backend);
