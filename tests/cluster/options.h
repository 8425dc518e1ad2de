/* SPDX-License-Identifier: BSD-3-Clause */
/* The options of the programs of this folder. */
#pragma once

#include <stdint.h>

struct cluster_options {
	const char *object; /* of the XDP program */
	uint64_t flows;
	uint64_t seed;
	char engines[64]; /* with commas between them; "" before: it is no option */
};

/* Those that are missing stay as they are. Ends the program with its usage if one is invalid. */
void cluster_options_read(struct cluster_options *options, int argc, char **argv);
