-- The number of about the first transfer at a moment. Numbers are given in the order of time, but for
-- transactions that ran side by side: whoever asks leaves a minute's margin. Some thirty look-ups by
-- number instead of one more index entry for each transfer.
create or replace function ledger.first_transfer_at(p_at timestamptz) returns bigint language plpgsql stable as $$
declare
    earlier bigint := 0;
    later bigint;
    middle bigint;
    found timestamptz;
begin
    select coalesce(max(id), 0) + 1 into later from ledger.transfer;
    while later - earlier > 1 loop
        middle := earlier + (later - earlier) / 2;
        select at into found from ledger.transfer where id >= middle order by id limit 1;
        if found < p_at then
            earlier := middle;
        else
            later := middle;
        end if;
    end loop;
    return later;
end
$$;
grant execute on function ledger.first_transfer_at to modellix_app;
