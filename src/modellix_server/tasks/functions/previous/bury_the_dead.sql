-- Of 0.1.0: to be dropped in the release after the next.
create or replace function tasks.bury_the_dead(p_lock_class int, p_grace_s double precision) returns int language sql as $$
    select tasks.release_dead_workers(p_lock_class, p_grace_s)
$$;
grant execute on function tasks.bury_the_dead to modellix_app;
