"""Retention: legal holds, exports, tombstones, and the one way to drop a month."""

from django.db import migrations, models

from core.immutable import append_only

# It runs with the owner's rights and checks everything itself, whoever calls it.
_DROP = """
CREATE FUNCTION audit_drop_month(
  wanted date, keep_months integer, said_by text, because text, signed text
) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp SET timezone = 'UTC' SET lock_timeout = '5s'
AS $$
DECLARE
  v_month timestamptz := date_trunc('month', wanted::timestamptz);
  v_until timestamptz := v_month + interval '1 month';
  v_name text := to_char(v_month, 'YYYY-MM');
  v_part text := 'audit_event_p' || to_char(v_month, 'YYYY_MM');
  v_events bigint;
  v_sealed bigint;
  v_first bigint;
  v_last bigint;
  v_leaves text;
  v_export audit_export%ROWTYPE;
  v_who text;
BEGIN
  IF NOT EXISTS (SELECT FROM pg_inherits WHERE inhparent = 'audit_event'::regclass
      AND inhrelid = to_regclass('public.' || v_part)) THEN
    RAISE EXCEPTION 'there is no partition of %', v_name;
  END IF;
  IF keep_months IS NULL OR keep_months < 1
      OR v_until + make_interval(months => keep_months) > now() THEN
    RAISE EXCEPTION '% has to be kept for % months after its end', v_name, keep_months;
  END IF;
  IF coalesce(btrim(said_by), '') = '' OR coalesce(btrim(because), '') = '' THEN
    RAISE EXCEPTION 'say who drops %, and why', v_name;
  END IF;
  SELECT title INTO v_who FROM audit_hold WHERE lifted_at IS NULL
    AND first <= v_month::date AND (last IS NULL OR last >= v_month::date) LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION '% is under the legal hold "%"', v_name, v_who;
  END IF;
  EXECUTE format('LOCK TABLE public.%I IN SHARE MODE', v_part);
  EXECUTE format($q$
    SELECT count(*), count(l.index), min(l.index), max(l.index), encode(sha256(
      coalesce(string_agg(l.hash, ''::bytea ORDER BY l.index), ''::bytea)), 'hex')
    FROM public.%I e LEFT JOIN audit_leaf l ON l.event_id = e.id $q$, v_part)
    INTO v_events, v_sealed, v_first, v_last, v_leaves;
  IF v_sealed < v_events THEN
    RAISE EXCEPTION '% of % events of % are not sealed', v_events - v_sealed, v_events,
      v_name;
  END IF;
  IF v_last >= coalesce((SELECT max(size) FROM audit_checkpoint), 0) THEN
    RAISE EXCEPTION 'no checkpoint covers all events of %', v_name;
  END IF;
  SELECT name INTO v_who FROM audit_sink WHERE enabled AND cursor <= v_last LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'sink % has not been given all events of %', v_who, v_name;
  END IF;
  SELECT * INTO v_export FROM audit_export WHERE month = v_month::date
    ORDER BY id DESC LIMIT 1;
  IF NOT FOUND OR v_export.events <> v_events OR v_export.leaves <> v_leaves THEN
    RAISE EXCEPTION '% is not exported as it is now', v_name;
  END IF;
  IF position(v_leaves in signed) = 0 OR position(v_export.sha256 in signed) = 0
      OR position(v_name in signed) = 0 THEN
    RAISE EXCEPTION 'the tombstone that was signed is not that of %', v_name;
  END IF;
  INSERT INTO audit_tombstone (month, events, first_index, last_index, leaves,
    export_file, export_sha256, at, by, reason, note)
  VALUES (v_month::date, v_events, v_first, v_last, v_leaves, v_export.file,
    v_export.sha256, now(), said_by, because, signed);
  EXECUTE format('DROP TABLE public.%I', v_part);
  RETURN v_events;
END $$;
REVOKE ALL ON FUNCTION audit_drop_month(date, integer, text, text, text) FROM PUBLIC;
"""
_BACK = "DROP FUNCTION audit_drop_month(date, integer, text, text, text);"


class Migration(migrations.Migration):

    dependencies = [
        ('audit', '0007_explorer'),
    ]

    operations = [
        migrations.CreateModel(
            name='Hold',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('title', models.CharField(max_length=100)),
                ('reason', models.CharField(max_length=400)),
                ('first', models.DateField()),
                ('last', models.DateField(null=True)),
                ('set_by', models.CharField(max_length=200)),
                ('set_at', models.DateTimeField()),
                ('lifted_by', models.CharField(blank=True, max_length=200)),
                ('lifted_at', models.DateTimeField(null=True)),
                ('lifted_because', models.CharField(blank=True, max_length=400)),
            ],
        ),
        migrations.CreateModel(
            name='MonthExport',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('month', models.DateField(db_index=True)),
                ('file', models.CharField(max_length=400)),
                ('sha256', models.CharField(max_length=64)),
                ('bytes', models.BigIntegerField()),
                ('events', models.BigIntegerField()),
                ('leaves', models.CharField(max_length=64)),
                ('at', models.DateTimeField()),
                ('by', models.CharField(max_length=200)),
            ],
            options={
                'db_table': 'audit_export',
            },
        ),
        migrations.CreateModel(
            name='Tombstone',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('month', models.DateField(unique=True)),
                ('events', models.BigIntegerField()),
                ('first_index', models.BigIntegerField(null=True)),
                ('last_index', models.BigIntegerField(null=True)),
                ('leaves', models.CharField(max_length=64)),
                ('export_file', models.CharField(max_length=400)),
                ('export_sha256', models.CharField(max_length=64)),
                ('at', models.DateTimeField()),
                ('by', models.CharField(max_length=200)),
                ('reason', models.CharField(max_length=400)),
                ('note', models.TextField()),
            ],
        ),
        append_only("audit_export"),
        append_only("audit_tombstone"),
        migrations.RunSQL(_DROP, _BACK),
    ]
