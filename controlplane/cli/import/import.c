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

enum berth_cli_status berth_cli_import(int argc, char *const *argv)
{
	const struct kind *kind = argc == 2 ? find_kind(argv[0]) : NULL;
	if (!kind)
		return berth_cli_usage_error(
			"config import needs ipvs (the output of `ipvsadm -Sn`), keepalived or "
			"haproxy, and a file or -");
	const bool is_stdin = strcmp(argv[1], "-") == 0;
	struct berth_import import = {.name = is_stdin ? "stdin" : argv[1]};
	FILE *in = is_stdin ? stdin : fopen(argv[1], "re");
	if (!in) {
		fprintf(stderr, "%s: %s\n", argv[1], strerror(errno));
		return BERTH_CLI_CONFIG;
	}
	kind->read(&import, in);
	berth_import_separate(&import);
	import.has_failed |= ferror(in) != 0;
	if (!is_stdin)
		fclose(in);
	const bool is_empty = !import.has_failed && !import.n && !import.n_notes;
	if (import.has_failed)
		fprintf(stderr, "berthctl: %s: cannot be read, or too large\n", import.name);
	else if (is_empty)
		fprintf(stderr, "%s: no services of %s found; name the file that has them\n", import.name,
			kind->name);
	else
		berth_import_print(&import);
	clear(&import);
	if (is_empty)
		return BERTH_CLI_CONFIG;
	return import.has_failed || fflush(stdout) != 0 || ferror(stdout) ? BERTH_CLI_FAILURE : BERTH_CLI_OK;
}
