// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/cmd/cmd.h"

enum berth_code berth_cmd_shutdown(const struct berth_cmd_context *context, const json_t *arguments,
				   json_t **result, char error[BERTH_ERROR_BYTES])
{
	(void)arguments;
	(void)error;
	context->actions->shut_down(context->daemon);
	*result = json_object();
	return BERTH_CODE_OK;
}
