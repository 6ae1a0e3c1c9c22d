-- Ends tasks: state, money, slot, result and history in one transaction, each only if the task is still in the state and
-- epoch its owner saw. A task that ends while it waits gives back its place in the queue and no slot. Returns the
-- ordinals that ended; for the others nothing happened.
create or replace function tasks.settle(
    p_task uuid[], p_epoch int[], p_from text[], p_team bigint[], p_live boolean[], p_worker bigint,
    p_capture bigint[], p_resources text[], p_bytes bigint[], p_ttl_s int, p_error_code text[], p_error_message text[],
    p_outcome text[], p_status int[], p_answer text[], p_review text[]
) returns int[] language plpgsql as $$
declare
    ended int[];
    waited int[];
begin
    perform ledger.lock(p_team, p_live);

    with wish as (
        select * from unnest(p_task, p_epoch, p_from, p_capture, p_error_code, p_error_message, p_outcome, p_status, p_answer)
            with ordinality
            as a (task_id, epoch, was, capture, error_code, error_message, outcome, status, answer, ord)
    ), changed as (
        update tasks.task t set
            state = case when w.error_code is null then 'succeeded' else 'failed' end,
            moves = t.moves + 1, owner = null, verdict = null, finished_at = now(),
            captured = case when w.error_code is null then w.capture end,
            error_code = w.error_code, error_message = w.error_message
        from wish w
        where t.id = w.task_id and t.epoch = w.epoch and t.state = w.was
            and t.owner is not distinct from p_worker
        returning t.id, t.moves, t.state, t.attempt, t.queue_no is not null as waited, w.*
    ), told as (
        insert into tasks.move (task_id, seq, state, worker, note)
        select id, moves, state, p_worker, error_code from changed
    ), answered as (
        update tasks.attempt a set answered_at = now(), outcome = c.outcome, status = c.status, answer = c.answer
        from changed c where c.was = 'submitting' and a.task_id = c.id and a.n = c.attempt
    )
    select coalesce(array_agg(ord), '{}'), coalesce(array_agg(ord) filter (where changed.waited), '{}')
    into ended, waited from changed;

    if ended <> '{}' then
        perform ledger.settle(array_agg(p_task[i]), array_agg(p_capture[i])) from unnest(ended) as i;

        perform results.keep(array_agg(p_task[i]), array_agg(p_team[i]), array_agg(p_live[i]),
            array_agg(p_resources[i]), array_agg(p_bytes[i]), p_ttl_s)
        from unnest(ended) as i where p_resources[i] is not null having count(*) > 0;

        if waited <> '{}' then
            update tasks.task t set queue_no = null from unnest(waited) as i where t.id = p_task[i];
        end if;

        update tasks.slot s set running = s.running - e.had_slot, waiting = s.waiting - e.waited
        from (select p_team[i] as team_id, p_live[i] as live,
                  count(*) filter (where i <> all (waited)) as had_slot, count(*) filter (where i = any (waited)) as waited
              from unnest(ended) as i group by 1, 2) e
        where s.team_id = e.team_id and s.live = e.live;

        insert into tasks.review (task_id, reason, detail)
        select p_task[i], split_part(p_review[i], ': ', 1), p_review[i] from unnest(ended) as i
        where p_review[i] is not null;
    end if;
    return ended;
end
$$;
grant execute on function tasks.settle to modellix_app;
