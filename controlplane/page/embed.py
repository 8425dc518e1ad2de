#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""embed.py FILE OUTPUT: the text of FILE as a C source."""
import json
import pathlib
import sys

text = pathlib.Path(sys.argv[1]).read_text()
assert text.isascii()
lines = "\n".join("\t" + json.dumps(line) for line in text.splitlines(keepends=True))
pathlib.Path(sys.argv[2]).write_text('#include "controlplane/page/page.h"\n\nconst char berth_page_document[] =\n' + lines + ";\n")
