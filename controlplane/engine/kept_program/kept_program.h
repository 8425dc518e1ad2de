/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The XDP program of a former berthd, pinned as program-DIGEST beside its maps. If it is the one that this berthd
 * would load, it is used as it is: the kernel does not verify it again, which takes half a second. The digest is of
 * the object and of the sizes of its maps by their roles; that the program has the very maps that are adopted is
 * compared by their ids.
 */
#pragma once

#include "dataplane/core/abi.h"
#include "dataplane/interface/store.h"

struct bpf_object;

enum {
	BERTH_KEPT_PROGRAM_NAME = 32,
};

/* The pin's name; "": the object cannot be read, so no program is kept. */
void berth_kept_program_name(const struct berth_geometry *geometry, const struct berth_store stores[BERTH_STORES],
			     char name[BERTH_KEPT_PROGRAM_NAME]);
/* Returns the descriptor of the pinned program; -1: there is none, or it has other maps than `object`. `object` is
 * not loaded, and has the pinned sections and stores; it gets the program's other maps. */
int berth_kept_program_open(const char *dir, const char *name, const struct bpf_object *object);
/* Pins the program, once all that belongs to it is there: its timer runs, its maps are pinned. `sweeper`: the map
 * of the timer, which becomes one of the program's own. */
void berth_kept_program_pin(const char *dir, const char *name, int program, int sweeper);
/* Removes the pin, of any digest: before what belongs to the program changes. */
void berth_kept_program_unpin(const char *dir);
