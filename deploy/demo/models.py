"""Offers the demo's model server: its models, their prices, tools for direct calls."""

from datetime import datetime
from decimal import Decimal

from audit.actor import SYSTEM
from deploy.demo.scripts.errands import ERRANDS, LARGE, MODELS, SMALL
from finops.model_usage import model_sku
from finops.models import Price
from finops.services.prices import set_price
from finops.services.reported import UNIT
from gateway.models import ModelServer, Tool
from gateway.services import catalog, model_servers

NAME, PROVIDER = "orchard", "orchard"
# Dollars for a million tokens.
PRICES = {
    LARGE: {
        "input": "2.50",
        "cached_read": "0.25",
        "output": "10.00",
        "reasoning": "10.00",
    },
    SMALL: {"input": "0.10", "cached_read": "0.01", "output": "0.40"},
}
_MILLION = 1_000_000


def offer(*, url: str, at: datetime) -> None:
    """Name the server at ``url``; what is there already is kept, but for its place."""
    wanted = model_servers.Settings(
        url=url,
        provider=PROVIDER,
        offered={name: name for name in MODELS},
        description="A sample model server; its answers are always the same",
    )
    known = ModelServer.objects.filter(name=NAME).first()
    if known is None:
        model_servers.add_model_server(name=NAME, wanted=wanted, actor=SYSTEM, at=at)
    elif known.url != url:
        model_servers.change_model_server(name=NAME, wanted=wanted, actor=SYSTEM, at=at)
    model_servers.try_model_server(name=NAME, actor=SYSTEM, at=at)
    _prices(at)
    _direct(at)


def _prices(at: datetime) -> None:
    for model, kinds in PRICES.items():
        for kind, amount in kinds.items():
            sku = model_sku(PROVIDER, model, kind)
            if not Price.objects.filter(sku=sku).exists():
                set_price(
                    sku=sku,
                    unit=UNIT,
                    amount=Decimal(amount) / _MILLION,
                    valid_from=at,
                    reason="Prices of the demo's models",
                    actor=SYSTEM,
                    at=at,
                )


def _direct(at: datetime) -> None:
    """List the tools of the errands as ordinary tools too."""
    names = {call.tool for errand in ERRANDS for call in errand.calls}
    for name in sorted(names):
        server, _, own = name.partition(".")
        tool = Tool.objects.get(server__name=server, name=own)
        if not tool.direct:
            catalog.set_direct(tool_id=tool.pk, direct=True, actor=SYSTEM, at=at)
