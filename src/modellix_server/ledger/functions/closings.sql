-- The transfers that end a hold: one a task, in the transaction that ends the task. A plain SELECT, so that the planner
-- folds it into the calling query.
create or replace function ledger.closings() returns table (id bigint, team_id bigint, live boolean, task_id uuid)
language sql stable as $$
    select id, team_id, live, task_id from ledger.transfer where closes
$$;
grant execute on function ledger.closings to modellix_app;
