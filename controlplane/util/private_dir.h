/* SPDX-License-Identifier: BSD-3-Clause */
/* Directories that only this user can enter, in places where other users may create files (/dev/shm, a bpffs). */
#pragma once

#include "controlplane/util/error.h"

/*
 * Makes sure that `path` is a directory of this user with mode 0700, in a directory whose files other users cannot
 * replace. An entry of another user, or one that is not a directory, is renamed and logged. 0, or -errno with one
 * line in `error`.
 */
int berth_private_dir_make(const char *path, char error[BERTH_ERROR_BYTES]);
