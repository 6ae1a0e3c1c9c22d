-- Each time places in a team's queue have moved up, whoever follows its tasks is told: `<team>:<live|test>`. A trigger,
-- so that it is heard whichever version starts or ends a task; a hint, as every notice.
create or replace function tasks.announce_queue_positions() returns trigger
language plpgsql set search_path = pg_catalog as $$
begin
    perform pg_notify('modellix_queue_positions', new.team_id || case when new.live then ':live' else ':test' end);
    return null;
end
$$;
