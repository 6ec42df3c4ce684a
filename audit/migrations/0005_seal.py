"""The tree over the trail: leaves, stored nodes, signed checkpoints, verifications."""

from django.db import migrations, models

from core.immutable import append_only


class Migration(migrations.Migration):
    dependencies = [("audit", "0004_partitions")]
    operations = [
        migrations.CreateModel(
            name="Leaf",
            fields=[
                ("index", models.BigIntegerField(primary_key=True, serialize=False)),
                ("event_id", models.BigIntegerField(unique=True)),
                ("event_at", models.DateTimeField()),
                ("hash", models.BinaryField()),
            ],
        ),
        migrations.CreateModel(
            name="TreeNode",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "level",
                        "index",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("level", models.SmallIntegerField()),
                ("index", models.BigIntegerField()),
                ("hash", models.BinaryField()),
            ],
        ),
        migrations.CreateModel(
            name="Checkpoint",
            fields=[
                ("size", models.BigIntegerField(primary_key=True, serialize=False)),
                ("root", models.BinaryField()),
                ("note", models.TextField()),
                ("at", models.DateTimeField(db_index=True)),
                ("horizon", models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name="Verification",
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
                ("kind", models.CharField(max_length=20)),
                ("started_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField()),
                ("first", models.BigIntegerField()),
                ("size", models.BigIntegerField()),
                ("sealed_at", models.DateTimeField(null=True)),
                ("events", models.BigIntegerField()),
                ("integrity", models.CharField(max_length=12)),
                ("completeness", models.CharField(max_length=12)),
                ("anchoring", models.CharField(max_length=12)),
                ("keys", models.JSONField()),
                ("findings", models.JSONField()),
                ("by", models.CharField(max_length=200)),
            ],
        ),
        append_only("audit_leaf"),
        append_only("audit_treenode"),
        append_only("audit_checkpoint"),
        append_only("audit_verification"),
    ]
