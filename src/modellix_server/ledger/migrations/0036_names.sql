-- Names that say what they are, of what no release has.
alter table ledger.mark rename to checkpoint;
do $$
declare
    old name;
begin
    for old in select conname from pg_constraint where conrelid = 'ledger.checkpoint'::regclass and starts_with(conname, 'mark_') loop
        execute format('alter table ledger.checkpoint rename constraint %I to %I', old, 'checkpoint' || substr(old, length('mark') + 1));
    end loop;
end
$$;
alter function ledger.carry rename to advance_checkpoint;
alter function ledger.restate rename to rebuild_balance;
