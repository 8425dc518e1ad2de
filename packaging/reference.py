#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""reference.py WHAT DOCS TABLES OUTPUT [PROGRAM...]: what berth's tables and documents say, in other forms. TABLES is what
controlplane/reference writes.

  man         scdoc sources of all manual pages into the folder OUTPUT; PROGRAMs are asked for --help
  completion  completion of berthctl and berthd for bash
  schema      JSON schema of the configuration; keys have the text of docs/configuration.md
  schema.c    the same as a source of berthctl
"""
import json
import pathlib
import re
import shutil
import subprocess
import sys

SECTIONS = {1: "User commands", 5: "File formats", 8: "Administration"}

# What is not in a table or in a program's --help: (section, purpose, documents, text in front).
PAGES = {
    "berthctl": (1, "control berthd, the layer-4 load balancer", [("commands.md", "For all commands")],
                 "*berthctl* sends one command to berthd and prints its answer. berthctl-COMMAND(1) describes each command, as "
                 "*man berthctl-show-backends*."),
    "berthd": (8, "layer-4 load balancer: the control plane", [("service.md", None)],
               "*berthd* reads berth.yaml(5), forwards packets with the XDP or the DPDK engine, checks the health of backends, "
               "and obeys berthctl(1)."),
    "berth-dpdk": (8, "the DPDK engine of berth", [], "berthd(8) starts it; nobody has to."),
    "berth-hugepages": (8, "memory for the DPDK engine of berth", [("../hugepages.md", None)], ""),
    "berth-decap": (8, "decapsulation on a backend of berth", [("backends.md", "Decapsulation (ipip, gue)")],
                    "*berth-decap* removes the outer header of tunnel packets before the kernel sees them. The unit "
                    "*berth-backend.service* runs it with what */etc/berth/backend.conf* says."),
    "berth-helper": (8, "talks to the network for berthd, without privileges", [],
                     "berthd(8) starts *berth-helper* for health checks, DNS and the store of a cluster; nobody has to. Its only "
                     "option is *--version*."),
    "berth.yaml": (5, "configuration of berthd", [("configuration.md", None)], ""),
}
SEE_ALSO = ["berthctl(1)", "berthd(8)", "berth.yaml(5)", "berth-decap(8)", "berth-hugepages(8)"]


# --- Markdown to scdoc ---

def inline(text):
    """Words of a paragraph or cell: code and bold text are bold, other emphasis is underlined, a link is its text."""
    parts = []
    text = re.sub(r"\[((?:`[^`]*`|[^\]])*)\]\(([^)]*)\)", lambda link: link[1], text)
    for part in re.split(r"(`[^`]*`|\*\*[^*]+\*\*|(?<![\w*])\*[^* ][^*]*\*(?![\w*]))", text):
        code, emphasis = part[:1] == "`", part[:1] == "*" and len(part) > 1
        plain = re.sub(r"([\\*_])", r"\\\1", part.strip("`") if code else part.strip("*") if emphasis else part)
        mark = "*" if code or part[:2] == "**" else "_" if emphasis else ""
        parts.append(f"{mark}{plain}{mark}" if plain else "")
    return "".join(parts)


def cells(row):
    return [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", row.strip().strip("|"))]


def table(rows):
    """A list of terms, which fits any terminal: the first column, then the others with their titles."""
    titles, out = cells(rows[0]), []
    for row in rows[2:]:
        first, *rest = cells(row)
        said = [text if i == 0 and titles[1] in ("", "meaning", "description") else f"{title}: {text}" if title else text
                for i, (title, text) in enumerate(zip(titles[1:], rest)) if text]
        out += [inline(first), "\t" + inline("; ".join(said)), ""]
    return out


def paragraph(lines):
    text = inline(" ".join(line.strip() for line in lines))
    return [re.sub(r"^([#\[|\].-])", r"\\\1", text), ""]


def items(lines):
    """A list: an item begins with a dash, its further lines are indented."""
    texts = re.split(r"^\s*- ", "\n".join(lines), flags=re.MULTILINE)
    return ["- " + inline(" ".join(text.split())) for text in texts if text.strip()] + [""]


def literal(lines):
    return ["```", *(line.replace("```", "") for line in lines), "```", ""]


KINDS = [("fence", re.compile(r"```")), ("heading", re.compile(r"#+ ")), ("table", re.compile(r"\|")),
         ("code", re.compile(r"    ")), ("items", re.compile(r"- ")), ("blank", re.compile(r"\s*$")), ("text", re.compile(r""))]
RENDER = {"table": table, "text": paragraph, "items": items, "code": lambda lines: literal([line[4:] for line in lines])}


def kind_of(line, before):
    kind = next(kind for kind, start in KINDS if start.match(line))
    # Further lines of an item, and code of one.
    return "items" if before == "items" and (kind == "code" or (kind == "text" and line.startswith(" "))) else kind


def scdoc(markdown, depth):
    """depth: of the document's headings below those of the page."""
    out, block, kind, fenced = [], [], None, None

    def end():
        nonlocal block
        if block:
            out.extend(RENDER[kind](block))
        block = []
    for line in [*markdown.splitlines(), ""]:
        if fenced is not None:
            if line.startswith("```"):
                out.extend(literal(fenced))
                fenced = None
            else:
                fenced.append(line)
            continue
        now = kind_of(line, kind if block else None)
        if now != kind or now in ("fence", "heading", "blank"):
            end()
        kind = now
        if now == "fence":
            fenced = []
        elif now == "heading":
            level, title = line.split(" ", 1)
            title = inline(title).replace("*", "")
            out += ["# " + title.upper() if len(level) <= depth else "## " + title, ""]
        elif now != "blank":
            block.append(line)
    return out


def section_of(document, title):
    """The text of a section without its heading; None: of the whole document without its title and list of contents."""
    text = document.read_text()
    if title is None:
        return re.sub(r"\A# .*\n", "", text)
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"{document} has no section {title}"
    return found[1]


# --- manual pages ---

def page(name, section, purpose, *parts):
    lines = [f'{name}({section}) "berth" "{SECTIONS[section]}"', "", "# NAME", "", f"{name} - {purpose}", ""]
    for title, body in parts:
        lines += [f"# {title}", "", *body, ""]
    also = [other for other in SEE_ALSO if not other.startswith(f"{name}(")]
    lines += ["# SEE ALSO", "", ", ".join(also), ""]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines))


def help_of(program):
    done = subprocess.run([program, "--help"], capture_output=True, text=True, check=True)
    return literal(done.stdout.rstrip("\n").splitlines())


def program_page(name, docs, programs):
    section, purpose, documents, text = PAGES[name]
    parts = [("DESCRIPTION", [text])] if text else []
    program = next((path for path in programs if pathlib.Path(path).name == name), None)
    if program:
        parts.insert(0, ("SYNOPSIS", help_of(program)))
    for file, title in documents:
        parts.append((file.removesuffix(".md").upper() if text else "DESCRIPTION", scdoc(section_of(docs / file, title), 2)))
    return f"{name}.{section}", page(name, section, purpose, *parts)


def synopsis(command):
    words = [f"*berthctl* [OPTION]... *{command['words']}*"]
    words += [inline(f"[{a['usage']}]" if a["optional"] else a["usage"]) for a in command["arguments"]]
    return [" ".join(words)]


def statuses(tables):
    return [line for status, text in tables["statuses"] for line in (f"*{status}*", "\t" + inline(text), "")]


def command_page(command, tables, docs):
    name = "berthctl-" + command["words"].replace(" ", "-")
    arguments = [line for a in command["arguments"] for line in (f"*{inline(a['usage'])}*", "\t" + inline(a["help"]), "")]
    parts = [("SYNOPSIS", synopsis(command)),
             ("DESCRIPTION", scdoc(section_of(docs / "commands.md", command["words"]), 2)),
             ("ARGUMENTS", arguments or ["none"]),
             ("ROLE", [f"With *access* in berth.yaml(5) it needs the role *{command['role']}*, or a higher one."]),
             ("EXIT STATUS", statuses(tables))]
    return f"{name}.1", page(name, 1, inline(command["help"]).replace("*", ""), *parts)


def own_page(command, tables, docs):
    """Of a command that berthctl runs itself."""
    name = "berthctl-" + command["words"].replace(" ", "-")
    usage = f"*berthctl* [OPTION]... *{command['words']}*" + (" " + inline(command["usage"]) if command["usage"] else "")
    parts = [("SYNOPSIS", [usage]), ("DESCRIPTION", scdoc(section_of(docs / "commands.md", command["words"]), 2)),
             ("EXIT STATUS", statuses(tables))]
    return f"{name}.1", page(name, 1, inline(command["help"]).replace("*", ""), *parts)


def write_man(tables, docs, output, programs):
    shutil.rmtree(output, ignore_errors=True)  # its time is what ninja compares
    output.mkdir()
    pages = [program_page(name, docs, programs) for name in PAGES]
    pages += [command_page(command, tables, docs) for command in tables["commands"]]
    pages += [own_page(command, tables, docs) for command in tables["own_commands"] if command["words"] != "help"]
    for name, text in pages:
        (output / f"{name}.scd").write_text(text)


# --- completion ---

COMPLETION = r"""# SPDX-License-Identifier: BSD-3-Clause
# Completion of berthctl and berthd for bash, made from the tables of berth.

# Options before the command are completed here, the words after them by berthctl itself.
_berthctl() {
	local current=${COMP_WORDS[COMP_CWORD]} i word
	local -a options=()
	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		[[ $word == -* ]] || break
		options+=("$word")
		if [[ $word =~ ^(-i|-r|-s|-t|--instance|--run-dir|--socket|--timeout)$ ]]; then
			((++i < COMP_CWORD)) || return
			options+=("${COMP_WORDS[i]}")
		fi
	done
	if [[ $i == "$COMP_CWORD" && $current == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "@OPTIONS@" -- "$current")
		return
	fi
	mapfile -t COMPREPLY < <("${COMP_WORDS[0]}" "${options[@]}" complete "${COMP_WORDS[@]:i:COMP_CWORD - i}" "$current" 2>/dev/null)
	[[ ${#COMPREPLY[@]} != 1 || ${COMPREPLY[0]} != */ ]] || compopt -o nospace 2>/dev/null
}

_berthd() {
	local current=${COMP_WORDS[COMP_CWORD]}
	case ${COMP_WORDS[COMP_CWORD - 1]} in
	-c | --config) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
	-r | --run-dir | -d | --state-dir) mapfile -t COMPREPLY < <(compgen -d -- "$current") ;;
	*) mapfile -t COMPREPLY < <(compgen -W "@BERTHD@" -- "$current") ;;
	esac
}

complete -F _berthctl berthctl
complete -F _berthd berthd
"""


def long_options(program):
    text = subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout
    return " ".join(sorted(set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))))


def write_completion(_tables, _docs, output, programs):
    by_name = {pathlib.Path(program).name: program for program in programs}
    options = {name: long_options(by_name[name]) for name in ("berthctl", "berthd")}
    output.write_text(COMPLETION.replace("@OPTIONS@", options["berthctl"]).replace("@BERTHD@", options["berthd"]))


# --- JSON schema ---

def meanings(docs):
    """{key: what docs/configuration.md says}, by section: the heading's `name`, or "" for the top level."""
    found, section = {}, ""
    for line in (docs / "configuration.md").read_text().splitlines():
        heading = re.match(r"#+ (.*)", line)
        row = re.match(r"\| `([\w-]+)` \| ", line)
        if heading:
            section = heading[1]
        elif row:
            _, meaning, *rest = cells(line)
            text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", meaning).replace("`", "").replace("**", "")
            default = rest[-1].replace("`", "") if rest and rest[-1] else ""
            found.setdefault((section, row[1]), text + (f" (default: {default})" if default not in ("", "required") else ""))
    return found


def describe(schema, said, trail=()):
    """Adds to each key its text, of the section that is nearest to its place."""
    for key, value in schema.get("properties", {}).items():
        titles = [title for (title, name) in said if name == key]
        near = [title for part in reversed(trail or ("top level",)) for title in titles if part in title.lower()]
        title = near[0] if near else None
        if title is not None:
            value["description"] = said[title, key]
        describe(value, said, trail + (key.rstrip("s"),))
    for part in (schema.get("items"), *schema.get("anyOf", ())):
        if isinstance(part, dict):
            describe(part, said, trail)


def schema_text(tables, docs):
    schema = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "berth.yaml", **tables["schema"]}
    describe(schema, meanings(docs))
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def write_schema(tables, docs, output, _programs):
    output.write_text(schema_text(tables, docs))


def write_schema_source(tables, docs, output, _programs):
    lines = [json.dumps(line + "\n", ensure_ascii=True) for line in schema_text(tables, docs).splitlines()]
    body = "\n".join(f"\t{line}," for line in lines)
    output.write_text('#include "controlplane/cli/cli.h"\n\n'
                      f"const char *const berth_cli_schema_lines[] = {{\n{body}\n\tNULL,\n}};\n")


WRITERS = {"man": write_man, "completion": write_completion, "schema": write_schema, "schema.c": write_schema_source}


def main():
    what, docs, tables, output, *programs = sys.argv[1:]
    WRITERS[what](json.loads(pathlib.Path(tables).read_text()), pathlib.Path(docs), pathlib.Path(output), programs)


if __name__ == "__main__":
    main()
