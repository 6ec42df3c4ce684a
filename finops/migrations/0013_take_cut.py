"""A cut of the ledger: the largest id, once every row below it is committed."""

from django.db import migrations

# The lock waits for whoever is writing and is held to the end of the transaction. It
# is the owner's to take: the application may only read and add.
_CUT = """
CREATE FUNCTION finops_take_cut() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
DECLARE
  newest bigint;
BEGIN
  LOCK TABLE public.finops_usageevent IN SHARE ROW EXCLUSIVE MODE;
  SELECT coalesce(max(id), 0) INTO newest FROM public.finops_usageevent;
  RETURN newest;
END $$;
REVOKE ALL ON FUNCTION finops_take_cut() FROM PUBLIC;
"""


class Migration(migrations.Migration):
    dependencies = [("finops", "0012_usage_report")]
    operations = [migrations.RunSQL(_CUT, "DROP FUNCTION finops_take_cut();")]
