/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pins that operators have set: which backend a client of a service must get. The session table holds them too;
 * this list survives the table. Owned by berthd's one thread.
 */
#pragma once

#include "controlplane/model/model.h"

struct berth_pin {
	uint64_t service; /* ids; those of a group, if the service is in one */
	uint64_t backend;
	union berth_addr client; /* the client prefix of the service */
	uint8_t bits;		 /* of 128 */
};

struct berth_pins {
	struct berth_pin *list;
	size_t n;
};

void berth_pins_clear(struct berth_pins *pins);
/* Adds a pin; it replaces the pin of the same client in the same service, or in a service of the same group.
 * Returns 0 or -ENOMEM. */
int berth_pins_set(struct berth_pins *pins, const struct berth_model *model, const struct berth_pin *pin);
/* Removes the pin of this client in this service, or in a service of the same group. False: not found. */
bool berth_pins_remove(struct berth_pins *pins, const struct berth_model *model, uint64_t service,
		       const union berth_addr *client);
/* Removes pins whose service or backend the model does not have; returns their number. */
size_t berth_pins_prune(struct berth_pins *pins, const struct berth_model *model);
