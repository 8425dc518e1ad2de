// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/cmd/cmd.h"

enum berth_code berth_cmd_show_engine(struct berth_daemon *daemon, const json_t *arguments, json_t **result,
				      char error[BERTH_ERROR_BYTES])
{
	(void)arguments;
	(void)error;
	struct berth_engine *engine = daemon->engine;
	const char *publish_error = daemon->publish_error[0] ? daemon->publish_error : NULL;
	*result = json_pack("{s:s, s:s, s:I, s:b, s:o, s:o, s:s?}", "engine", engine->ops->name, "instance",
			    daemon->options.paths.instance, "workers", (json_int_t)engine->workers, "adopted",
			    engine->adopted, "generation",
			    berth_cmd_count(BERTH_LOAD(&engine->image.ctl->generation)), "publish_failures",
			    berth_cmd_count(daemon->publish_failures), "publish_error", publish_error);
	json_t *status = engine->ops->status(engine);
	if (*result && status)
		json_object_update_missing(*result, status);
	json_decref(status);
	return BERTH_CODE_OK;
}
