// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/engine/object.h"

#include <stdio.h>
#include <string.h>

#include "dataplane/interface/object.h"

int berth_object_path(const char *name, char *path, size_t size, char error[BERTH_ERROR_BYTES])
{
	int err = berth_object_find(name, path, size);
	if (err)
		snprintf(error, BERTH_ERROR_BYTES,
			 "%s not found, neither next to berthd nor in " BERTH_LIBDIR "; install the package %s",
			 name, strcmp(name, "berth-dpdk") == 0 ? name : "berth");
	return err;
}
