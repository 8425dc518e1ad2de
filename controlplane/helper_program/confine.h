/* SPDX-License-Identifier: BSD-3-Clause */
/* How berth-helper gives up what it does not need, before it talks to any server. */
#pragma once

/* Makes an empty root in `run_dir`, switches to the helpers' user, gives up all capabilities, allows a list of
 * system calls. Returns 0, or -errno with *step: what failed. A process that is not root keeps its root and user.
 */
int berth_confine(const char *run_dir, const char **step);
