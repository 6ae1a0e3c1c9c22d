-- Steering tasks from outside. 'asked': the team wants it canceled, and whoever has the task is to see to it;
-- 'refused': it was asked for and the vendor would not stop, so that the task runs on and is charged as delivered.
alter table tasks.task add column cancel text;
alter table tasks.task add constraint task_cancel_check check (cancel in ('asked', 'refused')) not valid;

-- Tasks that ended here without their vendor's verdict, to be looked at twice more, the last time at or after last_at.
create table tasks.afterlook (
    task_id uuid primary key,
    attempt int not null,
    ticket text not null,
    due_at timestamptz not null,
    last_at timestamptz not null
);
create index afterlook_due on tasks.afterlook (due_at);
grant select, insert, update, delete on tasks.afterlook to modellix_app;

-- How often a worker died of handling this task, and in which of its moves that was: a move starts a new count.
alter table tasks.task add column deaths int not null default 0, add column deaths_at int;

-- Counts one more; tells the count, or null when the task has ended meanwhile.
create function tasks.note_death(p_task uuid) returns int language sql as $$
    update tasks.task set deaths = case when deaths_at = moves then deaths + 1 else 1 end, deaths_at = moves
    where id = p_task and finished_at is null returning deaths
$$;

-- Tasks that were accepted although their team had no free slot. They wait in the order of their numbers, hold
-- their money but no slot, and are due only at their deadline. Whatever frees a slot starts the next of them in the
-- same transaction, whichever version of the program ends a task.
create sequence tasks.queue_no;
grant usage on sequence tasks.queue_no to modellix_app;
alter table tasks.task add column queue_no bigint;
alter table tasks.slot add column waiting int not null default 0 check (waiting >= 0);
create index slot_waiting on tasks.slot (team_id, live) where waiting > 0;

-- Starts as many waiting tasks of a team as have a slot, and tells how many. The caller holds the lock on the balance.
create function tasks.start_waiting(p_team bigint, p_live boolean) returns int language plpgsql as $$
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

create function tasks.hand_over_slot() returns trigger language plpgsql as $$
begin
    perform tasks.start_waiting(new.team_id, new.live);
    return null;
end
$$;
create trigger hand_over_slot after update on tasks.slot for each row
    when (new.running < old.running and new.waiting > 0) execute function tasks.hand_over_slot();

-- As before, and a task that ends while it waits gives back its place in the queue and no slot.
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

-- For a limit that was raised: no task ends then that could start the waiting ones.
create function tasks.start_waiting_of_all() returns int language plpgsql as $$
declare
    found record;
    started int := 0;
begin
    perform ledger.lock(array_agg(team_id), array_agg(live)) from tasks.slot where waiting > 0 having count(*) > 0;
    for found in select team_id, live from tasks.slot where waiting > 0 order by team_id, live loop
        started := started + tasks.start_waiting(found.team_id, found.live);
    end loop;
    return started;
end
$$;

-- As the function of the same name without p_wait, which older versions call. Where p_wait is set a task for which
-- there is no slot is accepted too. Further verdicts:
--   waiting       the task exists, its quote is held, and `places` tells how many are before it, itself included
--   full          as many tasks of the team wait as may
-- While some wait nobody gets a slot past them.
create function tasks.accept(
    p_task uuid[], p_team bigint[], p_live boolean[], p_key bigint[], p_model text[], p_params text[],
    p_price text[], p_quote bigint[], p_deadline_s int[], p_slots int[], p_idempotency text[], p_fingerprint bytea[],
    p_wait boolean[], out verdicts text[], out task_ids uuid[], out places int[]
) language plpgsql as $$
begin
    perform ledger.lock(p_team, p_live);

    with asked as (
        select a.*, b.posted - b.held as available, s.running, s.waiting,
            i.task_id as known, i.fingerprint as known_fingerprint,
            a.key_id in (select identity.active_keys(p_key)) as active,
            a.idempotency is not null and row_number() over (partition by a.team_id, a.live, a.idempotency order by a.ord) > 1 as twin
        from unnest(p_task, p_team, p_live, p_key, p_quote, p_slots, p_idempotency, p_fingerprint, p_wait) with ordinality
            as a (id, team_id, live, key_id, quote, slots, idempotency, fingerprint, wait, ord)
        left join ledger.balance b using (team_id, live)
        left join tasks.slot s using (team_id, live)
        left join tasks.idempotency i on i.team_id = a.team_id and i.live = a.live and i.key = a.idempotency
    ), sorted as (
        select *, active and known is null and not twin and quote <= coalesce(available, 0) as candidate from asked
    ), queued as (
        select *,
            sum(quote) filter (where candidate) over earlier_or_self as spent,
            count(*) filter (where candidate) over earlier_or_self as place,
            count(*) filter (where candidate and wait) over earlier_or_self as place_in_queue
        from sorted
        window earlier_or_self as (partition by team_id, live order by ord)
    ), judged as (
        select ord, coalesce(known, id) as task_id, case
            when not active then 'revoked'
            when known is not null and known_fingerprint = fingerprint then 'replayed'
            when known is not null then 'mismatch'
            when twin then 'again'
            when not candidate then 'insufficient'
            when spent > available then 'again'
            when waiting = 0 and running + place <= slots then 'accepted'
            when waiting = 0 and running < slots then 'again'
            when not wait then 'concurrency'
            when waiting + place_in_queue <= limits.most_waiting(team_id) then 'waiting'
            when waiting >= limits.most_waiting(team_id) then 'full'
            else 'again' end as verdict
        from queued
    )
    select array_agg(verdict order by ord), array_agg(task_id order by ord) into verdicts, task_ids from judged;

    if 'accepted' = any (verdicts) then
        perform tasks.admit(verdicts, p_task, p_team, p_live, p_key, p_model, p_params, p_price, p_quote,
            p_deadline_s, p_idempotency, p_fingerprint);
    end if;
    if 'waiting' = any (verdicts) then
        places := tasks.enqueue(verdicts, p_task, p_team, p_live, p_key, p_model, p_params, p_price, p_quote,
            p_deadline_s, p_idempotency, p_fingerprint);
    end if;
end
$$;

-- Writes what `accept` has chosen to wait, and tells the places, in the order of the arguments.
create function tasks.enqueue(
    p_verdict text[], p_task uuid[], p_team bigint[], p_live boolean[], p_key bigint[], p_model text[], p_params text[],
    p_price text[], p_quote bigint[], p_deadline_s int[], p_idempotency text[], p_fingerprint bytea[]
) returns int[] language plpgsql as $$
declare
    places int[];
begin
    perform ledger.hold(array_agg(team_id), array_agg(live), array_agg(quote), array_agg(id), array_agg(key_id))
    from unnest(p_verdict, p_team, p_live, p_quote, p_task, p_key) as a (verdict, team_id, live, quote, id, key_id)
    where verdict = 'waiting';

    update tasks.slot s set waiting = s.waiting + a.more
    from (select team_id, live, count(*) as more
          from unnest(p_verdict, p_team, p_live) as a (verdict, team_id, live)
          where verdict = 'waiting' group by team_id, live) a
    where s.team_id = a.team_id and s.live = a.live;

    insert into tasks.task (id, team_id, live, key_id, model, params, price, quote, due_at, deadline_at, queue_no)
    select id, team_id, live, key_id, model, params, price, quote, dies_at, dies_at, nextval('tasks.queue_no')
    from (
        select a.*, now() + make_interval(secs => deadline_s) as dies_at
        from unnest(p_verdict, p_task, p_team, p_live, p_key, p_model, p_params, p_price, p_quote, p_deadline_s)
            with ordinality as a (verdict, id, team_id, live, key_id, model, params, price, quote, deadline_s, ord)
        where verdict = 'waiting' order by ord) a;

    insert into tasks.idempotency (team_id, live, key, fingerprint, task_id)
    select team_id, live, key, fingerprint, id
    from unnest(p_verdict, p_task, p_team, p_live, p_idempotency, p_fingerprint)
        as a (verdict, id, team_id, live, key, fingerprint)
    where verdict = 'waiting' and key is not null;

    select array_agg(case when a.verdict = 'waiting' then tasks.queue_position(a.team_id, a.live, t.queue_no) end order by a.ord)
    into places
    from unnest(p_verdict, p_task, p_team, p_live) with ordinality as a (verdict, id, team_id, live, ord)
    left join tasks.task t on t.id = a.id and a.verdict = 'waiting';
    return places;
end
$$;

-- How many wait up to a number, itself included: 1 is the next to start.
create function tasks.queue_position(p_team bigint, p_live boolean, p_queue_no bigint) returns int
language sql stable as $$
    select count(*)::int from tasks.task where team_id = p_team and live = p_live and queue_no <= p_queue_no
$$;

revoke execute on all functions in schema tasks from public;
grant execute on all functions in schema tasks to modellix_app;

-- outside a transaction
alter table tasks.task validate constraint task_cancel_check;
create index concurrently task_waiting on tasks.task (team_id, live, queue_no) where queue_no is not null;
