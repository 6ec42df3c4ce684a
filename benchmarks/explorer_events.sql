-- Events FIRST to LAST of a made-up trail; see explorer_events.py.
INSERT INTO audit_event (uid, at, name, decision, actor_kind, actor_id, actor_label,
  team, environment, key, target_kind, target_id, target_label, tool, run, step,
  request_id, trace_id, client_address, policy_version, summary, body)
SELECT uid, at, name, decision, actor_kind, actor_id, actor_label, team, environment,
  key, target_kind, target_id, target_id, tool, run, step, request_id, trace_id,
  '10.1.' || account %% 16 || '.' || account, 7, left(summary, 400),
  '{"actor":{"id":"' || actor_id || '","key":"' || key || '","kind":"' || actor_kind
    || '","label":"' || actor_label || '","team":"' || team || '"},"after":null,"at":"'
    || at || '","before":null,"decision":"' || decision || '","name":"' || name
    || '","payload":{"arguments":{"customer":"cus_' || n %% 9973 || '","since":"2026-01-01","limit":100,"note":"' || repeat('lorem ipsum ', 12)
    || '"},"arguments_digest":"' || trace_id || trace_id || '"},"reasons":["granted to team '
    || team || '"],"run":"' || run || '","step":' || coalesce(step::text, 'null')
    || ',"target":{"id":"' || target_id || '","kind":"' || target_kind
    || '"},"tool":"' || tool || '","uid":"' || uid || '"}'
FROM (
  SELECT *,
    CASE WHEN kind = 'call.intended' THEN actor_label || ' calls ' || tool
      WHEN kind = 'call.ended' THEN tool || ' ended: ok'
      WHEN kind = 'call.refused' THEN actor_label || ' was refused ' || tool || ': rule big-refunds: order ' || n || ' is above the limit'
      WHEN kind = 'run.submitted' THEN actor_label || ' submitted run ' || run
      WHEN kind = 'run.ended' THEN 'Run ' || run || ' succeeded'
      WHEN kind = 'session.signed_in' THEN actor_label || ' signed in'
      ELSE actor_label || ' set the quota calls a day of team ' || team || ': ticket ' || n END AS summary,
    CASE kind WHEN 'run.submitted' THEN 'run' WHEN 'run.ended' THEN 'run' WHEN 'quota.set' THEN 'quota' WHEN 'session.signed_in' THEN 'sign_in' ELSE 'tool' END AS target_kind,
    CASE kind WHEN 'run.submitted' THEN run WHEN 'run.ended' THEN run WHEN 'quota.set' THEN (n %% 500)::text WHEN 'session.signed_in' THEN actor_label ELSE tool END AS target_id,
    kind AS name
  FROM (
    SELECT n, kind, account,
      'evt_' || left(md5(n::text), 18) AS uid,
      %(end)s::timestamptz - (%(count)s - n) * (%(span)s::interval / %(count)s) AS at,
      CASE kind WHEN 'call.intended' THEN 'allow' WHEN 'call.refused' THEN 'deny' WHEN 'run.submitted' THEN 'allow' ELSE '' END AS decision,
      CASE WHEN person THEN 'user' ELSE 'service_account' END AS actor_kind,
      CASE WHEN person THEN 'user:person' || account ELSE 'sa:team' || team_number || '/agent' || account END AS actor_id,
      CASE WHEN person THEN 'Person ' || account || ' Example' ELSE 'agent' || account END AS actor_label,
      'team' || team_number AS team,
      (ARRAY['dev','staging','prod'])[1 + account %% 3] AS environment,
      CASE WHEN person THEN '' ELSE 'tg_' || lpad(to_hex(account * 7919), 8, '0') END AS key,
      CASE WHEN kind LIKE 'call.%%' THEN 'server' || tool_number %% 20 || '.operation_' || tool_number ELSE '' END AS tool,
      CASE WHEN person THEN '' ELSE 'run_' || left(md5('run' || n / 12), 18) END AS run,
      CASE WHEN kind LIKE 'call.%%' THEN n %% 12 ELSE NULL END AS step,
      'req_' || left(md5('req' || n / 12), 16) AS request_id,
      md5('trace' || n / 12) AS trace_id
    FROM (
      SELECT n,
        CASE WHEN n %% 12 = 0 THEN 'run.submitted' WHEN n %% 12 = 11 THEN 'run.ended'
          WHEN n %% 1000 = 5 THEN 'quota.set' WHEN n %% 1000 = 6 THEN 'session.signed_in'
          WHEN hashint4(n) %% 100 = 1 THEN 'call.refused'
          WHEN n %% 2 = 0 THEN 'call.intended' ELSE 'call.ended' END AS kind,
        n %% 1000 IN (5, 6) AS person,
        (200 * power(abs(hashint4(n / 12)::bigint) %% 10000 / 10000.0, 2))::int AS account,
        (300 * power(abs(hashint4(n * 3)::bigint) %% 10000 / 10000.0, 3))::int AS tool_number,
        (50 * power(abs(hashint4(n / 12)::bigint) %% 10000 / 10000.0, 2))::int AS team_number
      FROM generate_series(%(first)s, %(last)s) AS n
    ) AS a
  ) AS b
) AS c
