-- Makes the use of an account's budgets what its charges say. The caller holds the lock on the balance.
create or replace function budgets.rebuild(p_team bigint, p_live boolean) returns void
language sql security definer set search_path = pg_catalog as $$
    update budgets.use u set held = s.held, used = u.carried + s.used
    from (
        select o.budget_id, o.starts, coalesce(sum(c.amount) filter (where c.captured is null), 0) as held,
            coalesce(sum(c.captured), 0) as used
        from budgets.budget b join budgets.use o on o.budget_id = b.id
        left join budgets.charge c on c.budget_id = o.budget_id and c.starts = o.starts
        where b.team_id = p_team and b.live = p_live group by 1, 2) s
    where u.budget_id = s.budget_id and u.starts = s.starts
$$;
grant execute on function budgets.rebuild to modellix_app;
