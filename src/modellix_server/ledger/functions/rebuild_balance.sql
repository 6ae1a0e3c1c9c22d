-- Sets a balance to the sum of its transfers. The caller holds the lock of the ledger monitor. Fails on the checks of the
-- balance when that sum is below zero.
create or replace function ledger.rebuild_balance(p_team bigint, p_live boolean) returns void
language plpgsql security definer set search_path = pg_catalog as $$
begin
    perform ledger.lock(array[p_team], array[p_live]);
    delete from ledger.anchor where team_id = p_team and live = p_live;
    delete from ledger.total where team_id = p_team and live = p_live;
    insert into ledger.total (team_id, live, posted, held)
    select team_id, live, sum(posted), sum(held) from ledger.effect
    where team_id = p_team and live = p_live and id <= (select up_to from ledger.checkpoint) group by team_id, live;
    update ledger.balance b set posted = s.posted, held = s.held
    from (select coalesce(sum(posted), 0) as posted, coalesce(sum(held), 0) as held from ledger.effect
          where team_id = p_team and live = p_live) s
    where b.team_id = p_team and b.live = p_live;
end
$$;
grant execute on function ledger.rebuild_balance to modellix_app;
