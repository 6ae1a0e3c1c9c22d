-- Moves tasks between unfinished states, each only if it is still in the state and epoch its owner saw: p_moves are a
-- `tasks.wanted_move` for each of them. Returns the ordinals that moved.
create or replace function tasks.advance(p_worker bigint, p_task uuid[], p_epoch int[], p_was text[], p_moves json)
returns int[] language plpgsql as $$
declare
    wanted tasks.wanted_move[] := array(select m from json_populate_recordset(null::tasks.wanted_move, p_moves) m);
    moved int[];
begin
    with wish as (
        select * from unnest(p_task, p_epoch, p_was, wanted) with ordinality as w (task_id, epoch, was)
    ), changed as (
        update tasks.task t set
            state = w.becomes,
            moves = t.moves + 1,
            attempt = t.attempt + (w.becomes = 'submitting')::int,
            ticket = case when w.becomes in ('queued', 'preparing', 'submitting') then null else coalesce(w.ticket, t.ticket) end,
            verdict = coalesce(w.verdict, t.verdict),
            owner = case when w.due_in_s is null then t.owner end,
            due_at = case when w.due_in_s is null then t.due_at else now() + make_interval(secs => w.due_in_s) end
        from wish w
        where t.id = w.task_id and t.epoch = w.epoch and t.state = w.was and t.owner = p_worker
        returning t.id, t.moves, t.attempt, w.*
    ), told as (
        insert into tasks.move (task_id, seq, state, worker, note)
        select id, moves, becomes, p_worker, note from changed
    ), intended as (
        insert into tasks.attempt (task_id, n, upstream, account, region, vendor_model, route)
        select id, attempt, upstream, account, region, vendor_model, route from changed where becomes = 'submitting'
    ), answered as (
        update tasks.attempt a set answered_at = now(), ticket = c.ticket,
            outcome = (c.record).outcome, status = (c.record).status, answer = (c.record).answer
        from changed c where c.was = 'submitting' and a.task_id = c.id and a.n = c.attempt
    )
    select coalesce(array_agg(ordinality), '{}') into moved from changed;

    -- A move whose answer was lost is asked for again. In one epoch a task enters a state once, so its
    -- being there, still with the same owner, is this very move.
    if cardinality(moved) < cardinality(p_task) then
        select moved || coalesce(array_agg(w.ordinality), '{}') into moved
        from unnest(p_task, p_epoch, p_was, wanted) with ordinality as w (task_id, epoch, was)
        join tasks.task t on t.id = w.task_id
        where t.epoch = w.epoch and t.owner = p_worker and t.state = w.becomes and w.was <> w.becomes
            and w.ordinality <> all (moved);
    end if;
    return moved;
end
$$;
grant execute on function tasks.advance(bigint, uuid[], int[], text[], json) to modellix_app;
