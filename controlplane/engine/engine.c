// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/engine/engine.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

int berth_image_found(struct berth_image *image, const struct berth_geometry *geometry)
{
	struct berth_ctl *ctl = image->ctl;
	image->geometry = *geometry;
	ctl->abi = BERTH_ABI_VERSION;
	ctl->geometry = *geometry;
	if (getrandom(ctl->secret, sizeof(ctl->secret), 0) != sizeof(ctl->secret))
		return -EIO;
	/* Last, and with release order: who sees the magic sees the rest. */
	BERTH_STORE(&ctl->magic, BERTH_MAGIC);
	return 0;
}

bool berth_image_fits(const struct berth_ctl *ctl, const struct berth_geometry *geometry,
		      char error[BERTH_ERROR_BYTES])
{
	const char *why = NULL;
	if (BERTH_LOAD(&ctl->magic) != BERTH_MAGIC)
		why = "it was never finished";
	else if (ctl->abi != BERTH_ABI_VERSION)
		why = "another version of berth made it";
	else if (memcmp(&ctl->geometry, geometry, sizeof(*geometry)) != 0)
		why = "the limits were changed";
	if (why)
		snprintf(error, BERTH_ERROR_BYTES, "%s", why);
	return !why;
}
