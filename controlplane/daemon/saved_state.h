/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Keeps what operators have set in the file operator.json of the state directory. The tables hold it too: the file
 * is for a berthd that finds no tables, after a reboot or a change of their sizes. Pins are always read from it.
 */
#pragma once

#include "controlplane/saved/operator_state.h"

struct berth_config;
struct berth_daemon;

/* Opens the state directory of a configuration and reads the file. A fault is logged and kept in daemon->state, and
 * berthd goes on without the file. -ENOMEM. */
int berth_saved_state_open(struct berth_daemon *daemon, const struct berth_config *config);
/* Writes what is due. */
void berth_saved_state_close(struct berth_daemon *daemon);

/* Sets what is saved in the first model, which is not in force yet. No effect later, or if the tables were adopted.
 */
void berth_saved_state_restore(struct berth_daemon *daemon, const struct berth_model *stage);
/* After the first publication: pins the clients again whose sessions the tables do not have. -ENOMEM. */
int berth_saved_state_restore_pins(struct berth_daemon *daemon);

/* A client of a service is pinned to a backend. */
void berth_saved_state_pin(struct berth_daemon *daemon, const struct berth_pin *pin);
/* A client is not pinned any more. No effect if it was not. */
void berth_saved_state_unpin(struct berth_daemon *daemon, uint64_t service, const union berth_addr *client);

/* The model has changed: the file is written soon. */
void berth_saved_state_request(struct berth_daemon *daemon);
/* Writes the file now, if that was requested and the content differs. */
void berth_saved_state_flush(struct berth_daemon *daemon);
/* A configuration is in force: follows its `state-dir`, and drops pins of what it does not have. */
void berth_saved_state_follow(struct berth_daemon *daemon);
