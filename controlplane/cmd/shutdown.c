// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/cmd/cmd.h"

enum berth_code berth_cmd_shutdown(struct berth_daemon *daemon, const json_t *arguments, json_t **result,
				   char error[BERTH_ERROR_BYTES])
{
	(void)arguments;
	(void)error;
	berth_daemon_exit(daemon, true);
	*result = json_object();
	return BERTH_CODE_OK;
}
