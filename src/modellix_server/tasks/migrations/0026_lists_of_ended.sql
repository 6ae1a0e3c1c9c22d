-- The indexes behind the lists know ended tasks alone; a team's unfinished ones, which are few, have one of their own
-- (task_unfinished). So an index entry is made when a task ends, and not when it is accepted and at each of its moves.
-- outside a transaction
create index concurrently task_ended on tasks.task (team_id, live, id) where finished_at is not null;
create index concurrently task_ended_of_model on tasks.task (team_id, live, model, id) where finished_at is not null;
create index concurrently task_ended_of_key on tasks.task (team_id, live, key_id, id) where finished_at is not null;
drop index concurrently tasks.task_listing;
drop index concurrently tasks.task_of_model;
drop index concurrently tasks.task_of_key;
