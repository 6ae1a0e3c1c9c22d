-- Where the use of a budget is not the sum of its charges: in all of it, or (`p_open`) in what unfinished tasks hold,
-- which reads those alone. A plain SELECT, so that the planner folds it into the calling query.
create or replace function budgets.differences(p_open boolean) returns table (
    budget_id bigint, team_id bigint, live boolean, held bigint, used bigint, held_by_charges bigint, used_by_charges bigint
) language sql stable as $$
    select b.id, b.team_id, b.live, coalesce(u.held, 0), coalesce(u.used, 0), coalesce(c.held, 0),
        case when p_open then coalesce(u.used, 0) else coalesce(c.used, 0) + coalesce(u.carried, 0) end
    from (select budget_id, sum(held)::bigint as held, sum(used)::bigint as used, sum(carried)::bigint as carried
          from budgets.use group by 1) u
    full join (
        select budget_id, coalesce(sum(amount) filter (where captured is null), 0)::bigint as held,
            coalesce(sum(captured), 0)::bigint as used
        from budgets.charge where captured is null or not p_open group by 1) c using (budget_id)
    join budgets.budget b on b.id = budget_id
    where coalesce(u.held, 0) <> coalesce(c.held, 0)
        or (not p_open and coalesce(u.used, 0) <> coalesce(c.used, 0) + coalesce(u.carried, 0))
$$;
grant execute on function budgets.differences to modellix_app;
