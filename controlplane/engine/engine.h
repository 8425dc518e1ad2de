/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An engine, as the control plane sees it: an image, and the operations below. Three implementations: xdp, dpdk and
 * null. Nothing above this interface knows which one runs. Publishing, counting and scanning need only the image's
 * memory and are common to all (tables/). berthd's event loop makes all calls.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "controlplane/config/config.h"
#include "controlplane/engine/record_file.h"
#include "dataplane/core/image.h"
#include "dataplane/interface/capture.h"
#include "dataplane/interface/store.h"

enum {
	BERTH_ENGINE_REASON_BYTES = 96,
	/* How long packets stop at a restart where none has been measured: 0.3 to 0.6 s on the machines that were
	 * tried. */
	BERTH_ENGINE_ASSUMED_PAUSE_MS = 1000,
};

/* The tables that outlive an engine. */
enum berth_kept_table {
	BERTH_KEPT_FLOWS,
	BERTH_KEPT_SESSIONS,
	BERTH_KEPT_TABLES,
};

struct event_base;
struct berth_engine;

/* Stores mapped into memory. */
struct berth_mapped_stores {
	struct berth_image image; /* its pointers to the stores */
	struct {
		void *memory;
		uint64_t bytes;
	} mapped[BERTH_STORES];
};

/* Names in the file systems, by which a later berthd finds the engine of its instance. */
struct berth_engine_paths {
	const char *instance; /* "berth" by default; part of the names of pins and image files */
	const char *run_dir;  /* for sockets and status files */
	/* The key of every hash, BERTH_SECRET_BYTES. NULL: not known; that of the tables stays, new ones get
	 * another */
	const uint8_t *secret;
	bool discard; /* tables in a format that is not known are replaced */
	/* Set by berth_engine_open for the engine: the record of the tables (NULL: none, for the null engine), and
	 * whether this engine has the stores that it names. If not, new ones are made. */
	struct berth_record *record;
	bool has_stores;
	/* Likewise: another engine of the instance runs. Its image is not adopted, and it and its tables stay as
	 * they are until `start`. */
	bool is_beside;
	/* Likewise: the flow table gets the size of the former one, which it takes the place of. */
	bool is_turned_back;
	/* Likewise: no live word is left in the former table. */
	bool is_former_empty[BERTH_KEPT_TABLES];
};

/* How an engine takes another configuration. The tables are kept in each case. */
enum berth_engine_change {
	BERTH_ENGINE_SAME,
	BERTH_ENGINE_LIVE,    /* while it forwards */
	BERTH_ENGINE_TABLES,  /* likewise, with tables of other sizes */
	BERTH_ENGINE_RESTART, /* its process is replaced: packets stop meanwhile */
	BERTH_ENGINE_KIND,    /* another engine takes over: packets stop meanwhile */
};

typedef void berth_capture_fn(void *arg, const struct berth_capture_record *record);

struct berth_engine_ops {
	const char *name; /* "xdp", "dpdk", "null" */
	/* Another engine of this kind takes over without a stop (its `start`); else `halt` is called before. */
	bool is_replaced_live;
	/* Whether this configuration can run on this host. 0, or -errno with the reason in `error`. No side
	 * effects. */
	int (*check)(const struct berth_config *config, char error[BERTH_ERROR_BYTES]);
	/* Opens the stores of the sizes in `paths->record`. Adopts the instance's image if it is compatible with
	 * `geometry`, else creates one; sets `image`. Starts no forwarding, and ends none if it has the stores.
	 * NULL with the reason in `error`. */
	struct berth_engine *(*open)(const struct berth_config *config, const struct berth_engine_paths *paths,
				     const struct berth_geometry *geometry, char error[BERTH_ERROR_BYTES]);
	/* How it would take this configuration. `pause_ms`: about how long packets would stop. */
	enum berth_engine_change (*compare)(const struct berth_engine *engine, const struct berth_config *config,
					    uint32_t *pause_ms);
	/* Takes the interfaces and options of a configuration. Called before its generation is published, and for
	 * the first time before `start`: no worker may send by new port numbers through former ports. 0, or -errno
	 * with the reason in `error` and nothing changed. */
	int (*configure)(struct berth_engine *engine, const struct berth_config *config,
			 char error[BERTH_ERROR_BYTES]);
	/* Starts forwarding: attaches the program, or starts the process, and gives its tables their names. Called
	 * after the first publication, and again after another engine of the instance failed to start in its place.
	 * No effect if the engine forwards already. 0, or -errno with the reason in `error`. */
	int (*start)(struct berth_engine *engine, struct event_base *base, char error[BERTH_ERROR_BYTES]);
	/* Whether every worker reads the current generation. May take some milliseconds; never waits for a worker.
	 */
	bool (*is_quiescent)(struct berth_engine *engine);
	/* Whether its process is being started: what is published is not in force before it forwards. NULL: never.
	 */
	bool (*is_awaited)(const struct berth_engine *engine);
	/* Whether packets are forwarded: the process runs, or the program is attached to every interface. */
	bool (*is_running)(const struct berth_engine *engine);
	/* Links of the kernel have changed: follows an interface that was removed and created again. Errors are
	 * logged; the next change tries again. */
	void (*follow_interfaces)(struct berth_engine *engine);
	/* {"engine": ..., "mode": ..., "ports": [...], ...} for `show engine`. */
	json_t *(*status)(struct berth_engine *engine);
	/* Copies of packets that match, one capture at a time; a start ends the former one. NULL: it has none. 0,
	 * or -errno with one line in `error`. */
	int (*capture_start)(struct berth_engine *engine, const struct berth_capture_filter *filter,
			     char error[BERTH_ERROR_BYTES]);
	/* Calls `fn` for the next records, at most `most`. `missed`: packets that match without a record, since the
	 * start. 0; -ENOENT: no capture runs. */
	int (*capture_read)(struct berth_engine *engine, uint32_t most, berth_capture_fn *fn, void *arg,
			    uint64_t *missed);
	void (*capture_stop)(struct berth_engine *engine); /* no effect if none runs */
	/* Removes the former tables of which the record has no size any more. No worker reads them. */
	void (*drop_former)(struct berth_engine *engine);
	/* Frees the engine. `stop`: also ends forwarding and removes the image; else forwarding goes on. */
	void (*close)(struct berth_engine *engine, bool stop);
	/* Of an engine of this kind that an earlier berthd of the instance left: maps its stores of the sizes in
	 * `paths->record`; -errno: one is missing. */
	int (*map_stores)(const struct berth_engine_paths *paths, struct berth_mapped_stores *stores);
	/* The time of the last complete sweep of its tables (core/clock.h); 0: not known. Its image may be of
	 * another version. */
	uint32_t (*swept)(const struct berth_engine_paths *paths);
	/* Ends its forwarding. The tables stay. */
	void (*halt)(const struct berth_engine_paths *paths);
	/* Ends it, and removes its image and its stores. No effect if there is none. */
	void (*remove)(const struct berth_engine_paths *paths);
};

/* What is known of the process of an engine; zeros if it has none. */
struct berth_engine_process {
	uint32_t restarts;
	uint32_t hangs;		       /* how often it hung, and was killed */
	uint32_t start_ms;	       /* how long its last start took; 0: not known */
	uint32_t pause_ms;	       /* how long packets stopped at its last restart; 0: not measured */
	uint64_t stopped_ms;	       /* CLOCK_MONOTONIC: since when packets have stopped; 0: they have not */
	uint32_t failed_starts;	       /* in a row, the last ones */
	uint64_t receives_since_ms;    /* CLOCK_MONOTONIC: its workers have polled since; 0: since its adoption */
	bool is_failing;	       /* alarm: it does not start, hung, or has ended repeatedly */
	char fault[BERTH_ERROR_BYTES]; /* how it ended last, unasked; "": it has not */
	/* Alarm: why it does not start with the options of the configuration; it runs with former ones. "": it does
	 */
	char rejected[BERTH_ERROR_BYTES];
};

/* The first member of every implementation's struct. */
struct berth_engine {
	const struct berth_engine_ops *ops;
	struct berth_image image;
	bool adopted;	       /* the flows and sessions existed before */
	bool is_image_adopted; /* the image too, with its counters */
	bool is_started;
	struct berth_record *record; /* of the tables; NULL: none is kept */
	struct berth_record_file record_file;
	bool is_record_new;	      /* the record replaces the instance's when the engine starts */
	struct berth_geometry wanted; /* for its configuration; that of the image may be larger */
	uint32_t workers;	      /* number of workers that can run, of image.geometry.workers */
	struct berth_engine_process process;
	char reason[BERTH_ENGINE_REASON_BYTES]; /* of its choice: "the configuration names it", ... */
};

extern const struct berth_engine_ops berth_engine_xdp;
extern const struct berth_engine_ops berth_engine_dpdk;
extern const struct berth_engine_ops berth_engine_null;

bool berth_engine_is_awaited(const struct berth_engine *engine);
/* Since when packets are received without a break: CLOCK_MONOTONIC in milliseconds; 0: no break is known;
 * UINT64_MAX: none is received now. */
uint64_t berth_engine_receives_since_ms(const struct berth_engine *engine);
/* Until when each of its workers has received packets; UINT64_MAX: they do not poll, and receive them always. */
uint64_t berth_engine_received_until_ms(const struct berth_engine *engine);

/* Sets why packets of a port are not forwarded as configured ("": they are), and logs each cause once. */
void berth_engine_set_port_fault(char fault[BERTH_ERROR_BYTES], const char *port, const char *cause);

/* Initializes the control block of a new image in zeroed memory: magic, geometry, the sizes of the image's former
 * tables, the secret (NULL: a random one), generation 0. 0 or -EIO. */
int berth_image_create(struct berth_image *image, const struct berth_geometry *geometry, const uint8_t *secret);
/* The sizes of the stores in a record. */
struct berth_store_sizes berth_record_sizes(const struct berth_record *record);
void berth_mapped_stores_close(struct berth_mapped_stores *stores);
/* Whether an existing image, placed with the wanted geometry, has that geometry, this secret (NULL: any), this ABI
 * version, and no index out of bounds (dataplane/interface/image_check.h); else the reason in `error`. */
bool berth_image_is_compatible(const struct berth_image *image, const uint8_t *secret,
			       char error[BERTH_ERROR_BYTES]);
