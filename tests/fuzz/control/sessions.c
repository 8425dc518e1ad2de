// SPDX-License-Identifier: BSD-3-Clause
/* The file of the session table, as it is and with a right checksum, restored into the tables of a null engine. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include <xxhash.h>

#include "controlplane/compile/compile.h"
#include "controlplane/config/parse.h"
#include "controlplane/engine/engine.h"
#include "controlplane/tables/publish.h"
#include "controlplane/tables/session_file.h"
#include "tests/fuzz/control/fuzz.h"

static const char configuration[] =
	"engine: 'null'\n"
	"interfaces: [{name: lo}]\n"
	"limits: {flows: 1024, sessions: 1024, services: 4, backends: 60}\n"
	"services:\n"
	"  - {name: web, address: 203.0.113.10, protocol: tcp, port: 80, mode: ipip, table-size: 251, affinity: "
	"{by: client}, health: {type: none}, backends: [{name: b1, address: 192.0.2.11}, {name: b2, address: "
	"192.0.2.12}]}\n";

/* The head of a file: session_file.c. */
enum {
	N_NAMES_AT = 12,
	CHECKSUM_AT = 32,
	HEAD_BYTES = 40,
	NAME_BYTES = 16,
	UNIX_S = 1800000000,
};

static struct berth_engine *engine;
static struct berth_model model;
static char path[] = "/dev/shm/berth-fuzz-sessions-XXXXXX";

static void remove_file(void)
{
	unlink(path);
}

static void open_tables(void)
{
	char error[BERTH_ERROR_BYTES] = "";
	struct berth_config *config = berth_config_parse("fuzz", configuration, strlen(configuration), error);
	need(config != NULL);
	const struct berth_geometry geometry = berth_geometry_of(&config->limits, 251, 2);
	engine = berth_engine_null.open(config, NULL, &geometry, error);
	need(engine && berth_model_init(&model, &engine->image.geometry) == 0);
	need(berth_model_apply(&model, config, error) == 0);
	struct berth_publisher *publisher = berth_publisher_new(engine);
	struct berth_generation *generation = berth_compile(&model, &engine->image.geometry, error);
	need(publisher && generation && berth_publish(publisher, generation, error) >= 0);
	berth_generation_free(generation);
	berth_publisher_free(publisher);
	int fd = mkstemp(path);
	need(fd >= 0);
	close(fd);
	atexit(remove_file);
}

static void restore(const uint8_t *data, size_t size)
{
	char error[BERTH_ERROR_BYTES] = "";
	struct berth_session_file_result result;
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	need(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	close(fd);
	int err = berth_session_file_restore(&engine->image, &model, path, UNIX_S, &result, error);
	need(err == 0 || error[0]);
}

/* The numbers 1 and 2 stand for the ids of the backends, which no input can guess. */
static void name_backends(uint8_t *file, size_t size)
{
	uint32_t n_names;
	memcpy(&n_names, file + N_NAMES_AT, sizeof(n_names));
	for (size_t at = HEAD_BYTES; n_names && at + NAME_BYTES <= size; at += NAME_BYTES, n_names--) {
		uint64_t id;
		memcpy(&id, file + at + 8, sizeof(id));
		if (id == 1 || id == 2)
			memcpy(file + at + 8, &model.services[0].backends[id - 1].id, sizeof(id));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!engine)
		open_tables();
	restore(data, size);
	if (size < HEAD_BYTES)
		return 0;
	uint8_t *file = (uint8_t *)copy_of(data, size);
	name_backends(file, size);
	const uint64_t checksum = XXH3_64bits(file + HEAD_BYTES, size - HEAD_BYTES);
	memcpy(file + CHECKSUM_AT, &checksum, sizeof(checksum));
	restore(file, size);
	free(file);
	return 0;
}
