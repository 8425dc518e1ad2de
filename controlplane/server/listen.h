/* SPDX-License-Identifier: BSD-3-Clause */
/* The administration socket's way into the file system. */
#pragma once

#include "controlplane/util/error.h"

/*
 * A socket bound to `path`, mode 0660, non-blocking, not yet listening; the caller unlinks the path in the end.
 * Or -errno with one line in `error`. What a dead process left there is replaced; -EADDRINUSE: somebody answers.
 * Two berthds of one instance never come here at once: each holds the instance's lock.
 */
int berth_listen(const char *path, char error[BERTH_ERROR_BYTES]);
