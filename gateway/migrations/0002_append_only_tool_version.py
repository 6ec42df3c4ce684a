"""PostgreSQL refuses every change to the rows of gateway_toolversion."""

from django.db import migrations

from core.immutable import append_only


class Migration(migrations.Migration):
    dependencies = [("gateway", "0001_initial")]
    operations = [append_only("gateway_toolversion")]
