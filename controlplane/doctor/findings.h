/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The list of findings that the doctor answers with. A cause often shows at many backends, so findings with the
 * same cause become one, with all their subjects.
 */
#pragma once

#include <jansson.h>

#include "controlplane/doctor/probe.h"

/* Appends a finding about a subject ("engine", "web/b1") to `checks`, an array. */
void berth_doctor_add(json_t *checks, const char *subject, const struct berth_doctor_finding *finding);
/* The same; `remedy` may be "". */
void berth_doctor_addf(json_t *checks, const char *subject, enum berth_doctor_level level, const char *remedy,
		       const char *format, ...) __attribute__((format(printf, 5, 6)));
/* Moves the problems of `from` to `checks`. */
void berth_doctor_add_problems(json_t *checks, const json_t *from);
/* A new array with one element for each cause: level, subject (the first), subjects (all), finding and remedy, in
 * the order of their first appearance. NULL: out of memory. */
json_t *berth_doctor_group(const json_t *checks);
