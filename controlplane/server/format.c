// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/server/format.h"

#include <errno.h>
#include <event2/buffer.h>
#include <stdbool.h>
#include <string.h>

#define FLAGS (JSON_COMPACT | JSON_REAL_PRECISION(BERTH_WIRE_DIGITS))

static const char *const code_words[] = {
#define X(symbol, word) word,
	BERTH_CODES(X)
#undef X
};

/* An error may quote a name that is cut inside a UTF-8 character, which is invalid in JSON. */
static void make_printable(char *text)
{
	json_t *valid = json_string(text);
	for (char *at = text; *at; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f || (!valid && (unsigned char)*at > 0x7f))
			*at = '?';
	json_decref(valid);
}

char *berth_server_format_answer(enum berth_code code, json_t *result, char error[BERTH_ERROR_BYTES])
{
	json_t *answer;
	if (code == BERTH_CODE_OK) {
		answer = json_pack("{s:b, s:o}", "ok", 1, "result", result);
	} else {
		make_printable(error);
		answer = json_pack("{s:b, s:s, s:s, s:o*}", "ok", 0, "error", error, "code", code_words[code],
				   "errors", result);
	}
	char *line = answer ? json_dumps(answer, FLAGS) : NULL;
	json_decref(answer);
	return line;
}

/* A request is a few short values and at most one long text. One with more parts is not parsed: 8 MiB of "{},"
 * would need nearly a gigabyte of memory. */
static bool has_few_parts(const char *line, size_t length)
{
	unsigned int parts = 0;
	bool quoted = false;
	for (size_t i = 0; i < length; i++) {
		if (line[i] == '"')
			quoted = !quoted;
		else if (quoted && line[i] == '\\')
			i++;
		else if (!quoted && line[i] && strchr("{}[],:", line[i]))
			parts++;
		if (parts > BERTH_WIRE_REQUEST_PARTS)
			return false;
	}
	return true;
}

json_t *berth_server_parse_request(const char *line, size_t length)
{
	return has_few_parts(line, length) ? json_loadb(line, length, JSON_REJECT_DUPLICATES, NULL) : NULL;
}

static int add_bytes(const char *bytes, size_t length, void *out)
{
	return evbuffer_add(out, bytes, length);
}

int berth_server_write_part(struct evbuffer *out, json_t *value)
{
	const int failed = json_dump_callback(value, add_bytes, out, FLAGS | JSON_ENCODE_ANY);
	json_decref(value);
	return failed ? -ENOMEM : 0;
}
