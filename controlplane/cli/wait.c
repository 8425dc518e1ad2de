// SPDX-License-Identifier: BSD-3-Clause
#include <time.h>

#include "controlplane/cli/cli.h"

enum {
	POLL_MS = 250,
};

static json_int_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (json_int_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

enum berth_cli_status berth_cli_request_until(const struct berth_connection *connection,
					      const struct berth_call *call, const char *key, json_t **reply,
					      char error[BERTH_CLI_ERROR_BYTES])
{
	const struct timespec pause = {.tv_nsec = POLL_MS * 1000000};
	json_int_t start_ms = now_ms();
	for (;;) {
		enum berth_cli_status status = berth_cli_request(connection, berth_commands[call->command].words,
								 call->arguments, reply, error);
		const json_t *result = status ? NULL : json_object_get(*reply, "result");
		if (!result || json_is_true(json_object_get(result, key)) ||
		    now_ms() - start_ms >= berth_cli_number(result, "timeout_ms"))
			return status;
		json_decref(*reply);
		*reply = NULL;
		nanosleep(&pause, NULL);
	}
}
