/* SPDX-License-Identifier: BSD-3-Clause */
/* Creates the administration socket in the file system, and refuses connections. Called by server.c. */
#pragma once

#include "controlplane/api/wire.h"
#include "controlplane/util/error.h"

/*
 * A socket bound to `path`, mode 0660, non-blocking, not yet listening. The caller closes it and unlinks the path.
 * Or -errno with one line in `error`. Replaces the socket of a dead process; -EADDRINUSE: a process listens there.
 * The lock of the instance keeps a second berthd from running this at the same time.
 */
int berth_listen(const char *path, char error[BERTH_ERROR_BYTES]);

/* Answers a connection that was just accepted with an error, and closes it. */
void berth_listen_refuse(int fd, enum berth_code code, const char *reason);
