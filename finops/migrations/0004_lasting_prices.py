"""PostgreSQL lets a price's knowledge end, and refuses every other change to it."""

from django.db import migrations

_FORWARD = """
CREATE FUNCTION finops_keep_price() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND OLD.known_to IS NULL AND NEW.known_to IS NOT NULL
     AND (to_jsonb(NEW) - 'known_to') = (to_jsonb(OLD) - 'known_to') THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION '% on finops_price is refused: end its knowledge and add a row', TG_OP
    USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER finops_price_rows BEFORE UPDATE OR DELETE ON finops_price
  FOR EACH ROW EXECUTE FUNCTION finops_keep_price();
"""
_BACKWARD = """
DROP TRIGGER finops_price_rows ON finops_price;
DROP FUNCTION finops_keep_price();
"""


class Migration(migrations.Migration):
    dependencies = [("finops", "0003_price_integrity")]
    operations = [migrations.RunSQL(_FORWARD, _BACKWARD)]
