/* SPDX-License-Identifier: BSD-3-Clause */
/* Words, numbers and addresses of the files that are imported. */
#pragma once

#include "controlplane/cli/import/import.h"

enum {
	BERTH_IMPORT_WORDS = 64,
};

struct berth_import_words {
	char *words[BERTH_IMPORT_WORDS];
	size_t n;
};

/* Splits a line in place; quotation marks hold words together. A word that begins with one of `comments` ends the
 * line. */
void berth_import_split(struct berth_import_words *words, char *line, const char *comments);
/* Reads lines of the file, counted in import->line, and calls `read` with the words of each that has any. */
void berth_import_read_lines(struct berth_import *import, FILE *in, const char *comments,
			     void (*read)(struct berth_import *import, const struct berth_import_words *words,
					  void *arg),
			     void *arg);
/* A word's keyword and what berth has in its place. */
struct berth_import_keyword {
	const char *name;
	/* NULL: nothing is read. */
	void (*read)(void *arg, const struct berth_import_words *words);
	const char *instead; /* a note; NULL: nothing to say */
};
/* Calls `read`, or notes, for the first word; a note of its own where the table lacks it. */
void berth_import_statement(struct berth_import *import, const struct berth_import_keyword *keywords, size_t n,
			    const struct berth_import_words *words, void *arg);

/* A whole number in its range; else `instead`, with a note. */
unsigned int berth_import_number(struct berth_import *import, const char *text, unsigned long most,
				 unsigned int instead);
/* Milliseconds from 1 to an hour, of a number of `unit_ms`, with a fraction or with a unit behind it (us, ms, s, m,
 * h); else `instead`, with a note. */
unsigned int berth_import_duration(struct berth_import *import, const char *text, unsigned int unit_ms,
				   unsigned int instead);
bool berth_import_is_address(const char *text);
/* "203.0.113.10:80", "[2001:db8::10]:80", or an address alone (`port` 0). False: neither. */
bool berth_import_place(const char *text, char address[BERTH_IMPORT_WORD], unsigned int *port);
/* berth's scheduler for one of IPVS. */
const char *berth_import_ipvs_scheduler(struct berth_import *import, const char *name);
/* Length of the prefix of a netmask of IPv4, or 32 with a note. */
unsigned int berth_import_mask(struct berth_import *import, const char *mask);
/* Copies a text that the output can have between single quotation marks; false, with a note: it cannot. */
bool berth_import_copy(struct berth_import *import, char *to, size_t size, const char *text);
