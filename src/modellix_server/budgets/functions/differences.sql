-- Where the use of a budget is not the sum of its charges: in all of it, or (`p_open`) in what unfinished tasks hold,
-- which reads those alone.
create or replace function budgets.differences(p_open boolean) returns table (
    budget_id bigint, team_id bigint, live boolean, held bigint, used bigint, held_by_charges bigint, used_by_charges bigint
) language sql stable as $$
    select b.id, b.team_id, b.live, u.held, u.used, c.held, case when p_open then u.used else c.used end
    from budgets.budget b
    join (select budget_id, sum(held)::bigint as held, sum(used)::bigint as used from budgets.use group by 1) u
        on u.budget_id = b.id
    cross join lateral (
        select coalesce(sum(amount) filter (where captured is null), 0)::bigint as held,
            coalesce(sum(captured), 0)::bigint as used
        from budgets.charge c where c.budget_id = b.id and (c.captured is null or not p_open)) c
    where u.held <> c.held or (not p_open and u.used <> c.used)
$$;
grant execute on function budgets.differences to modellix_app;
