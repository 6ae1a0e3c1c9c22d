"""A page for each number that `GET /metrics` shows, and the page that lists them: from docs/site/reference.json."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from modellix_server.docsite.generated import Say
from modellix_server.docsite.markdown import block, code, heading, inline, table
from modellix_server.docsite.page import DocPage, Kind
from modellix_server.docsite.written import reference, shown_files

_ALERTS, _DASHBOARD = "ops/alerts.yaml", "ops/grafana-dashboard.json"


def metric_slug(name: str) -> str:
    """`modellix_queue_due` as `self-hosting/metrics/queue-due`."""
    return f"self-hosting/metrics/{name.removeprefix('modellix_').replace('_', '-')}"


def metric_pages(language: str, _: Say, said: Say) -> Iterator[DocPage]:
    """All of them; `said` translates what the platform says of a number."""
    known = reference()["metrics"]
    for one in known:
        yield _page(one, language, _, said)
    rows = [
        [f"[{code(one['name'])}](/docs/{metric_slug(one['name'])})", _kind(one["kind"], _), inline(said(one["help"]))]
        for one in known
    ]
    parts = [
        heading(_("Metrics"), 1),
        _("Every number that each process shows to Prometheus at `GET /metrics`."),
        _("[`MODELLIX_METRICS_ADDRESS`](/docs/self-hosting/settings/metrics-address) turns them on. A dashboard and "
          "alerts are provided: [`ops`](/docs/operate#monitor)."),
        table([_("metric"), _("kind"), _("meaning")], rows),
        _("Beside them stand `process_resident_memory_bytes`, `process_cpu_seconds_total`, `process_open_fds` and the "
          "other numbers of the Prometheus library about a process."),
    ]  # fmt: skip
    yield DocPage("self-hosting/metrics/index", language, Kind.METRIC, "\n\n".join(parts) + "\n")


def _page(metric: Mapping[str, Any], language: str, _: Say, said: Say) -> DocPage:
    name, labels = metric["name"], metric["labels"]
    facts = [[_("kind"), _kind(metric["kind"], _)], [_("labels"), ", ".join(map(code, labels)) or "-"]]
    used = [place for place in (_DASHBOARD, _ALERTS) if name.encode() in shown_files()[place]]
    where = {_DASHBOARD: _("on the dashboard"), _ALERTS: _("in the alerts")}
    facts.append([_("used"), ", ".join(f"[{where[place]}](/docs/files/{place})" for place in used) or "-"])
    parts = [
        f"# {name}",
        inline(said(metric["help"])),
        table(["", ""], facts),
        heading(_("Query")),
        block("text", _query(metric)),
        _("All metrics: [Metrics](/docs/self-hosting/metrics/index)."),
    ]
    return DocPage(metric_slug(name), language, Kind.METRIC, "\n\n".join(parts) + "\n", "", (name, code(name)))


def _query(metric: Mapping[str, Any]) -> str:
    """How Prometheus is asked for it."""
    name, by = metric["name"], ", ".join(metric["labels"])
    if metric["kind"] == "counter":
        return f"sum by ({by}) (rate({name}[5m]))" if by else f"rate({name}[5m])"
    if metric["kind"] == "histogram":
        over = f"le, {by}" if by else "le"
        return f"histogram_quantile(0.99, sum by ({over}) (rate({name}_bucket[5m])))"
    return f"sum by ({by}) ({name})" if by else f"max({name})"


def _kind(kind: str, _: Say) -> str:
    return {"counter": _("counter"), "histogram": _("histogram"), "gauge": _("gauge")}[kind]
