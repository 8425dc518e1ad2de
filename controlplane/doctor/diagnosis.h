/* SPDX-License-Identifier: BSD-3-Clause */
/* The diagnosis of a target, for diagnose.c (the path to the backend) and diagnose_server.c (what is behind it). */
#pragma once

#include "controlplane/doctor/probe.h"
#include "controlplane/util/address.h"

/* The findings about one target. */
struct diagnosis {
	const struct berth_doctor_target *target;
	const struct berth_doctor_results *results;
	struct berth_doctor_finding *findings;
	size_t n;
	char service[BERTH_ADDRESS_TEXT];
};

/* Adds a finding with an empty remedy. */
struct berth_doctor_finding *berth_doctor_finding_new(struct diagnosis *diagnosis, enum berth_doctor_level level,
						      const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void berth_doctor_finding_remedy(struct berth_doctor_finding *finding, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Who answers for the next hop. True: it has another link address than the kernel's, so no other probe arrived. */
bool berth_doctor_check_next_hop(struct diagnosis *diagnosis);
/* The path is fine: health, port, answers to clients. */
void berth_doctor_check_server(struct diagnosis *diagnosis);
/* Also if the path is not fine. */
void berth_doctor_check_error(struct diagnosis *diagnosis);
/* A service's address and a gateway. */
void berth_doctor_check_route(struct diagnosis *diagnosis);
