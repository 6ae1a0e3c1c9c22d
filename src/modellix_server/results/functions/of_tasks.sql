-- Results that have not expired, for a batch of status reads.
create or replace function results.of_tasks(p_task uuid[]) returns table (task_id uuid, resources text, expires_at timestamptz)
language sql stable as $$
    select r.task_id, r.resources, r.expires_at from results.result r
    where r.task_id = any (p_task) and r.expires_at > now()
$$;
grant execute on function results.of_tasks to modellix_app;
