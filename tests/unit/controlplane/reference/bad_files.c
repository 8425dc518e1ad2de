// SPDX-License-Identifier: BSD-3-Clause
/* Writes the invalid files of the tests and the error of each as JSON, for test_reference.py; and one file that has
 * every key. */
#include "tests/unit/controlplane/config/config.h"

#include <jansson.h>

#include "tests/unit/controlplane/config/config_bad_host.h"
#include "tests/unit/controlplane/config/config_bad_overlap.h"
#include "tests/unit/controlplane/config/config_bad_service.h"
#include "tests/unit/controlplane/config/config_bad_yaml.h"

static void add(json_t *list, const struct bad *bad, size_t n)
{
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_pack("[s, s]", bad[i].text, bad[i].error));
}

int main(void)
{
	json_t *bad = json_array();
	add(bad, bad_yaml, COUNT(bad_yaml));
	add(bad, bad_host, COUNT(bad_host));
	add(bad, bad_service, COUNT(bad_service));
	add(bad, bad_overlap, COUNT(bad_overlap));
	json_t *all = json_pack("{s:o, s:s}", "bad", bad, "everything", everything);
	int err = !all || json_dumpf(all, stdout, 0);
	json_decref(all);
	return err ? EXIT_FAILURE : EXIT_SUCCESS;
}
