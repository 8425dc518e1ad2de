/* SPDX-License-Identifier: BSD-3-Clause */
/* Paths of berth's own files: relative to berthd in a build tree, in BERTH_LIBDIR when installed. */
#pragma once

#include <stddef.h>

#include "controlplane/util/error.h"

/* Finds a BPF object or a program of berth by its file name. 0, or -ENOENT with one line in `error`. */
int berth_object_path(const char *name, char *path, size_t size, char error[BERTH_ERROR_BYTES]);
