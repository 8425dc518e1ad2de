/* SPDX-License-Identifier: BSD-3-Clause */
/* For tests of berthctl doctor: targets. */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "controlplane/doctor/probe.h"
#include "controlplane/util/address.h"

#include "tests/support/unit.h"

static const uint8_t backend_mac[6] = {2, 0, 0, 0, 0, 0x11};
static const uint8_t router_mac[6] = {2, 0, 0, 0, 0, 1};

static union berth_addr address(const char *text)
{
	union berth_addr address;
	assert_int_equal(berth_address_parse(text, &address), 0);
	return address;
}

/* `outer` and `inner` are the IP versions of backend and service. */
static struct berth_doctor_target target_of(enum berth_mode mode, int outer, int inner)
{
	struct berth_doctor_target target = {
		.mode = mode,
		.gue_port = 6080,
		.bits = 128,
		.service = address(inner == 4 ? "203.0.113.10" : "2001:db8:f::10"),
		.backend = address(outer == 4 ? "192.0.2.11" : "2001:db8:2::11"),
		.source = address(outer == 4 ? "192.0.2.2" : "2001:db8:2::2"),
		.inner_source = address(inner == 4 ? "192.0.2.2" : "2001:db8:2::2"),
		.mtu = 1600,
		.src_mac = {2, 0, 0, 0, 0, 2},
		.is_on_link = true,
		.is_check_up = true,
		.is_up = true,
		.health_reason = "",
	};
	target.prefix = target.service;
	memcpy(target.dst_mac, backend_mac, sizeof(target.dst_mac));
	return target;
}
