-- Runs of %(runs)s numbers from %(first)s on, evenly over the %(seconds)s from %(start)s.
-- 200 principals in 20 teams, the first ones busy, each with 12 tools of its own.
WITH numbers AS (
  SELECT n, random() AS chance, random() AS way, random() AS a, random() AS b,
    floor(200 * random() * random())::int AS who
  FROM generate_series(%(first)s::bigint, %(first)s::bigint + %(runs)s - 1) AS n
), made AS (
  SELECT n, who, who %% 20 AS team, chance, way,
    exp(sqrt(-2 * ln(1 - a)) * cos(2 * pi() * b) * 1.4) AS seconds,
    CASE WHEN n %% 5 = 4 THEN n - 1 ELSE n END AS task,
    1 + (n %% 5 = 4)::int AS attempt, 1 + (n %% 2)::int AS used,
    %(start)s::timestamptz + (n - %(first)s) * %(seconds)s / %(runs)s
      * interval '1 second' AS at
  FROM numbers
)
INSERT INTO finops_runfact (
  run, task, attempt, mode, language, model, succeeded, status, error_code, tool_calls,
  successful_calls, tools, tool_successes, queue_seconds, hold_seconds, run_seconds,
  total_seconds, tokens, tokens_measured, tokens_reported, tokens_avoided, cost,
  unrated, currency, started_at, ended_at, team, cost_centre, project, environment,
  principal)
SELECT 'run_' || n, 'task_' || task, attempt,
  CASE WHEN way < 0.8 THEN 'script' ELSE 'direct' END,
  CASE WHEN way < 0.5 THEN 'python' WHEN way < 0.8 THEN 'typescript' ELSE '' END,
  'model-' || (way * 1000)::int %% 3, chance < 0.93,
  CASE WHEN chance < 0.93 THEN 'succeeded' WHEN chance < 0.99 THEN 'failed'
    ELSE 'cancelled' END,
  CASE WHEN chance < 0.93 THEN '' ELSE 'script_error' END,
  2 * used, 2 * used - (chance >= 0.93)::int,
  CASE WHEN used = 1 THEN ARRAY['crm.t' || tool]
    ELSE ARRAY['crm.t' || tool, 'erp.t' || tool] END,
  CASE WHEN used = 1 THEN ARRAY[2 - (chance >= 0.93)::int]
    ELSE ARRAY[2, 2 - (chance >= 0.93)::int] END,
  0.01, 0, seconds, seconds + 0.01, 900 + n %% 400, 0, 0, 5000, 0.004 * used, 0, 'USD',
  at - seconds * interval '1 second', at, 'team-' || team, 'CC-' || team %% 7,
  'project-' || who %% 3, CASE WHEN who %% 4 = 0 THEN 'dev' ELSE 'prod' END,
  'sa:team-' || team || '/agent-' || who
FROM (SELECT made.*, (who * 7 + n %% 6) %% 40 AS tool FROM made) rows
