/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The metrics, declared once: X(symbol, name, type, help). metrics.c sets their values and writes them in this
 * order; docs/metrics.md lists them, and a test compares both.
 */
#pragma once

/* Without labels. */
#define BERTH_METRICS_GLOBAL(X)                                                                                    \
	X(STARTED, "berth_start_time_seconds", GAUGE, "Start of berthd, Unix time.")                               \
	X(RUNNING, "berth_engine_running", GAUGE, "1 if the engine forwards packets, else 0.")                     \
	X(RESTARTS, "berth_engine_restarts_total", COUNTER,                                                        \
	  "Starts of berth-dpdk after an end or for other options.")                                               \
	X(HANGS, "berth_engine_hangs_total", COUNTER, "Times that berth-dpdk hung and berthd killed it.")          \
	X(FAILING, "berth_engine_failing", GAUGE,                                                                  \
	  "1 while berth-dpdk does not start, runs with former options, or has hung or ended three times within "  \
	  "a minute; else 0.")                                                                                     \
	X(WORKERS, "berth_engine_workers", GAUGE, "Workers of the engine.")                                        \
	X(GENERATION, "berth_config_generation", GAUGE, "Current generation of the engine's tables.")              \
	X(APPLIED, "berth_config_applied_time_seconds", GAUGE,                                                     \
	  "Time at which the configuration in force was applied, Unix time.")                                      \
	X(APPLIES_REFUSED, "berth_config_refused_applies_total", COUNTER,                                          \
	  "Configurations that were refused, by a command or at a SIGHUP.")                                        \
	X(APPLY_REFUSED, "berth_config_last_apply_refused", GAUGE,                                                 \
	  "1 if the last configuration was refused, else 0.")                                                      \
	X(PUBLISH_FAILURES, "berth_publish_failures_total", COUNTER, "Generations that failed to publish.")        \
	X(PUBLISH_LATE, "berth_publish_late", GAUGE,                                                               \
	  "1 while a change is not in force although a second or more has passed, else 0.")                        \
	X(STATE_FAULT, "berth_state_fault", GAUGE,                                                                 \
	  "1 while the state directory cannot be written, or a file in it was damaged at the start, else 0.")      \
	X(READY, "berth_node_ready", GAUGE, "1 if `berthctl ready` says that this node is ready, else 0.")         \
	X(DRAINED, "berth_node_drained", GAUGE, "1 while an operator has drained this node, else 0.")              \
	X(NETLINK_ERRORS, "berth_netlink_errors_total", COUNTER,                                                   \
	  "Reads of the kernel's routes and neighbours that failed: the last known next hops were used.")          \
	X(STORE_CONNECTED, "berth_store_connected", GAUGE,                                                         \
	  "1 if the last visit to the cluster's store succeeded; 0: it failed, or there is no store.")             \
	X(STORE_VISITS, "berth_store_visits_total", COUNTER, "Visits to the cluster's store that began.")          \
	X(STORE_FAILURES, "berth_store_failures_total", COUNTER, "Visits to the cluster's store that failed.")     \
	X(STORE_REFUSED, "berth_store_refused_values_total", COUNTER,                                              \
	  "Names and values in the cluster's store that cannot be those of nodes, in each visit.")                 \
	X(HEALTH_LATE, "berth_health_late_probes_total", COUNTER,                                                  \
	  "Probes of health checks that waited on this host for half of their interval or longer.")                \
	X(HEALTH_BEHIND, "berth_health_behind", GAUGE,                                                             \
	  "1 while two and more than one in twenty of them do, else 0.")                                           \
	X(NODES, "berth_cluster_nodes", GAUGE, "Other nodes of the cluster that were seen in the last 5 s.")       \
	X(NODES_OTHER_CONFIG, "berth_cluster_nodes_other_config", GAUGE,                                           \
	  "Of them, those with another configuration than this node.")                                             \
	X(NODES_OTHER_SECRET, "berth_cluster_nodes_other_secret", GAUGE,                                           \
	  "Of them, those with another secret than this node.")                                                    \
	X(EXCHANGE_SYNCHRONISED, "berth_exchange_synchronised", GAUGE,                                             \
	  "1 once what other nodes had told has been read; 0: not yet, or there is no store.")                     \
	X(EXCHANGE_DEFERRED, "berth_exchange_deferred_records_total", COUNTER,                                     \
	  "Records that could not be told when they were found; the next scan finds them again.")                  \
	X(EXCHANGE_LOST, "berth_exchange_lost_exceptions_total", COUNTER,                                          \
	  "Exceptions that a scan found and that there was no room to remember: they are told to no node.")        \
	X(EXCHANGE_REFUSED, "berth_exchange_refused_records_total", COUNTER,                                       \
	  "Records in the store that are refused: no node of this version has written them. "                      \
	  "A key that is no stream counts at each read.")                                                          \
	X(EXCHANGE_LAG, "berth_exchange_lag_seconds", GAUGE,                                                       \
	  "For how long the oldest record has waited for the store.")                                              \
	X(RECEIVED, "berth_received_packets_total", COUNTER,                                                       \
	  "Packets received. Without traffic in flight equal to the sum of berth_packets_total.")

/* Of berthd's process, with the names that Prometheus has for those of all programs. */
#define BERTH_METRICS_PROCESS(X)                                                                                   \
	X(CPU, "process_cpu_seconds_total", COUNTER_MICROS, "Processor time of berthd, in user and system mode.")  \
	X(MEMORY, "process_resident_memory_bytes", GAUGE, "Memory of berthd, with the engine's tables it maps.")   \
	X(OPEN_FDS, "process_open_fds", GAUGE, "File descriptors that berthd has open.")                           \
	X(MAX_FDS, "process_max_fds", GAUGE, "File descriptors that berthd can have open.")

/* With labels of their own. */
#define BERTH_METRICS_LABELLED(X)                                                                                  \
	X(BUILD, "berth_build_info", GAUGE, "1, with berthd's version as label.")                                  \
	X(ENGINE, "berth_engine_info", GAUGE, "1, with the engine and the name of the instance as labels.")        \
	X(WORKER_RECEIVED, "berth_worker_received_packets_total", COUNTER, "Packets received by each worker.")     \
	X(WORKER_POLLS, "berth_worker_polls_total", COUNTER,                                                       \
	  "Receive calls of each worker. DPDK only: the kernel calls the XDP program.")                            \
	X(WORKER_BURSTS, "berth_worker_bursts_total", COUNTER,                                                     \
	  "Receive calls of each worker that returned packets. DPDK only.")                                        \
	X(WORKER_BUSY_CYCLES, "berth_worker_busy_cycles_total", COUNTER,                                           \
	  "Cycles of the time stamp counter from receive calls that returned packets to the next calls. DPDK "     \
	  "only.")                                                                                                 \
	X(WORKER_CYCLES, "berth_worker_cycles_per_second", GAUGE,                                                  \
	  "Cycles a second of the time stamp counter that each worker reads. DPDK only.")                          \
	X(PORT_LOSSES, "berth_port_errors_total", COUNTER,                                                         \
	  "Frames with errors, or dropped, of the port since its interface exists, or since berth-dpdk started.")  \
	X(PORT_LINK, "berth_port_link_up", GAUGE, "1 while the link of a port of the DPDK engine is up, else 0.")  \
	X(PORT_REFUSED, "berth_port_refused_frames_total", COUNTER,                                                \
	  "Frames that were to leave by the port and that its driver did not send. XDP only.")                     \
	X(PORT_FAULT, "berth_port_fault", GAUGE,                                                                   \
	  "1 while packets of the port are not forwarded as configured, else 0.")                                  \
	X(HELPER_RUNNING, "berth_helper_running", GAUGE,                                                           \
	  "1 while the helper process (probes, dns, store) runs, else 0.")                                         \
	X(HELPER_RESTARTS, "berth_helper_restarts_total", COUNTER,                                                 \
	  "Ends of the helper process: it died, did not answer, or sent what is invalid.")                         \
	X(TOLD, "berth_exchange_told_records_total", COUNTER,                                                      \
	  "Records told to other nodes, by reason: new, changed (another backend), refreshed (later traffic), "    \
	  "answered (another node told another backend).")                                                         \
	X(TAKEN, "berth_exchange_received_records_total", COUNTER,                                                 \
	  "Valid records of other nodes, by what became of them.")                                                 \
	X(COMMANDS, "berth_operator_received_records_total", COUNTER,                                              \
	  "Records of what operators set on other nodes, by what became of them.")                                 \
	X(PACKETS, "berth_packets_total", COUNTER,                                                                 \
	  "Packets by verdict, and the verdict's class: forward, answer, pass or drop.")                           \
	X(EVENTS, "berth_events_total", COUNTER, "Events of the flow and session tables.")                         \
	X(ENTRIES, "berth_table_entries", GAUGE, "Used entries of each table, from the last scan.")                \
	X(UNCONFIRMED, "berth_table_unconfirmed_entries", GAUGE,                                                   \
	  "Entries of each table of which only one packet was seen, from the last scan.")                          \
	X(CAPACITY, "berth_table_capacity_entries", GAUGE, "Entries that each table can hold.")                    \
	X(SERVICE, "berth_service_info", GAUGE, "1, with the service's settings as labels.")                       \
	X(ADMIN, "berth_backend_admin", GAUGE, "1, with the backend's admin state as label: enabled, draining, ...")

/* With the label service. */
#define BERTH_METRICS_SERVICE(X)                                                                                   \
	X(BACKENDS, "berth_service_backends", GAUGE, "Backends of the service.")                                   \
	X(UP, "berth_service_backends_up", GAUGE, "Backends that are up.")                                         \
	X(ELIGIBLE, "berth_service_backends_eligible", GAUGE, "Backends that accept new clients.")                 \
	X(ANNOUNCED, "berth_service_announced", GAUGE,                                                             \
	  "1 while the route to its address stands. Exists only for services that are to be announced.")           \
	X(PANIC, "berth_service_panic", GAUGE,                                                                     \
	  "1 while more backends are down than `panic-threshold` allows; those that were up last stay in use.")    \
	X(PANIC_SINCE, "berth_service_panic_start_time_seconds", GAUGE,                                            \
	  "Start of the panic, Unix time. Exists only during a panic.")                                            \
	X(FLOWS, "berth_service_flows", GAUGE, "Live flows, from the last scan.")                                  \
	X(SESSIONS, "berth_service_sessions", GAUGE, "Sessions, from the last scan.")                              \
	X(EXCEPTIONS, "berth_service_exceptions", GAUGE,                                                           \
	  "Flows and sessions whose backend is not what selection gives now, from the last scan.")                 \
	X(PACKETS, "berth_service_packets_total", COUNTER,                                                         \
	  "Packets forwarded to the service's backends, including removed ones.")                                  \
	X(BYTES, "berth_service_bytes_total", COUNTER, "Bytes of these packets' frames as received.")              \
	X(FLOWS_BEGUN, "berth_service_new_flows_total", COUNTER, "New flows.")                                     \
	X(REFUSED, "berth_service_refused_packets_total", COUNTER,                                                 \
	  "Packets to the service that were not forwarded to a backend.")                                          \
	X(LIMITED, "berth_service_limited_packets_total", COUNTER,                                                 \
	  "Packets of new flows over a limit of the service (`new-flows`).")

/* With the labels service and backend. */
#define BERTH_METRICS_BACKEND(X)                                                                                   \
	X(UP, "berth_backend_up", GAUGE,                                                                           \
	  "1: up by its health check or forced up by an operator. 0: down, or not checked yet.")                   \
	X(ELIGIBLE_NEW, "berth_backend_eligible_new_clients", GAUGE,                                               \
	  "1: eligible for new clients. 0: down, draining, disabled, at its limit or without a next hop.")         \
	X(PANIC, "berth_backend_panic", GAUGE, "1: down, but in use because of the service's panic.")              \
	X(PATH_MTU, "berth_backend_path_mtu_bytes", GAUGE,                                                         \
	  "Largest packet that reaches the backend, with its outer header. Exists only with a next hop.")          \
	X(WEIGHT, "berth_backend_weight", HUNDREDTHS,                                                              \
	  "Effective weight: the configured one, as far as a slow start and its agent let it count.")              \
	X(AGENT_PERCENT, "berth_backend_agent_weight_percent", GAUGE,                                              \
	  "Percentage of the weight that its agent says. Exists only with an agent.")                              \
	X(AGENT_LINES, "berth_backend_agent_lines_total", COUNTER, "Lines that its agent said.")                   \
	X(AGENT_REFUSED, "berth_backend_agent_refused_lines_total", COUNTER,                                       \
	  "Lines of its agent that berth refused.")                                                                \
	X(AGENT_SILENCES, "berth_backend_agent_silences_total", COUNTER, "Times that its agent said no line.")     \
	X(FLOWS, "berth_backend_flows", GAUGE, "Live flows without closing ones, from the last scan.")             \
	X(CLOSING, "berth_backend_closing_flows", GAUGE, "Closing TCP flows, from the last scan.")                 \
	X(SESSIONS, "berth_backend_sessions", GAUGE,                                                               \
	  "Sessions, from the last scan. Services of a group count the group's sessions.")                         \
	X(PACKETS, "berth_backend_packets_total", COUNTER, "Packets forwarded to the backend.")                    \
	X(BYTES, "berth_backend_bytes_total", COUNTER, "Bytes of these packets' frames as received.")              \
	X(FLOWS_BEGUN, "berth_backend_new_flows_total", COUNTER, "New flows.")                                     \
	X(PROBES, "berth_backend_health_probes_total", COUNTER,                                                    \
	  "Probes of its health check. Services with equal checks share probes.")                                  \
	X(PROBE_FAILURES, "berth_backend_health_probe_failures_total", COUNTER,                                    \
	  "Failed probes of its health check.")                                                                    \
	X(HEALTH_ERROR, "berth_backend_health_error", GAUGE,                                                       \
	  "1: its health check cannot run, because of its configuration or of this host.")                         \
	X(HEALTH_ERRORS, "berth_backend_health_errors_total", COUNTER, "Probes that could not run.")               \
	X(HEALTH_CHANGES, "berth_backend_health_changes_total", COUNTER,                                           \
	  "Times that its health check found it up, or down.")                                                     \
	X(HEALTH_SECONDS, "berth_backend_health_probe_duration_seconds", MICROS,                                   \
	  "Duration of the last probe of its health check.")                                                       \
	X(RESPONSE, "berth_backend_response_seconds", MICROS,                                                      \
	  "Weighted average duration of its successful probes.")                                                   \
	X(CONNECT, "berth_backend_connect_seconds", MICROS,                                                        \
	  "Weighted average time from SYN to SYN-ACK of a sample of its connections, in mode nat with "            \
	  "`scheduler: response-time`.")                                                                           \
	X(TIMED, "berth_backend_timed_connections_total", COUNTER,                                                 \
	  "Connections in that sample, since berthd started.")                                                     \
	X(BY_CONNECTIONS, "berth_backend_response_by_connections", GAUGE,                                          \
	  "`scheduler: response-time` uses: 1: the time of its connections, 0: that of its probes.")
