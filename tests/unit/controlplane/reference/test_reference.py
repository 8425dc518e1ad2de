# SPDX-License-Identifier: BSD-3-Clause
"""What is generated from the tables: `berthctl schema` with a real validator, manual pages, completion for bash."""
import json
import os
import pathlib
import re
import subprocess
import time

import jsonschema
import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[4]
BUILD = pathlib.Path(os.environ["BERTH_BUILD"])
BERTHCTL = BUILD / "controlplane/berthctl"
DOCUMENT = (ROOT / "docs/configuration.md").read_text()
TABLES = json.loads((BUILD / "controlplane/reference/tables.json").read_text())
COMMANDS = [command["words"] for command in TABLES["commands"] + TABLES["own_commands"] if command["words"] != "help"]
# Berthd's messages for what a schema can know: keys, types, words. The others are rules between keys, or of texts.
STRUCTURE = re.compile(r"unknown key|has no \w[\w-]*; add (?!.* or \"dns:\")|; write keys, like|has no keys|; write a list")


def run(*command, **more):
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True, **more).stdout


@pytest.fixture(scope="module")
def validator():
    schema = json.loads(run(BERTHCTL, "schema"))
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema, format_checker=jsonschema.FormatChecker())


@pytest.fixture(scope="module")
def files():
    return json.loads(run(BUILD / "tests/unit/controlplane/bad_files"))


class Loader(yaml.SafeLoader):
    """The core schema of YAML 1.2, as in editors: 0000:03:00.1 is a text, not a number to the base of 60."""


Loader.yaml_implicit_resolvers = {}
for tag, expression, first in (("bool", "true|false", "tf"), ("int", "[-+]?[0-9]+", "-+0123456789"),
                               ("float", r"[-+]?[0-9]+\.[0-9]+", "-+0123456789"), ("null", "~|null|", ["~", "n", ""])):
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{expression})$"), first)


def load(text):
    return yaml.load(text, Loader)


def accepts(validator, text):
    try:
        return validator.is_valid(load(text))
    except yaml.YAMLError:
        return False


def examples():
    found = re.findall(r"^```yaml\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
    return [*found, (ROOT / "packaging/berth.yaml").read_text()]


def test_the_schema_accepts_every_example(validator, files):
    assert len(examples()) >= 10
    for text in [*examples(), files["everything"]]:
        assert not [(list(error.path), error.message) for error in validator.iter_errors(load(text))]


def test_the_schema_refuses_files_with_other_keys_and_types(validator, files):
    structural = [(text, error) for text, error in files["bad"] if STRUCTURE.search(error)]
    assert len(structural) >= 40
    assert not [(text, error) for text, error in structural if accepts(validator, text)]


def test_the_schema_refuses_most_invalid_files(validator, files):
    accepted = [error for text, error in files["bad"] if accepts(validator, text)]
    assert len(accepted) < len(files["bad"]) / 2, accepted


def keys(schema):
    for key, value in schema.get("properties", {}).items():
        yield key, value
        yield from keys(value)
    for part in (schema.get("items"), *schema.get("anyOf", ())):
        if isinstance(part, dict):
            yield from keys(part)


def test_every_key_of_the_schema_has_the_text_of_the_document(validator):
    assert [key for key, value in keys(validator.schema) if "description" not in value and key != "hex"] == []
    weight = next(value for key, value in keys(validator.schema) if key == "weight")
    assert weight["description"].startswith("share of new flows and clients")


def pages():
    return {path.name: path for folder in ("man1", "man5", "man8") for path in (BUILD / "packaging" / folder).iterdir()}


def test_every_program_and_command_and_the_configuration_have_a_manual_page():
    names = {"berthctl.1", "berthd.8", "berth-decap.8", "berth-dpdk.8", "berth-helper.8", "berth-hugepages.8", "berth.yaml.5"}
    assert pages().keys() == names | {f"berthctl-{words.replace(' ', '-')}.1" for words in COMMANDS}


def shown(page, width=80):
    done = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", page], capture_output=True, text=True, check=True,
                          env={**os.environ, "LC_ALL": "C.UTF-8", "MANROFFSEQ": "", "MANWIDTH": str(width)})
    return re.sub(".\x08", "", done.stdout), done.stderr


def test_no_manual_page_has_a_fault_and_none_has_marks_of_markdown():
    for name, page in pages().items():
        text, faults = shown(page)
        faults = [line for line in faults.splitlines() if "cannot adjust line" not in line and "can't break line" not in line]
        assert not faults, (name, faults)
        prose = [line for line in text.splitlines() if not line.startswith(" " * 11)]
        assert not [line for line in prose if re.search(r"`|\]\(|\*\*|^ *\|", line)], name


def test_the_page_of_a_command_has_its_arguments_and_its_document():
    text, _ = shown(pages()["berthctl-backend-drain.1"])
    assert "--deadline TIME" in text and "evict it after this time" in text
    assert "DRAINING" in text.upper() and "operator" in text
    text, _ = shown(pages()["berthctl-config-import.1"])
    assert "config import ipvs|keepalived|haproxy FILE" in text and "ipvsadm" in text
    text, _ = shown(pages()["berth.yaml.5"])
    assert "panic-threshold" in text and "from the start of one probe to the start of the next" in text


SERVICES = """
engine: "null"
interfaces: [{name: lo}]
limits: {flows: 1024, sessions: 1024, services: 4, backends: 60}
services:
- {name: web, address: 203.0.113.10, protocol: tcp, port: 80, mode: ipip, table-size: 251, health: {type: none},
   backends: [{name: b1, address: 192.0.2.11}, {name: b2, address: 192.0.2.12}]}
- {name: shop, address: 203.0.113.11, protocol: tcp, port: 80, mode: ipip, table-size: 251, health: {type: none},
   backends: [{name: s1, address: 192.0.2.11}]}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a program berthctl that finds a running berthd."""
    path = tmp_path_factory.mktemp("completion")
    (path / "berth.yaml").write_text(SERVICES)
    (path / "berthctl").write_text(f'#!/bin/sh\nexec {BERTHCTL} -r {path} "$@"\n')
    (path / "berthctl").chmod(0o755)
    berthd = subprocess.Popen([BUILD / "controlplane/berthd", "-c", path / "berth.yaml", "-r", path, "-d", path / "state"])
    end = time.monotonic() + 20
    while subprocess.run([path / "berthctl", "show", "names", "hosts"], capture_output=True).returncode != 0:
        assert time.monotonic() < end and berthd.poll() is None
        time.sleep(0.05)
    yield path
    berthd.terminate()
    berthd.wait()


def completed(line, folder):
    """What bash offers for the last word of a command line."""
    words = line.split(" ")
    return run("bash", "-c", f". {BUILD}/packaging/berthctl; COMP_WORDS=({' '.join(repr(word) for word in words)}); "
               f"COMP_CWORD={len(words) - 1}; _{words[0]}; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
               env={"PATH": f"{folder}:/usr/bin:/bin"}, cwd=folder).split()


@pytest.mark.parametrize("line, words", {
    "berthctl ba": ["backend"],
    "berthctl backend d": ["disable", "drain"],
    "berthctl -j backend drain --": ["--deadline", "--flows-only", "--help", "--json", "--local", "--wide"],
    "berthctl backend drain web/": ["web/b1", "web/b2"],
    "berthctl backend drain --deadline 60s s": ["shop/s1"],
    "berthctl backend health web/b1 ": ["auto", "down", "up"],
    "berthctl show sessions --service ": ["shop", "web"],
    "berthctl show backends w": ["web"],
    "berthctl sh ba w": ["web"],
    "berthctl host drain 192": ["192.0.2.11", "192.0.2.12"],
    "berthctl doctor web": ["web"],
    "berthctl doctor web/": ["web/b1", "web/b2"],
    "berthctl help wait ": ["drained", "ready", "withdrawn"],
    "berthctl -i berth session pin 192.0.2.1 sh": ["shop/s1"],
    "berthctl config check other": ["other.yaml"],
    "berthctl --inst": ["--instance"],
    "berthctl shutdown ": [],
    "berthd --ch": ["--check"],
}.items())
def test_bash_completes(line, words, folder):
    (folder / "other.yaml").touch()
    assert sorted(completed(line, folder)) == words
