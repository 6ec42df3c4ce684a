"""PostgreSQL refuses every change to the rows of finops_usageevent."""

from django.db import migrations

from core.immutable import append_only


class Migration(migrations.Migration):
    dependencies = [("finops", "0001_initial")]
    operations = [append_only("finops_usageevent")]
