"""Metrics, dashboard, alerts and documentation use the same names."""

from __future__ import annotations

import gc
import json
import re
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from prometheus_client.metrics import MetricWrapperBase

from trawl.server.metrics import Metrics
from trawl.settings import Settings
from trawl.telemetry import Events
from trawl.types import Report

ROOT = Path(__file__).parent.parent.parent
OPERATIONS = ROOT / "docs" / "operations.md"
# Those that Prometheus itself adds.
FOREIGN_METRICS = {"up"}
# Settings of those who ask a server, and of no server.
CLIENTS = {"server", "api_key"}
FOREIGN_LABELS = {"job", "instance", "le"}

NAME = re.compile(r"\b(trawl_\w+|up)\b(?:\{([^}]*)\})?")
LABEL = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"")
BY = re.compile(r"\b(?:by|on)\s*\(([^)]*)\)")
LEGEND = re.compile(r"\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}")


def declared() -> dict[str, set[str]]:
    """Return the existing series with their labels."""
    found: dict[str, set[str]] = {}
    for one in vars(Metrics()).values():
        if isinstance(one, MetricWrapperBase):
            (family,) = one.describe()
            names = {
                "counter": [f"{family.name}_total"],
                "gauge": [family.name],
                "histogram": [f"{family.name}_{part}" for part in ("bucket", "count", "sum")],
            }[family.type]
            found |= {name: set(one._labelnames) for name in names}
    return found


def expressions() -> Iterator[tuple[str, str, str]]:
    """Return the place, the expression and the text of each panel and alert."""
    dashboard: dict[str, Any] = json.loads((ROOT / "deploy/grafana/trawl.json").read_text("utf-8"))
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield f"panel {panel['title']}", target["expr"], target["legendFormat"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield f"variable {variable['name']}", variable["query"]["query"], ""
    alerts = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text("utf-8"))
    for group in alerts["groups"]:
        for rule in group["rules"]:
            yield f"alert {rule['alert']}", rule["expr"], json.dumps(rule["annotations"])


def test_every_expression_uses_existing_metrics() -> None:
    series, used = declared(), set()
    for where, expression, text in expressions():
        names = NAME.findall(expression)
        assert names, where
        labels = FOREIGN_LABELS.copy()
        for name, selector in names:
            if name in FOREIGN_METRICS:
                continue
            assert name in series, f"{where}: no metric {name}"
            used.add(name)
            labels |= series[name]
            for label in LABEL.findall(selector):
                assert label in series[name] | FOREIGN_LABELS, f"{where}: {name} has no {label}"
        for listed in BY.findall(expression):
            for label in filter(None, (one.strip() for one in listed.split(","))):
                assert label in labels, f"{where}: nothing there has the label {label}"
        for label in LEGEND.findall(text):
            assert label in labels, f"{where}: the text names {label}, which nothing there has"
    # A metric that nobody looks at has no business here.
    bases = {re.sub(r"_(bucket|count|sum)$", "", name) for name in series}
    shown = {re.sub(r"_(bucket|count|sum)$", "", name) for name in used}
    assert bases - shown == set()


def test_panels_do_not_overlap() -> None:
    dashboard = json.loads((ROOT / "deploy/grafana/trawl.json").read_text("utf-8"))
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))


def test_every_setting_of_the_server_is_documented() -> None:
    """Settings of the library are documented elsewhere."""
    rows = re.findall(r"^\| `(?!trawl_)(\w+)` \| `([^|]*)` \|", OPERATIONS.read_text("utf-8"), re.M)
    names = list(Settings.model_fields)
    servers = [name for name in names[names.index("host") :] if name not in CLIENTS]
    assert {name for name, _ in rows} >= set(servers)
    for name, default in rows:
        shown = json.dumps(Settings.model_fields[name].get_default(), default=str)
        if Settings.model_fields[name].default_factory is None:
            assert default.replace(",", "") == shown.strip('"'), name


def test_every_metric_and_label_is_documented() -> None:
    rows = re.findall(r"^\| `(trawl_\w+)` \| ([^|]*) \|", OPERATIONS.read_text("utf-8"), re.M)
    documented = {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}
    actual = {
        re.sub(r"_(bucket|count|sum)$", "", name): labels for name, labels in declared().items()
    }
    assert documented == actual


def test_the_page_has_the_recorded_values() -> None:
    metrics, events = Metrics(), Events()
    events.watch(metrics)
    events.encoded("mini", "text", "query", items=3, seconds=0.004)
    events.encoder_queue("mini", "text", "query", waiting=2)
    events.model_loaded("mini", "text", seconds=0.3)
    events.embedding("mini", "text", hit=False)
    events.embedding("mini", "text", hit=True)
    events.source_searched("bm25", seconds=0.002)
    metrics.ingest(Report(3, 2, 1, 0, (), 9, 0.1))
    metrics.rejected("rate")
    page = metrics.page().decode()
    of = 'modality="text",model="mini"'
    for line in (
        'trawl_encoder_batch_items_bucket{kind="query",le="4.0",modality="text",model="mini"} 1.0',
        'trawl_encoder_waiting{kind="query",modality="text",model="mini"} 2.0',
        f"trawl_model_load_seconds_count{{{of}}} 1.0",
        f'trawl_embedding_cache_requests_total{{{of},outcome="hit"}} 1.0',
        f'trawl_embedding_cache_requests_total{{{of},outcome="miss"}} 1.0',
        'trawl_search_source_seconds_count{source="bm25"} 1.0',
        'trawl_ingest_documents_total{outcome="replaced"} 1.0',
        "trawl_ingest_chunks_total 9.0",
        'trawl_jobs_total{outcome="done"} 1.0',
        'trawl_rejections_total{reason="rate"} 1.0',
    ):
        assert same(line) in {same(one) for one in page.splitlines()}, line


def same(line: str) -> tuple[str, frozenset[str], str]:
    """Parse a line; the order of its labels does not matter."""
    name, _, rest = line.partition("{")
    labels, _, value = rest.rpartition("} ")
    return name, frozenset(labels.split(",")), value


def test_a_removed_observer_is_not_notified() -> None:
    events = Events()
    metrics = Metrics()
    events.watch(metrics)
    kept = Metrics()
    with events.watched_by(kept):
        events.embedding("mini", "text", hit=True)
    events.embedding("mini", "text", hit=True)
    assert 'outcome="hit"} 1.0' in kept.page().decode()
    assert 'outcome="hit"} 2.0' in metrics.page().decode()
    held = weakref.ref(metrics)
    del metrics
    gc.collect()
    assert held() is None
    events.embedding("mini", "text", hit=True)  # nobody is there, and nothing breaks
