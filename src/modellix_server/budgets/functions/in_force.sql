-- The budgets in force of these teams and of their keys. A plain SELECT, so that the planner folds it into the caller's.
create or replace function budgets.in_force(p_teams bigint[]) returns setof bigint language sql stable as $$
    select id from budgets.budget where team_id = any (p_teams) and ended_at is null
$$;
grant execute on function budgets.in_force to modellix_app;
