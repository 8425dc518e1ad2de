// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/cmd/cmd.h"
#include "controlplane/cmd/show/rates.h"

enum berth_code berth_cmd_show_engine(const struct berth_cmd_context *context, const json_t *arguments,
				      json_t **result, char error[BERTH_ERROR_BYTES])
{
	(void)arguments;
	(void)error;
	struct berth_engine *engine = context->state->engine;
	const char *publish_error = context->state->publication.error[0] ? context->state->publication.error : NULL;
	*result = json_pack("{s:s, s:s, s:I, s:b, s:o, s:o, s:s?}", "engine", engine->ops->name, "instance",
			    context->state->instance, "workers", (json_int_t)engine->workers, "adopted",
			    engine->adopted, "generation",
			    berth_cmd_count(BERTH_LOAD(&engine->image.ctl->generation)), "publish_failures",
			    berth_cmd_count(context->state->publication.failures), "publish_error", publish_error);
	if (*result)
		json_object_set_new(*result, "rates", berth_cmd_engine_rates(context->state));
	if (*result)
		json_object_set_new(*result, "secret_file", json_string(context->state->secret_path));
	json_t *status = engine->ops->status(engine);
	if (*result && status)
		json_object_update_missing(*result, status);
	json_decref(status);
	return BERTH_CODE_OK;
}
