-- Writes what `accept` has chosen to wait, and tells the places, in the order of the arguments.
create or replace function tasks.enqueue(
    p_verdict text[], p_task uuid[], p_team bigint[], p_live boolean[], p_key bigint[], p_model text[], p_params text[],
    p_price text[], p_quote bigint[], p_deadline_s int[], p_idempotency text[], p_fingerprint bytea[], p_request text[]
) returns int[] language plpgsql as $$
declare
    places int[];
begin
    perform ledger.hold(array_agg(team_id), array_agg(live), array_agg(quote), array_agg(id), array_agg(key_id))
    from unnest(p_verdict, p_team, p_live, p_quote, p_task, p_key) as a (verdict, team_id, live, quote, id, key_id)
    where verdict = 'waiting';

    update tasks.slot s set waiting = s.waiting + a.more
    from (select team_id, live, count(*) as more
          from unnest(p_verdict, p_team, p_live) as a (verdict, team_id, live)
          where verdict = 'waiting' group by team_id, live) a
    where s.team_id = a.team_id and s.live = a.live;

    insert into tasks.task
        (id, team_id, live, key_id, model, params, price, quote, due_at, deadline_at, queue_no, request_id)
    select id, team_id, live, key_id, model, params, price, quote, dies_at, dies_at, nextval('tasks.queue_no'), request
    from (
        select a.*, now() + make_interval(secs => deadline_s) as dies_at
        from unnest(p_verdict, p_task, p_team, p_live, p_key, p_model, p_params, p_price, p_quote, p_deadline_s, p_request)
            with ordinality
            as a (verdict, id, team_id, live, key_id, model, params, price, quote, deadline_s, request, ord)
        where verdict = 'waiting' order by ord) a;

    insert into tasks.idempotency (team_id, live, key, fingerprint, task_id)
    select team_id, live, key, fingerprint, id
    from unnest(p_verdict, p_task, p_team, p_live, p_idempotency, p_fingerprint)
        as a (verdict, id, team_id, live, key, fingerprint)
    where verdict = 'waiting' and key is not null;

    select array_agg(case when a.verdict = 'waiting' then tasks.queue_position(a.team_id, a.live, t.queue_no) end order by a.ord)
    into places
    from unnest(p_verdict, p_task, p_team, p_live) with ordinality as a (verdict, id, team_id, live, ord)
    left join tasks.task t on t.id = a.id and a.verdict = 'waiting';
    return places;
end
$$;
grant execute on function tasks.enqueue(
    text[], uuid[], bigint[], boolean[], bigint[], text[], text[], text[], bigint[], int[], text[], bytea[], text[]
) to modellix_app;
