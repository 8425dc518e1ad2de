/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The metrics, once: X(symbol, name, type, help). metrics.c fills their values and writes them in this order;
 * metrics.md lists them.
 */
#pragma once

/* Of berth as a whole, without labels. */
#define BERTH_METRICS_TOP(X)                                                                                       \
	X(STARTED, "berth_start_time_seconds", GAUGE, "when berthd began, Unix time")                              \
	X(RUNNING, "berth_engine_running", GAUGE, "1 while the engine forwards packets, 0 where it does not")      \
	X(WORKERS, "berth_engine_workers", GAUGE, "workers of the engine")                                         \
	X(GENERATION, "berth_config_generation", GAUGE, "the generation of tables that the engine reads")          \
	X(APPLIED, "berth_config_applied_time_seconds", GAUGE,                                                     \
	  "when the configuration in force was applied, or read at berthd's start, Unix time")                     \
	X(PUBLISH_FAILURES, "berth_publish_failures_total", COUNTER, "generations that could not be published")    \
	X(RECEIVED, "berth_received_packets_total", COUNTER,                                                       \
	  "packets received; at rest the sum of berth_packets_total")

/* With other labels than those below. */
#define BERTH_METRICS_OTHER(X)                                                                                     \
	X(BUILD, "berth_build_info", GAUGE, "1, labelled with berthd's version")                                   \
	X(ENGINE, "berth_engine_info", GAUGE, "1, labelled with the engine's kind and the instance's name")        \
	X(WORKER_RECEIVED, "berth_worker_received_packets_total", COUNTER, "packets received, by worker")          \
	X(PACKETS, "berth_packets_total", COUNTER,                                                                 \
	  "packets by verdict and what the verdict means for them: forward, answer, pass, drop")                   \
	X(EVENTS, "berth_events_total", COUNTER, "what the tables did, by event")                                  \
	X(ENTRIES, "berth_table_entries", GAUGE, "entries in use at the last count, by table")                     \
	X(CAPACITY, "berth_table_capacity_entries", GAUGE, "entries that there is room for, by table")             \
	X(SERVICE, "berth_service_info", GAUGE, "1, labelled with what the service is")                            \
	X(ADMIN, "berth_backend_admin", GAUGE,                                                                     \
	  "1, labelled with what an operator asked for: enabled, draining, ...")

/* With the label service. */
#define BERTH_METRICS_SERVICE(X)                                                                                   \
	X(BACKENDS, "berth_service_backends", GAUGE, "backends of the service")                                    \
	X(UP, "berth_service_backends_up", GAUGE, "backends that are up")                                          \
	X(PANIC, "berth_service_panic", GAUGE,                                                                     \
	  "1 while more of its backends are down than it may lose, and the last healthy ones stay in use")         \
	X(PANIC_SINCE, "berth_service_panic_start_time_seconds", GAUGE,                                            \
	  "when the panic began, Unix time; only while there is one")                                              \
	X(FLOWS, "berth_service_flows", GAUGE, "live flows at the last count")                                     \
	X(SESSIONS, "berth_service_sessions", GAUGE, "clients' sessions at the last count")                        \
	X(PACKETS, "berth_service_packets_total", COUNTER,                                                         \
	  "packets sent to its backends, those that are gone too")                                                 \
	X(BYTES, "berth_service_bytes_total", COUNTER, "bytes of these packets' frames as they were received")     \
	X(FLOWS_BEGUN, "berth_service_new_flows_total", COUNTER, "flows that began")                               \
	X(REFUSED, "berth_service_refused_packets_total", COUNTER, "packets of the service that no backend got")

/* With the labels service and backend. */
#define BERTH_METRICS_BACKEND(X)                                                                                   \
	X(UP, "berth_backend_up", GAUGE, "1: up, as its checks say or an operator; 0: down, or not checked yet")   \
	X(ADMITS_NEW, "berth_backend_admits_new", GAUGE,                                                           \
	  "1: new clients may get it; 0: it is down, leaves, has its share or as many flows as it may have")       \
	X(KEPT, "berth_backend_kept", GAUGE, "1: down, and in use because of a panic")                             \
	X(WEIGHT, "berth_backend_weight", TENTHS, "its weight, as far as a slow start lets it count now")          \
	X(FLOWS, "berth_backend_flows", GAUGE, "live flows at the last count, without those that close")           \
	X(CLOSING, "berth_backend_closing_flows", GAUGE, "TCP flows at the last count that have begun to end")     \
	X(SESSIONS, "berth_backend_sessions", GAUGE,                                                               \
	  "clients' sessions at the last count; in a group the services have them together")                       \
	X(PACKETS, "berth_backend_packets_total", COUNTER, "packets sent to it")                                   \
	X(BYTES, "berth_backend_bytes_total", COUNTER, "bytes of these packets' frames as they were received")     \
	X(FLOWS_BEGUN, "berth_backend_new_flows_total", COUNTER, "flows that began")                               \
	X(PROBES, "berth_backend_health_probes_total", COUNTER,                                                    \
	  "probes of its check; services whose checks are the same share them")                                    \
	X(PROBE_FAILURES, "berth_backend_health_probe_failures_total", COUNTER, "probes that failed")
