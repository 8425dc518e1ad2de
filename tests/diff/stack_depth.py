#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""
Whether the calls of a BPF program fit its 512 bytes of stack on every kernel.

Kernels up to 6.8 (Debian 12 has 6.1) and those without a JIT round each function's frame up to 32 bytes before
they add up a chain of calls; newer ones to 16. What loads here may be too large there, so this counts by itself:
frames from the instructions that use r10, calls from the relocations.

stack_depth.py OBJECT [OBJDUMP]
"""
import re
import subprocess
import sys

LIMIT = 512
ROUNDING = 32


def disassemble(path, objdump):
    return subprocess.run([objdump, "-d", "-r", "--no-show-raw-insn", path], check=True, text=True,
                          stdout=subprocess.PIPE).stdout.splitlines()


def functions(lines):
    """Bytes of stack and callees by function."""
    frames, calls, name = {}, {}, None
    copies = set()  # registers that hold r10
    for line in lines:
        start = re.match(r"^[0-9a-f]+ <(\w+)>:", line)
        if start and not start.group(1).startswith("LBB"):
            name = start.group(1)
            frames[name], calls[name], copies = 0, set(), set()
        if name is None:
            continue
        depths = [int(n, 0) for n in re.findall(r"\(r10 - (0x[0-9a-f]+|\d+)\)", line)]
        copy = re.search(r"\b(r\d) = r10$", line)
        if copy:
            copies.add(copy.group(1))
        step = re.search(r"\b(r\d) \+= -(0x[0-9a-f]+|\d+)$", line)
        if step and step.group(1) in copies:
            depths.append(int(step.group(2), 0))
            copies.discard(step.group(1))
        frames[name] = max([frames[name]] + depths)
        call = re.search(r"R_BPF_64_32\s+(\w+)", line)
        if call:
            calls[name].add(call.group(1))
    return frames, calls


def deepest(name, frames, calls):
    """The chain of calls from `name` that takes most, and how much."""
    best, chain = 0, []
    for callee in calls[name]:
        depth, below = deepest(callee, frames, calls)
        if depth > best:
            best, chain = depth, below
    own = -(-max(frames[name], 1) // ROUNDING) * ROUNDING
    return own + best, [f"{name} {frames[name]}"] + chain


def main():
    frames, calls = functions(disassemble(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "llvm-objdump"))
    called = set().union(*calls.values())
    bad = False
    for name in frames:
        if name in called:
            continue
        depth, chain = deepest(name, frames, calls)
        print(f"{depth} of {LIMIT} bytes: {' > '.join(chain)}")
        bad |= depth > LIMIT
    return bad


if __name__ == "__main__":
    sys.exit(main())
