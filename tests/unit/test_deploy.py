"""deploy/, compose.yaml and the Dockerfile are consistent with each other and the program."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from trawl.settings import Settings

ROOT = Path(__file__).parent.parent.parent
KUBERNETES = ROOT / "deploy" / "kubernetes"
BASE = KUBERNETES / "base"

sys.path.insert(0, str(ROOT / "deploy"))
from replay import instructions, is_sent  # noqa: E402

KUSTOMIZE = {"kustomize.config.k8s.io/v1beta1", "kustomize.config.k8s.io/v1alpha1"}
CUSTOM_KINDS = {"ServiceMonitor"}
"""Kinds defined by operators; Kubernetes has no schema for them."""

# Read by the entry point.
OTHER_VARIABLES = {"TRAWL_LIBRARY"}
VARIABLES = {f"TRAWL_{name.upper()}" for name in Settings.model_fields} | OTHER_VARIABLES


def documents(path: Path) -> list[dict[str, Any]]:
    return [found for found in yaml.safe_load_all(path.read_text("utf-8")) if found]


MANIFESTS = [
    pytest.param(found, id=f"{path.relative_to(KUBERNETES)}:{found['kind']}")
    for path in sorted(KUBERNETES.rglob("*.yaml"))
    for found in documents(path)
    if found["apiVersion"] not in KUSTOMIZE
]
KUSTOMIZATIONS = sorted(KUBERNETES.rglob("kustomization.yaml"))
OBJECTS = {
    (found["kind"], found["metadata"]["name"]): found
    for path in sorted(BASE.glob("*.yaml"))
    for found in documents(path)
    if found["apiVersion"] not in KUSTOMIZE
}


@pytest.mark.parametrize("version", ["1.29", "1.32"])
@pytest.mark.parametrize("manifest", MANIFESTS)
def test_manifests_validate(manifest: dict[str, Any], version: str) -> None:
    validate = pytest.importorskip("kubernetes_validate")
    if manifest["kind"] in CUSTOM_KINDS:
        pytest.skip("Kubernetes has no schema for it")
    validate.validate(manifest, version, strict=True)


def test_invalid_manifests_are_refused() -> None:
    validate = pytest.importorskip("kubernetes_validate")
    wrong = {**OBJECTS["Deployment", "trawl"], "spec": {"replica": 2}}
    with pytest.raises(validate.ValidationError):
        validate.validate(wrong, "1.32", strict=True)


@pytest.mark.parametrize("path", KUSTOMIZATIONS, ids=lambda path: str(path.parent.name))
def test_kustomizations_refer_to_existing_files(path: Path) -> None:
    [found] = documents(path)
    assert found["kind"] in ("Kustomization", "Component")
    named = [*found.get("resources", []), *found.get("components", [])]
    named += [patch["path"] for patch in found.get("patches", [])]
    named += [env for made in found.get("secretGenerator", []) for env in made.get("envs", [])]
    for name in named:
        place = path.parent / name
        assert place.is_file() or (place / "kustomization.yaml").is_file(), name
    beside = {file.name for file in path.parent.iterdir()} - {path.name}
    assert beside <= set(named), "a file that is not applied"
    for made in found.get("configMapGenerator", []):
        assert {literal.partition("=")[0] for literal in made["literals"]} <= VARIABLES


def test_example_settings_are_valid() -> None:
    [overlay] = documents(KUBERNETES / "overlays" / "example" / "kustomization.yaml")
    [base] = documents(BASE / "kustomization.yaml")
    literals = base["configMapGenerator"][0]["literals"]
    literals += overlay["configMapGenerator"][0]["literals"]
    literals.append((KUBERNETES / "overlays" / "example" / "keys.env").read_text("utf-8").strip())
    with pytest.MonkeyPatch.context() as patch:
        for literal in literals:
            name, _, value = literal.partition("=")
            patch.setenv(name, value)
        settings = Settings()
    assert settings.host == "0.0.0.0"
    assert settings.cache.startswith("redis://redis:6379")
    assert "example" in settings.api_keys
    assert settings.trusted_proxies == ["10.0.0.0/8"]


def test_references_between_objects_resolve() -> None:
    server = OBJECTS["Deployment", "trawl"]
    labels = server["spec"]["template"]["metadata"]["labels"]
    assert server["spec"]["selector"]["matchLabels"].items() <= labels.items()
    [container] = server["spec"]["template"]["spec"]["containers"]
    ports = {port["name"] for port in container["ports"]}
    for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[kind]["httpGet"]["port"] in ports
    service = OBJECTS["Service", "trawl"]["spec"]
    assert service["selector"].items() <= labels.items()
    assert {port["targetPort"] for port in service["ports"]} <= ports
    target = OBJECTS["HorizontalPodAutoscaler", "trawl"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) in OBJECTS
    volumes = {volume["name"]: volume for volume in server["spec"]["template"]["spec"]["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
    claim = volumes["library"]["persistentVolumeClaim"]["claimName"]
    assert ("PersistentVolumeClaim", claim) in OBJECTS
    [base] = documents(BASE / "kustomization.yaml")
    assert container["envFrom"][0]["configMapRef"]["name"] in {
        made["name"] for made in base["configMapGenerator"]
    }
    [overlay] = documents(KUBERNETES / "overlays" / "example" / "kustomization.yaml")
    assert container["envFrom"][1]["secretRef"]["name"] in {
        made["name"] for made in overlay["secretGenerator"]
    }
    assert overlay["images"][0]["name"] == container["image"]
    for kind, name in OBJECTS:
        if kind == "NetworkPolicy":
            wanted = OBJECTS[kind, name]["spec"]["podSelector"]["matchLabels"]
            pods = OBJECTS["Deployment", name]["spec"]["template"]["metadata"]["labels"]
            assert wanted.items() <= pods.items()


def test_probes_request_existing_routes() -> None:
    from trawl.server.routes import operation

    routes = {route.path for route in operation.router.routes}  # type: ignore[attr-defined]
    [container] = OBJECTS["Deployment", "trawl"]["spec"]["template"]["spec"]["containers"]
    paths = {container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "readiness")}
    [monitor] = documents(KUBERNETES / "components" / "monitoring" / "servicemonitor.yaml")
    paths |= {endpoint["path"] for endpoint in monitor["spec"]["endpoints"]}
    paths.add((ROOT / "deploy/container/healthcheck").read_text("utf-8").split('"')[-2])
    assert {path for path in paths if path.startswith("/")} <= routes


@pytest.mark.parametrize("name", ["trawl", "redis"])
def test_pods_are_unprivileged(name: str) -> None:
    pod = OBJECTS["Deployment", name]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
    assert pod["automountServiceAccountToken"] is False
    for container in pod["containers"]:
        allowed = container["securityContext"]
        assert allowed["readOnlyRootFilesystem"] is True
        assert allowed["allowPrivilegeEscalation"] is False
        assert allowed["capabilities"] == {"drop": ["ALL"]}
        assert "memory" in container["resources"]["limits"]


# --- compose -------------------------------------------------------------------------------

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))


@pytest.mark.parametrize("name", sorted(COMPOSE["services"]))
def test_compose_refers_to_existing_files_and_settings(name: str) -> None:
    service = COMPOSE["services"][name]
    for port in service.get("ports", []):
        assert port.startswith("127.0.0.1:"), "bound to the local machine"
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        if source.startswith("."):
            # Dashboards and rules are folders; all are read-only.
            assert (ROOT / source).exists(), source
            assert volume.endswith(":ro")
        else:
            assert source in COMPOSE["volumes"]
    for other, wanted in service.get("depends_on", {}).items():
        assert wanted == {"condition": "service_healthy"}
        assert other == "trawl" or "healthcheck" in COMPOSE["services"][other]
    assert set(service.get("environment", {})) <= VARIABLES
    assert service["restart"] == "unless-stopped"


def test_paths_of_prometheus_and_grafana_match_the_mounts() -> None:
    folder = ROOT / "deploy" / "compose"
    mounts = {
        volume.split(":")[0]: volume.split(":")[1]
        for service in COMPOSE["services"].values()
        for volume in service.get("volumes", [])
    }
    [prometheus] = documents(folder / "prometheus.yml")
    assert prometheus["rule_files"][0].startswith(mounts["./deploy/prometheus"] + "/")
    [target] = prometheus["scrape_configs"][0]["static_configs"][0]["targets"]
    assert target == "trawl:8000"
    [source] = documents(folder / "grafana-datasource.yaml")
    assert source["datasources"][0]["url"] == "http://prometheus:9090"
    [dashboards] = documents(folder / "grafana-dashboards.yaml")
    assert dashboards["providers"][0]["options"]["path"] == mounts["./deploy/grafana"]


# --- the image -----------------------------------------------------------------------------

DOCKERFILE = instructions((ROOT / "Dockerfile").read_text("utf-8"))
IGNORED = [
    line
    for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    if line and line[0] != "#"
]


def test_copied_files_exist_and_are_sent() -> None:
    sources = [
        word
        for instruction, rest in DOCKERFILE
        if instruction == "COPY" and "--from" not in rest
        for word in rest.split()[:-1]
        if not word.startswith("--")
    ]
    assert sources
    for source in sources:
        assert (ROOT / source).exists(), source
        assert is_sent(source, IGNORED), source


@pytest.mark.parametrize("path", [".git/config", "tests/conftest.py", ".venv/bin/python", ".env"])
def test_other_files_are_not_sent(path: str) -> None:
    assert not is_sent(path, IGNORED)


def test_image_has_a_user_and_a_health_check() -> None:
    last = [word for word, _ in DOCKERFILE][::-1]
    assert last.index("USER") < last.index("FROM")
    user = next(rest for word, rest in DOCKERFILE if word == "USER")
    assert all(part.isdecimal() and part != "0" for part in user.split(":"))
    assert any(word == "HEALTHCHECK" for word, _ in DOCKERFILE)
    for word, rest in DOCKERFILE:
        if word == "ENV":
            names = {pair.partition("=")[0] for pair in rest.split()}
            assert {name for name in names if name.startswith("TRAWL_")} <= VARIABLES


@pytest.mark.parametrize("name", ["serve", "healthcheck"])
def test_image_scripts_are_executable(name: str) -> None:
    assert (ROOT / "deploy" / "container" / name).stat().st_mode & 0o111


def test_versions_of_extras_are_locked() -> None:
    locked = (ROOT / "requirements-dev.lock").read_text("utf-8").lower()
    for package in ("redis==", "opentelemetry-sdk==", "opentelemetry-exporter-otlp-proto-http=="):
        assert f"\n{package}" in locked
