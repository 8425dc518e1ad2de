/* SPDX-License-Identifier: BSD-3-Clause */
/* What build.c puts into an echo request and read.c finds in the reply. */
#pragma once

#include "controlplane/doctor/probe.h"

#define BERTH_DOCTOR_MAGIC UINT32_C(0x62727468)

struct berth_doctor_mark {
	uint32_t magic;
	struct berth_doctor_tag tag;
};
BERTH_ASSERT_SIZE(struct berth_doctor_mark, 16);
