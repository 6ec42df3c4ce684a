"""Deployments and notes on the time line of the reports."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("finops", "0021_tool_units"),
    ]

    operations = [
        migrations.CreateModel(
            name="Annotation",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
                ("uid", models.CharField(max_length=40, unique=True)),
                ("at", models.DateTimeField()),
                (
                    "kind",
                    models.CharField(
                        choices=[("deployment", "Deployment"), ("note", "Note")],
                        max_length=12,
                    ),
                ),
                ("text", models.CharField(max_length=200)),
                ("team", models.CharField(blank=True, max_length=40)),
                ("link", models.CharField(blank=True, max_length=500)),
                ("external_id", models.CharField(blank=True, max_length=120)),
                ("author", models.CharField(max_length=160)),
                ("author_label", models.CharField(max_length=200)),
                ("created_at", models.DateTimeField()),
            ],
            options={
                "indexes": [models.Index(fields=["at", "id"], name="annotation_at")],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("external_id", ""), _negated=True),
                        fields=("team", "external_id"),
                        name="annotation_once",
                    )
                ],
            },
        ),
    ]
