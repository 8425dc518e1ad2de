// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/history/history.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/history/digest.h"
#include "controlplane/saved/sealed_json.h"

#define INDEX "config-history.json"

enum {
	FORMAT = 1,
	NAME_BYTES = 32,
};

/* Files are used again, so that none is left behind. */
static void name_of(uint32_t number, char name[NAME_BYTES])
{
	snprintf(name, NAME_BYTES, "config-%u.yaml", number % BERTH_HISTORY_ENTRIES);
}

static json_t *entry_json(const struct berth_history_entry *entry)
{
	char digest[BERTH_DIGEST_TEXT];
	return json_pack("{s:I, s:I, s:I, s:s, s:s, s:s}", "number", (json_int_t)entry->number, "unix_s",
			 (json_int_t)entry->unix_s, "uid", (json_int_t)entry->uid, "text_digest",
			 berth_digest_format(entry->digest, digest), "what", entry->what, "change", entry->change);
}

static json_t *confirmation_json(const struct berth_history_confirmation *confirmation)
{
	return json_pack("{s:I, s:I, s:I, s:b}", "former", (json_int_t)confirmation->former, "until_s",
			 (json_int_t)confirmation->until_s, "seconds", (json_int_t)confirmation->seconds,
			 "is_saved", confirmation->is_saved);
}

int berth_history_write(const struct berth_history *history, const struct berth_saved_directory *directory,
			char error[BERTH_ERROR_BYTES])
{
	json_t *entries = json_array();
	for (size_t i = 0; i < history->n; i++)
		json_array_append_new(entries, entry_json(&history->entries[i]));
	json_t *root = json_pack("{s:i, s:o}", "format", FORMAT, "entries", entries);
	if (history->confirmation.former)
		json_object_set_new(root, "confirmation", confirmation_json(&history->confirmation));
	char *text = berth_sealed_json_format(root, JSON_INDENT(1));
	if (!text) {
		snprintf(error, BERTH_ERROR_BYTES, "out of memory for the history of configurations");
		return -ENOMEM;
	}
	int err = berth_saved_write(directory, INDEX, text, error);
	free(text);
	return err;
}

static bool read_entry(const json_t *from, struct berth_history_entry *entry)
{
	json_int_t number, unix_s, uid;
	const char *digest, *what, *change;
	if (json_unpack((json_t *)from, "{s:I, s:I, s:I, s:s, s:s, s:s}", "number", &number, "unix_s", &unix_s,
			"uid", &uid, "text_digest", &digest, "what", &what, "change", &change) ||
	    number < 1 || number > UINT32_MAX || uid < -1 || uid > UINT32_MAX)
		return false;
	*entry = (struct berth_history_entry){.number = (uint32_t)number, .unix_s = unix_s, .uid = uid};
	snprintf(entry->what, sizeof(entry->what), "%s", what);
	snprintf(entry->change, sizeof(entry->change), "%s", change);
	return berth_digest_parse(digest, &entry->digest);
}

/* Entries have numbers without gaps, so that each has a file of its own. */
static bool read_entries(const json_t *list, struct berth_history *history)
{
	size_t n = json_array_size(list);
	if (!json_is_array(list) || n > BERTH_HISTORY_ENTRIES)
		return false;
	for (size_t i = 0; i < n; i++) {
		struct berth_history_entry *entry = &history->entries[i];
		if (!read_entry(json_array_get(list, i), entry) ||
		    (i && entry->number != history->entries[i - 1].number + 1))
			return false;
	}
	history->n = n;
	return true;
}

static bool read_confirmation(const json_t *from, struct berth_history *history)
{
	json_int_t former, until_s, seconds;
	int is_saved;
	if (!from)
		return true;
	if (json_unpack((json_t *)from, "{s:I, s:I, s:I, s:b}", "former", &former, "until_s", &until_s, "seconds",
			&seconds, "is_saved", &is_saved) ||
	    former < 1 || former > UINT32_MAX || !berth_history_entry(history, (uint32_t)former) || seconds < 1 ||
	    seconds > UINT32_MAX)
		return false;
	history->confirmation = (struct berth_history_confirmation){
		.former = (uint32_t)former, .until_s = until_s, .seconds = (uint32_t)seconds, .is_saved = is_saved};
	return true;
}

static bool parse(struct berth_history *history, const char *text, size_t length)
{
	json_t *root = berth_sealed_json_parse(text, length);
	bool is_valid = json_integer_value(json_object_get(root, "format")) == FORMAT &&
			read_entries(json_object_get(root, "entries"), history) &&
			read_confirmation(json_object_get(root, "confirmation"), history);
	json_decref(root);
	return is_valid;
}

void berth_history_read(struct berth_history *history, const struct berth_saved_directory *directory,
			char error[BERTH_ERROR_BYTES])
{
	size_t length;
	char reason[BERTH_ERROR_BYTES];
	*history = (struct berth_history){.n = 0};
	char *text = berth_saved_read(directory, INDEX, &length, error);
	if (text && !parse(history, text, length)) {
		*history = (struct berth_history){.n = 0};
		berth_saved_set_aside(directory, INDEX, "it is not a history of configurations", error);
	} else if (!text && error[0]) {
		snprintf(reason, sizeof(reason), "%s", error);
		berth_saved_set_aside(directory, INDEX, reason, error);
	}
	free(text);
}

int berth_history_add(struct berth_history *history, const struct berth_saved_directory *directory,
		      const struct berth_history_entry *entry, const char *text, char error[BERTH_ERROR_BYTES])
{
	char name[NAME_BYTES];
	const uint32_t number = history->n ? history->entries[history->n - 1].number + 1 : 1;
	if (history->n == BERTH_HISTORY_ENTRIES)
		memmove(history->entries, history->entries + 1, --history->n * sizeof(history->entries[0]));
	history->entries[history->n] = *entry;
	history->entries[history->n++].number = number;
	name_of(number, name);
	int err = berth_saved_write(directory, name, text, error);
	return err ? err : berth_history_write(history, directory, error);
}

const struct berth_history_entry *berth_history_entry(const struct berth_history *history, uint32_t number)
{
	for (size_t i = 0; i < history->n; i++)
		if (history->entries[i].number == number)
			return &history->entries[i];
	return NULL;
}

const struct berth_history_entry *berth_history_back(const struct berth_history *history, size_t steps)
{
	return steps < history->n ? &history->entries[history->n - 1 - steps] : NULL;
}

char *berth_history_text(const struct berth_saved_directory *directory, const struct berth_history_entry *entry,
			 size_t *length, char error[BERTH_ERROR_BYTES])
{
	char name[NAME_BYTES], reason[BERTH_ERROR_BYTES];
	name_of(entry->number, name);
	char *text = berth_saved_read(directory, name, length, reason);
	if (text && berth_digest_of(text, *length) == entry->digest)
		return text;
	snprintf(error, BERTH_ERROR_BYTES, "%s in the state directory cannot be used: %.300s", name,
		 text	     ? "its digest does not fit"
		 : reason[0] ? reason
			     : "it is not there");
	free(text);
	return NULL;
}

uint32_t berth_history_left(const struct berth_history_confirmation *confirmation, int64_t now_s)
{
	if (!confirmation->former || now_s >= confirmation->until_s)
		return 0;
	const int64_t left = confirmation->until_s - now_s;
	return left < confirmation->seconds ? (uint32_t)left : confirmation->seconds;
}
