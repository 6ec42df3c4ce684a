"""The working half of ``benchmarks.exports``: fills a month, and exports it."""

import os
import resource
import sys
import time
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import django

from benchmarks.figures import show

MONTH = date(2026, 10, 1)
AFTER = datetime(2026, 11, 3, tzinfo=UTC)
# 31 days × 16 principals for each line of a statement: as fine as FOCUS rows are.
_DAYS, _PRINCIPALS = 31, 16
_FILL = """
INSERT INTO finops_usageevent (
  uid, at, kind, sku, unit, quantity, known, cost, currency, list_currency, price_id,
  run, task, server, tool, model, team, cost_centre, project, environment, principal,
  token_kind, reverses)
SELECT 'bench-' || n, timestamptz '2026-10-01 12:00+00' + day * interval '1 day',
  'tool_call', 'tool/crm.' || sku, 'Requests', n %% 1000 + 1, 'measured',
  (n %% 1000 + 1) * 0.0004, 'USD', '', %s, '', '', 'crm', 'crm.' || sku, '',
  'team-' || team, 'CC-' || team %% 50, 'default', 'prod',
  'sa:team-' || team || '/agent-' || principal, '', ''
FROM (
  SELECT n, n %% 31 AS day, n / 31 %% 16 AS principal, n / 496 %% 10 AS sku,
    n / 4960 AS team
  FROM generate_series(0, %s) AS n
) AS rows
"""


def fill(groups: int) -> None:
    """A closed month with so many usage groups, one rule splitting a tenth of them."""
    price = Price.objects.create(
        sku="tool/crm.*",
        unit="Requests",
        amount=Decimal("0.0004"),
        currency="USD",
        valid_from=datetime(2020, 1, 1, tzinfo=UTC),
        known_from=datetime(2020, 1, 1, tzinfo=UTC),
        source="bench",
    )
    began = time.monotonic()
    with connection.cursor() as cursor:
        cursor.execute(_FILL, [price.pk, groups - 1])
        cursor.execute("ANALYZE finops_usageevent")
    filled, began = time.monotonic() - began, time.monotonic()
    period = build(month=MONTH, actor=SYSTEM, at=AFTER)
    lines = StatementLine.objects.filter(statement__period=period).count()
    show(
        "chargeback_build",
        groups=groups,
        lines=lines,
        fill_seconds=round(filled, 1),
        build_seconds=round(time.monotonic() - began, 1),
    )


def export(form: str, output: Path) -> None:
    """One export of the month; one JSON line."""
    cpu, began = time.process_time(), time.monotonic()
    output = output.with_suffix(".zip") if form.startswith("focus") else output
    write_month(month=MONTH, form=form, output=output, actor=SYSTEM, at=AFTER)
    seconds = time.monotonic() - began
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM finops_usageevent")
        rows = cursor.fetchone()[0]
    show(
        "chargeback_export",
        form=form,
        groups=rows,
        seconds=round(seconds, 1),
        cpu_seconds=round(time.process_time() - cpu, 1),
        groups_per_second=round(rows / seconds),
        peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        file_mb=round(output.stat().st_size / 1e6, 1),
    )


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    # Models can be loaded only once Django is set up.
    from django.db import connection

    from audit.actor import SYSTEM
    from finops.models import Price, StatementLine
    from finops.services.billing import build
    from finops.services.chargeback_exports import write_month

    if sys.argv[1] == "fill":
        fill(int(sys.argv[2]))
    else:
        export(sys.argv[1], Path(sys.argv[2]))
