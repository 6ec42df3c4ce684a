"""The reading half of ``benchmarks.audit``: sealing, verification, proofs."""

import os
import sys
import time

import django

from benchmarks.figures import show, spread

PROOFS = 50


def main(rows: int) -> None:
    """Fill the trail up, then seal, verify and prove; one JSON line each."""
    _fill(rows)
    sealer, sealed, began = sealing.sealer(), 0, time.monotonic()
    while one := sealer.seal(at=now()):
        sealed += one
    show("audit_sealing", rows=sealed, rows_per_second=_rate(sealed, began))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE audit_event, audit_leaf")
    cpu, began = time.process_time(), time.monotonic()
    report = verification.verify_whole(verification.basis(), at=now())
    assert report.verdict("integrity") == "passed", report.findings
    used = time.process_time() - cpu
    show(
        "audit_verification",
        rows=report.events,
        rows_per_second=_rate(report.events, began),
        rows_per_cpu_second=round(report.events / used),
    )
    samples = []
    for event in Event.objects.order_by("?")[:PROOFS]:
        began = time.monotonic()
        tree.prove(event)
        samples.append((time.monotonic() - began) * 1000)
    show("audit_proof", **spread(samples))


def _fill(rows: int) -> None:
    """Copies of the events there are, as different leaves."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO audit_event SELECT (jsonb_populate_record(model, "
            "jsonb_build_object('id', nextval('audit_event_id_seq'), 'uid', uid || n, "
            "'xid', pg_current_xact_id()::text, 'at', now(), 'body', "
            "replace(body, uid, uid || n)))).* "
            "FROM audit_event AS model, generate_series(1, %s) AS n "
            "WHERE model.id > (SELECT max(id) - 1000 FROM audit_event)",
            [max(rows // 1000, 1)],
        )


def _rate(rows: int, began: float) -> int:
    return round(rows / (time.monotonic() - began))


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()

    from django.db import connection

    from audit import tree
    from audit.models import Event
    from audit.services import sealing, verification
    from core.clock import now

    main(int(sys.argv[1]))
