"""PostgreSQL refuses every change to the rows of audit_event."""

from django.db import migrations

from core.immutable import append_only


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]
    operations = [append_only("audit_event")]
