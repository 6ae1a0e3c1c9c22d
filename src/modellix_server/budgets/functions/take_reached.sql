-- Thresholds, in percent, that budgets have reached in this period, or in one that ended in the last ten minutes, and that
-- were not told yet: they count as told when the caller's transaction commits. After the amount was raised they count anew.
-- 100 is reached too when a task did not fit. Of several callers at once one gets each.
create or replace function budgets.take_reached(p_percents int[]) returns table (
    budget_id bigint, team_id bigint, live boolean, key_id bigint, amount bigint, period text, held bigint, used bigint,
    resets_at timestamptz, percent int
) language sql security definer set search_path = pg_catalog as $$
    with reached as (
        select b.id, b.team_id, b.live, b.key_id, b.amount, b.period, u.starts, u.held, u.used, p as percent
        from budgets.budget b join budgets.use u on u.budget_id = b.id cross join unnest(p_percents) p
        where b.ended_at is null and b.amount > 0
            and u.starts in (budgets.period_start(b.period, now()), budgets.period_start(b.period, now() - interval '10 minutes'))
            and ((u.held + u.used) * 100 >= b.amount * p or (p = 100 and u.refused_amount >= b.amount))
    ), told as (
        insert into budgets.told as t (budget_id, starts, percent, amount)
        select id, starts, percent, amount from reached order by id, starts, percent
        on conflict (budget_id, starts, percent) do update set amount = excluded.amount, at = now()
        where t.amount < excluded.amount
        returning t.budget_id, t.starts, t.percent
    )
    select distinct on (r.id, r.starts) r.id, r.team_id, r.live, r.key_id, r.amount, r.period, r.held, r.used,
        budgets.period_end(r.period, r.starts), r.percent
    from reached r join told t on t.budget_id = r.id and t.starts = r.starts and t.percent = r.percent
    order by r.id, r.starts, r.percent desc
$$;
grant execute on function budgets.take_reached to modellix_app;
