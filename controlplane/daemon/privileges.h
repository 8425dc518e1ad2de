/* SPDX-License-Identifier: BSD-3-Clause */
/* What berthd gives up at its start; docs/security.md has the reasons. */
#pragma once

/* Before any thread or program starts. Logs what cannot be given up. */
void berth_privileges_drop(void);
