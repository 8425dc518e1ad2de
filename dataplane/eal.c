/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/eal.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <limits.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_mbuf.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dataplane/interface/buffer_files.h"
#include "dataplane/interface/cores.h"
#include "dataplane/interface/pci_fault.h"
#include "dataplane/interface/store.h"
#include "dataplane/log.h"
#include "dataplane/memory.h"

enum {
	POOL_CACHE = 256,
	MAX_ARGUMENTS = 128,
	LCORE_LIST_BYTES = 1 << 17,
};

struct arguments {
	int n;
	char *text[MAX_ARGUMENTS + 1];
};

/* The copy is never freed: DPDK keeps pointers to its arguments. */
static void add(struct arguments *arguments, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct arguments *arguments, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	if (arguments->n < MAX_ARGUMENTS && vasprintf(&arguments->text[arguments->n], format, args) >= 0)
		arguments->text[++arguments->n] = NULL;
	va_end(args);
}

bool berth_eal_has_pci(const struct berth_options *options)
{
	char address[BERTH_PCI_ADDRESS_BYTES];
	for (uint32_t i = 0; i < options->n_ports; i++) {
		if (berth_pci_address(options->ports[i].device, address))
			return true;
	}
	return false;
}

/*
 * Whether its buffers are in files, which outlive a process that is killed; the next one uses them as they are,
 * because to clear pages is most of the time of a start with many. What berth and DPDK want zeroed they zero:
 * rte_zmalloc clears memory of such pages. The lock of this image keeps a second process away. Not for devices: one
 * that writes to memory might still do so.
 */
static bool has_buffer_files(const struct berth_options *options)
{
	char image[PATH_MAX];
	snprintf(image, sizeof(image), BERTH_HUGE_DIRECTORY "/%s.image", options->instance);
	return strcmp(options->image, image) == 0 && !berth_eal_has_pci(options);
}

static void remove_buffer_files(const struct berth_options *options)
{
	if (has_buffer_files(options))
		berth_buffer_files_remove(BERTH_HUGE_DIRECTORY, options->instance);
}

/* MiB in files of a former process that this one can use; others are removed. */
static uint64_t find_buffers_mb(const struct berth_options *options, uint64_t needed_mb)
{
	if (!has_buffer_files(options))
		return 0;
	const uint64_t mb = berth_buffer_files_bytes(BERTH_HUGE_DIRECTORY, options->instance) >> 20;
	if (mb <= needed_mb && !options->no_hugepages)
		return mb;
	remove_buffer_files(options);
	return 0;
}

static void add_hugepages(struct arguments *arguments, const struct berth_options *options)
{
	if (!has_buffer_files(options)) {
		add(arguments, "--in-memory");
		return;
	}
	add(arguments, "--no-shconf");
	add(arguments, "--huge-unlink=never");
	add(arguments, "--huge-dir=" BERTH_HUGE_DIRECTORY);
}

/* -ENOMEM: the host has too little, and using it up would end other processes. */
static int add_memory(struct arguments *arguments, const struct berth_options *options, uint32_t wait_ms)
{
	uint64_t needed = (uint64_t)options->memory_mb + BERTH_DPDK_OVERHEAD_MB;
	const uint64_t kept_mb = find_buffers_mb(options, needed);
	/* What was enough for the former process is enough for this one. */
	const uint64_t lacking = kept_mb >= options->memory_mb ? 0 : needed - kept_mb;
	const struct berth_memory memory = berth_memory_await_hugepages(BERTH_MEMINFO, lacking,
									options->no_hugepages ? 0 : wait_ms);
	const uint64_t free_mb = memory.free_hugepages_mb + kept_mb;
	if (!options->no_hugepages && memory.free_hugepages_mb >= lacking) {
		add_hugepages(arguments, options);
		berth_log("memory: hugepages, %llu MiB free, %llu MiB of them from the former process",
			  (unsigned long long)free_mb, (unsigned long long)kept_mb);
		return 0;
	}
	remove_buffer_files(options);
	if (options->no_hugepages)
		berth_log("memory: small pages (--no-hugepages)");
	else
		berth_log(
			"memory: small pages: %llu MiB of hugepages needed, %llu MiB free: berth-hugepages reserve "
			"makes them free for the next start (hugepages.md)",
			(unsigned long long)needed, (unsigned long long)free_mb);
	/* For DMA each buffer may have to lie within one page, and a small page holds one buffer. */
	needed *= berth_eal_has_pci(options) ? 2 : 1;
	if (memory.available_mb && needed > memory.available_mb) {
		berth_log("no memory for packet buffers: %llu MiB needed, %llu MiB available; lower --memory "
			  "(dpdk.memory-mb)",
			  (unsigned long long)needed, (unsigned long long)memory.available_mb);
		return -ENOMEM;
	}
	add(arguments, "--no-shconf");
	add(arguments, "--no-huge");
	add(arguments, "-m");
	add(arguments, "%llu", (unsigned long long)needed);
	return 0;
}

static void add_devices(struct arguments *arguments, const struct berth_options *options)
{
	char address[BERTH_PCI_ADDRESS_BYTES];
	uint32_t added = 0;
	for (uint32_t i = 0; i < options->n_ports; i++) {
		if (!berth_pci_address(options->ports[i].device, address) || berth_pci_is_withheld("/sys", address))
			continue;
		add(arguments, "-a");
		add(arguments, "%s", options->ports[i].device);
		added++;
	}
	if (!added)
		add(arguments, "--no-pci");
	if (!berth_eal_has_pci(options))
		/* No port does DMA. Virtual addresses keep the pool in one piece, which AF_XDP requires. */
		add(arguments, "--iova-mode=va");
}

/* The argument of --lcores. */
struct lcore_list {
	size_t used;
	char text[LCORE_LIST_BYTES];
};

static void append(struct lcore_list *list, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void append(struct lcore_list *list, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	if (list->used < sizeof(list->text))
		list->used += (size_t)vsnprintf(list->text + list->used, sizeof(list->text) - list->used, format,
						args);
	va_end(args);
}

/* "LCORE@(CORE,...)": the cores on which an lcore may run. */
static void append_lcore(struct lcore_list *list, uint32_t lcore, const uint32_t *core, uint32_t n)
{
	append(list, "%s%u@(", lcore ? "," : "", lcore);
	for (uint32_t i = 0; i < n; i++)
		append(list, "%s%u", i ? "," : "", core[i]);
	append(list, ")");
}

/* Lcore 0 is the main one, workers are 1 and up. With enough cores each worker gets one of the last cores, and the
 * main lcore the rest. */
static void add_lcores(struct arguments *arguments, uint32_t workers, int node)
{
	static struct lcore_list list;
	uint32_t core[CPU_SETSIZE];
	cpu_set_t set;
	CPU_ZERO(&set);
	sched_getaffinity(0, sizeof(set), &set);
	uint32_t cores = berth_cores_order("/sys", &set, node, core);
	bool pinned = cores > workers;
	append_lcore(&list, 0, core, pinned ? cores - workers : cores);
	for (uint32_t i = 0; i < workers; i++) {
		if (pinned)
			append_lcore(&list, i + 1, &core[cores - workers + i], 1);
		else
			append_lcore(&list, i + 1, core, cores);
	}
	add(arguments, "--lcores");
	add(arguments, "%s", list.text);
	if (!pinned)
		berth_log("cores: %u worker(s) and the main thread share %u core(s)", workers, cores);
}

/* Logs the warnings of libbpf while AF_XDP ports open, except one that libxdp always causes. */
static int print_libbpf(enum libbpf_print_level level, const char *format, va_list args)
{
	if (level != LIBBPF_WARN || strstr(format, "skipping unrecognized data section"))
		return 0;
	return vfprintf(stderr, format, args);
}

/* DPDK fails if it can use none of the PCI devices. */
static void log_failure(const struct berth_options *options, int error)
{
	char address[BERTH_PCI_ADDRESS_BYTES], fault[BERTH_PCI_FAULT_BYTES];
	for (uint32_t i = 0; i < options->n_ports; i++) {
		if (berth_pci_address(options->ports[i].device, address) &&
		    berth_pci_find_fault("/sys", address, fault)) {
			berth_log("%s: %s", options->ports[i].name, fault);
			return;
		}
	}
	berth_log("DPDK does not start: %s; its own messages are above", rte_strerror(error));
}

int berth_eal_start(const struct berth_options *options, uint32_t workers, uint32_t wait_ms)
{
	struct arguments arguments = {0};
	char prefix[BERTH_BUFFER_PREFIX_BYTES];
	berth_buffer_prefix(prefix, options->instance);
	add(&arguments, "berth-dpdk");
	add(&arguments, "--file-prefix");
	add(&arguments, "%s", prefix);
	add(&arguments, "--no-telemetry");
	add(&arguments, "--log-level=error");
	int error = add_memory(&arguments, options, wait_ms);
	if (error)
		return error;
	add_devices(&arguments, options);
	add_lcores(&arguments, workers, options->node);
	for (int i = 0; i < options->n_eal; i++)
		add(&arguments, "%s", options->eal[i]);
	if (arguments.n == MAX_ARGUMENTS) {
		berth_log("more than %d arguments for DPDK; remove some behind --", MAX_ARGUMENTS);
		return -E2BIG;
	}

	/* Without it libxdp pins a dispatcher in bpffs, for further programs on the interface. */
	setenv("LIBXDP_SKIP_DISPATCHER", "1", 0);
	libbpf_set_print(print_libbpf);
	/* The default also writes to syslog. */
	rte_openlog_stream(stderr);
	if (rte_eal_init(arguments.n, arguments.text) < 0) {
		error = rte_errno ? rte_errno : EINVAL;
		remove_buffer_files(options);
		log_failure(options, error);
		return -error;
	}
	return 0;
}

void berth_eal_stop(const struct berth_options *options)
{
	char directory[PATH_MAX];
	snprintf(directory, sizeof(directory), "%s", rte_eal_get_runtime_dir());
	rte_eal_cleanup();
	rmdir(directory);
	remove_buffer_files(options);
}

/* The ring of the pool. A worker that shares its core may be preempted during an enqueue: with ring_mt_rts other
 * workers do not wait for it. ring_mp_mc is faster, for workers with a core each. */
static const char *pool_ring_name(void)
{
	cpu_set_t main = rte_lcore_cpuset(0);
	cpu_set_t first = rte_lcore_cpuset(1);
	return CPU_EQUAL(&main, &first) ? "ring_mt_rts" : "ring_mp_mc";
}

/* On NUMA node `socket` only; NULL: too little memory. */
static struct rte_mempool *create_pool(uint32_t buffers, uint32_t buffer_bytes, unsigned int flags, int socket)
{
	struct rte_mempool *pool = rte_mempool_create_empty("packets", buffers, buffer_bytes, POOL_CACHE,
							    sizeof(struct rte_pktmbuf_pool_private), socket, flags);
	if (!pool)
		return NULL;
	if (rte_mempool_set_ops_byname(pool, pool_ring_name(), NULL))
		goto fail;
	rte_pktmbuf_pool_init(pool, NULL);
	/* In several pieces where another process has taken hugepages since they were counted. */
	if (rte_mempool_populate_default(pool) < 0 ||
	    ((flags & RTE_MEMPOOL_F_NO_IOVA_CONTIG) && pool->nb_mem_chunks != 1))
		goto fail;
	rte_mempool_obj_iter(pool, rte_pktmbuf_init, NULL);
	return pool;

fail:
	rte_mempool_free(pool);
	return NULL;
}

struct rte_mempool *berth_eal_pool(const struct berth_options *options)
{
	/* Without DMA a buffer may cross pages. The AF_XDP driver of DPDK 22.11 requires buffers without gaps: it
	 * registers buffers times their size as UMEM, and the kernel does not accept buffers behind that. With
	 * small pages, contiguous buffers would leave a gap behind each one. */
	unsigned int flags = berth_eal_has_pci(options) ? 0 : RTE_MEMPOOL_F_NO_IOVA_CONTIG;
	uint32_t buffer_bytes = (uint32_t)sizeof(struct rte_mbuf) + RTE_MBUF_DEFAULT_BUF_SIZE;
	uint32_t bytes = rte_mempool_calc_obj_size(buffer_bytes, flags, NULL);
	uint32_t buffers = (uint32_t)(((uint64_t)options->memory_mb << 20) / bytes);
	struct rte_mempool *pool = create_pool(buffers, buffer_bytes, flags, options->node);
	if (!pool && options->node != SOCKET_ID_ANY) {
		berth_log("NUMA node %d has no room for the packet buffers: other nodes are used, which is slower; "
			  "to reserve memory there see hugepages.md",
			  options->node);
		pool = create_pool(buffers, buffer_bytes, flags, SOCKET_ID_ANY);
	}
	if (!pool)
		berth_log("no memory for %u packet buffers (%u MiB); lower --memory (dpdk.memory-mb), or reserve "
			  "hugepages (hugepages.md)",
			  buffers, options->memory_mb);
	return pool;
}
