-- Notes that a task did not fit into a budget in this period: it counts as wholly used, though something may be left. One
-- budget a call, so that no caller holds one row while it waits for another.
create or replace function budgets.note_refusal(p_budget bigint) returns void
language sql security definer set search_path = pg_catalog as $$
    insert into budgets.use as u (budget_id, starts, refused_amount)
    select id, budgets.period_start(period, now()), amount from budgets.budget where id = p_budget and ended_at is null
    on conflict (budget_id, starts) do update set refused_amount = excluded.refused_amount
    where u.refused_amount is distinct from excluded.refused_amount
$$;
grant execute on function budgets.note_refusal to modellix_app;
