-- The request log has a table of this name too, and had it first. No release has this one.
alter table audit.entry rename to audit_entry;
alter index audit.entry_of_team rename to audit_entry_of_team;
do $$
declare
    old name;
begin
    for old in select conname from pg_constraint where conrelid = 'audit.audit_entry'::regclass and starts_with(conname, 'entry_') loop
        execute format('alter table audit.audit_entry rename constraint %I to %I', old, 'audit_entry' || substr(old, length('entry') + 1));
    end loop;
end
$$;
