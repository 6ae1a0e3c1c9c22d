-- The budgets that unfinished ones of these tasks count in. A plain SELECT, so that the planner folds it into the caller's.
create or replace function budgets.charged(p_tasks uuid[]) returns setof bigint language sql stable as $$
    select budget_id from budgets.charge where task_id = any (p_tasks) and captured is null
$$;
grant execute on function budgets.charged to modellix_app;
