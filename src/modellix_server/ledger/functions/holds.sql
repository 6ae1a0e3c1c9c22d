-- Every hold, with what was captured of it. A plain SELECT, so that the planner folds it into the calling query.
create or replace function ledger.holds() returns table (
    task_id uuid, team_id bigint, live boolean, key_id bigint, amount bigint, captured bigint, open boolean
) language sql stable as $$
    select h.task_id, h.team_id, h.live, h.key_id, h.amount, c.amount, e.task_id is null
    from ledger.transfer h
    left join ledger.transfer c on c.task_id = h.task_id and c.kind = 'capture'
    left join ledger.transfer e on e.task_id = h.task_id and e.closes
    where h.kind = 'hold'
$$;
grant execute on function ledger.holds to modellix_app;
