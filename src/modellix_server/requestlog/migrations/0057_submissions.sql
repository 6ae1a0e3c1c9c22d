-- What the row of an accepted task does not say of the call that made it. By the day of the task's id, so that the rows
-- of listed tasks are found without their times. Written off the hot path, as the log: a crash may lose a second of it.
create table requestlog.submission (
    task_id uuid not null,
    team_id bigint not null,
    live boolean not null,
    path text not null,
    latency_us int not null,
    bytes_in int not null,
    bytes_out int not null,
    request_id text
) partition by range (task_id);
create index submission_of_task on requestlog.submission (task_id);
create index submission_of_request on requestlog.submission (request_id);
grant select, insert on requestlog.submission to modellix_app;
comment on table requestlog.submission is
    'Calls that made a task. A row that was lost leaves the task without response time and sizes.';
comment on column requestlog.submission.path is
    'as called, without query';

alter table requestlog.entry add column user_id bigint;
comment on column requestlog.entry.user_id is
    'who made the call from a page of the console';
comment on column requestlog.entry.task_id is
    'the task that the call was about';

-- outside a transaction
create index concurrently entry_of_task on requestlog.entry (task_id, at) where task_id is not null;
create index concurrently entry_of_request on requestlog.entry (request_id);
