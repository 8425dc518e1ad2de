/* SPDX-License-Identifier: BSD-3-Clause */
/* The filter of a capture as an operator writes it: "tcp host 198.51.100.7 port 80 verdict no_backend". Pure. */
#pragma once

#include "controlplane/model/model.h"
#include "dataplane/interface/capture.h"

/* A packet matches all of: protocol, `host`, `port`, `service`, `backend`; and any of the verdicts. `text`: NULL is
 * no filter. `drops`: only drops. 0; -EINVAL, or -ENOENT for a name that is not found, with one line in `error`. */
int berth_capture_filter_parse(struct berth_capture_filter *filter, const struct berth_model *model,
			       const char *text, bool drops, char error[BERTH_ERROR_BYTES]);
