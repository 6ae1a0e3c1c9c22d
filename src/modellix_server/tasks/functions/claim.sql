-- Leases up to p_limit tasks to a worker: those that are due and free, then those of dead workers.
create or replace function tasks.claim(p_worker bigint, p_limit int) returns setof tasks.task language sql as $$
    update tasks.task t set owner = p_worker, epoch = t.epoch + 1
    where t.id in (
        select id from tasks.task
        where owner is null and finished_at is null and due_at <= now()
        order by due_at limit p_limit for update skip locked)
    returning t.*
$$;
grant execute on function tasks.claim to modellix_app;
