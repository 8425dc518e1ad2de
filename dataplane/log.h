/* SPDX-License-Identifier: BSD-3-Clause */
/* One line per event on stderr, for people. Called from the main lcore only; workers never log. */
#pragma once

void berth_log(const char *format, ...) __attribute__((format(printf, 1, 2)));
