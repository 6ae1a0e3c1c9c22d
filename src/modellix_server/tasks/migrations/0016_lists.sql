-- Indexes behind the list of tasks: newest first by team and mode, narrowed by what people look for.
-- Ids are UUIDv7, so their order is the order of time.
-- outside a transaction
create index concurrently task_of_model on tasks.task (team_id, live, model, id);
create index concurrently task_of_key on tasks.task (team_id, live, key_id, id);
create index concurrently task_unfinished on tasks.task (team_id, live, id) where finished_at is null;
create index concurrently task_failed on tasks.task (team_id, live, id) where state = 'failed';
