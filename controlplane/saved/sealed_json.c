// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/saved/sealed_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define KEY "digest"

enum {
	DIGEST_TEXT = 17,
};

/* Of the content: neither white space nor the order of members matters. "": out of memory. */
static void write_digest(const json_t *root, char digest[DIGEST_TEXT])
{
	char *text = json_dumps(root, JSON_COMPACT | JSON_SORT_KEYS);
	digest[0] = '\0';
	if (text)
		snprintf(digest, DIGEST_TEXT, "%016" PRIx64, (uint64_t)XXH3_64bits(text, strlen(text)));
	free(text);
}

char *berth_sealed_json_format(json_t *root, size_t flags)
{
	char digest[DIGEST_TEXT] = "", *text = NULL;
	if (root)
		write_digest(root, digest);
	if (digest[0] && json_object_set_new(root, KEY, json_string(digest)) == 0)
		text = json_dumps(root, flags);
	json_decref(root);
	return text;
}

json_t *berth_sealed_json_parse(const char *text, size_t length)
{
	char digest[DIGEST_TEXT];
	json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
	json_t *stored = json_incref(json_object_get(root, KEY));
	if (!stored)
		return root;
	json_object_del(root, KEY);
	write_digest(root, digest);
	const char *said = json_string_value(stored);
	if (!said || !digest[0] || strcmp(said, digest) != 0) {
		json_decref(root);
		root = NULL;
	}
	json_decref(stored);
	return root;
}
