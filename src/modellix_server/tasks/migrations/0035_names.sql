-- Names as in docs/glossary.md, of what no release has.
alter table tasks.afterlook rename to late_result;
alter index tasks.afterlook_due rename to late_result_due;
do $$
declare
    old name;
begin
    for old in select conname from pg_constraint where conrelid = 'tasks.late_result'::regclass and starts_with(conname, 'afterlook_') loop
        execute format('alter table tasks.late_result rename constraint %I to %I', old, 'late_result' || substr(old, length('afterlook') + 1));
    end loop;
end
$$;
alter function tasks.announce_places rename to announce_queue_positions;
alter trigger announce_places on tasks.slot rename to announce_queue_positions;
