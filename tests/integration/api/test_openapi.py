"""The OpenAPI document, as a validator that is not the generator's reads it."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from openapi_spec_validator import OpenAPIV30SpecValidator

from policy import documents
from tests.builders.identity import make_team, make_user
from tests.builders.policy import make_version
from tests.integration.test_scope_matrix import routes


@pytest.fixture
def document(db: None) -> dict[str, Any]:
    client = Client()
    client.force_login(make_user("reader"))
    response = client.get("/api/v1/schema/?format=json")
    assert response.status_code == 200
    found: dict[str, Any] = json.loads(response.content)
    return found


def test_the_document_is_valid(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.0.")
    errors = OpenAPIV30SpecValidator(document).iter_errors()
    assert [f"{list(error.absolute_path)}: {error.message}" for error in errors] == []


def test_the_document_is_made_without_a_warning(tmp_path: Path) -> None:
    # Two parts of one name, for instance, would be one part in the document.
    call_command("spectacular", "--fail-on-warn", "--file", str(tmp_path / "api.yaml"))


def test_the_document_has_every_route_and_method(document: dict[str, Any]) -> None:
    described = {
        (path.count("/"), method)
        for path, operations in document["paths"].items()
        for method in operations
    }
    served = {
        (route.path.count("/"), route.method)
        for route in routes()
        if route.name != "api_schema"
    }
    assert served <= described
    operations = sum(
        method in ("get", "post", "put", "patch", "delete")
        for found in document["paths"].values()
        for method in found
    )
    assert operations == len([one for one in routes() if one.name != "api_schema"])


def test_the_exported_rules_are_as_described(
    document: dict[str, Any], client: Client
) -> None:
    make_version({"id": "no", "effect": "deny"})
    client.force_login(make_user("erin", (make_team(), "admin")))
    exported = client.get("/api/v1/policy/export/")
    answer = document["paths"]["/api/v1/policy/export/"]["get"]["responses"]["200"]
    (kind,) = answer["content"]
    assert exported.headers["Content-Type"].startswith(kind)
    name = answer["content"][kind]["schema"]["$ref"].rpartition("/")[2]
    schema = document["components"]["schemas"][name]
    assert (schema["type"], schema["required"]) == ("object", ["rules"])
    assert documents.read(exported.content.decode()) == [
        {"id": "no", "mode": "enforce", "effect": "deny"}
    ]
