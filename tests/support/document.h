/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads documents of docs/ in tests that compare them with the code. Include unit.h or cmocka.h first. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	DOCUMENT_BYTES = 1 << 17,
};

/* The text of docs/NAME. The caller frees it. __FILE__ holds the path from the build folder, where tests run. */
static inline char *document(const char *name)
{
	static const char here[] = "tests/support/document.h";
	char path[1024];
	snprintf(path, sizeof(path), "%.*sdocs/%s", (int)(strlen(__FILE__) - strlen(here)), __FILE__, name);
	FILE *file = fopen(path, "r");
	if (!file)
		fail_msg("%s: not found; run this test in the folder in which it was built", path);
	char *text = calloc(1, DOCUMENT_BYTES);
	assert_non_null(text);
	size_t length = fread(text, 1, DOCUMENT_BYTES - 1, file);
	assert_in_range(length, 1, DOCUMENT_BYTES - 2);
	fclose(file);
	return text;
}

/* The section "## TITLE" up to the next one. The caller frees it; NULL: not found. */
static inline char *document_section(const char *text, const char *title)
{
	char heading[128];
	snprintf(heading, sizeof(heading), "\n## %s\n", title);
	const char *start = strstr(text, heading);
	if (!start)
		return NULL;
	start += strlen(heading);
	const char *end = strstr(start, "\n## ");
	return end ? strndup(start, (size_t)(end - start)) : strdup(start);
}
