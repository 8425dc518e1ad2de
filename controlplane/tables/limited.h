/* SPDX-License-Identifier: BSD-3-Clause */
/* The alarm of a service whose new flows are over its limits (`new-flows`), from the workers' counters. */
#pragma once

#include "controlplane/model/model.h"
#include "dataplane/core/image.h"

/* Follows whether the service had packets over its limits in the last ten seconds. True: its alarm began or ended
 * (service->is_limited). Call it about once a second. */
bool berth_limited_update(const struct berth_image *image, struct berth_model_service *service, uint64_t now_ms);
