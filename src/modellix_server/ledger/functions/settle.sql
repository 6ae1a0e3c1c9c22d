-- Ends holds: captures `p_capture` of each and releases the rest, in one step. Raises when a hold is
-- missing, already ended (unique indexes) or smaller than the capture.
create or replace function ledger.settle(p_task uuid[], p_capture bigint[]) returns void
language plpgsql security definer set search_path = pg_catalog as $$
declare found_holds int;
begin
    with ending as (
        select h.team_id, h.live, h.amount as held, a.capture, h.task_id, h.key_id, h.actor
        from unnest(p_task, p_capture) as a (task_id, capture)
        join ledger.transfer h on h.task_id = a.task_id and h.kind = 'hold'
    ), entries as (
        insert into ledger.transfer (team_id, live, kind, debit, credit, amount, task_id, key_id, actor, closes)
        select team_id, live, 'capture', 'held', 'revenue', capture, task_id, key_id, actor, true
        from ending where capture > 0
        union all
        select team_id, live, 'release', 'held', 'team', held - capture, task_id, key_id, actor, capture = 0
        from ending where held <> capture or capture = 0
    ), totals as (
        update ledger.balance b set posted = b.posted - t.captured, held = b.held - t.ended
        from (select team_id, live, sum(capture) as captured, sum(held) as ended from ending group by team_id, live) t
        where b.team_id = t.team_id and b.live = t.live
    )
    select count(*) from ending into found_holds;
    if found_holds <> cardinality(p_task) then
        raise exception 'a task without a hold' using errcode = 'no_data_found';
    end if;
end
$$;
grant execute on function ledger.settle to modellix_app;
