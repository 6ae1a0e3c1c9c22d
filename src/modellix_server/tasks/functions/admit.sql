-- Writes what `accept` has chosen: hold, slot, task and idempotency key.
create or replace function tasks.admit(
    p_verdict text[], p_task uuid[], p_team bigint[], p_live boolean[], p_key bigint[], p_model text[], p_params text[],
    p_price text[], p_quote bigint[], p_deadline_s int[], p_idempotency text[], p_fingerprint bytea[], p_request text[]
) returns void language plpgsql as $$
begin
    perform ledger.hold(array_agg(team_id), array_agg(live), array_agg(quote), array_agg(id), array_agg(key_id))
    from unnest(p_verdict, p_team, p_live, p_quote, p_task, p_key) as a (verdict, team_id, live, quote, id, key_id)
    where verdict = 'accepted';

    update tasks.slot s set running = s.running + a.started
    from (select team_id, live, count(*) as started
          from unnest(p_verdict, p_team, p_live) as a (verdict, team_id, live)
          where verdict = 'accepted' group by team_id, live) a
    where s.team_id = a.team_id and s.live = a.live;

    insert into tasks.task (id, team_id, live, key_id, model, params, price, quote, deadline_at, request_id)
    select id, team_id, live, key_id, model, params, price, quote, now() + make_interval(secs => deadline_s), request
    from unnest(p_verdict, p_task, p_team, p_live, p_key, p_model, p_params, p_price, p_quote, p_deadline_s, p_request)
        as a (verdict, id, team_id, live, key_id, model, params, price, quote, deadline_s, request)
    where verdict = 'accepted';

    insert into tasks.idempotency (team_id, live, key, fingerprint, task_id)
    select team_id, live, key, fingerprint, id
    from unnest(p_verdict, p_task, p_team, p_live, p_idempotency, p_fingerprint)
        as a (verdict, id, team_id, live, key, fingerprint)
    where verdict = 'accepted' and key is not null;
end
$$;
grant execute on function tasks.admit(
    text[], uuid[], bigint[], boolean[], bigint[], text[], text[], text[], bigint[], int[], text[], bytea[], text[]
) to modellix_app;
