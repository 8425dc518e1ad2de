/* SPDX-License-Identifier: BSD-3-Clause */
/* What `explain` and `capture` say of a packet, as JSON. */
#pragma once

#include "controlplane/cmd/cmd.h"
#include "dataplane/core/packet.h"
#include "dataplane/core/verdict.h"

/* As berth reads it: of an ICMP error, the flow that it is about; from a backend, the backend first. */
json_t *berth_cmd_packet(const struct berth_packet *packet);
/* null: 0, or one that the configuration no longer has. A backend as "web/b1". */
json_t *berth_cmd_service_name(const struct berth_model *model, uint32_t number);
json_t *berth_cmd_backend_name(const struct berth_model *model, uint32_t number);
/* Its effective weight; null likewise. */
json_t *berth_cmd_backend_weight(const struct berth_model *model, uint32_t number);
/* What to add to CLOCK_MONOTONIC for nanoseconds since 1970. */
int64_t berth_cmd_time_offset_ns(void);
json_t *berth_cmd_hex(const uint8_t *bytes, size_t n);
const char *berth_cmd_result_name(enum berth_verdict verdict); /* "dropped" */
const char *berth_cmd_verdict_text(enum berth_verdict verdict);
