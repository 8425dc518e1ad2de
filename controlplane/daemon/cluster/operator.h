/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What operators set by commands, on all nodes of the cluster: this node's commands are told through the store, and
 * those of others are carried out here. berthd alone does so; nothing waits for it but `ready`, with the
 * exceptions.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct berth_cmd_origin;
struct berth_daemon;
struct berth_model_backend;
struct berth_model_service;
struct berth_pin;

/* The stream of these records, in the place of a service's id: "operator" in ASCII. */
#define BERTH_OPERATOR_STREAM UINT64_C(0x6f70657261746f72)

/* -ENOMEM. */
int berth_cluster_operator_open(struct berth_daemon *daemon);
void berth_cluster_operator_close(struct berth_daemon *daemon);
/* A configuration is in force. */
void berth_cluster_operator_configure(struct berth_daemon *daemon);
/* Each 0.2 s: tells what is due. */
void berth_cluster_operator_follow(struct berth_daemon *daemon);

/* --- a command has set something on this node --- */

void berth_cluster_operator_set_admin(struct berth_daemon *daemon, const struct berth_model_service *service,
				      const struct berth_model_backend *backend,
				      const struct berth_cmd_origin *origin);
void berth_cluster_operator_set_health(struct berth_daemon *daemon, const struct berth_model_service *service,
				       const struct berth_model_backend *backend,
				       const struct berth_cmd_origin *origin);
/* `backend` 0: it is not pinned any more. */
void berth_cluster_operator_set_pin(struct berth_daemon *daemon, const struct berth_pin *pin,
				    const struct berth_cmd_origin *origin);

/* --- from the store --- */

/* Any bytes. */
void berth_cluster_operator_receive(struct berth_daemon *daemon, const uint8_t *batch, size_t bytes);
/* What was told is lost. */
void berth_cluster_operator_lost(struct berth_daemon *daemon);
