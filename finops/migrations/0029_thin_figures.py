"""Sums by team, server and tool alone, and indexes of each level."""

from django.db import migrations, models

# Sums and sketches are made again by beat, with what they now hold.
EMPTY = (
    "DELETE FROM finops_dayfigures; DELETE FROM finops_daysketch; "
    "DELETE FROM finops_dirtyday; DELETE FROM finops_rollupstate"
)


class Migration(migrations.Migration):

    dependencies = [
        ("finops", "0028_pause_budgets"),
    ]

    operations = [
        migrations.RunSQL(EMPTY, EMPTY),
        migrations.RemoveIndex(model_name="dayfigures", name="dayfig_whole"),
        migrations.RemoveIndex(model_name="dayfigures", name="dayfig_server"),
        migrations.RemoveIndex(model_name="dayfigures", name="dayfig_tool"),
        migrations.AddField(
            model_name="dayfigures",
            name="thin",
            field=models.BooleanField(default=False),
            preserve_default=False,
        ),
        migrations.AddIndex(
            model_name="dayfigures",
            index=models.Index(
                condition=models.Q(("thin", True)), fields=["day"], name="dayfig_thin"
            ),
        ),
        migrations.AddIndex(
            model_name="dayfigures",
            index=models.Index(
                condition=models.Q(("server", ""), ("thin", False)),
                fields=["day"],
                name="dayfig_whole",
            ),
        ),
        migrations.AddIndex(
            model_name="dayfigures",
            index=models.Index(
                condition=models.Q(
                    ("thin", False),
                    models.Q(("server", ""), _negated=True),
                    ("tool", ""),
                ),
                fields=["day"],
                name="dayfig_server",
            ),
        ),
        migrations.AddIndex(
            model_name="dayfigures",
            index=models.Index(
                condition=models.Q(
                    ("thin", False), models.Q(("tool", ""), _negated=True)
                ),
                fields=["day"],
                name="dayfig_tool",
            ),
        ),
    ]
