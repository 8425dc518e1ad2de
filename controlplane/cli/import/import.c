// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/cli/import/import.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/cli/cli.h"

void berth_import_note(struct berth_import *import, const char *format, ...)
{
	char text[BERTH_IMPORT_TEXT], *line = NULL;
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	char **notes = realloc(import->notes, (import->n_notes + 1) * sizeof(*notes));
	if (notes)
		import->notes = notes;
	if (!notes || asprintf(&line, "%s:%zu: %s", import->name, import->line, text) < 0) {
		import->has_failed = true;
		return;
	}
	/* A note is a comment of the output: one line. */
	for (char *c = line; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	import->notes[import->n_notes++] = line;
}

struct berth_import_service *berth_import_add_service(struct berth_import *import)
{
	struct berth_import_service *services = realloc(import->services, (import->n + 1) * sizeof(*services));
	if (!services) {
		import->has_failed = true;
		return NULL;
	}
	import->services = services;
	services[import->n] = (struct berth_import_service){
		.line = import->line, .scheduler = "maglev", .prefix4 = 32, .health = {.type = "none"}};
	return &services[import->n++];
}

struct berth_import_backend *berth_import_add_backend(struct berth_import *import,
						      struct berth_import_service *service)
{
	struct berth_import_backend *backends = realloc(service->backends, (service->n + 1) * sizeof(*backends));
	if (!backends) {
		import->has_failed = true;
		return NULL;
	}
	service->backends = backends;
	backends[service->n] = (struct berth_import_backend){.weight = 1};
	return &backends[service->n++];
}

bool berth_import_fits(struct berth_import *import, struct berth_import_service *service, const char *address,
		       const char *mode)
{
	for (size_t i = 0; i < service->n; i++) {
		if (strcmp(service->backends[i].address, address) != 0)
			continue;
		berth_import_note(import, "a second port of the server %s in one service", address);
		return false;
	}
	if (service->mode[0] && strcmp(service->mode, mode) != 0) {
		berth_import_note(import, "the server %s has mode %s, and its service %s", address, mode,
				  service->mode);
		return false;
	}
	snprintf(service->mode, sizeof(service->mode), "%s", mode);
	return true;
}

static bool is_nat(const struct berth_import_service *service)
{
	return strcmp(service->mode, "nat") == 0;
}

/* Of a server: where it answers from. 0: any port. */
static unsigned int port_of(const struct berth_import_service *service, const struct berth_import_backend *backend)
{
	return backend->port ? backend->port : service->port;
}

static bool answers_for(const struct berth_import_service *other, const struct berth_import_service *service,
			const struct berth_import_backend *backend)
{
	if (!is_nat(other) || strcmp(other->protocol, service->protocol) != 0)
		return false;
	for (size_t i = 0; i < other->n; i++) {
		const unsigned int port = port_of(service, backend), taken = port_of(other, &other->backends[i]);
		if (strcmp(other->backends[i].address, backend->address) == 0 && (!port || !taken || port == taken))
			return true;
	}
	return false;
}

static void separate(struct berth_import *import, struct berth_import_service *service)
{
	const struct berth_import_service *other = NULL;
	size_t kept = 0;
	for (size_t i = 0; i < service->n; i++) {
		const struct berth_import_service *found = NULL;
		for (size_t k = 0; !found && &import->services[k] < service; k++)
			if (answers_for(&import->services[k], service, &service->backends[i]))
				found = &import->services[k];
		if (found)
			other = found;
		else
			service->backends[kept++] = service->backends[i];
	}
	import->line = service->line;
	if (other)
		berth_import_note(
			import,
			"%zu of its servers answer for %s too, at line %zu, and in mode nat that identifies the "
			"service: give them another port or address, or choose another mode",
			service->n - kept, other->address, other->line);
	service->n = kept;
}

void berth_import_separate(struct berth_import *import)
{
	for (size_t i = 0; i < import->n; i++)
		if (is_nat(&import->services[i]))
			separate(import, &import->services[i]);
}

static void clear(struct berth_import *import)
{
	for (size_t i = 0; i < import->n; i++)
		free(import->services[i].backends);
	for (size_t i = 0; i < import->n_notes; i++)
		free(import->notes[i]);
	free(import->services);
	free(import->notes);
}

static const struct kind {
	const char *name;
	void (*read)(struct berth_import *import, FILE *in);
} kinds[] = {
	{"ipvs", berth_import_ipvs}, {"keepalived", berth_import_keepalived}, {"haproxy", berth_import_haproxy}};

static const struct kind *find_kind(const char *name)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	return NULL;
}

/* {"text", "notes"}. NULL: out of memory. */
static json_t *as_json(const struct berth_import *import)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	json_t *notes = json_array();
	if (out)
		berth_import_print(out, import);
	const bool is_written = out && fclose(out) == 0;
	for (size_t i = 0; i < import->n_notes; i++)
		json_array_append_new(notes, json_string(import->notes[i]));
	json_t *result = is_written ? json_pack("{s:s, s:O}", "text", text, "notes", notes) : NULL;
	json_decref(notes);
	free(text);
	return result;
}

static void print(const struct berth_import *import)
{
	for (size_t i = 0; i < import->n_notes; i++)
		fprintf(stderr, "%s\n", import->notes[i]);
	berth_import_print(stdout, import);
}

static void read_file(struct berth_import *import, const struct kind *kind, FILE *in)
{
	kind->read(import, in);
	berth_import_separate(import);
	import->has_failed |= ferror(in) != 0;
}

static enum berth_cli_status report(struct berth_import *import, const struct kind *kind, bool is_json)
{
	char error[BERTH_CLI_ERROR_BYTES];
	const bool is_empty = !import->has_failed && !import->n && !import->n_notes;
	json_t *result = is_json && !is_empty && !import->has_failed ? as_json(import) : NULL;
	import->has_failed |= is_json && !is_empty && !result;
	if (import->has_failed) {
		snprintf(error, sizeof(error), "%s: cannot be read, or too large", import->name);
		return berth_cli_print_errors(is_json, BERTH_CLI_FAILURE, NULL, error, NULL);
	}
	if (is_empty) {
		snprintf(error, sizeof(error), "%s: no services of %s found; name the file that has them",
			 import->name, kind->name);
		return berth_cli_print_errors(is_json, BERTH_CLI_CONFIG, NULL, error, NULL);
	}
	if (result)
		berth_cli_print_json(result);
	else
		print(import);
	json_decref(result);
	return berth_cli_finish_output(BERTH_CLI_OK);
}

enum berth_cli_status berth_cli_import(bool is_json, int argc, char *const *argv)
{
	char error[BERTH_CLI_ERROR_BYTES];
	const struct kind *kind = argc == 2 ? find_kind(argv[0]) : NULL;
	if (!kind)
		return berth_cli_usage_error(
			is_json, "config import needs ipvs (the output of `ipvsadm -Sn`), keepalived or "
				 "haproxy, and a file or -");
	const bool is_stdin = strcmp(argv[1], "-") == 0;
	struct berth_import import = {.name = is_stdin ? "stdin" : argv[1]};
	FILE *in = is_stdin ? stdin : fopen(argv[1], "re");
	if (!in) {
		snprintf(error, sizeof(error), "%s: %s", argv[1], strerror(errno));
		return berth_cli_print_errors(is_json, BERTH_CLI_CONFIG, NULL, error, NULL);
	}
	read_file(&import, kind, in);
	if (!is_stdin)
		fclose(in);
	const enum berth_cli_status status = report(&import, kind, is_json);
	clear(&import);
	return status;
}
