// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/cli/import/words.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

enum {
	HOUR_MS = 3600000,
};

/* The end of the word at `from`, without its quotation marks. */
static char *end_word(char *from)
{
	char *to = from;
	char quote = '\0';
	for (; *from && (quote || !strchr(" \t\r\n", *from)); from++) {
		const bool ends = quote && *from == quote, begins = !quote && (*from == '"' || *from == '\'');
		if (ends)
			quote = '\0';
		else if (begins)
			quote = *from;
		else
			*to++ = *from;
	}
	char *next = *from ? from + 1 : from;
	*to = '\0';
	return next;
}

void berth_import_split(struct berth_import_words *words, char *line, const char *comments)
{
	words->n = 0;
	for (;;) {
		line += strspn(line, " \t\r\n");
		if (!*line || strchr(comments, *line) || words->n == BERTH_IMPORT_WORDS)
			return;
		words->words[words->n++] = line;
		line = end_word(line);
	}
}

void berth_import_read_lines(struct berth_import *import, FILE *in, const char *comments,
			     void (*read)(struct berth_import *import, const struct berth_import_words *words,
					  void *arg),
			     void *arg)
{
	char *line = NULL;
	size_t size = 0;
	struct berth_import_words words;
	while (getline(&line, &size, in) >= 0) {
		import->line++;
		berth_import_split(&words, line, comments);
		if (words.n > 0)
			read(import, &words, arg);
	}
	free(line);
}

void berth_import_statement(struct berth_import *import, const struct berth_import_keyword *keywords, size_t n,
			    const struct berth_import_words *words, void *arg)
{
	const char *word = words->words[0];
	for (size_t i = 0; i < n; i++) {
		if (strcmp(keywords[i].name, word) != 0)
			continue;
		if (keywords[i].instead)
			berth_import_note(import, "%s: %s", word, keywords[i].instead);
		if (keywords[i].read)
			keywords[i].read(arg, words);
		return;
	}
	berth_import_note(import, "\"%.40s\" is not imported; look in configuration.md for what you need of it",
			  word);
}

unsigned int berth_import_number(struct berth_import *import, const char *text, unsigned long most,
				 unsigned int instead)
{
	char *end;
	const unsigned long value = strtoul(text, &end, 10);
	if (text[0] >= '0' && text[0] <= '9' && !*end && value <= most)
		return (unsigned int)value;
	berth_import_note(import, "\"%.32s\" is no number from 0 to %lu; %u is used", text, most, instead);
	return instead;
}

static double unit_of(const char *text, double otherwise)
{
	static const struct {
		const char *name;
		double ms;
	} units[] = {{"us", 0.001}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", HOUR_MS}, {"d", 24.0 * HOUR_MS}};
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strcmp(units[i].name, text) == 0)
			return units[i].ms;
	return *text ? 0 : otherwise;
}

unsigned int berth_import_duration(struct berth_import *import, const char *text, unsigned int unit_ms,
				   unsigned int instead)
{
	char *end;
	const double value = strtod(text, &end);
	const double ms = value * unit_of(end, unit_ms);
	if (text[0] >= '0' && text[0] <= '9' && ms >= 1 && ms <= HOUR_MS)
		return (unsigned int)ms;
	berth_import_note(import, "\"%.32s\" is no time from 1 ms to 1 h; %u ms is used", text, instead);
	return instead;
}

bool berth_import_is_address(const char *text)
{
	struct in6_addr any;
	return inet_pton(AF_INET, text, &any) == 1 || inet_pton(AF_INET6, text, &any) == 1;
}

bool berth_import_place(const char *text, char address[BERTH_IMPORT_WORD], unsigned int *port)
{
	const bool is_quoted = text[0] == '[';
	const char *end = is_quoted ? strchr(text, ']') : strrchr(text, ':');
	size_t length = end ? (size_t)(end - text) : strlen(text);
	if (is_quoted && !end)
		return false;
	text += is_quoted;
	length -= is_quoted;
	if (length == 0 || length >= BERTH_IMPORT_WORD)
		return false;
	memcpy(address, text, length);
	address[length] = '\0';
	const char *rest = text + length + is_quoted;
	char *last = NULL;
	*port = *rest == ':' ? (unsigned int)strtoul(rest + 1, &last, 10) : 0;
	return berth_import_is_address(address) && *port <= 65535 && (last ? rest[1] && !*last : *rest == '\0');
}

const char *berth_import_ipvs_scheduler(struct berth_import *import, const char *name)
{
	static const struct {
		const char *name;
		const char *scheduler;
	} known[] = {{"rr", "round-robin"},
		     {"wrr", "round-robin"},
		     {"lc", "least-conn"},
		     {"wlc", "least-conn"},
		     {"mh", "maglev"}};
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(known[i].name, name) == 0)
			return known[i].scheduler;
	berth_import_note(import, "scheduler %.16s: berth has maglev in its place, which also hashes the client",
			  name);
	return "maglev";
}

unsigned int berth_import_mask(struct berth_import *import, const char *mask)
{
	struct in_addr bits;
	if (inet_pton(AF_INET, mask, &bits) == 1)
		return (unsigned int)__builtin_popcount(bits.s_addr);
	berth_import_note(import, "persistence mask %.40s: write affinity.prefix6", mask);
	return 32;
}

bool berth_import_copy(struct berth_import *import, char *to, size_t size, const char *text)
{
	bool is_printable = strlen(text) < size;
	for (const char *c = text; *c; c++)
		is_printable &= *c >= ' ' && *c <= '~' && *c != '\'';
	if (!is_printable) {
		berth_import_note(import,
				  "\"%.32s\" is too long, or has characters that need quotation: write it by hand",
				  text);
		return false;
	}
	snprintf(to, size, "%s", text);
	return true;
}
