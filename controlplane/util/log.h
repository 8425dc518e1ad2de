/* SPDX-License-Identifier: BSD-3-Clause */
/* berthd's log: one line per event, to standard error, which systemd's journal records. */
#pragma once

/* Writes bytes other than printable ASCII as \xNN: a line stays one line. At most 1023 bytes before that. */
void berth_log(const char *format, ...) __attribute__((format(printf, 1, 2)));
