-- What a key, and its team in a mode, may still spend in this period: null where there is no budget. One row. A plain
-- SELECT, so that the planner folds it into the calling query.
create or replace function budgets.available(p_team bigint, p_live boolean, p_key bigint)
returns table (of_key bigint, of_team bigint) language sql stable as $$
    select
        (select b.amount - coalesce(u.held + u.used, 0)
         from budgets.budget b left join budgets.use u
             on u.budget_id = b.id and u.starts = budgets.period_start(b.period, now())
         where b.key_id = p_key and b.ended_at is null),
        (select b.amount - coalesce(u.held + u.used, 0)
         from budgets.budget b left join budgets.use u
             on u.budget_id = b.id and u.starts = budgets.period_start(b.period, now())
         where b.team_id = p_team and b.live = p_live and b.key_id is null and b.ended_at is null)
$$;
grant execute on function budgets.available to modellix_app;
