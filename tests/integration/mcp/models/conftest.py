"""A model server that the web process of the stack may reach."""

from collections.abc import Iterator

import openai
import pytest

from core.clock import now
from gateway.services import model_servers
from gateway.services.model_servers import Settings
from tests.builders.finops import make_price
from tests.builders.identity import ACTOR, make_account, make_key, make_team
from tests.integration.mcp.world import World
from tests.model_server import ODD, SECRET, ModelServerOnLoopback, model_server


@pytest.fixture(scope="package")
def server(world: World) -> Iterator[ModelServerOnLoopback]:
    """A model server that the web process of the stack may reach."""
    with model_server() as made, pytest.MonkeyPatch.context() as patch:
        patch.setattr("django.conf.settings.WEBHOOK_PRIVATE_HOSTS", ["127.0.0.1"])
        with world.stack.database():
            model_servers.add_model_server(
                name="local",
                wanted=Settings(
                    url=made.url,
                    provider="acme",
                    offered={"orchid": "orchid-large", **{name: name for name in ODD}},
                    timeout_seconds=2,
                    secrets={"Authorization": f"Bearer {SECRET}"},
                ),
                actor=ACTOR,
                at=now(),
            )
            make_price("model/acme/orchid/*", "0.001")
        yield made


@pytest.fixture(scope="package")
def key(world: World) -> str:
    with world.stack.database():
        account = make_account(make_team("sales"))
        granted = ["models:use", "costs:write", "runs:execute", "tools:*"]
        return make_key(account, name="models", scopes=granted).text


@pytest.fixture
def client(
    world: World, server: ModelServerOnLoopback, key: str
) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        api_key=key, base_url=f"{world.stack.url}/v1", max_retries=0
    ) as made:
        yield made
