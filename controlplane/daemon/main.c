// SPDX-License-Identifier: BSD-3-Clause
/* berthd: reads the options, locks the instance, opens, runs and closes the daemon. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controlplane/api/plural.h"
#include "controlplane/api/wire.h"
#include "controlplane/config/parse.h"
#include "controlplane/config/warnings.h"
#include "controlplane/daemon/daemon.h"
#include "controlplane/daemon/privileges.h"
#include "controlplane/engine/choose.h"
#include "controlplane/engine/object.h"
#include "controlplane/util/file.h"
#include "dataplane/interface/names.h"
#include "dataplane/interface/pci_fault.h"
#include "dataplane/interface/private_file.h"

enum {
	MAX_FILES = 20000,
};

#ifndef BERTH_VERSION
#define BERTH_VERSION "unknown"
#endif

static const char usage[] =
	"usage: berthd [-c FILE] [-i INSTANCE] [-r DIR] [-d DIR] [--check] [--devices] [--hugepages]\n"
	"              [--discard] [--version] [--help]\n"
	"\n"
	"  -c, --config FILE        configuration (default /etc/berth/berth.yaml)\n"
	"  -i, --instance INSTANCE  name of this berthd, if several run on one machine (default " BERTH_INSTANCE
	")\n"
	"  -r, --run-dir DIR        directory of the socket and the lock (default " BERTH_RUN_DIR ")\n"
	"  -d, --state-dir DIR      directory of what survives a reboot (default: state-dir of "
	"FILE, " BERTH_STATE_DIR ")\n"
	"      --check              check the configuration, then exit\n"
	"      --devices            print each interface of the DPDK engine that is a PCI device, and its address, "
	"then exit\n"
	"      --hugepages          print what the DPDK engine needs of hugepages, in MiB, then exit\n"
	"      --discard            replace tables that this version cannot keep: all flows and sessions are lost\n"
	"\n"
	"berthd stays in the foreground and logs to standard error. SIGTERM ends it, and forwarding goes on;\n"
	"`berthctl shutdown` ends both. SIGHUP applies the configuration file again; other signals are ignored.\n"
	"\n"
	"exit status: 0 ended by a signal or a command, 1 failure, 2 usage, 3 invalid configuration,\n"
	"4 no permission, 5 the engine cannot run here, 6 this instance is running already\n";

struct options {
	const char *config;
	const char *instance;
	const char *run_dir;
	const char *state_dir; /* NULL: that of the configuration */
	int only;	       /* 'k' check, 'p' print_devices, 'm' print_hugepages; 0: run */
	bool discard;
};

static const struct option known[] = {
	{"config", required_argument, NULL, 'c'},
	{"instance", required_argument, NULL, 'i'},
	{"run-dir", required_argument, NULL, 'r'},
	{"state-dir", required_argument, NULL, 'd'},
	{"check", no_argument, NULL, 'k'},
	{"devices", no_argument, NULL, 'p'},
	{"hugepages", no_argument, NULL, 'm'},
	{"discard", no_argument, NULL, 'D'},
	{"version", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

/* What getopt does not check. -1: nothing is wrong. */
static int check_words(int argc, char **argv, const struct options *options)
{
	if (optind < argc)
		fprintf(stderr, "berthd: unknown word '%s'; the configuration is named by -c FILE\n\n",
			argv[optind]);
	else if (!berth_is_instance_name(options->instance))
		fprintf(stderr, "berthd: '%s' is no name of an instance: letters, digits, -, _ and .\n\n",
			options->instance);
	else
		return -1;
	fputs(usage, stderr);
	return BERTH_EXIT_USAGE;
}

/* -1: run; else the exit status. */
static int parse_options(int argc, char **argv, struct options *options)
{
	for (int c; (c = getopt_long(argc, argv, "c:i:r:d:h", known, NULL)) != -1;) {
		switch (c) {
		case 'c':
			options->config = optarg;
			break;
		case 'i':
			options->instance = optarg;
			break;
		case 'r':
			options->run_dir = optarg;
			break;
		case 'd':
			options->state_dir = optarg;
			break;
		case 'k':
		case 'p':
		case 'm':
			options->only = c;
			break;
		case 'D':
			options->discard = true;
			break;
		case 'v':
			puts("berthd " BERTH_VERSION);
			return BERTH_EXIT_OK;
		case 'h':
			fputs(usage, stdout);
			return BERTH_EXIT_OK;
		default:
			fputs(usage, stderr);
			return BERTH_EXIT_USAGE;
		}
	}
	return check_words(argc, argv, options);
}

static void print_warning(void *arg, const char *warning)
{
	(void)arg;
	printf("warning: %s\n", warning);
}

static void print_fault(void *arg, const char *error)
{
	(void)arg;
	fprintf(stderr, "%s\n", error);
}

static int check(const char *path)
{
	char error[BERTH_ERROR_BYTES];
	struct berth_config *config = berth_config_load_all(path, print_fault, NULL, error);
	if (!config)
		return BERTH_EXIT_CONFIG;
	char target[PATH_MAX];
	bool is_link = berth_file_is_link(path, target);
	printf("%s%s%s: valid: %zu service%s, %zu interface%s\n", path, is_link ? ", a link to " : "",
	       is_link ? target : "", config->n_services, BERTH_PLURAL(config->n_services), config->n_interfaces,
	       BERTH_PLURAL(config->n_interfaces));
	berth_config_warn(config, print_warning, NULL);
	berth_config_free(config);
	return BERTH_EXIT_OK;
}

/* What berth-bind gives to a driver that DPDK can use. */
static int print_devices(const char *path)
{
	char error[BERTH_ERROR_BYTES], address[BERTH_PCI_ADDRESS_BYTES];
	struct berth_config *config = berth_config_load_all(path, print_fault, NULL, error);
	if (!config)
		return BERTH_EXIT_CONFIG;
	for (size_t i = 0; berth_engine_is_dpdk(config) && i < config->n_interfaces; i++)
		if (berth_pci_address(config->interfaces[i].device, address))
			printf("%s %s\n", config->interfaces[i].name, address);
	berth_config_free(config);
	return BERTH_EXIT_OK;
}

/* What berth-hugepages reserves. Nothing for another engine. */
static int print_hugepages(const char *path)
{
	char error[BERTH_ERROR_BYTES];
	struct berth_config *config = berth_config_load_all(path, print_fault, NULL, error);
	if (!config)
		return BERTH_EXIT_CONFIG;
	const uint64_t tables_mb = berth_engine_huge_table_bytes(config) >> 20;
	if (tables_mb)
		printf("tables %" PRIu64 "\npacket-buffers %u\ndpdk %u\n", tables_mb, config->dpdk.memory_mb,
		       BERTH_DPDK_OVERHEAD_MB);
	berth_config_free(config);
	return BERTH_EXIT_OK;
}

/* The directory of the socket and of files that berthd reads again. */
static int make_run_dir(const char *path)
{
	if (mkdir(path, 0755) && errno != EEXIST) {
		fprintf(stderr, "berthd: cannot create %s: %s; %s\n", path, strerror(errno),
			errno == EACCES ? "berthd must run as root" : "-r DIR sets another directory");
		return -1;
	}
	const char *fault = berth_private_directory_fault(path, BERTH_MODE_OTHERS_WRITE);
	if (!fault)
		return 0;
	fprintf(stderr, "berthd: %s cannot be used: %s; -r DIR sets another directory\n", path, fault);
	errno = EPERM;
	return -1;
}

/* Locks the instance until the process ends. -1 with errno set; EWOULDBLOCK: another berthd runs it. Prints the
 * error. */
static int lock_instance(const struct options *options)
{
	char path[512];
	const char *fault;
	if (make_run_dir(options->run_dir))
		return -1;
	snprintf(path, sizeof(path), "%s/%s.lock", options->run_dir, options->instance);
	int fd = berth_private_open(path, O_RDWR | O_CREAT, BERTH_MODE_OTHERS_WRITE, &fault);
	int err = fd < 0 ? -fd : flock(fd, LOCK_EX | LOCK_NB) ? errno : 0;
	if (!err)
		return fd;
	if (err == EWOULDBLOCK)
		fault = "another berthd runs this instance; -i INSTANCE sets another name";
	fprintf(stderr, "berthd: %s: %s%s\n", path, fault ? fault : strerror(err),
		!fault && err == EACCES ? "; berthd must run as root" : "");
	if (fd >= 0)
		close(fd);
	errno = err;
	return -1;
}

/* A running health check holds a descriptor, so the limit also limits how many run at one time. The usual 1024 is
 * for programs that call select(). */
static void raise_file_limit(void)
{
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) || files.rlim_cur >= MAX_FILES)
		return;
	files.rlim_cur = files.rlim_max < MAX_FILES ? files.rlim_max : MAX_FILES;
	setrlimit(RLIMIT_NOFILE, &files);
}

/* Its threads parse and write at times, and what they leave in arenas of their own is not used again by the loop.
 */
static void share_memory_of_threads(void)
{
	mallopt(M_ARENA_MAX, 1);
}

/* Runs berthd on a locked instance until it ends. */
static int run(const struct options *options)
{
	char socket_path[BERTH_WIRE_PATH_BYTES], error[BERTH_ERROR_BYTES] = "";
	if (berth_wire_path(socket_path, options->run_dir, options->instance)) {
		fprintf(stderr, "berthd: the socket's path in %s is too long; -r DIR sets another directory\n",
			options->run_dir);
		return BERTH_EXIT_USAGE;
	}
	char helper[512];
	if (berth_object_path("berth-helper", helper, sizeof(helper), error)) {
		fprintf(stderr, "berthd: %s\n", error);
		return BERTH_EXIT_FAILURE;
	}
	struct berth_daemon *daemon;
	const struct berth_daemon_options daemon_options = {
		.config_path = options->config,
		.paths = {.instance = options->instance, .run_dir = options->run_dir, .discard = options->discard},
		.socket_path = socket_path,
		.state_dir = options->state_dir,
		.helper = helper,
	};
	int status = berth_daemon_open(&daemon_options, &daemon, error);
	if (status)
		fprintf(stderr, "berthd: %s\n", error);
	else
		status = berth_daemon_run(daemon);
	berth_daemon_close(daemon);
	return status;
}

int main(int argc, char **argv)
{
	struct options options = {
		.config = "/etc/berth/berth.yaml",
		.instance = BERTH_INSTANCE,
		.run_dir = BERTH_RUN_DIR,
	};
	int status = parse_options(argc, argv, &options);
	if (status >= 0)
		return status;
	setvbuf(stderr, NULL, _IOLBF, 0);
	if (options.only)
		return options.only == 'k'   ? check(options.config)
		       : options.only == 'p' ? print_devices(options.config)
					     : print_hugepages(options.config);
	raise_file_limit();
	share_memory_of_threads();
	berth_privileges_drop();
	int lock = lock_instance(&options);
	if (lock < 0)
		return errno == EWOULDBLOCK		   ? BERTH_EXIT_INSTANCE
		       : errno == EACCES || errno == EPERM ? BERTH_EXIT_PERMISSION
							   : BERTH_EXIT_FAILURE;
	status = run(&options);
	close(lock);
	return status;
}
