"""Exchange rates, and the columns that say what a row was converted from."""

from django.db import migrations, models

_FORWARD = """
CREATE FUNCTION finops_keep_known() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND OLD.known_to IS NULL AND NEW.known_to IS NOT NULL
     AND (to_jsonb(NEW) - 'known_to') = (to_jsonb(OLD) - 'known_to') THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION '% on % is refused: end its knowledge and add a row', TG_OP,
    TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER finops_exchangerate_rows BEFORE UPDATE OR DELETE ON finops_exchangerate
  FOR EACH ROW EXECUTE FUNCTION finops_keep_known();
"""
_BACKWARD = """
DROP TRIGGER finops_exchangerate_rows ON finops_exchangerate;
DROP FUNCTION finops_keep_known();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('finops', '0009_closed_statements'),
    ]

    operations = [
        migrations.AddField(
            model_name='usageevent',
            name='list_cost',
            field=models.DecimalField(decimal_places=12, max_digits=28, null=True),
        ),
        migrations.AddField(
            model_name='usageevent',
            name='list_currency',
            field=models.CharField(blank=True, db_default='', max_length=3),
        ),
        migrations.AddField(
            model_name='usageevent',
            name='rate',
            field=models.DecimalField(decimal_places=12, max_digits=28, null=True),
        ),
        migrations.CreateModel(
            name='ExchangeRate',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('month', models.DateField()),
                ('currency', models.CharField(max_length=3)),
                ('base', models.CharField(max_length=3)),
                ('rate', models.DecimalField(decimal_places=12, max_digits=28)),
                ('source', models.CharField(max_length=100)),
                ('known_from', models.DateTimeField()),
                ('known_to', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'constraints': [models.UniqueConstraint(condition=models.Q(('known_to', None)), fields=('month', 'currency', 'base'), name='exchange_rate_known_once'), models.CheckConstraint(condition=models.Q(('rate__gt', 0)), name='exchange_rate_positive'), models.CheckConstraint(condition=models.Q(('month__day', 1)), name='exchange_rate_month')],
            },
        ),
        migrations.RunSQL(_FORWARD, _BACKWARD),
    ]
