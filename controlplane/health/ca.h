/* SPDX-License-Identifier: BSD-3-Clause */
/* Files with the CA certificates of HTTPS checks. A process with an empty root gets them as descriptors. */
#pragma once

#include <openssl/ossl_typ.h>

#include "controlplane/health/probe.h"

bool berth_ca_is_needed(const struct berth_health_config *check);
/* Opens the file of a check: its own, or the system's. Returns a descriptor or -errno. */
int berth_ca_open(const struct berth_health_config *check);
/* Sets the reason from an errno of berth_ca_open. */
enum berth_probe_result berth_ca_fail(struct berth_probe *probe, int error);

/* The certificates in a file. They are kept until the file changes, so only the first call for it is slow. NULL: no
 * certificates in it. The caller does not own the store. */
X509_STORE *berth_ca_store(int fd);
void berth_ca_clear(void);
