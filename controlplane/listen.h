/* SPDX-License-Identifier: BSD-3-Clause */
/* A listening Unix socket that one process at a time has. */
#pragma once

#include "controlplane/api/wire.h"
#include "controlplane/config.h"

struct berth_listen {
	int fd;	  /* bound, mode 0660, non-blocking, not yet listening */
	int lock; /* on PATH.lock, held as long as it is open */
	char path[BERTH_WIRE_PATH_BYTES];
};

/* 0, or -errno with one line in `error`; -EADDRINUSE: a living process has it. What a dead one left is replaced. */
int berth_listen_open(struct berth_listen *listen, const char *path, char error[BERTH_ERROR_BYTES]);
/* Removes the socket and gives the lock back; `fd` is closed if it is not -1. */
void berth_listen_close(struct berth_listen *listen);
