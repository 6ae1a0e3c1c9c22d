-- Ends what tasks hold in budgets and counts `p_capture` of each, in the period in which the task was accepted. Tasks
-- without a budget are passed over. The caller holds the locks on the balances.
create or replace function budgets.settle(p_task uuid[], p_capture bigint[]) returns void
language plpgsql security definer set search_path = pg_catalog as $$
begin
    with ended as (
        update budgets.charge c set captured = a.capture
        from unnest(p_task, p_capture) as a (task_id, capture)
        where c.task_id = a.task_id and c.captured is null
        returning c.budget_id, c.starts, c.amount, c.captured
    )
    update budgets.use u set held = u.held - e.amount, used = u.used + e.captured
    from (select budget_id, starts, sum(amount) as amount, sum(captured) as captured from ended group by 1, 2) e
    where u.budget_id = e.budget_id and u.starts = e.starts;
end
$$;
grant execute on function budgets.settle to modellix_app;
