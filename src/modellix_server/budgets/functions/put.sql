-- Sets, changes or (`p_amount` null) ends the budget of a key, or of a team where `p_key` is null. What was spent in the
-- period still counts, unless the length of the period changes: that is another budget, which begins at zero.
create or replace function budgets.put(p_team bigint, p_live boolean, p_key bigint, p_amount bigint, p_period text)
returns void language plpgsql security definer set search_path = pg_catalog as $$
begin
    perform ledger.lock(array[p_team], array[p_live]);
    update budgets.budget set ended_at = now()
    where team_id = p_team and live = p_live and key_id is not distinct from p_key and ended_at is null
        and (p_amount is null or period <> p_period);
    if p_amount is null then
        return;
    end if;
    update budgets.budget set amount = p_amount
    where team_id = p_team and live = p_live and key_id is not distinct from p_key and ended_at is null;
    if not found then
        insert into budgets.budget (team_id, live, key_id, amount, period)
        values (p_team, p_live, p_key, p_amount, p_period);
    end if;
end
$$;
grant execute on function budgets.put to modellix_app;
