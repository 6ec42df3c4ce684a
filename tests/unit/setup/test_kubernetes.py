"""The manifests parse, name what exists, and give away nothing that they need not."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from gateway.sandbox.levels import KINDS

FOLDER = Path(__file__).resolve().parents[3] / "deploy" / "kubernetes"
RUNNERS = ("runner-in-gvisor.yaml", "runner-with-runsc.yaml")


def documents(path: Path) -> list[dict[str, Any]]:
    return [dict(one) for one in yaml.safe_load_all(path.read_text())]


def load(name: str) -> dict[str, Any]:
    (only,) = documents(FOLDER / name)
    return only


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    """The name of each workload, and what its pods are."""
    for path in sorted(FOLDER.glob("*.yaml")):
        for one in documents(path):
            if "template" in one.get("spec", {}):
                metadata, pod = one["metadata"], one["spec"]["template"]["spec"]
                yield metadata.get("name") or metadata["generateName"], pod


PODS = list(pods())


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda p: p.name)
def test_every_manifest_is_what_kubernetes_takes(path: Path) -> None:
    for one in documents(path):
        kubernetes_validate.validate(one, "1.33", strict=True)
        if one["kind"] not in {"Namespace", "RuntimeClass"}:
            assert one["metadata"]["namespace"] == "tollgate"


def test_a_mistake_would_be_noticed() -> None:
    made = load("runner-with-runsc.yaml")
    made["spec"]["template"]["spec"]["hostUser"] = False
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(made, "1.33", strict=True)


@pytest.mark.parametrize(("name", "pod"), PODS, ids=[name for name, _ in PODS])
def test_every_pod_has_what_it_mounts_and_no_more_rights(
    name: str, pod: dict[str, Any]
) -> None:
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert not [one for one in volumes.values() if "hostPath" in one]
    # A group that may read is needed: the process is not root.
    assert volumes["secrets"]["secret"]["defaultMode"] == 0o440
    assert pod["securityContext"]["fsGroup"] == pod["securityContext"]["runAsGroup"]
    for container in [*pod["containers"], *pod.get("initContainers", ())]:
        rights = container["securityContext"]
        assert rights["allowPrivilegeEscalation"] is False
        assert rights["readOnlyRootFilesystem"] is True
        assert rights["capabilities"] == {"drop": ["ALL"]}
        assert "privileged" not in rights
        assert {"cpu", "memory"} <= container["resources"]["limits"].keys()
        assert {one["name"] for one in container["volumeMounts"]} <= volumes.keys()


def test_what_serves_says_whether_it_lives() -> None:
    for name, pod in PODS:
        (container,) = pod["containers"]
        if not name.startswith("tollgate-migrate") and name != "tollgate-beat":
            assert "livenessProbe" in container, name
    (web,) = dict(PODS)["tollgate-web"]["containers"]
    hosts = load("configuration.yaml")["data"]["TOLLGATE_ALLOWED_HOSTS"].split(",")
    for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = web[kind]["httpGet"]
        headers = {one["name"]: one["value"] for one in asked["httpHeaders"]}
        # Else production mode refuses it, or sends it to https.
        assert headers["Host"] in hosts
        assert headers["X-Forwarded-Proto"] == "https"
        assert asked["path"] in {"/healthz", "/readyz"}
    assert web["livenessProbe"]["httpGet"]["path"] == "/healthz"


def test_a_worker_s_probe_asks_for_the_name_it_has() -> None:
    for _, pod in PODS:
        (container,) = pod["containers"]
        if "celery" not in str(container.get("livenessProbe", {}).get("exec")):
            continue
        node = container["args"][container["args"].index("-n") + 1]
        asked = container["livenessProbe"]["exec"]["command"][-1]
        assert f"-d {node.replace('%h', '$HOSTNAME')} " in asked


def test_the_network_policies_select_what_there_is() -> None:
    policies = documents(FOLDER / "network-policy.yaml")
    everything, servers, sinks, web = policies
    assert everything["spec"]["ingress"] == []
    assert everything["spec"]["podSelector"]["matchLabels"] == {"app": "tollgate"}
    parts = set(servers["spec"]["podSelector"]["matchExpressions"][1]["values"])
    assert parts == {"web", "worker", "runner"}
    parts = set(sinks["spec"]["podSelector"]["matchExpressions"][1]["values"])
    assert parts == {"web", "deliverer"}
    assert web["spec"]["podSelector"]["matchLabels"]["part"] == "web"
    workloads, service = documents(FOLDER / "web.yaml")
    assert service["spec"]["selector"] == workloads["spec"]["selector"]["matchLabels"]


@pytest.mark.parametrize("name", RUNNERS)
def test_a_runner_admits_a_kind_that_exists_and_names_no_secret(name: str) -> None:
    (container,) = load(name)["spec"]["template"]["spec"]["containers"]
    shared = load("configuration.yaml")["data"]
    assert container["envFrom"] == [{"configMapRef": {"name": "tollgate"}}]
    values = shared | {item["name"]: item["value"] for item in container["env"]}
    assert values["TOLLGATE_MODE"] == "production"
    assert values["TOLLGATE_SANDBOX"] in KINDS
    assert container["args"][:3] == ["celery", "-A", "config"]
    for secret in ("TOLLGATE_SECRET_KEY", "DATABASE_URL", "REDIS_URL"):
        assert secret not in values
        assert values[f"{secret}_FILE"].startswith("/secrets/")


def test_the_pod_in_gvisor_asks_for_the_class_that_is_defined() -> None:
    pod = load("runner-in-gvisor.yaml")["spec"]["template"]["spec"]
    made = load("runtimeclass.yaml")
    assert pod["runtimeClassName"] == made["metadata"]["name"]
    assert made["handler"] == "runsc"
