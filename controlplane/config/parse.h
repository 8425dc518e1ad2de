/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads the configuration: YAML text -> struct berth_config, validated, with every default filled in. Pure but for
 * berth_config_load, which reads a file. */
#pragma once

#include "controlplane/config/config.h"
#include "controlplane/util/error.h"

/*
 * Parses and validates `text` (YAML, `length` bytes). `name`: of the file, for messages. NULL on an error, with one
 * line "name:line:column: cause; remedy" in `error`.
 */
struct berth_config *berth_config_parse(const char *name, const char *text, size_t length,
					char error[BERTH_ERROR_BYTES]);
/* The same from a file. A file that cannot be read is an error too. */
struct berth_config *berth_config_load(const char *path, char error[BERTH_ERROR_BYTES]);
