// SPDX-License-Identifier: BSD-3-Clause
#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/cli/report/report.h"

enum {
	WORD_BYTES = 256, /* longer words are no names */
};

struct berth_pseudonyms {
	json_t *names;	   /* name: its pseudonym */
	json_t *addresses; /* the same for addresses, IPv4, IPv6 and of links */
};

struct berth_pseudonyms *berth_pseudonyms_new(void)
{
	struct berth_pseudonyms *pseudonyms = malloc(sizeof(*pseudonyms));
	if (pseudonyms)
		*pseudonyms = (struct berth_pseudonyms){.names = json_object(), .addresses = json_object()};
	return pseudonyms;
}

void berth_pseudonyms_free(struct berth_pseudonyms *pseudonyms)
{
	if (!pseudonyms)
		return;
	json_decref(pseudonyms->names);
	json_decref(pseudonyms->addresses);
	free(pseudonyms);
}

static const char *pseudonym(json_t *of, const char *kind, const char *word)
{
	if (!json_object_get(of, word))
		json_object_set_new(of, word, json_sprintf("%s-%zu", kind, json_object_size(of) + 1));
	return json_string_value(json_object_get(of, word));
}

static bool is_of_word(char c)
{
	return isalnum((unsigned char)c) || strchr("_.:-", c) != NULL;
}

/* Copies the word at `text`. Its length, without punctuation marks at its end. 0: too long for a name. */
static size_t take_word(const char *text, char word[WORD_BYTES])
{
	size_t length = 0;
	while (text[length] && is_of_word(text[length]))
		length++;
	while (length > 1 && strchr(".:-", text[length - 1]) && !(length > 2 && text[length - 2] == ':'))
		length--;
	if (length >= WORD_BYTES)
		return 0;
	memcpy(word, text, length);
	word[length] = '\0';
	return length;
}

static bool is_address(const char *word)
{
	unsigned char bytes[16];
	unsigned int link[6], n = 0;
	int end = 0;
	if (inet_pton(AF_INET, word, bytes) == 1 || inet_pton(AF_INET6, word, bytes) == 1)
		return true;
	n = (unsigned int)sscanf(word, "%2x:%2x:%2x:%2x:%2x:%2x%n", &link[0], &link[1], &link[2], &link[3],
				 &link[4], &link[5], &end);
	return n == 6 && word[end] == '\0';
}

/* Prints the pseudonym of a word, or the word. An address may have a port behind it. */
static void put_word(struct berth_pseudonyms *pseudonyms, FILE *out, char *word)
{
	const char *name = json_string_value(json_object_get(pseudonyms->names, word));
	char *colon = strrchr(word, ':');
	if (name) {
		fputs(name, out);
	} else if (is_address(word)) {
		fputs(pseudonym(pseudonyms->addresses, "address", word), out);
	} else if (colon && colon != word) {
		*colon = '\0';
		put_word(pseudonyms, out, word);
		fprintf(out, ":%s", colon + 1);
	} else {
		fputs(word, out);
	}
}

static json_t *replace_text(struct berth_pseudonyms *pseudonyms, const char *text)
{
	char word[WORD_BYTES];
	char *replaced = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&replaced, &size);
	if (!out)
		return NULL;
	while (*text) {
		size_t length = is_of_word(*text) ? take_word(text, word) : 0;
		if (length)
			put_word(pseudonyms, out, word);
		else
			fputc(*text, out);
		text += length ? length : 1;
	}
	fclose(out);
	json_t *value = json_string(replaced);
	free(replaced);
	return value;
}

/* Whether the strings under this key are names. */
static bool holds_names(const char *key)
{
	static const char *const keys[] = {"name",    "service", "backend", "group",	"node",
					   "cluster", "nodes",	 "used_by", "subjects", "instance",
					   "servers", "store",	 NULL};
	for (const char *const *known = keys; *known; known++)
		if (strcmp(key, *known) == 0)
			return true;
	return false;
}

/* The words of a name: pod@192.0.2.11 and web/b1 have two. */
static void learn_name(struct berth_pseudonyms *pseudonyms, const char *text)
{
	char word[WORD_BYTES];
	while (*text) {
		size_t length = is_of_word(*text) ? take_word(text, word) : 0;
		if (length && !is_address(word) && !isdigit((unsigned char)word[0]))
			pseudonym(pseudonyms->names, "name", word);
		text += length ? length : 1;
	}
}

static void learn(struct berth_pseudonyms *pseudonyms, const json_t *value, bool is_name)
{
	const char *key;
	const json_t *element;
	size_t i;
	if (json_is_string(value) && is_name)
		learn_name(pseudonyms, json_string_value(value));
	json_array_foreach(value, i, element) learn(pseudonyms, element, is_name);
	json_object_foreach((json_t *)value, key, element) learn(pseudonyms, element, holds_names(key));
}

void berth_pseudonyms_learn(struct berth_pseudonyms *pseudonyms, const json_t *value)
{
	learn(pseudonyms, value, false);
}

static json_t *replace_members(struct berth_pseudonyms *pseudonyms, const json_t *object)
{
	const char *key;
	const json_t *element;
	json_t *replaced = json_object();
	json_object_foreach((json_t *)object, key, element)
	{
		json_t *word = replace_text(pseudonyms, key);
		/* A key of berth's own stays, even where a service has the same name. */
		bool is_own = !json_object_get(pseudonyms->addresses, key);
		json_object_set_new(replaced, is_own ? key : json_string_value(word),
				    berth_pseudonyms_replace(pseudonyms, element));
		json_decref(word);
	}
	return replaced;
}

json_t *berth_pseudonyms_replace(struct berth_pseudonyms *pseudonyms, const json_t *value)
{
	const json_t *element;
	size_t i;
	if (json_is_string(value))
		return replace_text(pseudonyms, json_string_value(value));
	if (json_is_object(value))
		return replace_members(pseudonyms, value);
	if (!json_is_array(value))
		return json_deep_copy(value);
	json_t *replaced = json_array();
	json_array_foreach(value, i, element)
		json_array_append_new(replaced, berth_pseudonyms_replace(pseudonyms, element));
	return replaced;
}
