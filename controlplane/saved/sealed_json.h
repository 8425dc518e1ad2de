/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * State files in JSON: an object with a digest of its other members, so that damage that leaves valid JSON is
 * noticed: a digit of an address, a letter of a name. A file without one, of a release that writes none, is valid.
 */
#pragma once

#include <jansson.h>

/* Adds the digest to `root`, which it releases; the caller frees the text. `flags`: as for json_dumps. NULL: out of
 * memory, also where `root` is NULL. */
char *berth_sealed_json_format(json_t *root, size_t flags);
/* The object without its digest. NULL: it is damaged, or out of memory. */
json_t *berth_sealed_json_parse(const char *text, size_t length);
