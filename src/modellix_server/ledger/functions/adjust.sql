-- A correction in either direction: into the account when p_micros is positive, out of it when negative. Unlike a credit,
-- money that comes back this way is no top-up. Fails on the balance's check when it would take more than there is.
create or replace function ledger.adjust(p_team bigint, p_live boolean, p_micros bigint, p_actor text, p_note text) returns bigint
language plpgsql security definer set search_path = pg_catalog as $$
declare available bigint;
begin
    update ledger.balance set posted = posted + p_micros where team_id = p_team and live = p_live
    returning posted - held into available;
    if not found then
        raise exception 'team % has no balance', p_team using errcode = 'no_data_found';
    end if;
    insert into ledger.transfer (team_id, live, kind, debit, credit, amount, actor, note)
    values (p_team, p_live, 'adjust',
        case when p_micros > 0 then 'adjustment' else 'team' end,
        case when p_micros > 0 then 'team' else 'adjustment' end,
        abs(p_micros), p_actor, p_note);
    return available;
end
$$;
grant execute on function ledger.adjust to modellix_app;
