"""Budgets know what their window will have cost at its end."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('finops', '0022_annotations'),
    ]

    operations = [
        migrations.AddField(
            model_name='budgetuse',
            name='forecast',
            field=models.DecimalField(decimal_places=12, max_digits=28, null=True),
        ),
        migrations.AddField(
            model_name='budgetuse',
            name='forecast_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='budgetuse',
            name='forecast_high',
            field=models.DecimalField(decimal_places=12, max_digits=28, null=True),
        ),
        migrations.AddField(
            model_name='budgetuse',
            name='forecast_low',
            field=models.DecimalField(decimal_places=12, max_digits=28, null=True),
        ),
        migrations.AddField(
            model_name='budgetuse',
            name='forecast_note',
            field=models.CharField(blank=True, db_default='', max_length=100),
        ),
    ]
