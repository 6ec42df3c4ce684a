"""What a call is made with: who holds the run, what goes out, what came back."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from gateway.catalog import CatalogTool, Usable
from gateway.connectors.api import Outcome, UpstreamError
from gateway.sandbox.api import Call
from gateway.services.allowance import Allowance
from gateway.services.leases import Lease
from gateway.services.lookup import Upstream
from gateway.services.replay import Replay
from gateway.services.tally import Tally
from policy.decision import DENY, Decision
from policy.principal import Principal
from policy.sandbox import SCRIPT

UNDECIDED = Decision(DENY, ())


@dataclass(frozen=True, slots=True)
class Holder:
    """The run in whose name calls are made, as claimed by this worker."""

    run_id: int
    run: str
    epoch: int
    principal: Principal
    submitted_by: str
    usable: Usable
    upstream: Upstream
    replay: Replay
    lease: Lease
    mode: str = SCRIPT
    needs_gvisor: Callable[[str], bool] = lambda _: False
    """Tools that are withheld, where the script has no kernel of its own."""
    language: str = ""
    tally: Tally = field(default_factory=Tally)
    allowance: Allowance = field(default_factory=Allowance)


@dataclass(frozen=True, slots=True)
class Step:
    """One call with what is known about it on the way."""

    call: Call
    digest: str
    tool: CatalogTool | None
    at: datetime
    decision: Decision = UNDECIDED


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A call that the server did not answer."""

    error: UpstreamError
    seconds: float


Answer = Outcome | Unanswered
