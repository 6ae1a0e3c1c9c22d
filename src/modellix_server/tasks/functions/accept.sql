-- Accepts a batch of submissions, a JSON array of `tasks.submission`, in one transaction; each succeeds or fails alone.
-- One is made by an API key or, where `key_id` is null, by the user that `actor` names, whose session was checked before.
-- Where `slots` is null the team's limit holds. Verdicts, in the order of the array:
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
    batch tasks.submission[];
    teams bigint[];
    budgeted boolean;
    left_of_team bigint[];
    left_of_key bigint[];
    asked_of_key bigint[];
begin
    select array_agg(s), array_agg(s.team_id) into batch, teams
    from json_populate_recordset(null::tasks.submission, p_batch) s;
    perform ledger.lock(teams, array_agg(live)) from unnest(batch);
    budgeted := exists (select from budgets.in_force(teams));
    if budgeted then
        select array_agg(u.of_team order by a.ordinality), array_agg(u.of_key order by a.ordinality),
            array_agg(a.asked order by a.ordinality)
        into left_of_team, left_of_key, asked_of_key
        from (select *, sum(quote) over (partition by key_id order by ordinality) as asked
              from unnest(batch) with ordinality) a
        cross join lateral budgets.available(a.team_id, a.live, a.key_id) u;
    end if;

    with asked as (
        select a.ordinality as ord, a.task_id, a.team_id, a.live, a.quote, a.wait,
            coalesce(a.slots, (select l.concurrency from limits.of_team(a.team_id) l)) as slots,
            decode(a.fingerprint, 'base64') as fingerprint,
            least(b.available, coalesce(left_of_team[a.ordinality], b.available)) as available, s.running, s.waiting,
            i.task_id as known, i.fingerprint as known_fingerprint,
            case when a.key_id is null then a.actor is not null else a.key_id in (
                select k from identity.active_keys(array(select key_id from unnest(batch))) k) end as active,
            a.idempotency_key is not null and row_number() over (
                partition by a.team_id, a.live, a.idempotency_key order by a.ordinality) > 1 as twin
        from unnest(batch) with ordinality a
        left join lateral ledger.available(a.team_id, a.live) b on true
        left join tasks.slot s using (team_id, live)
        left join tasks.idempotency i on i.team_id = a.team_id and i.live = a.live and i.key = a.idempotency_key
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
        array_agg(case when verdict = 'waiting' then queue_position end order by ord)
    into verdicts, task_ids, queue_positions from judged;

    if 'accepted' = any (verdicts) then
        perform tasks.admit(array(select batch[n] from unnest(array_positions(verdicts, 'accepted')) n), false);
    end if;
    if 'waiting' = any (verdicts) then
        perform tasks.admit(array(select batch[n] from unnest(array_positions(verdicts, 'waiting')) n), true);
    end if;
    if budgeted then
        perform budgets.hold(array_agg(a.team_id), array_agg(a.live), array_agg(a.quote), array_agg(a.task_id),
            array_agg(a.key_id))
        from unnest(batch) with ordinality a where verdicts[a.ordinality] in ('accepted', 'waiting') having count(*) > 0;
    end if;
end
$$;
grant execute on function tasks.accept(json) to modellix_app;
