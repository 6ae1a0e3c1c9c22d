-- Adds the tasks of up to p_most further transfers to tasks.usage_day and tasks.usage_hour; returns how many transfers it
-- has passed. One caller at a time, by the row of the mark.
create or replace function tasks.add_usage(p_most bigint) returns bigint
language plpgsql security definer set search_path = pg_catalog as $$
declare
    known bigint;
    goal bigint;
begin
    select up_to into strict known from tasks.usage_mark for update;
    goal := least(ledger.complete_up_to(), known + p_most);
    if goal <= known then
        return 0;
    end if;
    with ended as materialized (
        select t.team_id, t.live, date_trunc('hour', t.finished_at, 'UTC') as hour, t.model,
            coalesce(t.key_id, 0) as key_id, coalesce(t.actor, '') as actor,
            case when t.state = 'succeeded' then tasks.latency_bucket(t.created_at, t.finished_at) else -1 end as bucket,
            count(*) filter (where t.state = 'succeeded') as succeeded,
            count(*) filter (where t.state <> 'succeeded') as failed, coalesce(sum(t.captured), 0)::bigint as charged
        from ledger.closings() c join tasks.task t on t.id = c.task_id
        where c.id > known and c.id <= goal and t.finished_at is not null
        group by 1, 2, 3, 4, 5, 6, 7
    ), days as (
        insert into tasks.usage_day as u (team_id, live, day, model, key_id, actor, bucket, succeeded, failed, charged)
        select team_id, live, (hour at time zone 'UTC')::date, model, key_id, actor, bucket,
            sum(succeeded), sum(failed), sum(charged)
        from ended group by 1, 2, 3, 4, 5, 6, 7
        on conflict (team_id, live, day, model, key_id, actor, bucket) do update set
            succeeded = u.succeeded + excluded.succeeded, failed = u.failed + excluded.failed,
            charged = u.charged + excluded.charged
    )
    insert into tasks.usage_hour as u (team_id, live, hour, model, key_id, actor, succeeded, failed, charged)
    select team_id, live, hour, model, key_id, actor, sum(succeeded), sum(failed), sum(charged)
    from ended group by 1, 2, 3, 4, 5, 6
    on conflict (team_id, live, hour, model, key_id, actor) do update set
        succeeded = u.succeeded + excluded.succeeded, failed = u.failed + excluded.failed,
        charged = u.charged + excluded.charged;
    update tasks.usage_mark set up_to = goal;
    return goal - known;
end
$$;
grant execute on function tasks.add_usage to modellix_app;
