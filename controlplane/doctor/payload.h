/* SPDX-License-Identifier: BSD-3-Clause */
/* Payload of an echo request; the reply returns it unchanged. */
#pragma once

#include "controlplane/doctor/probe.h"

#define BERTH_DOCTOR_MAGIC UINT32_C(0x62727468)

struct berth_doctor_payload {
	uint32_t magic;
	struct berth_doctor_probe_id id;
};
BERTH_ASSERT_SIZE(struct berth_doctor_payload, 16);
