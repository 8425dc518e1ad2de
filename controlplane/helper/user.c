// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/helper/user.h"

/* A user of their own, so that no other process may signal helpers. */
#define USER "berth-helper"

enum {
	UNASSIGNED_USER = 61180,
};

struct berth_account berth_helper_user(void)
{
	struct berth_account account;
	if (berth_account_find(USER, &account))
		account = (struct berth_account){.uid = UNASSIGNED_USER, .gid = UNASSIGNED_USER};
	return account;
}
