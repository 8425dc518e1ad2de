/* SPDX-License-Identifier: BSD-3-Clause */
/* The log: one line per event on stderr. Main lcore; workers never log. */
#pragma once

void berth_log(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The last line; "": none. */
const char *berth_log_last(void);
