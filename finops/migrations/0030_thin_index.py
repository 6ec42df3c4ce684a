"""An index of the fewest sums: those that most reports read."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("finops", "0029_thin_figures"),
    ]

    operations = [
        migrations.AddIndex(
            model_name='dayfigures',
            index=models.Index(condition=models.Q(('server', ''), ('thin', True)), fields=['day'], name='dayfig_thin_whole'),
        ),
    ]
