/* SPDX-License-Identifier: BSD-3-Clause */
/* The word that was probably meant, for "did you mean ...?". Pure. */
#pragma once

#include <stddef.h>

/* Letters to insert, remove or replace to turn one word into the other (Levenshtein distance). SIZE_MAX for words
 * of more than 24 bytes, which are not compared. */
size_t berth_spelling_distance(const char *a, const char *b);
/* The distance from which on another word is too far from this one to be meant. */
size_t berth_spelling_limit(const char *word);

/* What a word of other load balancers is in berth: a key, or the value of a key with what else it needs. NULL: not
 * known. */
const char *berth_synonym_of_key(const char *key);
const char *berth_synonym_of_word(const char *key, const char *word);
