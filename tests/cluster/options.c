// SPDX-License-Identifier: BSD-3-Clause
#include "tests/cluster/options.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

void cluster_options_read(struct cluster_options *options, int argc, char **argv)
{
	static const struct option names[] = {{"flows", required_argument, NULL, 'f'},
					      {"seed", required_argument, NULL, 's'},
					      {"engines", required_argument, NULL, 'e'},
					      {0}};
	const bool has_engines = options->engines[0];
	bool is_valid = true;
	for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
		if (c == 'f')
			options->flows = strtoull(optarg, NULL, 0);
		else if (c == 's')
			options->seed = strtoull(optarg, NULL, 0);
		else if (c == 'e' && has_engines)
			snprintf(options->engines, sizeof(options->engines), "%s", optarg);
		else
			is_valid = false;
	}
	if (!is_valid || optind != argc - 1) {
		fprintf(stderr, "usage: %s OBJECT [--flows N] [--seed S]%s\n", argv[0],
			has_engines ? " [--engines E,E,E]" : "");
		exit(2);
	}
	options->object = argv[optind];
}
