-- Ends tasks: state, money, slot, result and history in one transaction, each only if the task is still in the state and
-- epoch its owner saw: p_endings are a `tasks.wanted_ending` for each of them. A task that ends while it waits gives back
-- its place in the queue and no slot. Returns the ordinals that ended; for the others nothing happened.
create or replace function tasks.settle(
    p_worker bigint, p_task uuid[], p_epoch int[], p_was text[], p_team bigint[], p_live boolean[], p_endings json,
    p_ttl_s int
) returns int[] language plpgsql as $$
declare
    wanted tasks.wanted_ending[] := array(select e from json_populate_recordset(null::tasks.wanted_ending, p_endings) e);
    ended int[];
    waited int[];
begin
    perform ledger.lock(p_team, p_live);

    with wish as (
        select * from unnest(p_task, p_epoch, p_was, wanted) with ordinality as w (task_id, epoch, was)
    ), changed as (
        update tasks.task t set
            state = case when w.error_code is null then 'succeeded' else 'failed' end,
            moves = t.moves + 1, owner = null, verdict = null, finished_at = now(),
            captured = case when w.error_code is null then coalesce(w.capture, 0) end,
            error_code = w.error_code, error_message = left(w.error_message, 500)
        from wish w
        where t.id = w.task_id and t.epoch = w.epoch and t.state = w.was
            and t.owner is not distinct from p_worker
        returning t.id, t.moves, t.state, t.attempt, t.queue_no is not null as waited, w.*
    ), told as (
        insert into tasks.move (task_id, seq, state, worker, note)
        select id, moves, state, p_worker, error_code from changed
    ), answered as (
        update tasks.attempt a set answered_at = now(),
            outcome = (c.record).outcome, status = (c.record).status, answer = (c.record).answer
        from changed c where c.was = 'submitting' and a.task_id = c.id and a.n = c.attempt
    )
    select coalesce(array_agg(ordinality), '{}'), coalesce(array_agg(ordinality) filter (where changed.waited), '{}')
    into ended, waited from changed;

    if ended <> '{}' then
        perform ledger.settle(array_agg(p_task[i]), array_agg(coalesce(wanted[i].capture, 0))) from unnest(ended) as i;
        if exists (select from budgets.charged(p_task)) then
            perform budgets.settle(array_agg(p_task[i]), array_agg(coalesce(wanted[i].capture, 0))) from unnest(ended) as i;
        end if;

        perform results.keep(array_agg(p_task[i]), array_agg(p_team[i]), array_agg(p_live[i]),
            array_agg(wanted[i].resources), array_agg(wanted[i].bytes), p_ttl_s)
        from unnest(ended) as i where wanted[i].resources is not null having count(*) > 0;

        if waited <> '{}' then
            update tasks.task t set queue_no = null from unnest(waited) as i where t.id = p_task[i];
        end if;

        update tasks.slot s set running = s.running - e.had_slot, waiting = s.waiting - e.waited
        from (select p_team[i] as team_id, p_live[i] as live,
                  count(*) filter (where i <> all (waited)) as had_slot, count(*) filter (where i = any (waited)) as waited
              from unnest(ended) as i group by 1, 2) e
        where s.team_id = e.team_id and s.live = e.live;

        insert into tasks.review (task_id, reason, detail)
        select p_task[i], split_part(wanted[i].review, ': ', 1), wanted[i].review from unnest(ended) as i
        where wanted[i].review is not null;
    end if;
    return ended;
end
$$;
grant execute on function tasks.settle(bigint, uuid[], int[], text[], bigint[], boolean[], json, int) to modellix_app;
