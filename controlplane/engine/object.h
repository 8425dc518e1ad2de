/* SPDX-License-Identifier: BSD-3-Clause */
/* Where berth's own files are: beside the program in a build tree, in BERTH_LIBDIR once installed. */
#pragma once

#include <stddef.h>

#include "controlplane/util/error.h"

/* The path of a BPF object or program of berth's. -ENOENT with the reason in `error`. */
int berth_object_path(const char *name, char *path, size_t size, char error[BERTH_ERROR_BYTES]);
