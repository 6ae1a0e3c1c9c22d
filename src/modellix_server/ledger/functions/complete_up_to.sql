-- The number up to which no transfer can appear any more: all have been committed, or never will be.
create or replace function ledger.complete_up_to() returns bigint language sql stable as $$
    select up_to from ledger.checkpoint
$$;
grant execute on function ledger.complete_up_to to modellix_app;
