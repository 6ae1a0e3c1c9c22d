-- Sets money aside for those of these tasks that were chosen. The caller holds the locks and has chosen what fits; the
-- guard in the WHERE and the table's check make a wrong choice fail as a whole rather than overdraw.
create or replace function ledger.hold(
    p_team bigint[], p_live boolean[], p_amount bigint[], p_task uuid[], p_key bigint[], p_actor text[],
    p_chosen boolean[]
) returns void language plpgsql security definer set search_path = pg_catalog as $$
declare
    wanted int;
    changed int;
begin
    with wish as (
        select team_id, live, sum(amount) as total
        from unnest(p_team, p_live, p_amount, p_chosen) as a (team_id, live, amount, chosen)
        where chosen group by team_id, live
    ), done as (
        update ledger.balance b set held = b.held + w.total from wish w
        where b.team_id = w.team_id and b.live = w.live and b.posted - b.held >= w.total
        returning 1
    )
    select (select count(*) from wish), (select count(*) from done) into wanted, changed;
    if wanted <> changed then
        raise exception 'a hold does not fit' using errcode = 'check_violation';
    end if;
    insert into ledger.transfer (team_id, live, kind, debit, credit, amount, task_id, key_id, actor)
    select team_id, live, 'hold', 'team', 'held', amount, task_id, key_id, actor
    from unnest(p_team, p_live, p_amount, p_task, p_key, p_actor, p_chosen)
        as a (team_id, live, amount, task_id, key_id, actor, chosen)
    where chosen;
end
$$;
grant execute on function ledger.hold(bigint[], boolean[], bigint[], uuid[], bigint[], text[], boolean[]) to modellix_app;
