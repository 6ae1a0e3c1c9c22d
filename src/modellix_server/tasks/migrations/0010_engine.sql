-- Leases up to p_limit tasks to a worker: those that are due and free, then those of dead workers.
create function tasks.claim(p_worker bigint, p_limit int) returns setof tasks.task language sql as $$
    update tasks.task t set owner = p_worker, epoch = t.epoch + 1
    where t.id in (
        select id from tasks.task
        where owner is null and finished_at is null and due_at <= now()
        order by due_at limit p_limit for update skip locked)
    returning t.*
$$;

-- Frees the tasks of workers that are gone, and tells how many. A worker whose advisory lock is free
-- has lost its process or its connection: what it only watched (queued, preparing, running, storing) is
-- handed over at once. A submission may still be on its way, so `submitting` waits for the lease, and
-- only then ends as an unknown outcome, by whoever claims it. A lease that ran out frees everything,
-- lock or no lock: that worker is frozen. A fresh database start has freed every lock, which says
-- nothing about the workers, so nobody is declared dead in its first seconds.
create function tasks.bury_the_dead(p_lock_class int, p_grace_s double precision) returns int
language plpgsql as $$
declare
    freed int := 0;
begin
    if pg_postmaster_start_time() > now() - make_interval(secs => p_grace_s) then
        return 0;
    end if;
    with suspect as (
        select w.id, w.lease_until < now() as lapsed from tasks.worker w
        where w.lease_until < now() or not exists (
            select 1 from pg_locks l join pg_database d on d.oid = l.database and d.datname = current_database()
            where l.locktype = 'advisory' and l.objsubid = 2
                and l.classid::bigint = p_lock_class and l.objid::bigint = w.id)
    ), released as (
        update tasks.task t set owner = null, due_at = now()
        where t.id in (
            select t.id from tasks.task t join suspect s on t.owner = s.id
            where t.finished_at is null and (s.lapsed or t.state <> 'submitting')
            for update of t skip locked)
        returning 1
    )
    select count(*) from released into freed;
    delete from tasks.worker w
    where w.lease_until < now() - interval '1 minute'
        and not exists (select 1 from tasks.task t where t.owner = w.id and t.finished_at is null);
    return freed;
end
$$;

-- Moves tasks between unfinished states, each only if it is still in the state and epoch its owner saw.
-- p_due_in_s, where not null, gives the task back to the queue. Returns the ordinals that moved.
create function tasks.advance(
    p_task uuid[], p_epoch int[], p_from text[], p_to text[], p_worker bigint, p_due_in_s double precision[],
    p_upstream text[], p_ticket text[], p_verdict text[], p_outcome text[], p_status int[], p_answer text[], p_note text[]
) returns int[] language plpgsql as $$
declare
    moved int[];
begin
    with wish as (
        select * from unnest(p_task, p_epoch, p_from, p_to, p_due_in_s, p_upstream, p_ticket, p_verdict, p_outcome,
                p_status, p_answer, p_note) with ordinality
            as a (task_id, epoch, was, becomes, due_in_s, upstream, ticket, verdict, outcome, status, answer, note, ord)
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
        insert into tasks.attempt (task_id, n, upstream)
        select id, attempt, upstream from changed where becomes = 'submitting'
    ), answered as (
        update tasks.attempt a set answered_at = now(), outcome = c.outcome, ticket = c.ticket,
            status = c.status, answer = c.answer
        from changed c where c.was = 'submitting' and a.task_id = c.id and a.n = c.attempt
    )
    select coalesce(array_agg(ord), '{}') into moved from changed;

    -- A move whose answer was lost is asked for again. In one epoch a task enters a state once, so its
    -- being there, still with the same owner, is this very move.
    if cardinality(moved) < cardinality(p_task) then
        select moved || coalesce(array_agg(w.ord), '{}') into moved
        from unnest(p_task, p_epoch, p_from, p_to) with ordinality as w (task_id, epoch, was, becomes, ord)
        join tasks.task t on t.id = w.task_id
        where t.epoch = w.epoch and t.owner = p_worker and t.state = w.becomes and w.was <> w.becomes
            and w.ord <> all (moved);
    end if;
    return moved;
end
$$;

-- Ends tasks: state, money, slot, result and story in one transaction, each only if the task is still in
-- the state and epoch its owner saw. Returns the ordinals that ended; for the others nothing happened.
create function tasks.settle(
    p_task uuid[], p_epoch int[], p_from text[], p_team bigint[], p_live boolean[], p_worker bigint,
    p_capture bigint[], p_resources text[], p_bytes bigint[], p_ttl_s int, p_error_code text[], p_error_message text[],
    p_outcome text[], p_status int[], p_answer text[], p_review text[]
) returns int[] language plpgsql as $$
declare
    ended int[];
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
        returning t.id, t.moves, t.state, t.attempt, w.*
    ), told as (
        insert into tasks.move (task_id, seq, state, worker, note)
        select id, moves, state, p_worker, error_code from changed
    ), answered as (
        update tasks.attempt a set answered_at = now(), outcome = c.outcome, status = c.status, answer = c.answer
        from changed c where c.was = 'submitting' and a.task_id = c.id and a.n = c.attempt
    )
    select coalesce(array_agg(ord), '{}') into ended from changed;

    if ended <> '{}' then
        perform ledger.settle(array_agg(p_task[i]), array_agg(p_capture[i])) from unnest(ended) as i;

        perform results.keep(array_agg(p_task[i]), array_agg(p_team[i]), array_agg(p_live[i]),
            array_agg(p_resources[i]), array_agg(p_bytes[i]), p_ttl_s)
        from unnest(ended) as i where p_resources[i] is not null having count(*) > 0;

        update tasks.slot s set running = s.running - e.ended
        from (select p_team[i] as team_id, p_live[i] as live, count(*) as ended
              from unnest(ended) as i group by 1, 2) e
        where s.team_id = e.team_id and s.live = e.live;

        insert into tasks.review (task_id, reason, detail)
        select p_task[i], split_part(p_review[i], ': ', 1), p_review[i] from unnest(ended) as i
        where p_review[i] is not null;
    end if;
    return ended;
end
$$;

revoke execute on all functions in schema tasks from public;
grant execute on all functions in schema tasks to modellix_app;
