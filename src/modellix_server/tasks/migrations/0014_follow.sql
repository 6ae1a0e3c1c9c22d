-- Every batch of moves announces its tasks once, to whoever follows them. A trigger and not a line in the
-- functions that move tasks: whatever else writes a move, in this version or an older one, is heard too.
-- The payload is the ids in hex, 32 characters each; a notice has room for 249. A larger batch sends an
-- empty one, at which followers look at all tasks they wait for. A notice is a hint: what is lost with a
-- broken connection is found by looking.
create function tasks.announce() returns trigger
language plpgsql set search_path = pg_catalog as $$
declare
    names text;
begin
    select string_agg(distinct replace(m.task_id::text, '-', ''), '') into names from moved m;
    if names is not null then
        perform pg_notify('modellix_moves', case when length(names) < 8000 then names else '' end);
    end if;
    return null;
end
$$;
create trigger announce after insert on tasks.move
    referencing new table as moved for each statement execute function tasks.announce();
revoke execute on function tasks.announce() from public;

-- Ended tasks are handed to the webhooks in the transaction that ends them, whatever ends them.
create function tasks.tell_webhooks() returns trigger
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
create trigger tell_webhooks after insert on tasks.move
    referencing new table as moved for each statement execute function tasks.tell_webhooks();
revoke execute on function tasks.tell_webhooks() from public;
