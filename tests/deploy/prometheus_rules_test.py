#!/usr/bin/env python3
"""The alerts as files: promtool's unit tests pass, each alert has a case in which it fires and one in which it stays silent, and
an entry in the runbook. Exit 77, which ctest counts as skipped, where promtool is not installed."""
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy" / "prometheus"
faults = []

rules = (RULES / "rules" / "alerts.yml").read_text()
alerts = re.findall(r"- alert: (\w+)", rules)
runbook = re.findall(r"^## (\w+)$", (ROOT / "docs" / "runbook.md").read_text(), re.M)
if alerts != runbook:
    faults.append(f"alerts and entries of the runbook differ, or their order: {sorted({*alerts} ^ {*runbook})}")
for alert, rule in zip(alerts, re.split(r"- alert: ", rules)[1:]):
    if f"runbook_url: docs/runbook.md#{alert.lower()}\n" not in rule:
        faults.append(f"{alert}: its runbook_url is not its entry")
    for field in ("severity", "summary", "description"):
        if f"{field}: " not in rule:
            faults.append(f"{alert}: no {field}")

tests = sorted((RULES / "tests").glob("*.yml"))
cases = [c for t in tests for c in re.split(r"- name: ", t.read_text())[1:]]
for alert in alerts:
    fires = [c for c in cases if c.startswith(f"{alert} fires")]
    silent = [c for c in cases if c.startswith(f"{alert} stays silent")]
    if not any(f'alertname="{alert}"' in c for c in fires):
        faults.append(f"{alert}: no case in which it fires")
    if not silent or any(f'alertname="{alert}"' in c for c in silent):
        faults.append(f"{alert}: no case in which it stays silent")

print("\n".join(faults))
if faults:
    sys.exit(1)
if not shutil.which("promtool"):
    print("[SKIPPED] promtool is missing; `tools/install_deps.sh test` installs it")
    sys.exit(77)
for what in (["check", "config", RULES / "prometheus.yml"], ["test", "rules", *tests]):
    if (status := subprocess.run(["promtool", *what]).returncode) != 0:
        sys.exit(status)
