-- What each team has set aside for unfinished tasks, by its balance.
create or replace function ledger.held() returns table (team_id bigint, live boolean, held bigint)
language sql stable as $$
    select team_id, live, held from ledger.balance
$$;
grant execute on function ledger.held to modellix_app;
