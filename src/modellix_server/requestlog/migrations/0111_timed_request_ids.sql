-- Request ids begin with their time. A call whose id does so is found by its time: no index has to take it in.
alter table requestlog.entry add column request_id_timed boolean;
comment on column requestlog.entry.request_id_timed is
    'the request id begins with the time of the call, and is in no index';
alter table requestlog.submission add column request_id_timed boolean;
comment on column requestlog.submission.request_id_timed is
    'the request id begins with the time of the task''s id, and is in no index';

-- outside a transaction
create index concurrently entry_of_untimed_request on requestlog.entry (request_id) where request_id_timed is null;
create index concurrently submission_of_untimed_request on requestlog.submission (request_id) where request_id_timed is null;
create index concurrently entry_about_task on requestlog.entry (task_id) where task_id is not null;
drop index concurrently requestlog.entry_of_request;
drop index concurrently requestlog.submission_of_request;
drop index concurrently requestlog.entry_of_task;
