"""The Helm chart renders, its objects validate, and wrong values are refused."""

from __future__ import annotations

import copy
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from trawl.settings import Settings

helm = pytest.importorskip("helm_python", reason="helm-python-sdk is not installed")
kubernetes_validate = pytest.importorskip("kubernetes_validate")

ROOT = Path(__file__).parent.parent.parent
CUSTOM_KINDS = {"ServiceMonitor", "RayJob"}
"""Kinds defined by operators; Kubernetes has no schema for them."""

KEYS = {"reader": {"sha256": "0" * 64, "scopes": ["read"]}}
SMALL: dict[str, Any] = {"apiKeys": {"keys": KEYS}}
SOURCE = {
    "name": "papers",
    "mountPath": "/papers",
    "volume": {"persistentVolumeClaim": {"claimName": "papers"}},
}
LARGE: dict[str, Any] = {
    **SMALL,
    "library": {"address": "s3://bucket/papers"},
    "storage": {"options": {"aws_endpoint": "https://minio:9000"}, "ports": [9000]},
    "settings": {"TRAWL_RATE_LIMIT": "600/minute"},
    "ingress": {"enabled": True, "tlsSecret": "tls", "className": "nginx"},
    "monitoring": {"enabled": True, "keySecret": "metrics"},
    "ingest": {"enabled": True, "paths": ["/papers"], "sources": [SOURCE]},
    "ray": {"enabled": True, "paths": ["/papers/it's"], "arguments": ["--prune"]},
}
SECRETS: dict[str, Any] = {
    "apiKeys": {"existingSecret": "my-keys"},
    "storage": {"existingSecret": "my-storage"},
    "library": {"volume": {"existingClaim": "mine"}},
    "redis": {"enabled": False},
    "autoscaling": {"enabled": False},
    "disruptionBudget": {"enabled": False},
    "networkPolicy": {"enabled": False},
    "ingest": {"enabled": True, "paths": ["/x"], "schedule": "0 3 * * *"},
}
Objects = dict[tuple[str, str], dict[str, Any]]


@pytest.fixture(scope="module")
def chart() -> Any:
    with helm.Chart.load(ROOT / "deploy" / "helm" / "trawl") as loaded:
        yield loaded


def objects(chart: Any, values: dict[str, Any]) -> Objects:
    rendered = chart.render(values, name="trawl", namespace="search")
    found = [
        one
        for path, text in rendered.items()
        if path.endswith(".yaml")
        for one in yaml.safe_load_all(text)
        if one
    ]
    made = {(one["kind"], one["metadata"]["name"]): one for one in found}
    assert len(made) == len(found), "two objects with one name"
    return made


def pods(made: Objects) -> dict[str, dict[str, Any]]:
    """Return the pods of all objects, by the name of the object."""
    found = {}
    for (kind, name), one in made.items():
        spec = one["spec"]["jobTemplate"]["spec"] if kind == "CronJob" else one.get("spec", {})
        if "template" in spec:
            found[name] = spec["template"]["spec"]
        if kind == "RayJob":
            cluster = spec["rayClusterSpec"]
            for group in [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]:
                found[f"{name}-{group.get('groupName', 'head')}"] = group["template"]["spec"]
    return found


@pytest.mark.parametrize("values", [SMALL, LARGE, SECRETS], ids=["small", "large", "secrets"])
def test_objects_validate_and_refer_to_each_other(chart: Any, values: dict[str, Any]) -> None:
    made = objects(chart, values)
    for (kind, _), one in made.items():
        if kind not in CUSTOM_KINDS:
            for version in ("1.29", "1.32"):
                kubernetes_validate.validate(one, version, strict=True)
    outside = {"my-keys", "my-storage", "mine", "papers"}
    names = {name for _, name in made} | outside
    for name, pod in pods(made).items():
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        for volume in volumes.values():
            assert volume.get("persistentVolumeClaim", {}).get("claimName", "mine") in names
        for container in pod["containers"]:
            allowed = container["securityContext"]
            assert allowed["readOnlyRootFilesystem"] is True
            assert allowed["allowPrivilegeEscalation"] is False
            assert allowed["capabilities"] == {"drop": ["ALL"]}
            assert "memory" in container["resources"]["limits"]
            assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
            for source in container.get("envFrom", []):
                [reference] = source.values()
                assert reference["name"] in names
    server = made["Deployment", "trawl"]["spec"]["template"]
    for kind in ("Service", "PodDisruptionBudget", "ServiceMonitor"):
        if (kind, "trawl") in made:
            selector = made[kind, "trawl"]["spec"]["selector"]
            labels = selector.get("matchLabels", selector)
            assert labels.items() <= server["metadata"]["labels"].items(), kind


def test_settings_and_secrets_configure_the_server(
    chart: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = objects(chart, LARGE)
    data = made["ConfigMap", "trawl-settings"]["data"]
    for name in ("trawl-keys", "trawl-storage"):
        data |= made["Secret", name]["stringData"]
    for name, value in data.items():
        monkeypatch.setenv(name, value)
    assert {name[6:].lower() for name in data} <= set(Settings.model_fields) | {"library"}
    settings = Settings()
    assert settings.host == "0.0.0.0"
    assert settings.cache == "redis://trawl-redis:6379/0"
    assert ("Service", "trawl-redis") in made
    assert settings.rate_limit == "600/minute"
    assert set(settings.api_keys) == {"reader"}
    assert settings.storage_options == {"aws_endpoint": "https://minio:9000"}
    assert data["TRAWL_LIBRARY"] == "s3://bucket/papers"


def test_options_are_off_by_default(chart: Any) -> None:
    kinds = {kind for kind, _ in objects(chart, SMALL)}
    assert kinds.isdisjoint({"Job", "CronJob", "RayJob", "ServiceMonitor", "Ingress"})
    assert {"HorizontalPodAutoscaler", "PodDisruptionBudget", "NetworkPolicy"} <= kinds
    kinds = {kind for kind, _ in objects(chart, SECRETS)}
    assert kinds == {"ConfigMap", "Deployment", "Service", "CronJob"}


def test_other_paths_make_another_job(chart: Any) -> None:
    def job(paths: list[str]) -> dict[str, Any]:
        values = {**SMALL, "ingest": {"enabled": True, "paths": paths}}
        [found] = [one for (kind, _), one in objects(chart, values).items() if kind == "Job"]
        return found

    first, second = job(["/a"]), job(["/b"])
    assert first == job(["/a"])
    assert first["metadata"]["name"] != second["metadata"]["name"]
    [container] = second["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["trawl", "add"]
    assert container["args"] == ["--library", "/library/data", "--", "/b"]


def test_commands_are_those_of_the_command_line(chart: Any) -> None:
    entry = objects(chart, LARGE)["RayJob", "trawl-ray"]["spec"]["entrypoint"]
    words = shlex.split(entry)
    assert words[-2:] == ["--", "/papers/it's"]
    assert words[:2] == ["trawl", "add"]
    run = [sys.executable, "-m", "trawl", "add", "--help"]
    shown = subprocess.run(
        run, capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "200"}
    )
    for option in [word for word in words if word.startswith("--") and word != "--"]:
        assert option in shown.stdout, option


def test_a_library_in_an_object_store_has_no_volume_and_may_be_reached(chart: Any) -> None:
    made = objects(chart, LARGE)
    assert not [name for kind, name in made if kind == "PersistentVolumeClaim"]
    egress = made["NetworkPolicy", "trawl"]["spec"]["egress"]
    assert [{"port": 9000}] in [rule["ports"] for rule in egress]
    rules = objects(chart, SMALL)["NetworkPolicy", "trawl"]["spec"]["egress"]
    assert not [rule for rule in rules if "ipBlock" in json.dumps(rule)]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("library.address", "bucket/papers", "library/address"),
        ("settings", {"RATE_LIMIT": "1/s"}, "RATE_LIMIT"),
        ("settings", {"TRAWL_CACHE_S": 3}, "TRAWL_CACHE_S"),
        ("server.workers", 0, "server/workers"),
        ("server.wrokers", 2, "wrokers"),
        ("ingest.enabled", True, "ingest/paths"),
        ("ray.enabled", True, "ray/paths"),
        ("apiKeys.keys", {"me": {"sha256": "secret"}}, "apiKeys/keys/me"),
        ("apiKeys.keys", {}, "the server does not start without API keys"),
    ],
)
def test_wrong_values_are_refused(chart: Any, path: str, value: Any, message: str) -> None:
    values = copy.deepcopy(SMALL)
    place = values
    *parents, last = path.split(".")
    for parent in parents:
        place = place.setdefault(parent, {})
    place[last] = value
    with pytest.raises(helm.HelmError, match=message):
        _check(chart, values)


def _check(chart: Any, values: dict[str, Any]) -> None:
    chart.validate_schema(values)
    chart.render(values)


def test_the_chart_passes_helm_lint() -> None:
    result = helm.lint(ROOT / "deploy" / "helm" / "trawl", values=SMALL)
    assert result["errors"] == []
    # 1 is information: the chart has no icon.
    assert [found for found in result["messages"] if found["severity"] > 1] == []


def test_kustomize_builds_the_example() -> None:
    kubectl = shutil.which("kubectl", path=f"{Path(sys.executable).parent}{os.pathsep}/usr/bin")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    example = ROOT / "deploy" / "kubernetes" / "overlays" / "example"
    done = subprocess.run([kubectl, "kustomize", example], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    kinds = {one["kind"] for one in yaml.safe_load_all(done.stdout)}
    assert {"Deployment", "Secret", "ServiceMonitor", "Ingress", "NetworkPolicy"} <= kinds
