-- What a team can spend in a mode: no row where it has no balance. A plain SELECT, so that the planner folds it into the
-- calling query.
create or replace function ledger.available(p_team bigint, p_live boolean) returns table (available bigint)
language sql stable as $$
    select posted - held from ledger.balance where team_id = p_team and live = p_live
$$;
grant execute on function ledger.available to modellix_app;
