-- Not even the owner's programs change an entry by mistake. A superuser can; the chain is for that.
create or replace function audit.refuse() returns trigger
language plpgsql set search_path = pg_catalog as $$
begin
    raise exception 'the audit log is append-only' using errcode = 'insufficient_privilege';
end
$$;
