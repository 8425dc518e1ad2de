/* SPDX-License-Identifier: BSD-3-Clause */
/* For tests of the core that have one image of the usual size, each case a new one. */
#pragma once

#include "tests/support/count.h"
#include "tests/support/image.h"
#include "tests/support/send.h"
#include "tests/support/unit.h"

static struct berth_image image;

/* With nothing in it. */
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
