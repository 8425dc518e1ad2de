/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Programs that systemd starts for berthd, in units with sandboxes of their own (packaging/). systemd listens at
 * RUN_DIR/PROGRAM.socket, and starts the program for each connection, which is its descriptor 3. The connection
 * ends with the program.
 */
#pragma once

/* Never waits. Returns the connection, of SOCK_SEQPACKET; -ENOENT: systemd does not listen, so the caller starts
 * the program itself; another -errno: the socket cannot be used. Messages can be sent at once. */
int berth_activation_connect(const char *run_dir, const char *program);
