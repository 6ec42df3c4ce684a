"""A stateful fuzz of the REST API: no server error, and answers as its document says.

``make fuzz`` runs it for ten minutes, or ``MINUTES=3 make fuzz``.
"""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client
from pytest_django.plugin import DjangoDbBlocker

from gateway.models import Server
from policy import scopes
from tests.builders.catalog import make_grant
from tests.builders.identity import make_account, make_key, make_team
from tests.builders.world import make_world
from tests.stack import Stack, folder, own_database, own_redis

SECONDS = int(os.environ.get("TOLLGATE_FUZZ_SECONDS", "60"))
CHECKS = (
    "not_a_server_error,response_schema_conformance,"
    "content_type_conformance,response_headers_conformance"
)
_TOKEN = "a" * 32
_STATUS = re.compile(r'"status_code":\s*(\d+)')
# A key that revokes itself would see nothing more; people try it as well.
_SUICIDE = "/api/v1/keys/{id}/revoke/"


@pytest.fixture(scope="module")
def stack(django_db_blocker: DjangoDbBlocker) -> Iterator[Stack]:
    """The web process alone: nothing that is queued or to be delivered goes out."""
    with (
        folder("fuzz") as data_dir,
        own_database(settings.DATABASE_URL, "fuzz") as database_url,
    ):
        made = Stack(
            data_dir,
            database_url,
            own_redis(settings.REDIS_URL),
            blocker=django_db_blocker,
        )
        try:
            made.migrate()
            made.start("web")
            made.wait_ready()
            yield made
        finally:
            made.stop()


@pytest.fixture(scope="module")
def callers(stack: Stack) -> dict[str, list[str]]:
    """Headers of an administrator's session, and of a key with every scope."""
    with stack.database():
        world = make_world()
        make_grant(make_team("sales"), Server.objects.get(name="crm"))
        client = Client()
        client.force_login(world["admin"])
        session = client.cookies[settings.SESSION_COOKIE_NAME].value
        held = [f"{area}:*" for area in scopes.AREAS]
        key = make_key(make_account(make_team("sales")), scopes=held).text
    cookies = f"{settings.SESSION_COOKIE_NAME}={session}; csrftoken={_TOKEN}"
    return {
        "person": [f"Cookie: {cookies}", f"X-CSRFToken: {_TOKEN}"],
        "key": [f"Authorization: Bearer {key}"],
    }


@pytest.fixture(scope="module")
def document(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The API's document without its ways to sign in: else they would be fuzzed too."""
    place = tmp_path_factory.mktemp("fuzz") / "api.json"
    stack.run(
        *(sys.executable, "manage.py", "spectacular"),
        *("--format", "openapi-json", "--file", str(place)),
    )
    found = json.loads(place.read_text())
    found["components"].pop("securitySchemes")
    for operations in found["paths"].values():
        for operation in operations.values():
            operation.pop("security", None)
    place.write_text(json.dumps(found))
    return place


@pytest.mark.slow
@pytest.mark.parametrize("phases", ["coverage,fuzzing", "stateful"])
@pytest.mark.parametrize("who", ["person", "key"])
def test_answers_are_as_the_document_says(
    who: str,
    phases: str,
    stack: Stack,
    document: Path,
    callers: dict[str, list[str]],
    tmp_path: Path,
) -> None:
    report, trail = tmp_path / "report.json", tmp_path / "trail.ndjson"
    command = [
        str(Path(sys.executable).parent / "st"),
        "run",
        str(document),
        f"--url={stack.url}",
        f"--checks={CHECKS}",
        f"--max-time={max(SECONDS // 4, 5)}",
        f"--phases={phases}",
        "--continue-on-failure",
        "--suppress-health-check=all",
        "--request-timeout=30",
        f"--report-json-path={report}",
        f"--report-ndjson-path={trail}",
        "--warnings=off",
        f"--exclude-path={_SUICIDE}",
        *(f"--header={header}" for header in callers[who]),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, check=False
    )
    said = done.stdout[-20_000:] + done.stderr[-2_000:]
    assert done.returncode == 0, said
    assert "Traceback" not in stack.logs()
    cases = json.loads(report.read_text())["test_cases"]["generated"]
    answers = Counter(_STATUS.findall(trail.read_text()))
    print(f"{who}, {phases}: {cases} cases, {dict(answers)}")  # noqa: T201 - figures
    assert cases >= SECONDS // 4, said
    # It was let in, and some of what it sent made sense.
    assert answers["200"] + answers["201"] >= cases // 50, answers
    assert answers["401"] <= cases // 10, answers
