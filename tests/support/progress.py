# SPDX-License-Identifier: BSD-3-Clause
"""How far a long run is and how long it takes on, in one line of a terminal (progress.h is the same in C)."""
import sys
import time


def minutes(seconds):
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def text_of(what, share, elapsed):
    """`share`: of the work, 0 to 1."""
    left = f", about {minutes(elapsed / share - elapsed + 0.5)} left" if share > 0.01 else ""
    return f"{what}: {share * 100:.0f}% in {minutes(elapsed)}{left}"


class Progress:
    """Nothing is shown where the stream is no terminal."""

    def __init__(self, stream=sys.stderr):
        self.stream, self.start, self.is_shown = stream, time.monotonic(), False

    def show(self, what, share):
        if self.stream.isatty():
            self.stream.write(f"\r\033[K{text_of(what, min(share, 1), time.monotonic() - self.start)}")
            self.stream.flush()
            self.is_shown = True

    def clear(self):
        """Before other output."""
        if self.is_shown:
            self.stream.write("\r\033[K")
            self.stream.flush()
            self.is_shown = False
