-- Accepts a batch of submissions; each succeeds or fails alone, in one transaction for all.
-- Verdicts, in the order of the arguments:
--   accepted      the task exists and its quote is held
--   replayed      the idempotency key named this task earlier, with the same request
--   mismatch      the idempotency key was used with another request
--   revoked       the API key is not active any more
--   insufficient  the quote does not fit into what is available
--   concurrency   the team has as many unfinished tasks as it may
--   waiting       there is no slot but `p_wait` is set: the task exists, its quote is held, and `places` tells how many
--                 are before it, itself included. While some wait nobody gets a slot past them
--   full          as many tasks of the team wait as may
--   again         a neighbour in this batch stands in the way: ask again
-- Every batch gives the first affordable request of each team a final verdict, so asking again ends.
create or replace function tasks.accept(
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
grant execute on function tasks.accept(
    uuid[], bigint[], boolean[], bigint[], text[], text[], text[], bigint[], int[], int[], text[], bytea[], boolean[], text[]
) to modellix_app;
