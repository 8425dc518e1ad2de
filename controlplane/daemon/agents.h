/* SPDX-License-Identifier: BSD-3-Clause */
/* What the agents of backends say: model/agent.h brings it into force. Event loop's thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct berth_daemon;

/* Called once, before the first stage of health targets. */
void berth_agents_open(struct berth_daemon *daemon);
/* Brings into force what is due, with the eligibility at once, and logs what agents say. Lowers *next_ms to the
 * next time. True: the model is to be published. */
bool berth_agents_follow(struct berth_daemon *daemon, uint64_t now_ms, uint64_t *next_ms);
