-- How many accepted tasks of a team may wait for a free slot, in each mode: 100 where no other limit is set.
create or replace function limits.most_waiting(p_team bigint) returns int language sql stable as $$
    select coalesce((select l.most_waiting from limits.team_limit l where l.team_id = p_team), 100)
$$;
grant execute on function limits.most_waiting to modellix_app;
