// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/edit/edit.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/edit/text_edit.h"
#include "controlplane/util/address.h"
#include "controlplane/util/glob.h"

#define HOST "host:"
#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define PLAIN "ABCDEFGHIJKLMNOPQRSTUVWXYZ" LOWER "0123456789._%/+-"

enum {
	VALUE_BYTES = 1024,
	NAME_BYTES = 64,
};

/* An edit in progress. */
struct work {
	struct berth_text_edit *text;
	const struct berth_edit *edit;
	char service[NAME_BYTES]; /* pattern */
	const char *backend;	  /* likewise; NULL: of a service, or a host */
	union berth_addr host;
	bool is_host;
	size_t n; /* found */
	char *error;
};

__attribute__((format(printf, 3, 4))) static int fail(struct work *work, int err, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(work->error, BERTH_ERROR_BYTES, format, args);
	va_end(args);
	return err;
}

static bool is_of_backends(enum berth_edit_what what)
{
	return what <= BERTH_EDIT_BACKEND_REMOVE;
}

static int parse_target(struct work *work)
{
	const char *target = work->edit->target, *slash = strchr(target, '/');
	if (!is_of_backends(work->edit->what)) {
		if (strlen(target) >= NAME_BYTES || slash)
			return fail(work, -EINVAL, "invalid service \"%.64s\"; write a name", target);
		snprintf(work->service, NAME_BYTES, "%s", target);
		return 0;
	}
	if (work->edit->what != BERTH_EDIT_BACKEND_ADD && strncmp(target, HOST, strlen(HOST)) == 0) {
		work->is_host = true;
		return berth_address_parse(target + strlen(HOST), &work->host)
			       ? fail(work, -EINVAL,
				      "invalid host \"%.64s\"; write the address of a server, as host:192.0.2.11",
				      target)
			       : 0;
	}
	if (!slash || slash == target || !slash[1] || slash - target >= NAME_BYTES)
		return fail(work, -EINVAL, "invalid backend \"%.64s\"; write SERVICE/BACKEND, as in web/b1",
			    target);
	memcpy(work->service, target, (size_t)(slash - target));
	work->backend = slash + 1;
	return 0;
}

/* --- values --- */

/* Writes the value as YAML in one line: plain where that is safe, else quoted. `is_yaml`: a list or section in flow
 * style is taken as it is. */
static int format_value(struct work *work, const char *value, bool is_yaml, char text[VALUE_BYTES])
{
	size_t n = 0;
	for (const char *c = value; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			return fail(work, -EINVAL, "a value with a control character; remove it");
	if (strlen(value) > VALUE_BYTES / 2 - 4)
		return fail(work, -EINVAL, "a value of more than %d bytes; write it in a file",
			    VALUE_BYTES / 2 - 4);
	if ((is_yaml && (*value == '{' || *value == '[')) ||
	    (*value && *value != '-' && *value != '%' && !value[strspn(value, PLAIN)])) {
		snprintf(text, VALUE_BYTES, "%s", value);
		return 0;
	}
	text[n++] = '\'';
	for (const char *c = value; *c; c++) {
		if (*c == '\'')
			text[n++] = '\'';
		text[n++] = *c;
	}
	text[n++] = '\'';
	text[n] = '\0';
	return 0;
}

static int check_key(struct work *work, const char *key)
{
	if (!*key || key[strspn(key, LOWER "0123456789-.")] || *key == '.' || strstr(key, "..") ||
	    key[strlen(key) - 1] == '.' || strlen(key) >= NAME_BYTES)
		return fail(work, -EINVAL, "invalid key \"%.64s\"; write one of the configuration, as weight", key);
	return 0;
}

/* "{name: b3, address: 192.0.2.13, weight: 5}" of an item that is added. */
static int format_item(struct work *work, char text[2 * VALUE_BYTES])
{
	const struct berth_edit *edit = work->edit;
	char value[VALUE_BYTES];
	int err = format_value(work, work->backend ? work->backend : work->service, false, value);
	size_t n = (size_t)snprintf(text, 2 * VALUE_BYTES, "{name: %s", value);
	for (size_t i = 0; i < edit->n && !err; i++) {
		err = check_key(work, edit->pairs[i].key);
		if (!err)
			err = format_value(work, edit->pairs[i].value, !is_of_backends(edit->what), value);
		if (!err && strchr(edit->pairs[i].key, '.'))
			err = fail(work, -EINVAL, "a key of a section, %.64s; write the section as '{key: value}'",
				   edit->pairs[i].key);
		if (!err)
			n += (size_t)snprintf(text + n, 2 * VALUE_BYTES - n, ", %s: %s", edit->pairs[i].key, value);
		if (n >= 2 * VALUE_BYTES - 2)
			return fail(work, -EINVAL, "too many values; write them in a file");
	}
	snprintf(text + n, 2 * VALUE_BYTES - n, "}");
	return err;
}

/* Sets "health.interval": goes down into the sections that exist, and makes those that do not. */
static int set_key(struct work *work, int mapping, const char *key, const char *value)
{
	char name[NAME_BYTES], text[VALUE_BYTES], nested[VALUE_BYTES + NAME_BYTES];
	const char *dot = strchr(key, '.');
	snprintf(name, sizeof(name), "%.*s", (int)(dot ? dot - key : (ptrdiff_t)strlen(key)), key);
	const int member = berth_text_member(work->text, mapping, name);
	if (!dot && strcmp(value, "default") == 0) {
		berth_text_unset(work->text, mapping, name);
		return 0;
	}
	if (dot && member && !berth_text_scalar(work->text, member))
		return set_key(work, member, dot + 1, value);
	int err = format_value(work, value, !is_of_backends(work->edit->what), text);
	if (err || (dot && strcmp(value, "default") == 0))
		return err;
	if (!dot) {
		berth_text_set(work->text, mapping, name, text);
		return 0;
	}
	if (strchr(dot + 1, '.'))
		return fail(work, -EINVAL, "%.64s: the section does not exist; write it as '{key: value}'", key);
	snprintf(nested, sizeof(nested), "{%s: %s}", dot + 1, text);
	berth_text_set(work->text, mapping, name, nested);
	return 0;
}

static int set_keys(struct work *work, int mapping)
{
	int err = 0;
	for (size_t i = 0; i < work->edit->n && !err; i++) {
		err = check_key(work, work->edit->pairs[i].key);
		if (!err)
			err = set_key(work, mapping, work->edit->pairs[i].key, work->edit->pairs[i].value);
	}
	return err;
}

/* --- services and backends --- */

static const char *member_text(struct work *work, int mapping, const char *key)
{
	const char *text = berth_text_scalar(work->text, berth_text_member(work->text, mapping, key));
	return text ? text : "";
}

static bool is_meant(struct work *work, int backend)
{
	union berth_addr address;
	if (!work->is_host)
		return berth_glob_match(work->backend, member_text(work, backend, "name"));
	return !berth_address_parse(member_text(work, backend, "address"), &address) &&
	       berth_addr_equal(&address, &work->host);
}

/* Sets or removes backends of a service. */
static int edit_backends(struct work *work, int service)
{
	const int list = berth_text_member(work->text, service, "backends");
	const size_t n = berth_text_count(work->text, list);
	bool *is_removed = calloc(n + 1, sizeof(*is_removed));
	int err = 0;
	if (!is_removed)
		return fail(work, -ENOMEM, "out of memory");
	for (size_t i = 0; i < n && !err; i++) {
		const int backend = berth_text_item(work->text, list, i);
		if (!is_meant(work, backend))
			continue;
		work->n++;
		if (work->edit->what == BERTH_EDIT_BACKEND_SET)
			err = set_keys(work, backend);
		else
			is_removed[i] = true;
	}
	if (!err && work->edit->what == BERTH_EDIT_BACKEND_REMOVE)
		berth_text_remove(work->text, list, is_removed);
	free(is_removed);
	return err;
}

static int add_backend(struct work *work, int service)
{
	char item[2 * VALUE_BYTES];
	int err = format_item(work, item);
	work->n++;
	if (!err)
		berth_text_append(work->text, service, "backends", item);
	return err;
}

/* Calls what the edit does for each service that is meant; to be removed are those in `is_removed`. */
static int edit_services(struct work *work, int list, bool *is_removed)
{
	int err = 0;
	for (size_t i = 0; i < berth_text_count(work->text, list) && !err; i++) {
		const int service = berth_text_item(work->text, list, i);
		const char *name = member_text(work, service, "name");
		if (work->edit->what == BERTH_EDIT_BACKEND_ADD
			    ? strcmp(work->service, name) != 0
			    : !work->is_host && !berth_glob_match(work->service, name))
			continue;
		work->n += !is_of_backends(work->edit->what);
		is_removed[i] = work->edit->what == BERTH_EDIT_SERVICE_REMOVE;
		if (work->edit->what == BERTH_EDIT_BACKEND_ADD)
			err = add_backend(work, service);
		else if (work->edit->what == BERTH_EDIT_SERVICE_SET)
			err = set_keys(work, service);
		else if (is_of_backends(work->edit->what))
			err = edit_backends(work, service);
	}
	if (!err && work->edit->what == BERTH_EDIT_SERVICE_REMOVE)
		berth_text_remove(work->text, list, is_removed);
	return err;
}

static int add_service(struct work *work)
{
	char item[2 * VALUE_BYTES];
	int err = format_item(work, item);
	work->n++;
	if (!err)
		berth_text_append(work->text, berth_text_root(work->text), "services", item);
	return err;
}

static int fail_not_found(struct work *work)
{
	const char *target = work->edit->target;
	if (is_of_backends(work->edit->what) && strchr(target, '@'))
		return fail(work, -ENOENT,
			    "%.64s is not in the configuration; what DNS gives is changed by its list item, as in "
			    "pods/pod",
			    target);
	return fail(work, -ENOENT, "%s \"%.64s\" is not in the configuration; `berthctl config show` prints it",
		    is_of_backends(work->edit->what) && work->edit->what != BERTH_EDIT_BACKEND_ADD ? "backend"
												   : "service",
		    work->edit->what == BERTH_EDIT_BACKEND_ADD ? work->service : target);
}

static int edit_all(struct work *work)
{
	const int list = berth_text_member(work->text, berth_text_root(work->text), "services");
	bool *is_removed = calloc(berth_text_count(work->text, list) + 1, sizeof(*is_removed));
	if (!is_removed)
		return fail(work, -ENOMEM, "out of memory");
	int err = work->edit->what == BERTH_EDIT_SERVICE_ADD ? add_service(work)
							     : edit_services(work, list, is_removed);
	free(is_removed);
	return !err && !work->n ? fail_not_found(work) : err;
}

char *berth_edit_apply(const struct berth_edit *edit, const char *text, size_t length, size_t *edited_length,
		       int *err, char error[BERTH_ERROR_BYTES])
{
	struct work work = {.edit = edit, .error = error};
	char *edited = NULL;
	*err = parse_target(&work);
	if (*err)
		return NULL;
	work.text = berth_text_edit_new(text, length);
	*err = work.text ? edit_all(&work) : fail(&work, -ENOMEM, "out of memory");
	if (!*err)
		edited = berth_text_edit_finish(work.text, edited_length);
	if (!*err && !edited)
		*err = fail(&work, -EINVAL, "these changes meet each other; make them one by one");
	if (work.text)
		berth_text_edit_free(work.text);
	return edited;
}
