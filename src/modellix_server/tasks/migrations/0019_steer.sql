-- Steering tasks from outside. 'asked': the team wants it canceled, and whoever has the task is to see to it;
-- 'refused': it was asked for and the vendor would not stop, so that the task runs on and is charged as delivered.
alter table tasks.task add column cancel text check (cancel in ('asked', 'refused'));
