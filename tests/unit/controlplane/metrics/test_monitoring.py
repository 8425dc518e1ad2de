# SPDX-License-Identifier: BSD-3-Clause
"""What is in packaging/ for Prometheus and Grafana fits the metrics that berthd has: promtool, and their names and labels."""
import json
import pathlib
import re
import subprocess

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[4]
RULES = ROOT / "packaging/berth.rules.yml"
DASHBOARD = json.loads((ROOT / "packaging/grafana.json").read_text())
METRICS = set(re.findall(r'X\(\w+, "(\w+)"', re.sub(r"\\\n\s*", "", (ROOT / "controlplane/metrics/list.h").read_text())))
OF_PROMETHEUS = {"up"}


def alerts():
    return {rule["alert"]: rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]}


def expressions():
    """{where: an expression} of rules, and of the dashboard's panels and variables."""
    found = {name: rule["expr"] for name, rule in alerts().items()}
    for panel in DASHBOARD["panels"]:
        found |= {f"{panel['title']} {target['refId']}": target["expr"] for target in panel["targets"]}
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            found[variable["name"]] = re.match(r"label_values\((\w+), \w+\)", variable["query"])[1]
    return found


@pytest.mark.parametrize("where, expression", expressions().items())
def test_an_expression_names_metrics_that_there_are(where, expression):
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]|by \([^)]*\)", "", expression)
    names = set(re.findall(r"\b(?:berth|process)_\w+|\bup\b", bare))
    assert names and names <= METRICS | OF_PROMETHEUS, where


def test_promtool_accepts_the_rules():
    subprocess.run(["promtool", "check", "rules", RULES], check=True, capture_output=True)


def test_each_alert_fires_for_what_it_is_for(tmp_path):
    """A series for each alert makes it fire, and its usual value does not."""
    cases = {
        "BerthNotForwarding": ('berth_engine_running{instance="a"}', "1", "0"),
        "BerthEngineFailing": ('berth_engine_failing{instance="a"}', "0", "1"),
        "BerthChangePending": ('berth_publish_late{instance="a"}', "0", "1"),
        "BerthState": ('berth_state_fault{instance="a"}', "0", "1"),
        "BerthConfigurationRefused": ('berth_config_last_apply_refused{instance="a"}', "0", "1"),
        "BerthServiceDown": ('berth_service_backends_eligible{instance="a",service="web"}', "3", "0"),
        "BerthPanic": ('berth_service_panic{instance="a",service="web"}', "0", "1"),
        "BerthNewFlowsLimited": ('berth_service_limited_packets_total{instance="a",service="web"}', "7", "0+60"),
        "BerthCheckCannotRun": ('berth_backend_health_error{instance="a",service="web",backend="b1"}', "0", "1"),
        "BerthChecksLate": ('berth_health_behind{instance="a"}', "0", "1"),
        "BerthTableFull": ('berth_table_entries{instance="a",table="flows"}', "100", "900"),
        "BerthNotReady": ('berth_node_ready{instance="a"}', "1", "0"),
        "BerthPort": ('berth_port_fault{instance="a",port="eth0"}', "0", "1"),
        "BerthPortErrors": ('berth_port_errors_total{instance="a",port="eth0",kind="rx_missed"}', "7", "0+60"),
        "BerthNodesDisagree": ('berth_cluster_nodes_other_config{instance="a"}', "0", "1"),
        "BerthExceptionsLost": ('berth_exchange_lag_seconds{instance="a"}', "0", "20"),
    }
    assert cases.keys() == alerts().keys()
    tests = []
    for name, (series, usual, bad) in cases.items():
        labels = dict(re.findall(r'(\w+)="(\w+)"', series))
        others = {'berth_table_capacity_entries{instance="a",table="flows"}': "1000", 'berth_node_drained{instance="a"}': "0"}
        for value, fires in ((usual, False), (bad, True)):
            values = value + "x20" if "+" in value else f"{value}+0x20"
            tests.append({
                "interval": "30s", "input_series": [{"series": s, "values": v if s == series else f"{v}+0x20"}
                                                    for s, v in (others | {series: values}).items()],
                "alert_rule_test": [{"eval_time": "8m", "alertname": name, "exp_alerts": [{
                    "exp_labels": labels, "exp_annotations": {"summary": summary(name, labels)}}] if fires else []}]})
    (tmp_path / "tests.yml").write_text(yaml.safe_dump({"rule_files": [str(RULES)], "tests": tests}))
    done = subprocess.run(["promtool", "test", "rules", tmp_path / "tests.yml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def summary(name, labels):
    return re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda found: labels[found[1]], alerts()[name]["annotations"]["summary"])


def test_the_document_explains_each_alert():
    rows = re.findall(r"^\| `(Berth\w+)` \| ", (ROOT / "docs/metrics.md").read_text(), re.M)
    assert sorted(rows) == sorted(alerts())


def test_panels_do_not_overlap():
    seen = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24 and not seen & cells
        seen |= cells
