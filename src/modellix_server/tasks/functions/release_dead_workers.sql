-- Frees the tasks of workers that are gone, and tells how many. A worker whose advisory lock is free
-- has lost its process or its connection: what it only watched (queued, preparing, running, storing) is
-- handed over at once. A submission may still be on its way, so `submitting` waits for the lease, and
-- only then ends as an unknown outcome, by whoever claims it. A lease that ran out frees everything,
-- lock or no lock: that worker is frozen. A fresh database start has freed every lock, which says
-- nothing about the workers, so nobody is declared dead in its first seconds.
create or replace function tasks.release_dead_workers(p_lock_class int, p_grace_s double precision) returns int
language plpgsql as $$
declare
    freed int := 0;
begin
    if pg_postmaster_start_time() > now() - make_interval(secs => p_grace_s) then
        return 0;
    end if;
    with suspect as (
        select w.id, w.lease_until < now() as lapsed from tasks.worker w
        where w.lease_until < now() or not exists (
            select 1 from pg_locks l join pg_database d on d.oid = l.database and d.datname = current_database()
            where l.locktype = 'advisory' and l.objsubid = 2
                and l.classid::bigint = p_lock_class and l.objid::bigint = w.id)
    ), released as (
        update tasks.task t set owner = null, due_at = now()
        where t.id in (
            select t.id from tasks.task t join suspect s on t.owner = s.id
            where t.finished_at is null and (s.lapsed or t.state <> 'submitting')
            for update of t skip locked)
        returning 1
    )
    select count(*) from released into freed;
    delete from tasks.worker w
    where w.lease_until < now() - interval '1 minute'
        and not exists (select 1 from tasks.task t where t.owner = w.id and t.finished_at is null);
    return freed;
end
$$;
grant execute on function tasks.release_dead_workers to modellix_app;
