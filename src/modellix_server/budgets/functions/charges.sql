-- Every charge. A plain SELECT, so that the planner folds it into the calling query.
create or replace function budgets.charges() returns table (
    task_id uuid, budget_id bigint, team_id bigint, live boolean, key_id bigint, amount bigint, captured bigint
) language sql stable as $$
    select c.task_id, b.id, b.team_id, b.live, b.key_id, c.amount, c.captured
    from budgets.charge c join budgets.budget b on b.id = c.budget_id
$$;
grant execute on function budgets.charges to modellix_app;
