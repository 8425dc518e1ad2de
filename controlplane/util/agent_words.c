// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/util/agent_words.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define SEPARATORS " \t,"

/* 0: the word does not speak of it. */
static const struct {
	const char *word;
	uint8_t admin;
	uint8_t health;
} known[] = {
	{"up", 0, BERTH_AGENT_UP},	 {"down", 0, BERTH_AGENT_DOWN},	   {"fail", 0, BERTH_AGENT_DOWN},
	{"failed", 0, BERTH_AGENT_DOWN}, {"stopped", 0, BERTH_AGENT_DOWN}, {"ready", BERTH_AGENT_READY, 0},
	{"drain", BERTH_AGENT_DRAIN, 0}, {"maint", BERTH_AGENT_MAINT, 0},
};

/* The line under way. */
struct reader {
	struct berth_agent_words words;
	bool has_known; /* a word that berth knows, or maxconn */
	bool is_read;	/* what follows describes */
	char *reason;
};

static void printable(char *text)
{
	for (char *c = text; *c; c++) {
		if (*c == '\t')
			*c = ' ';
		if (*c < ' ' || *c > '~')
			*c = '?';
	}
}

__attribute__((format(printf, 2, 3))) static bool refuse(struct reader *reader, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(reader->reason, BERTH_AGENT_REASON_BYTES, format, args);
	va_end(args);
	printable(reader->reason);
	reader->words = (struct berth_agent_words){0};
	return false;
}

static bool set_percent(struct reader *reader, const char *word)
{
	const size_t digits = strspn(word, "0123456789");
	uint32_t percent = 0;
	if (!digits || strcmp(word + digits, "%") != 0)
		return refuse(reader, "refused: \"%.40s\" is no whole number of percent", word);
	for (const char *c = word; *c != '%' && percent <= BERTH_AGENT_MAX_PERCENT; c++)
		percent = 10 * percent + (uint32_t)(*c - '0');
	if (percent > BERTH_AGENT_MAX_PERCENT)
		return refuse(reader, "refused: \"%.40s\" is more than 200%%", word);
	if (reader->words.has_percent && reader->words.percent != percent)
		return refuse(reader, "refused: \"%.40s\" contradicts another percentage before it", word);
	reader->words.has_percent = 1;
	reader->words.percent = (uint16_t)percent;
	reader->has_known = true;
	return true;
}

static bool set_state(struct reader *reader, size_t i, const char *word)
{
	const uint8_t admin = reader->words.admin, health = reader->words.health;
	if ((known[i].admin && admin && admin != known[i].admin) ||
	    (known[i].health && health && health != known[i].health))
		return refuse(reader, "refused: \"%.40s\" contradicts a word before it", word);
	reader->words.admin = known[i].admin ? known[i].admin : admin;
	reader->words.health = known[i].health ? known[i].health : health;
	reader->has_known = true;
	return true;
}

static bool is_number(const char *word)
{
	return word[strspn(word, "0123456789")] == '\0';
}

/* What berth does not know begins a description if words that it knows are before it. A number does so only after
 * down, or 10,000% would be two words of which the second is 0%. */
static bool read_word(struct reader *reader, const char *word)
{
	if (strchr(word, '%'))
		return set_percent(reader, word);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcasecmp(word, known[i].word) == 0)
			return set_state(reader, i, word);
	if (strncasecmp(word, "maxconn:", strlen("maxconn:")) == 0) {
		reader->has_known = true;
		return true;
	}
	if (is_number(word) && reader->words.health != BERTH_AGENT_DOWN)
		return refuse(reader, "refused: \"%.40s\" is a number without %%", word);
	reader->is_read = true;
	return reader->has_known ||
	       refuse(reader, "refused: \"%.40s\" is none of N%%, up, down, failed, stopped, ready, drain, maint",
		      word);
}

static bool is_binary(const char *line, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		const unsigned char c = (unsigned char)line[i];
		if ((c < ' ' && c != '\t') || c == 0x7f)
			return true;
	}
	return false;
}

bool berth_agent_read(struct berth_agent_words *words, const char *line, size_t length,
		      char reason[BERTH_AGENT_REASON_BYTES])
{
	char copy[BERTH_AGENT_LINE_BYTES], *rest;
	struct reader reader = {.reason = reason};
	*words = reader.words;
	if (length >= sizeof(copy))
		return refuse(&reader, "refused: the line is longer than 127 bytes");
	if (is_binary(line, length))
		return refuse(&reader, "refused: the line has control characters");
	memcpy(copy, line, length);
	copy[length] = '\0';
	snprintf(reason, BERTH_AGENT_REASON_BYTES, "%s", copy);
	printable(reason);
	copy[strcspn(copy, "#")] = '\0';
	for (char *word = strtok_r(copy, SEPARATORS, &rest); word && !reader.is_read;
	     word = strtok_r(NULL, SEPARATORS, &rest))
		if (!read_word(&reader, word))
			return false;
	if (!reader.has_known)
		return refuse(&reader, "refused: the line has no word");
	*words = reader.words;
	return true;
}

bool berth_agent_is_valid(const struct berth_agent_words *words)
{
	return words->has_percent <= 1 && words->percent <= BERTH_AGENT_MAX_PERCENT &&
	       (words->has_percent || !words->percent) && words->admin <= BERTH_AGENT_MAINT &&
	       words->health <= BERTH_AGENT_DOWN;
}

void berth_agent_add(struct berth_agent_words *said, const struct berth_agent_words *line)
{
	if (line->has_percent) {
		said->has_percent = 1;
		said->percent = line->percent;
	}
	said->admin = line->admin ? line->admin : said->admin;
	said->health = line->health ? line->health : said->health;
}

bool berth_agent_says_anything(const struct berth_agent_words *words)
{
	return words->has_percent || words->admin || words->health;
}

bool berth_agent_equal(const struct berth_agent_words *a, const struct berth_agent_words *b)
{
	return a->has_percent == b->has_percent && a->percent == b->percent && a->admin == b->admin &&
	       a->health == b->health;
}

uint16_t berth_agent_percent(const struct berth_agent_words *words)
{
	return words->has_percent ? words->percent : 100;
}

void berth_agent_format(const struct berth_agent_words *words, char text[BERTH_AGENT_REASON_BYTES])
{
	static const char *const admins[] = {NULL, "ready", "drain", "maint"};
	static const char *const healths[] = {NULL, "up", "down"};
	char percent[16] = "";
	const char *parts[] = {percent, admins[words->admin], healths[words->health]};
	size_t used = 0;
	if (words->has_percent)
		snprintf(percent, sizeof(percent), "%u%%", words->percent);
	snprintf(text, BERTH_AGENT_REASON_BYTES, "nothing");
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (parts[i] && parts[i][0])
			used += (size_t)snprintf(text + used, BERTH_AGENT_REASON_BYTES - used, "%s%s",
						 used ? ", " : "", parts[i]);
}
