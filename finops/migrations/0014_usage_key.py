"""Quantities say which API key they were used with."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("finops", "0013_take_cut")]

    operations = [
        migrations.AddField(
            model_name='usageevent',
            name='key',
            field=models.CharField(blank=True, db_default='', max_length=11),
        ),
    ]
