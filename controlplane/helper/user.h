/* SPDX-License-Identifier: BSD-3-Clause */
/* The user that helpers run as, for both sides: a helper becomes it, and berthd must be it to kill a helper. */
#pragma once

#include "controlplane/util/account.h"

/* The host's user berth-helper. Without it: a number that neither distributions nor systemd assign. */
struct berth_account berth_helper_user(void);
