"""The manifests parse, name what exists, and give away nothing that they need not."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.sandbox.levels import KINDS

FOLDER = Path(__file__).resolve().parents[3] / "deploy" / "kubernetes"
RUNNERS = ("runner-in-gvisor.yaml", "runner-with-runsc.yaml")


def load(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((FOLDER / name).read_text()))


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda p: p.name)
def test_every_manifest_is_one_object(path: Path) -> None:
    assert {"apiVersion", "kind", "metadata"} <= load(path.name).keys()


@pytest.mark.parametrize("name", RUNNERS)
def test_a_runner_has_no_rights_it_does_not_need(name: str) -> None:
    pod = load(name)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert not [volume for volume in pod["volumes"] if "hostPath" in volume]
    rights = container["securityContext"]
    assert rights["allowPrivilegeEscalation"] is False
    assert rights["capabilities"] == {"drop": ["ALL"]}
    assert "privileged" not in rights
    assert {"cpu", "memory"} <= container["resources"]["limits"].keys()


@pytest.mark.parametrize("name", RUNNERS)
def test_a_runner_admits_a_kind_that_exists_and_names_no_secret(name: str) -> None:
    (container,) = load(name)["spec"]["template"]["spec"]["containers"]
    values = {item["name"]: item["value"] for item in container["env"]}
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
