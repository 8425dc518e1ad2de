// SPDX-License-Identifier: BSD-3-Clause
/* The configuration: YAML to validated structs, and the warnings about it. */
#include "controlplane/config/parse.h"
#include "controlplane/config/warnings.h"
#include "tests/fuzz/control/fuzz.h"

static void ignore(void *arg, const char *warning)
{
	(void)arg;
	need(warning[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char error[BERTH_ERROR_BYTES] = "";
	char *text = copy_of(data, size);
	struct berth_config *config = berth_config_parse("fuzz.yaml", text, size, error);
	need(config ? !error[0] : error[0] != '\0');
	if (config)
		berth_config_warn(config, ignore, NULL);
	berth_config_free(config);
	free(text);
	return 0;
}
