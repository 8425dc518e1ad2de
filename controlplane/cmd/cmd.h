/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * berthd's side of the commands of api/commands.h, one file per noun. A handler reads the model and the image as
 * it likes, and changes things only by the actions of daemon.h. Its arguments are checked before it runs:
 * strings and flags as the list of commands says, and no others.
 */
#pragma once

#include "controlplane/api/commands.h"
#include "controlplane/daemon/daemon.h"
#include "controlplane/server/server.h"
#include "controlplane/tables/counters.h"

/* Checks and runs a request for `daemon`, a struct berth_daemon: the server's function. */
enum berth_code berth_cmd_run(void *daemon, const char *command, const json_t *arguments, json_t **result,
			      char error[BERTH_ERROR_BYTES]);

/* The handlers: berth_cmd_show_services and so on. */
typedef enum berth_code berth_cmd_fn(struct berth_daemon *daemon, const json_t *arguments, json_t **result,
				     char error[BERTH_ERROR_BYTES]);
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
json_t *berth_cmd_backend(const struct berth_daemon *daemon, const struct berth_model_service *service,
			  const struct berth_model_backend *backend);
