-- Counts those of these tasks that were chosen in the budgets of their keys and teams. The caller holds the locks on the
-- balances, which guard budgets too, and has chosen what fits; a wrong choice fails as a whole rather than exceed a budget.
create or replace function budgets.hold(
    p_team bigint[], p_live boolean[], p_amount bigint[], p_task uuid[], p_key bigint[], p_chosen boolean[]
) returns void language plpgsql security definer set search_path = pg_catalog as $$
begin
    with added as (
        insert into budgets.charge (task_id, budget_id, starts, amount)
        select a.task_id, b.id, budgets.period_start(b.period, now()), a.amount
        from unnest(p_team, p_live, p_amount, p_task, p_key, p_chosen)
            as a (team_id, live, amount, task_id, key_id, chosen)
        join budgets.budget b on b.ended_at is null and b.team_id = a.team_id and b.live = a.live
            and (b.key_id is null or b.key_id = a.key_id)
        where a.chosen
        returning budget_id, starts, amount
    )
    insert into budgets.use as u (budget_id, starts, held)
    select budget_id, starts, sum(amount) from added group by budget_id, starts
    on conflict (budget_id, starts) do update set held = u.held + excluded.held;

    if exists (
        select from budgets.budget b
        join budgets.use u on u.budget_id = b.id and u.starts = budgets.period_start(b.period, now())
        where b.id in (select budget_id from budgets.charge where task_id = any (p_task) and amount > 0)
            and u.held + u.used > b.amount
    ) then
        raise exception 'a budget does not cover this' using errcode = 'check_violation';
    end if;
end
$$;
grant execute on function budgets.hold(bigint[], boolean[], bigint[], uuid[], bigint[], boolean[]) to modellix_app;
