-- When the last transfer up to a number was made; null where there is none.
create or replace function ledger.time_of(p_up_to bigint) returns timestamptz language sql stable as $$
    select at from ledger.transfer where id <= p_up_to order by id desc limit 1
$$;
grant execute on function ledger.time_of to modellix_app;
