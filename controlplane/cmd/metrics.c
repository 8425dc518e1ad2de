// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/metrics/metrics.h"
#include "controlplane/cmd/cmd.h"

enum berth_code berth_cmd_show_metrics(const struct berth_cmd_context *context, const json_t *arguments,
				       json_t **result, char error[BERTH_ERROR_BYTES])
{
	(void)arguments;
	struct berth_text text = {0};
	if (berth_metrics_write(context->state, &text))
		return berth_cmd_fail(error, BERTH_CODE_INTERNAL, "berthd is out of memory");
	*result = json_pack("{s:s%}", "metrics", text.bytes, text.length);
	berth_text_clear(&text);
	return BERTH_CODE_OK;
}
