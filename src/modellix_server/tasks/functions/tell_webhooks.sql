-- Ended tasks are handed to the webhooks in the transaction that ends them, whatever ends them.
create or replace function tasks.tell_webhooks() returns trigger
language plpgsql set search_path = pg_catalog as $$
begin
    perform webhooks.enqueue(array_agg(t.id), array_agg(t.team_id), array_agg(t.live), array_agg(
        case when t.error_code is null then 'prediction.task.succeeded'
            when t.error_code = 'canceled' then 'prediction.task.canceled'
            else 'prediction.task.failed' end))
    from moved m join tasks.task t on t.id = m.task_id
    where m.state in ('succeeded', 'failed') having count(*) > 0;
    return null;
end
$$;
