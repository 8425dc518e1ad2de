/* SPDX-License-Identifier: BSD-3-Clause */
/* berthd's log: one line an event, to standard error, where systemd or the operator picks it up. */
#pragma once

void berth_log(const char *format, ...) __attribute__((format(printf, 1, 2)));
