-- Every batch of moves announces its tasks once, to whoever follows them. A trigger and not a line in the
-- functions that move tasks: whatever else writes a move, in this version or an older one, is heard too.
-- The payload is the ids in hex, 32 characters each; a notice has room for 249. A larger batch sends an
-- empty one, at which followers look at all tasks they wait for. A notice is a hint: what is lost with a
-- broken connection is found by looking.
create or replace function tasks.announce() returns trigger
language plpgsql set search_path = pg_catalog as $$
declare
    names text;
begin
    select string_agg(distinct replace(m.task_id::text, '-', ''), '') into names from moved m;
    if names is not null then
        perform pg_notify('modellix_moves', case when length(names) < 8000 then names else '' end);
    end if;
    return null;
end
$$;
