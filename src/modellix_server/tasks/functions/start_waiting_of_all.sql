-- For a limit that was raised: no task ends then that could start the waiting ones.
create or replace function tasks.start_waiting_of_all() returns int language plpgsql as $$
declare
    found record;
    started int := 0;
begin
    perform ledger.lock(array_agg(team_id), array_agg(live)) from tasks.slot where waiting > 0 having count(*) > 0;
    for found in select team_id, live from tasks.slot where waiting > 0 order by team_id, live loop
        started := started + tasks.start_waiting(found.team_id, found.live);
    end loop;
    return started;
end
$$;
grant execute on function tasks.start_waiting_of_all to modellix_app;
