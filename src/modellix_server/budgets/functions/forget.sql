-- Drops charges of ended tasks before `p_before` of one account, at most `p_most`, and sums of periods that nobody asks for
-- any more; returns how many charges. The sums that are still asked for keep what the charges cost.
create or replace function budgets.forget(p_team bigint, p_live boolean, p_before uuid, p_since timestamptz, p_most int)
returns int language plpgsql security definer set search_path = pg_catalog as $$
declare
    dropped int;
begin
    perform ledger.lock(array[p_team], array[p_live]);
    with old as (
        select c.task_id, c.budget_id from budgets.budget b join budgets.charge c on c.budget_id = b.id
        where b.team_id = p_team and b.live = p_live and c.task_id < p_before and c.captured is not null limit p_most
    ), gone as (
        delete from budgets.charge c using old
        where c.task_id = old.task_id and c.budget_id = old.budget_id returning c.budget_id, c.starts, c.captured
    ), summed as (
        update budgets.use u set carried = u.carried + g.captured
        from (select budget_id, starts, sum(captured) as captured from gone group by 1, 2) g
        where u.budget_id = g.budget_id and u.starts = g.starts
    )
    select count(*) into dropped from gone;
    if dropped < p_most then
        delete from budgets.use u using budgets.budget b
        where b.id = u.budget_id and b.team_id = p_team and b.live = p_live and u.held = 0 and u.used = u.carried
            and coalesce(budgets.period_end(b.period, u.starts), b.ended_at) < p_since;
        delete from budgets.told t using budgets.budget b
        where b.id = t.budget_id and b.team_id = p_team and b.live = p_live
            and coalesce(budgets.period_end(b.period, t.starts), b.ended_at) < p_since;
    end if;
    return dropped;
end
$$;
grant execute on function budgets.forget to modellix_app;
