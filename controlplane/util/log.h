/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * berthd's log: one line per event, to standard error, which systemd's journal records with the event's priority.
 * berthd also keeps the last ones: log_ring.h.
 */
#pragma once

#include "controlplane/util/log_about.h"

const char *berth_log_priority_word(enum berth_log_priority priority);

/* Writes bytes other than printable ASCII as \xNN: a line stays one line. At most 1023 bytes before that. */
void berth_log(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same, for an event of one service or backend. */
void berth_log_about(const struct berth_log_about *about, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
