// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/util/account.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/types.h>

int berth_account_find(const char *name, struct berth_account *account)
{
	gid_t groups[BERTH_ACCOUNT_GROUPS];
	int n = BERTH_ACCOUNT_GROUPS;

	errno = 0;
	const struct passwd *user = getpwnam(name);
	if (!user)
		return errno == EINTR || errno == EIO || errno == EMFILE || errno == ENFILE || errno == ENOMEM
			       ? -errno
			       : -ENOENT;
	*account = (struct berth_account){.uid = user->pw_uid, .gid = user->pw_gid};
	if (getgrouplist(name, user->pw_gid, groups, &n) < 0)
		return -E2BIG;
	memcpy(account->groups, groups, (size_t)n * sizeof(groups[0]));
	account->n_groups = (uint32_t)n;
	return 0;
}
