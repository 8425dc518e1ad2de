/* SPDX-License-Identifier: BSD-3-Clause */
/* What may happen to a world while packets flow. */
#pragma once

#include "tests/soak/world.h"

/* One of everything that may happen, drawn at random. */
void soak_chaos(struct soak_world *world);
/* An operator says where a client's session is to be. */
void soak_speak_of_sessions(struct soak_world *world);
/* Checks find out what is so. */
void soak_probe(struct soak_world *world);
