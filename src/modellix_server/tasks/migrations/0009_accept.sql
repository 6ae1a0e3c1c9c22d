create function tasks.open_team(p_team bigint) returns void language sql as $$
    insert into tasks.slot (team_id, live) values (p_team, true), (p_team, false) on conflict do nothing
$$;

-- Accepts a batch of submissions; each succeeds or fails alone, in one transaction for all.
-- Verdicts, in the order of the arguments:
--   accepted      the task exists and its quote is held
--   replayed      the idempotency key named this task earlier, with the same request
--   mismatch      the idempotency key was used with another request
--   revoked       the API key is not active any more
--   insufficient  the quote does not fit into what is available
--   concurrency   the team has as many unfinished tasks as it may
--   again         a neighbour in this batch stands in the way: ask again
-- Every batch gives the first affordable request of each team a final verdict, so asking again ends.
create function tasks.accept(
    p_task uuid[], p_team bigint[], p_live boolean[], p_key bigint[], p_model text[], p_params text[],
    p_price text[], p_quote bigint[], p_deadline_s int[], p_slots int[], p_idempotency text[], p_fingerprint bytea[],
    out verdicts text[], out task_ids uuid[]
) language plpgsql as $$
begin
    perform ledger.lock(p_team, p_live);

    with asked as (
        select a.*, b.posted - b.held as available, s.running, i.task_id as known, i.fingerprint as known_fingerprint,
            a.key_id in (select identity.active_keys(p_key)) as active,
            a.idempotency is not null and row_number() over (partition by a.team_id, a.live, a.idempotency order by a.ord) > 1 as twin
        from unnest(p_task, p_team, p_live, p_key, p_quote, p_slots, p_idempotency, p_fingerprint) with ordinality
            as a (id, team_id, live, key_id, quote, slots, idempotency, fingerprint, ord)
        left join ledger.balance b using (team_id, live)
        left join tasks.slot s using (team_id, live)
        left join tasks.idempotency i on i.team_id = a.team_id and i.live = a.live and i.key = a.idempotency
    ), sorted as (
        select *, active and known is null and not twin and quote <= coalesce(available, 0) as candidate from asked
    ), queued as (
        select *,
            sum(quote) filter (where candidate) over earlier_or_self as spent,
            count(*) filter (where candidate) over earlier_or_self as place
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
            when running >= slots then 'concurrency'
            when running + place > slots then 'again'
            else 'accepted' end as verdict
        from queued
    )
    select array_agg(verdict order by ord), array_agg(task_id order by ord) into verdicts, task_ids from judged;

    if 'accepted' = any (verdicts) then
        perform tasks.admit(verdicts, p_task, p_team, p_live, p_key, p_model, p_params, p_price, p_quote,
            p_deadline_s, p_idempotency, p_fingerprint);
    end if;
end
$$;

-- Writes what `accept` has chosen: hold, slot, task and idempotency key.
create function tasks.admit(
    p_verdict text[], p_task uuid[], p_team bigint[], p_live boolean[], p_key bigint[], p_model text[], p_params text[],
    p_price text[], p_quote bigint[], p_deadline_s int[], p_idempotency text[], p_fingerprint bytea[]
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

    insert into tasks.task (id, team_id, live, key_id, model, params, price, quote, deadline_at)
    select id, team_id, live, key_id, model, params, price, quote, now() + make_interval(secs => deadline_s)
    from unnest(p_verdict, p_task, p_team, p_live, p_key, p_model, p_params, p_price, p_quote, p_deadline_s)
        as a (verdict, id, team_id, live, key_id, model, params, price, quote, deadline_s)
    where verdict = 'accepted';

    insert into tasks.idempotency (team_id, live, key, fingerprint, task_id)
    select team_id, live, key, fingerprint, id
    from unnest(p_verdict, p_task, p_team, p_live, p_idempotency, p_fingerprint)
        as a (verdict, id, team_id, live, key, fingerprint)
    where verdict = 'accepted' and key is not null;
end
$$;
