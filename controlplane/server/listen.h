/* SPDX-License-Identifier: BSD-3-Clause */
/* Creates the administration socket in the file system. Called by server.c. */
#pragma once

#include "controlplane/util/error.h"

/*
 * A socket bound to `path`, mode 0660, non-blocking, not yet listening. The caller closes it and unlinks the path.
 * Or -errno with one line in `error`. Replaces the socket of a dead process; -EADDRINUSE: a process listens there.
 * The lock of the instance keeps a second berthd from running this at the same time.
 */
int berth_listen(const char *path, char error[BERTH_ERROR_BYTES]);
