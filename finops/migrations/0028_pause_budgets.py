"""A budget may rest: it counts on and refuses nothing."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('finops', '0027_unrated_notices'),
    ]

    operations = [
        migrations.AddField(
            model_name='budget',
            name='paused',
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]
