"""PostgreSQL refuses every change to what is closed, and to rules and comments."""

from django.db import migrations

from core.immutable import append_only

_REFUSE = """
CREATE FUNCTION finops_refuse_closed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  shut boolean;
BEGIN
  IF TG_TABLE_NAME = 'finops_statementline' THEN
    SELECT s.state IN ('closed', 'issued') INTO shut FROM finops_statement s
    WHERE s.id = CASE TG_OP WHEN 'INSERT' THEN NEW.statement_id
                            ELSE OLD.statement_id END;
  ELSIF TG_OP = 'UPDATE' THEN
    shut := OLD.state IN ('closed', 'issued') AND NOT (
      OLD.state = 'closed' AND NEW.state = 'issued'
      AND to_jsonb(OLD) - '{state,number,issued_at}'::text[]
        = to_jsonb(NEW) - '{state,number,issued_at}'::text[]);
  ELSE
    shut := OLD.state IN ('closed', 'issued');
  END IF;
  IF shut THEN
    RAISE EXCEPTION '% on % is refused: a closed statement never changes',
      TG_OP, TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER finops_statementline_closed
  BEFORE INSERT OR UPDATE OR DELETE ON finops_statementline
  FOR EACH ROW EXECUTE FUNCTION finops_refuse_closed();
CREATE TRIGGER finops_statement_closed BEFORE UPDATE OR DELETE ON finops_statement
  FOR EACH ROW EXECUTE FUNCTION finops_refuse_closed();
CREATE TRIGGER finops_billingperiod_closed
  BEFORE UPDATE OR DELETE ON finops_billingperiod
  FOR EACH ROW EXECUTE FUNCTION finops_refuse_closed();
"""
_ALLOW = """
DROP TRIGGER finops_billingperiod_closed ON finops_billingperiod;
DROP TRIGGER finops_statement_closed ON finops_statement;
DROP TRIGGER finops_statementline_closed ON finops_statementline;
DROP FUNCTION finops_refuse_closed();
"""


class Migration(migrations.Migration):
    dependencies = [("finops", "0008_chargeback")]
    operations = [
        migrations.RunSQL(_REFUSE, _ALLOW),
        append_only("finops_allocationversion"),
        append_only("finops_disputecomment"),
    ]
