-- How many accepted tasks of a team may wait for a free slot, in each mode; null = the default, 100.
alter table limits.team_limit add column most_waiting int check (most_waiting >= 0);

create function limits.most_waiting(p_team bigint) returns int language sql stable as $$
    select coalesce((select l.most_waiting from limits.team_limit l where l.team_id = p_team), 100)
$$;
revoke execute on function limits.most_waiting(bigint) from public;
grant execute on function limits.most_waiting(bigint) to modellix_app;
