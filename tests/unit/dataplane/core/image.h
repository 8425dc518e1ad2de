/* SPDX-License-Identifier: BSD-3-Clause */
/* For tests of the core with one image of the usual size, new for each case. */
#pragma once

#include "tests/support/count.h"
#include "tests/support/image.h"
#include "tests/support/send.h"
#include "tests/support/unit.h"

static struct berth_image image;

/* Creates an empty image. */
static inline int set_up_image(void **state)
{
	(void)state;
	fixture_new(&image, &fixture_geometry);
	return 0;
}

static inline int tear_down(void **state)
{
	(void)state;
	fixture_free(&image);
	return 0;
}
