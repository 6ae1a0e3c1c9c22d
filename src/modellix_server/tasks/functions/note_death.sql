-- Counts one more; tells the count, or null when the task has ended meanwhile.
create or replace function tasks.note_death(p_task uuid) returns int language sql as $$
    update tasks.task set deaths = case when deaths_at = moves then deaths + 1 else 1 end, deaths_at = moves
    where id = p_task and finished_at is null returning deaths
$$;
grant execute on function tasks.note_death to modellix_app;
