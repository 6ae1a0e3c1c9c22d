-- Creates the balances of a new team, both zero. Idempotent.
create or replace function ledger.open_team(p_team bigint) returns void
language sql security definer set search_path = pg_catalog as $$
    insert into ledger.balance (team_id, live) values (p_team, true), (p_team, false) on conflict do nothing
$$;
grant execute on function ledger.open_team to modellix_app;
