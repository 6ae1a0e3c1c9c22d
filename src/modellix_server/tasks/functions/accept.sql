-- Accepts a batch of submissions, a `tasks.submission_batch` in JSON, in one transaction; each succeeds or fails alone.
-- One is made by an API key or, where `key_id` is null, by the user that `actor` names, whose session was checked before.
-- Where `slots` is null the team's limit holds. Verdicts, in the order of the batch:
--   accepted      the task exists and its quote is held
--   replayed      the idempotency key named this task earlier, with the same request
--   mismatch      the idempotency key was used with another request
--   revoked       the API key is not active any more
--   insufficient  the quote does not fit into what is available, or into the budget of the key or of the team
--   concurrency   the team has as many unfinished tasks as it may
--   waiting       the same, but `wait` is set: the task exists, its quote is held, and `queue_positions` tells how many
--                 are before it, itself included. While some wait nobody gets a slot past them
--   full          as many tasks of the team wait as may
--   again         a neighbour in this batch stands in the way: ask again
-- Every batch gives the first affordable request of each team a final verdict, so asking again ends.
create or replace function tasks.accept(
    p_batch json, out verdicts text[], out task_ids uuid[], out queue_positions int[]
) language plpgsql as $$
declare
    batch tasks.submission_batch;
    size int;
    budgeted boolean;
    room_for_all boolean;
    left_of_team bigint[];
    left_of_key bigint[];
    asked_of_key bigint[];
    admitted boolean[];
begin
    batch := json_populate_record(null::tasks.submission_batch, p_batch);
    size := cardinality(batch.task_id);
    perform ledger.lock(batch.team_id, batch.live);
    budgeted := exists (select from budgets.in_force(batch.team_id));

    -- Usually every account has room for all that is asked of it. Nobody then stands in anybody's way, and judging one
    -- after the other would give the same verdicts in four times the time.
    if not budgeted and num_nonnulls(variadic batch.idempotency_key) = 0 then
        select bool_and(coalesce(
            a.plain and a.asked <= b.available and s.waiting = 0 and s.running + a.more <= a.slots, false))
        into room_for_all
        from (
            select team_id, live, sum(quote) as asked, count(*) as more, min(slots) as slots,
                bool_and(slots is not null and key_id in (select k from identity.active_keys(batch.key_id) k)) as plain
            from unnest(batch.team_id, batch.live, batch.key_id, batch.quote, batch.slots)
                as a (team_id, live, key_id, quote, slots)
            group by team_id, live
        ) a
        left join lateral ledger.available(a.team_id, a.live) b on true
        left join tasks.slot s on s.team_id = a.team_id and s.live = a.live;
    end if;

    if room_for_all then
        verdicts := array_fill('accepted'::text, array[size]);
        task_ids := batch.task_id;
        queue_positions := array_fill(null::int, array[size]);
        admitted := array_fill(true, array[size]);
    else
        if budgeted then
            select array_agg(u.of_team order by a.ord), array_agg(u.of_key order by a.ord),
                array_agg(a.asked order by a.ord)
            into left_of_team, left_of_key, asked_of_key
            from (select *, sum(quote) over (partition by key_id order by ord) as asked
                  from unnest(batch.team_id, batch.live, batch.key_id, batch.quote)
                      with ordinality as b (team_id, live, key_id, quote, ord)) a
            cross join lateral budgets.available(a.team_id, a.live, a.key_id) u;
        end if;

        with asked as (
            select a.ord, a.task_id, a.team_id, a.live, a.quote, a.wait,
                coalesce(a.slots, (select l.concurrency from limits.of_team(a.team_id) l)) as slots,
                decode(a.fingerprint, 'base64') as fingerprint,
                least(b.available, coalesce(left_of_team[a.ord], b.available)) as available, s.running, s.waiting,
                i.task_id as known, i.fingerprint as known_fingerprint,
                case when a.key_id is null then a.actor is not null else a.key_id in (
                    select k from identity.active_keys(batch.key_id) k) end as active,
                a.idempotency_key is not null and row_number() over (
                    partition by a.team_id, a.live, a.idempotency_key order by a.ord) > 1 as twin
            from unnest(batch.task_id, batch.team_id, batch.live, batch.key_id, batch.quote, batch.slots,
                    batch.idempotency_key, batch.fingerprint, batch.wait, batch.actor)
                with ordinality as a (task_id, team_id, live, key_id, quote, slots, idempotency_key, fingerprint, wait,
                    actor, ord)
            left join lateral ledger.available(a.team_id, a.live) b on true
            left join tasks.slot s using (team_id, live)
            left join tasks.idempotency i on i.team_id = a.team_id and i.live = a.live
                and i.key = a.idempotency_key
        ), sorted as (
            select *, active and known is null and not twin
                and quote <= least(coalesce(available, 0), left_of_key[ord]) as candidate
            from asked
        ), queued as (
            select *,
                sum(quote) filter (where candidate) over earlier_or_self as spent,
                count(*) filter (where candidate) over earlier_or_self as place,
                waiting + count(*) filter (where candidate and wait) over earlier_or_self as queue_position
            from sorted
            window earlier_or_self as (partition by team_id, live order by ord)
        ), judged as (
            select ord, coalesce(known, task_id) as task_id, queue_position, case
                when not active then 'revoked'
                when known is not null and known_fingerprint = fingerprint then 'replayed'
                when known is not null then 'mismatch'
                when twin then 'again'
                when not candidate then 'insufficient'
                when spent > available or asked_of_key[ord] > left_of_key[ord] then 'again'
                when waiting = 0 and running + place <= slots then 'accepted'
                when waiting = 0 and running < slots then 'again'
                when not wait then 'concurrency'
                when queue_position <= limits.most_waiting(team_id) then 'waiting'
                when waiting >= limits.most_waiting(team_id) then 'full'
                else 'again' end as verdict
            from queued
        )
        select array_agg(verdict order by ord), array_agg(task_id order by ord),
            array_agg(case when verdict = 'waiting' then queue_position end order by ord),
            array_agg(verdict in ('accepted', 'waiting') order by ord)
        into verdicts, task_ids, queue_positions, admitted from judged;
    end if;

    if not true = any (admitted) then
        return;
    end if;
    perform ledger.hold(batch.team_id, batch.live, batch.quote, batch.task_id, batch.key_id, batch.actor, admitted);
    if budgeted then
        perform budgets.hold(batch.team_id, batch.live, batch.quote, batch.task_id, batch.key_id, admitted);
    end if;

    update tasks.slot s set running = s.running + a.starting, waiting = s.waiting + a.waiting
    from (select team_id, live, count(*) filter (where verdict = 'accepted') as starting,
              count(*) filter (where verdict = 'waiting') as waiting
          from unnest(batch.team_id, batch.live, verdicts) as b (team_id, live, verdict)
          where verdict in ('accepted', 'waiting') group by team_id, live) a
    where s.team_id = a.team_id and s.live = a.live;

    insert into tasks.task
        (id, team_id, live, key_id, model, params, price, quote, due_at, deadline_at, queue_no, request_id, actor)
    select id, team_id, live, key_id, model, params, price, quote, case when verdict = 'waiting' then dies_at else now() end,
        dies_at, case when verdict = 'waiting' then nextval('tasks.queue_no') end, request_id, actor
    from unnest(batch.task_id, batch.team_id, batch.live, batch.key_id, batch.model, batch.params, batch.price,
            batch.quote, batch.deadline_s, batch.request_id, batch.actor, verdicts)
        as a (id, team_id, live, key_id, model, params, price, quote, deadline_s, request_id, actor, verdict)
    cross join lateral (select now() + make_interval(secs => deadline_s) as dies_at) d
    where verdict in ('accepted', 'waiting');

    if num_nonnulls(variadic batch.idempotency_key) > 0 then
        insert into tasks.idempotency (team_id, live, key, fingerprint, task_id)
        select team_id, live, key, decode(fingerprint, 'base64'), task_id
        from unnest(batch.team_id, batch.live, batch.idempotency_key, batch.fingerprint, batch.task_id, admitted)
            as a (team_id, live, key, fingerprint, task_id, chosen)
        where chosen and key is not null;
    end if;
    if num_nonnulls(variadic batch.webhook) > 0 then
        perform webhooks.subscribe(array_agg(task_id), array_agg(webhook))
        from unnest(batch.task_id, batch.webhook, admitted) as a (task_id, webhook, chosen)
        where chosen and webhook is not null having count(*) > 0;
    end if;
end
$$;
grant execute on function tasks.accept(json) to modellix_app;
