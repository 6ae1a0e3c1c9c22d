-- No index may look at what each move changes: then PostgreSQL writes a row's next version beside the last one, and
-- enters it into no index. An error code is there exactly in the state `failed` (a check of the table).
alter table tasks.attempt set (fillfactor = 70);  -- room for its answer, which no index looks at either
-- outside a transaction
create index concurrently task_with_error on tasks.task (team_id, live, id) where error_code is not null;
drop index concurrently tasks.task_failed;
