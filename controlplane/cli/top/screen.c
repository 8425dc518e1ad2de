// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "controlplane/cli/top/top.h"

/* ECMA-48, and the alternate screen of xterm, which leaves what was on the terminal before. */
#define ENTER "\033[?1049h\033[?25l"
#define LEAVE "\033[?25h\033[?1049l"
#define HOME "\033[H"
#define CLEAR_LINE "\033[K"
#define CLEAR_REST "\033[J"

static struct termios before;
static volatile sig_atomic_t is_ended;

static void on_signal(int number)
{
	(void)number;
	is_ended = 1;
}

/* SIGWINCH only has to interrupt poll(2). */
static void on_resize(int number)
{
	(void)number;
}

/* A page that is being written goes on; poll(2) is interrupted all the same. */
static void handle(int number, void (*handler)(int))
{
	const struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
	sigaction(number, &action, NULL);
}

bool berth_top_screen_open(void)
{
	struct termios raw;
	if (!isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &before) != 0)
		return false;
	is_ended = 0;
	handle(SIGINT, on_signal);
	handle(SIGTERM, on_signal);
	handle(SIGHUP, on_signal);
	handle(SIGWINCH, on_resize);
	raw = before;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	fputs(ENTER, stdout);
	return true;
}

void berth_top_screen_close(void)
{
	fputs(LEAVE, stdout);
	fflush(stdout);
	tcsetattr(STDIN_FILENO, TCSANOW, &before);
	handle(SIGINT, SIG_DFL);
	handle(SIGTERM, SIG_DFL);
	handle(SIGHUP, SIG_DFL);
	handle(SIGWINCH, SIG_DFL);
}

void berth_top_screen_size(int *lines, int *columns)
{
	struct winsize size;
	const bool is_known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row;
	*lines = is_known ? size.ws_row : 24;
	*columns = berth_cli_line_width(stdout);
}

void berth_top_screen_show(const char *text)
{
	int lines, columns;
	berth_top_screen_size(&lines, &columns);
	fputs(HOME, stdout);
	for (int i = 0; i < lines && *text; i++) {
		const size_t length = strcspn(text, "\n");
		/* No newline after the last line, which would scroll. */
		printf("%s%.*s" CLEAR_LINE, i ? "\n" : "", (int)length, text);
		text += length + (text[length] == '\n');
	}
	fputs(CLEAR_REST, stdout);
	fflush(stdout);
}

/* ESC [ A to D are the arrows. */
static enum berth_top_key arrow(char last)
{
	switch (last) {
	case 'A':
		return BERTH_TOP_KEY_UP;
	case 'B':
		return BERTH_TOP_KEY_DOWN;
	case 'C':
		return BERTH_TOP_KEY_RIGHT;
	case 'D':
		return BERTH_TOP_KEY_LEFT;
	default:
		return BERTH_TOP_KEY_NONE;
	}
}

enum berth_top_key berth_top_screen_key(int timeout_ms, char *character)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
	char text[2];
	const int ready = is_ended ? 1 : poll(&input, 1, timeout_ms);
	if (is_ended)
		return BERTH_TOP_KEY_QUIT;
	if (ready <= 0)
		return BERTH_TOP_KEY_NONE;
	if (read(STDIN_FILENO, character, 1) != 1)
		return BERTH_TOP_KEY_QUIT;
	if (*character == 'q')
		return BERTH_TOP_KEY_QUIT;
	if (*character == '<' || *character == '>')
		return *character == '<' ? BERTH_TOP_KEY_LEFT : BERTH_TOP_KEY_RIGHT;
	if (*character != '\033')
		return BERTH_TOP_KEY_OTHER;
	/* A key's sequence arrives at once. */
	if (poll(&input, 1, 10) != 1 || read(STDIN_FILENO, text, sizeof(text)) != sizeof(text) ||
	    (text[0] != '[' && text[0] != 'O'))
		return BERTH_TOP_KEY_NONE;
	return arrow(text[1]);
}
