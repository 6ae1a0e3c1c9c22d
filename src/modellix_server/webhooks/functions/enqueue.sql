-- Puts up a message for each endpoint of the team, and one for the link given with the task. Called inside
-- the transaction that ends the tasks.
create or replace function webhooks.enqueue(p_task uuid[], p_team bigint[], p_live boolean[], p_event text[]) returns void
language plpgsql as $$
begin
    with ended as (
        select * from unnest(p_task, p_team, p_live, p_event) as a (task_id, team_id, live, event)
    ), asked as (
        delete from webhooks.subscription s using ended e where s.task_id = e.task_id
        returning e.task_id, e.team_id, e.live, e.event, s.url, s.lane
    )
    insert into webhooks.message (task_id, team_id, live, endpoint_id, url, lane, event)
    select e.task_id, e.team_id, e.live, p.id, null, p.lane, e.event
    from ended e join webhooks.endpoint p on p.team_id = e.team_id and p.live = e.live and p.disabled_at is null
    union all
    select task_id, team_id, live, null, url, lane, event from asked;
    if found then
        perform pg_notify('modellix_webhooks', '');
    end if;
end
$$;
grant execute on function webhooks.enqueue to modellix_app;
