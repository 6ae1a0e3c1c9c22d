"""The dashboard and the alerts ask for numbers that the platform gives, by labels that they have."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
OPS = {path.name: path.read_text(encoding="utf-8") for path in (TOP / "ops").iterdir()}
BY_PROMETHEUS = {"le", "instance"}


def given() -> dict[str, set[str]]:
    """Every number with the names of its labels, as the source declares them."""
    found: dict[str, set[str]] = {}
    for path in (TOP / "src/modellix_server").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            named = isinstance(node, ast.Call) and getattr(node.func, "id", None) in {"Counter", "Histogram", "gauge"}
            if not named or not node.args:
                continue
            name, last = node.args[0], node.args[-1]
            if isinstance(name, ast.Constant) and str(name.value).startswith("modellix_"):
                labels = {part.value for part in ast.walk(last) if isinstance(part, ast.Constant)}
                shared = {"upstream", "mode", "method"} if "_LABELS" in ast.dump(last) else set()
                found[name.value] = (labels if isinstance(last, ast.Tuple) else set()) | shared
    return found


def test_what_is_asked_for_is_given() -> None:
    numbers = given()
    assert len(numbers) > 15
    for text in OPS.values():
        for name in re.findall(r"\b(modellix_[a-z_]+)", text):
            assert re.sub("_(bucket|sum|count)$", "", name) in numbers, name


@pytest.mark.full
def test_labels_exist() -> None:
    known = set.union(*given().values()) | BY_PROMETHEUS
    for text in OPS.values():
        asked = set(re.findall(r"\{\{ ?(?:\$labels\.)?([a-z_]+) ?\}\}", text))
        for names in re.findall(r"by \(([a-z_, ]+)\)", text):
            asked |= set(names.split(", "))
        assert asked <= known, asked - known


def test_every_number_is_shown_or_watched() -> None:
    shown = "".join(OPS.values())
    unseen = {name for name in given() if name.startswith("modellix_") and name not in shown}
    assert unseen <= {
        "modellix_build_info",
        "modellix_draining",
        "modellix_pool_connections_max",
        "modellix_task_moves_total",
    }


def test_the_dashboard_is_whole() -> None:
    dashboard = json.loads(OPS["grafana-dashboard.json"])
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    assert all(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
