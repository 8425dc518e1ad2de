/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Edits of a configuration by names: `backend set web/b1 weight 5` on the text of what is in force. The result is
 * parsed and applied like a file. Pure.
 */
#pragma once

#include <stddef.h>

#include "controlplane/util/error.h"

enum berth_edit_what {
	BERTH_EDIT_BACKEND_SET,
	BERTH_EDIT_BACKEND_ADD,
	BERTH_EDIT_BACKEND_REMOVE,
	BERTH_EDIT_SERVICE_SET,
	BERTH_EDIT_SERVICE_ADD,
	BERTH_EDIT_SERVICE_REMOVE,
};

struct berth_edit_pair {
	const char *key;   /* with its sections: "health.interval" */
	const char *value; /* as in the file; "default" removes the key */
};

struct berth_edit {
	enum berth_edit_what what;
	/* A service, or SERVICE/BACKEND. Except to add: also with * and ?, and host:ADDRESS for the backends of all
	 * services with this address. */
	const char *target;
	const struct berth_edit_pair *pairs;
	size_t n;
};

/* The edited text; the caller frees it. NULL with one line in `error`, and in `err`: -ENOENT: nothing has that
 * name; -EINVAL; -ENOMEM. */
char *berth_edit_apply(const struct berth_edit *edit, const char *text, size_t length, size_t *edited_length,
		       int *err, char error[BERTH_ERROR_BYTES]);
