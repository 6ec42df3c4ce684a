"""Budgets: terms, versions, uses, holds, refusals and alerts."""

import django.db.models.deletion
from decimal import Decimal
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('finops', '0014_usage_key'),
        ('policy', '0010_grant_record'),
    ]

    operations = [
        migrations.CreateModel(
            name='Budget',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('uid', models.CharField(max_length=40, unique=True)),
                ('name', models.CharField(max_length=100)),
                ('model', models.CharField(blank=True, max_length=100)),
                ('period', models.CharField(choices=[('month', 'Calendar month'), ('custom', 'Days of its own')], max_length=10)),
                ('first_day', models.DateField(null=True)),
                ('last_day', models.DateField(null=True)),
                ('every_days', models.PositiveIntegerField(null=True)),
                ('amount', models.DecimalField(decimal_places=12, max_digits=28)),
                ('thresholds', models.JSONField(default=list)),
                ('hard', models.BooleanField(default=False)),
                ('grace_amount', models.DecimalField(decimal_places=12, max_digits=28, null=True)),
                ('grace_percent', models.DecimalField(decimal_places=2, max_digits=7, null=True)),
                ('grace_until', models.DateTimeField(null=True)),
                ('reserve', models.DecimalField(decimal_places=12, max_digits=28, null=True)),
                ('expected', models.DecimalField(decimal_places=12, max_digits=28)),
                ('version', models.PositiveIntegerField(default=1)),
                ('created_at', models.DateTimeField()),
                ('changed_at', models.DateTimeField()),
                ('removed_at', models.DateTimeField(null=True)),
                ('channels', models.ManyToManyField(related_name='budgets', to='policy.notificationchannel')),
                ('key', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='budgets', to='policy.apikey')),
                ('project', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='budgets', to='policy.project')),
                ('team', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='budgets', to='policy.team')),
            ],
        ),
        migrations.CreateModel(
            name='BudgetAlert',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('uid', models.CharField(max_length=40, unique=True)),
                ('window_start', models.DateTimeField()),
                ('kind', models.CharField(choices=[('threshold', 'Threshold crossed'), ('stopped', 'Hard stop reached'), ('forecast', 'Forecast passes the budget'), ('anomaly', 'Unusual day')], max_length=10)),
                ('about', models.CharField(blank=True, max_length=20)),
                ('at', models.DateTimeField()),
                ('text', models.CharField(max_length=400)),
                ('figures', models.JSONField(default=dict)),
                ('budget', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='alerts', to='finops.budget')),
            ],
        ),
        migrations.CreateModel(
            name='BudgetHold',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('holder', models.CharField(max_length=80)),
                ('window_start', models.DateTimeField()),
                ('amount', models.DecimalField(decimal_places=12, max_digits=28)),
                ('at', models.DateTimeField()),
                ('expires_at', models.DateTimeField(null=True)),
                ('budget', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='holds', to='finops.budget')),
            ],
        ),
        migrations.CreateModel(
            name='BudgetRefusal',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField()),
                ('principal', models.CharField(max_length=200)),
                ('team', models.CharField(max_length=40)),
                ('key', models.CharField(blank=True, max_length=11)),
                ('tool', models.CharField(blank=True, max_length=200)),
                ('run', models.CharField(blank=True, max_length=40)),
                ('asked', models.DecimalField(decimal_places=12, max_digits=28)),
                ('left', models.DecimalField(decimal_places=12, max_digits=28)),
                ('event', models.CharField(max_length=40)),
                ('budget', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='refusals', to='finops.budget')),
            ],
        ),
        migrations.CreateModel(
            name='BudgetUse',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('window_start', models.DateTimeField()),
                ('window_end', models.DateTimeField()),
                ('spent', models.DecimalField(db_default=0, decimal_places=12, max_digits=28)),
                ('held', models.DecimalField(db_default=0, decimal_places=12, max_digits=28)),
                ('limit', models.DecimalField(decimal_places=12, max_digits=28, null=True)),
                ('corrections', models.PositiveIntegerField(db_default=0)),
                ('reconciled_at', models.DateTimeField(null=True)),
                ('budget', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='uses', to='finops.budget')),
            ],
        ),
        migrations.CreateModel(
            name='BudgetVersion',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField()),
                ('at', models.DateTimeField()),
                ('actor', models.CharField(max_length=200)),
                ('reason', models.CharField(max_length=400)),
                ('amount', models.DecimalField(decimal_places=12, max_digits=28)),
                ('terms', models.JSONField()),
                ('budget', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='terms', to='finops.budget')),
            ],
        ),
        migrations.AddConstraint(
            model_name='budget',
            constraint=models.UniqueConstraint(condition=models.Q(('removed_at', None)), fields=('name',), name='budget_name_once'),
        ),
        migrations.AddConstraint(
            model_name='budget',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('every_days', None), ('first_day', None), ('period', 'month')), models.Q(('first_day__isnull', False), ('period', 'custom')), _connector='OR'), name='budget_days_of_period'),
        ),
        migrations.AddConstraint(
            model_name='budget',
            constraint=models.CheckConstraint(condition=models.Q(('amount__gte', 0)), name='budget_not_negative'),
        ),
        migrations.AddConstraint(
            model_name='budget',
            constraint=models.CheckConstraint(condition=models.Q(('expected__gte', Decimal('0.000001')), models.Q(('reserve', None), ('reserve__gte', Decimal('0.000001')), _connector='OR')), name='budget_reserves_something'),
        ),
        migrations.AddConstraint(
            model_name='budget',
            constraint=models.CheckConstraint(condition=models.Q(('grace_amount', None), ('grace_percent', None), _connector='OR'), name='budget_one_grace'),
        ),
        migrations.AddConstraint(
            model_name='budgetalert',
            constraint=models.UniqueConstraint(fields=('budget', 'window_start', 'kind', 'about'), name='budget_alert_once'),
        ),
        migrations.AddIndex(
            model_name='budgethold',
            index=models.Index(condition=models.Q(('expires_at__isnull', False)), fields=['expires_at'], name='budget_hold_expires'),
        ),
        migrations.AddConstraint(
            model_name='budgethold',
            constraint=models.UniqueConstraint(fields=('holder', 'budget'), name='budget_hold_once'),
        ),
        migrations.AddIndex(
            model_name='budgetrefusal',
            index=models.Index(fields=['budget', '-id'], name='budget_refusal'),
        ),
        migrations.AddConstraint(
            model_name='budgetuse',
            constraint=models.UniqueConstraint(fields=('budget', 'window_start'), name='budget_use_once'),
        ),
        migrations.AddConstraint(
            model_name='budgetuse',
            constraint=models.CheckConstraint(condition=models.Q(('held__gte', 0)), name='budget_use_held_something'),
        ),
        migrations.AddConstraint(
            model_name='budgetversion',
            constraint=models.UniqueConstraint(fields=('budget', 'number'), name='budget_version_once'),
        ),
    ]
