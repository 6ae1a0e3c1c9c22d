-- Whatever frees a slot starts the next waiting task in the same transaction.
create or replace function tasks.hand_over_slot() returns trigger language plpgsql as $$
begin
    perform tasks.start_waiting(new.team_id, new.live);
    return null;
end
$$;
