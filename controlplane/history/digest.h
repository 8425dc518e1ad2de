/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The digest of a configuration's text, by which an operator's copy shows what it was made from: `config show` puts
 * it in a first line, and `config apply` compares it with what is in force by then. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	BERTH_DIGEST_TEXT = 17,
	BERTH_DIGEST_LINE = 160,
};

uint64_t berth_digest_of(const char *text, size_t length);
/* 16 hexadecimal digits. Returns `text`. */
const char *berth_digest_format(uint64_t digest, char text[BERTH_DIGEST_TEXT]);
/* False: not 16 hexadecimal digits. */
bool berth_digest_parse(const char *text, uint64_t *digest);

/* Writes the first line, a comment of YAML, with its line end. */
void berth_digest_line(uint64_t digest, char line[BERTH_DIGEST_LINE]);
/* The length of that line with its end, and its digest; 0: the text has none. */
size_t berth_digest_line_of(const char *text, size_t length, uint64_t *digest);
