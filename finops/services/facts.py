"""Records the fact of a finished run, once."""

from django.db import connection
from django.db.models import AutoField

from core.prepared import prepared_cursor
from finops.models import RunFact

_FIELDS = [
    field for field in RunFact._meta.concrete_fields if not isinstance(field, AutoField)
]
_INSERT = (
    f"INSERT INTO {RunFact._meta.db_table} "  # noqa: S608 - the model's own names
    f"({', '.join(field.attname for field in _FIELDS)}) "
    f"VALUES ({', '.join(f'%s::{field.db_type(connection)}' for field in _FIELDS)}) "
    "ON CONFLICT (run) DO NOTHING"
)


def record_run(*, fact: RunFact) -> bool:
    """Save ``fact`` in the running transaction; False when the run has one already."""
    values = [
        field.get_db_prep_save(getattr(fact, field.attname), connection)
        for field in _FIELDS
    ]
    with prepared_cursor() as cursor:
        cursor.execute(_INSERT, values)
        return bool(cursor.rowcount == 1)
