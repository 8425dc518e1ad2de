/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Keeps the session table in the file `sessions` of the state directory, if the configuration says so: every
 * `sessions.save`, and when berthd ends. A thread of its own writes it, so that nothing waits for the disk.
 */
#pragma once

struct berth_daemon;

/* -ENOMEM. */
int berth_session_save_open(struct berth_daemon *daemon);
/* Writes the table a last time. */
void berth_session_save_close(struct berth_daemon *daemon);

/* After the first publication, before the engine starts: fills new tables from the file. */
void berth_session_save_restore(struct berth_daemon *daemon);
/* Waits for a write under way, which reads the engine's tables. */
void berth_session_save_pause(struct berth_daemon *daemon);
/* Another engine is berthd's. */
void berth_session_save_set_image(struct berth_daemon *daemon);
/* A configuration is in force: follows its interval. */
void berth_session_save_follow(struct berth_daemon *daemon);
