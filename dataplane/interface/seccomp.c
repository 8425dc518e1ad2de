// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/interface/seccomp.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#define RESULT_OF(context) ((context)->uc_mcontext.gregs[REG_RAX])
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#define RESULT_OF(context) ((context)->uc_mcontext.regs[0])
#else
#error "add the architecture's audit number and its register of results"
#endif

enum {
	FIXED_INSTRUCTIONS = 6,
	FIRST_FOREIGN_CALL = 0x40000000, /* the x32 interface of x86-64 */
	LINE_BYTES = 160,
};

static const char *const names[BERTH_SECCOMP_CALLS] = {
#include <dataplane/interface/syscall_names.h> /* generated */
};

static const char *program;

/* Functions of stdio are not safe in a handler. */
static size_t append(char line[LINE_BYTES], size_t used, const char *text)
{
	while (*text && used < LINE_BYTES)
		line[used++] = *text++;
	return used;
}

static size_t append_number(char line[LINE_BYTES], size_t used, unsigned int number)
{
	char digits[12];
	char *at = digits + sizeof(digits) - 1;
	*at = 0;
	do {
		*--at = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	return append(line, used, at);
}

static void log_refused(unsigned int call)
{
	char line[LINE_BYTES];
	size_t used = append(line, 0, "ALARM: ");
	used = append(line, used, program);
	used = append(line, used, ": system call ");
	used = append(line, used, call < BERTH_SECCOMP_CALLS && names[call] ? names[call] : "of unknown name");
	used = append(line, used, " (");
	used = append_number(line, used, call);
	used = append(line, used, ") is refused by berth's filter; see docs/security.md\n");
	if (write(STDERR_FILENO, line, used) < 0)
		return;
}

static void on_refused(int signal, siginfo_t *info, void *arg)
{
	static bool is_logged[BERTH_SECCOMP_CALLS];
	(void)signal;
	const int error = errno;
	ucontext_t *context = arg;
	const unsigned int call = (unsigned int)info->si_syscall;
	bool *logged = &is_logged[call < BERTH_SECCOMP_CALLS ? call : 0];
	if (!__atomic_exchange_n(logged, true, __ATOMIC_RELAXED))
		log_refused(call);
	errno = error;
	RESULT_OF(context) = -ENOSYS;
}

static size_t build(const struct berth_seccomp *seccomp, struct sock_filter *filter)
{
	const uint32_t listed = seccomp->is_allow_list ? SECCOMP_RET_ALLOW : SECCOMP_RET_TRAP;
	const uint32_t others = seccomp->is_allow_list ? SECCOMP_RET_TRAP : SECCOMP_RET_ALLOW;
	struct sock_filter *next = filter;
	*next++ = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
	*next++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0);
	*next++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	*next++ = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < seccomp->n; i++) {
		*next++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, seccomp->calls[i], 0, 1);
		*next++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, listed);
	}
	/* A list of refused calls would not name foreign ones. */
	*next++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, FIRST_FOREIGN_CALL, 0, 1);
	*next++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	*next++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, others);
	return (size_t)(next - filter);
}

int berth_seccomp_install(const struct berth_seccomp *seccomp)
{
	static struct sock_filter filter[2 * BERTH_SECCOMP_CALLS + FIXED_INSTRUCTIONS + 1];
	struct sigaction action = {.sa_sigaction = on_refused, .sa_flags = SA_SIGINFO | SA_NODEFER};
	if (seccomp->n > BERTH_SECCOMP_CALLS)
		return -E2BIG;
	program = seccomp->program;
	const struct sock_fprog code = {(unsigned short)build(seccomp, filter), filter};
	if (sigaction(SIGSYS, &action, NULL))
		return -errno;
	long result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &code);
	/* Above 0: a thread whose filters differ. */
	return result < 0 ? -errno : result > 0 ? -EBUSY : 0;
}
