-- Writes what `accept` has chosen: hold, slot or place in the queue, task, idempotency key and link. In a batch that
-- waits, the order is the order of the queue.
create or replace function tasks.admit(p_chosen tasks.submission[], p_waits boolean) returns void
language plpgsql as $$
begin
    perform ledger.hold(array_agg(team_id), array_agg(live), array_agg(quote), array_agg(task_id), array_agg(key_id),
        array_agg(actor))
    from unnest(p_chosen);

    update tasks.slot s set
        running = s.running + case when p_waits then 0 else a.more end,
        waiting = s.waiting + case when p_waits then a.more else 0 end
    from (select team_id, live, count(*) as more from unnest(p_chosen) group by team_id, live) a
    where s.team_id = a.team_id and s.live = a.live;

    insert into tasks.task
        (id, team_id, live, key_id, model, params, price, quote, due_at, deadline_at, queue_no, request_id, actor)
    select task_id, team_id, live, key_id, model, params, price, quote, case when p_waits then dies_at else now() end,
        dies_at, case when p_waits then nextval('tasks.queue_no') end, request_id, actor
    from unnest(p_chosen) cross join lateral (select now() + make_interval(secs => deadline_s) as dies_at) d;

    insert into tasks.idempotency (team_id, live, key, fingerprint, task_id)
    select team_id, live, idempotency_key, decode(fingerprint, 'base64'), task_id
    from unnest(p_chosen) where idempotency_key is not null;

    perform webhooks.subscribe(array_agg(task_id), array_agg(webhook))
    from unnest(p_chosen) where webhook is not null having count(*) > 0;
end
$$;
grant execute on function tasks.admit(tasks.submission[], boolean) to modellix_app;
