-- Moves the checkpoint forward, by at most p_most transfers; `moved` is by how many, `newer` how many are after it.
-- One caller at a time (advisory lock), and first in its transaction.
-- Numbers are given out in order but committed in any. Whoever writes transfers has locked a balance first, and with
-- that got a transaction number. So each number up to the newest that is visible belongs to a transaction that began
-- before the one whose number is taken next; when all of those have ended, what is there is all there will be.
create or replace function ledger.advance_checkpoint(p_most bigint, out moved bigint, out newer bigint)
language plpgsql security definer set search_path = pg_catalog as $$
declare
    at ledger.checkpoint;
    newest bigint;
    mine xid8;
    goal bigint;
begin
    moved := 0;
    if pg_current_xact_id_if_assigned() is not null then
        raise exception 'ledger.advance_checkpoint comes first in its transaction';
    end if;
    select coalesce(max(id), 0) into newest from ledger.transfer;
    mine := pg_current_xact_id();
    select * into strict at from ledger.checkpoint;
    if at.ahead_xid <= pg_snapshot_xmin(pg_current_snapshot()) and at.ahead > at.up_to then
        goal := least(at.ahead, at.up_to + p_most);
        insert into ledger.anchor (team_id, live, id, posted, held)
        select n.team_id, n.live, n.id, coalesce(t.posted, 0) + n.posted, coalesce(t.held, 0) + n.held
        from (select team_id, live, id, row_number() over each as number, sum(posted) over each as posted,
                  sum(held) over each as held
              from ledger.effect where id > at.up_to and id <= goal
              window each as (partition by team_id, live order by id)) n
        left join ledger.total t using (team_id, live)
        where (coalesce(t.transfers, 0) + n.number) % 1000 = 0;
        insert into ledger.total as t (team_id, live, posted, held, transfers)
        select team_id, live, sum(posted), sum(held), count(*) from ledger.effect
        where id > at.up_to and id <= goal group by team_id, live
        on conflict (team_id, live) do update set posted = t.posted + excluded.posted, held = t.held + excluded.held,
            transfers = t.transfers + excluded.transfers;
        moved := goal - at.up_to;
        at.up_to := goal;
    end if;
    -- A transaction number from the future was restored from another server.
    if at.up_to >= at.ahead or at.ahead_xid > mine then
        at.ahead := newest;
        at.ahead_xid := mine;
    end if;
    update ledger.checkpoint set up_to = at.up_to, ahead = at.ahead, ahead_xid = at.ahead_xid;
    newer := newest - at.up_to;
end
$$;
grant execute on function ledger.advance_checkpoint to modellix_app;
