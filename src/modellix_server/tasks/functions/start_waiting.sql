-- Starts as many waiting tasks of a team as have a slot, and tells how many. The caller holds the lock on the balance.
create or replace function tasks.start_waiting(p_team bigint, p_live boolean) returns int language plpgsql as $$
declare
    free int;
    started int;
begin
    select l.concurrency - s.running into free from tasks.slot s cross join limits.of_team(p_team) l
    where s.team_id = p_team and s.live = p_live;
    if free <= 0 then
        return 0;
    end if;
    with next as (
        select id from tasks.task
        where team_id = p_team and live = p_live and queue_no is not null and owner is null
        order by queue_no limit free for update skip locked
    ), changed as (
        update tasks.task t set queue_no = null, due_at = now(), moves = t.moves + 1
        from next where t.id = next.id returning t.id, t.moves
    ), told as (
        insert into tasks.move (task_id, seq, state, note) select id, moves, 'queued', 'has a slot' from changed
    )
    select count(*) into started from changed;
    if started > 0 then
        update tasks.slot set running = running + started, waiting = waiting - started
        where team_id = p_team and live = p_live;
        perform pg_notify('modellix_tasks', '');
    end if;
    return started;
end
$$;
grant execute on function tasks.start_waiting to modellix_app;
