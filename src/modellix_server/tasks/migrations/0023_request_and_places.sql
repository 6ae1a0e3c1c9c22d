-- The id of the request that made a task (X-Request-Id), so that whoever looks into the task finds the call, and the
-- other way round. Null for tasks of older versions.
alter table tasks.task add column request_id text;

-- As the function of the same name without p_request, which older versions call.
create function tasks.accept(
    p_task uuid[], p_team bigint[], p_live boolean[], p_key bigint[], p_model text[], p_params text[],
    p_price text[], p_quote bigint[], p_deadline_s int[], p_slots int[], p_idempotency text[], p_fingerprint bytea[],
    p_wait boolean[], p_request text[], out verdicts text[], out task_ids uuid[], out places int[]
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
            p_deadline_s, p_idempotency, p_fingerprint, p_request);
    end if;
    if 'waiting' = any (verdicts) then
        places := tasks.enqueue(verdicts, p_task, p_team, p_live, p_key, p_model, p_params, p_price, p_quote,
            p_deadline_s, p_idempotency, p_fingerprint, p_request);
    end if;
end
$$;

-- Writes what `accept` has chosen: hold, slot, task and idempotency key.
create function tasks.admit(
    p_verdict text[], p_task uuid[], p_team bigint[], p_live boolean[], p_key bigint[], p_model text[], p_params text[],
    p_price text[], p_quote bigint[], p_deadline_s int[], p_idempotency text[], p_fingerprint bytea[], p_request text[]
) returns void language plpgsql as $$
begin
    perform ledger.hold(array_agg(team_id), array_agg(live), array_agg(quote), array_agg(id), array_agg(key_id))
    from unnest(p_verdict, p_team, p_live, p_quote, p_task, p_key) as a (verdict, team_id, live, quote, id, key_id)
    where verdict = 'accepted';

    update tasks.slot s set running = s.running + a.started
    from (select team_id, live, count(*) as started
          from unnest(p_verdict, p_team, p_live) as a (verdict, team_id, live)
          where verdict = 'accepted' group by team_id, live) a
    where s.team_id = a.team_id and s.live = a.live;

    insert into tasks.task (id, team_id, live, key_id, model, params, price, quote, deadline_at, request_id)
    select id, team_id, live, key_id, model, params, price, quote, now() + make_interval(secs => deadline_s), request
    from unnest(p_verdict, p_task, p_team, p_live, p_key, p_model, p_params, p_price, p_quote, p_deadline_s, p_request)
        as a (verdict, id, team_id, live, key_id, model, params, price, quote, deadline_s, request)
    where verdict = 'accepted';

    insert into tasks.idempotency (team_id, live, key, fingerprint, task_id)
    select team_id, live, key, fingerprint, id
    from unnest(p_verdict, p_task, p_team, p_live, p_idempotency, p_fingerprint)
        as a (verdict, id, team_id, live, key, fingerprint)
    where verdict = 'accepted' and key is not null;
end
$$;

-- Writes what `accept` has chosen to wait, and tells the places, in the order of the arguments.
create function tasks.enqueue(
    p_verdict text[], p_task uuid[], p_team bigint[], p_live boolean[], p_key bigint[], p_model text[], p_params text[],
    p_price text[], p_quote bigint[], p_deadline_s int[], p_idempotency text[], p_fingerprint bytea[], p_request text[]
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

    insert into tasks.task
        (id, team_id, live, key_id, model, params, price, quote, due_at, deadline_at, queue_no, request_id)
    select id, team_id, live, key_id, model, params, price, quote, dies_at, dies_at, nextval('tasks.queue_no'), request
    from (
        select a.*, now() + make_interval(secs => deadline_s) as dies_at
        from unnest(p_verdict, p_task, p_team, p_live, p_key, p_model, p_params, p_price, p_quote, p_deadline_s, p_request)
            with ordinality
            as a (verdict, id, team_id, live, key_id, model, params, price, quote, deadline_s, request, ord)
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

-- What older versions call makes tasks whose request is not known.
create or replace function tasks.accept(
    p_task uuid[], p_team bigint[], p_live boolean[], p_key bigint[], p_model text[], p_params text[],
    p_price text[], p_quote bigint[], p_deadline_s int[], p_slots int[], p_idempotency text[], p_fingerprint bytea[],
    p_wait boolean[], out verdicts text[], out task_ids uuid[], out places int[]
) language sql as $$
    select * from tasks.accept(p_task, p_team, p_live, p_key, p_model, p_params, p_price, p_quote, p_deadline_s, p_slots,
        p_idempotency, p_fingerprint, p_wait, null::text[])
$$;
create or replace function tasks.admit(
    p_verdict text[], p_task uuid[], p_team bigint[], p_live boolean[], p_key bigint[], p_model text[], p_params text[],
    p_price text[], p_quote bigint[], p_deadline_s int[], p_idempotency text[], p_fingerprint bytea[]
) returns void language sql as $$
    select tasks.admit(p_verdict, p_task, p_team, p_live, p_key, p_model, p_params, p_price, p_quote, p_deadline_s,
        p_idempotency, p_fingerprint, null::text[])
$$;

-- Each time places in a team's queue have moved up, whoever follows its tasks is told: `<team>:<live|test>`. A trigger,
-- so that it is heard whichever version starts or ends a task; a hint, as every notice.
create function tasks.announce_places() returns trigger
language plpgsql set search_path = pg_catalog as $$
begin
    perform pg_notify('modellix_places', new.team_id || case when new.live then ':live' else ':test' end);
    return null;
end
$$;
create trigger announce_places after update on tasks.slot for each row
    when (new.waiting < old.waiting) execute function tasks.announce_places();

revoke execute on all functions in schema tasks from public;
grant execute on all functions in schema tasks to modellix_app;
