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
/* `error`: one line, valid during the call. */
typedef void berth_config_error_fn(void *arg, const char *error);
/* The same, and calls `fn` for every error, the first one too, BERTH_CONFIG_ERRORS at most. */
struct berth_config *berth_config_parse_all(const char *name, const char *text, size_t length,
					    berth_config_error_fn *fn, void *arg, char error[BERTH_ERROR_BYTES]);
/* The same from a file. A file that cannot be read is an error too. */
struct berth_config *berth_config_load(const char *path, char error[BERTH_ERROR_BYTES]);
struct berth_config *berth_config_load_all(const char *path, berth_config_error_fn *fn, void *arg,
					   char error[BERTH_ERROR_BYTES]);
