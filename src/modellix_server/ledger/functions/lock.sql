-- Locks the balances of everyone concerned in one order, so that batches of several processes never
-- deadlock; all that follows in the transaction sees what the earlier holders of the locks left.
create or replace function ledger.lock(p_team bigint[], p_live boolean[]) returns void
language plpgsql security definer set search_path = pg_catalog as $$
begin
    perform 1 from ledger.balance b
    where (b.team_id, b.live) in (select * from unnest(p_team, p_live))
    order by b.team_id, b.live for no key update;
end
$$;
grant execute on function ledger.lock to modellix_app;
