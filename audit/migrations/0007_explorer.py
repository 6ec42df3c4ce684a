"""Indexes in the order of the explorer's pages, words to search by, saved views.

Pages go by (at, id). Random ids are found by a Bloom filter for each range of pages,
which costs an insert next to nothing; words by ``audit_words``, see ADR 0016.
"""

from django.db import migrations, models
from django.db.migrations.operations.base import Operation

_WORDS = """
CREATE FUNCTION audit_words(words text) RETURNS tsvector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT to_tsvector('simple',
    translate(words, '!"#$%&''()*+,-./:;<=>?@[\\]^_`{|}~', repeat(' ', 32)))
$$;
CREATE INDEX event_words ON audit_event
  USING gin (audit_words(summary || ' ' || actor_label))
  WITH (gin_pending_list_limit = 512);
CREATE INDEX event_ids ON audit_event USING brin (
  request_id text_bloom_ops (n_distinct_per_range = 200),
  trace_id text_bloom_ops (n_distinct_per_range = 200),
  key text_bloom_ops (n_distinct_per_range = 50)
) WITH (pages_per_range = 64, autosummarize = on);
"""
_NO_WORDS = """
DROP INDEX event_ids;
DROP INDEX event_words;
DROP FUNCTION audit_words(text);
"""
_TEXT = "varchar_pattern_ops"


def _newest(
    name: str, *fields: str, text: bool = False, condition: models.Q | None = None
) -> Operation:
    """An index whose rows stand newest first; ``text``: found by their start too."""
    opclasses = [_TEXT, "timestamptz_ops", "int8_ops"] if text else []
    return migrations.AddIndex(
        "event",
        models.Index(
            fields=[*fields, "-at", "-id"],
            name=name,
            opclasses=opclasses,
            condition=condition,
        ),
    )


class Migration(migrations.Migration):
    dependencies = [("audit", "0006_sinks")]
    operations = [
        *(
            migrations.RemoveIndex("event", name)
            for name in (
                "event_at",
                "event_name",
                "event_actor",
                "event_team",
                "event_tgt",
                "event_deny",
            )
        ),
        _newest("event_at"),
        _newest("event_name", "name", text=True),
        _newest("event_actor", "actor_id", text=True),
        _newest("event_team", "team"),
        _newest("event_tool", "tool", text=True, condition=models.Q(tool__gt="")),
        _newest(
            "event_tgt",
            "target_id",
            condition=~models.Q(target_id=models.F("tool")),
        ),
        _newest("event_deny", condition=models.Q(decision="deny")),
        migrations.RunSQL(_WORDS, _NO_WORDS),
        migrations.CreateModel(
            "SavedView",
            [
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
                ("name", models.CharField(max_length=60)),
                ("owner", models.CharField(max_length=160)),
                ("query", models.CharField(max_length=2000)),
                ("shared", models.BooleanField(default=False)),
                ("created_at", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=["owner", "name"], name="view_of_an_owner"
                    )
                ]
            },
        ),
    ]
