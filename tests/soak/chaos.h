/* SPDX-License-Identifier: BSD-3-Clause */
/* Random events while packets flow. */
#pragma once

#include "tests/soak/world.h"

/* One random event. */
void soak_chaos(struct soak_world *world);
/* A random command of an operator on a session: pin, move, unpin, clear. */
void soak_operate_on_sessions(struct soak_world *world);
/* Health checks report the state of all servers. */
void soak_probe(struct soak_world *world);
