-- Besides API keys, signed-in users submit: their tasks name the user instead of a key.
alter type tasks.submission add attribute actor text;
alter table tasks.task
    alter column key_id drop not null,
    add column actor text,
    add constraint task_submitter check (key_id is not null or actor is not null) not valid;
comment on column tasks.task.key_id is 'the key that submitted it; null: a signed-in user did';
comment on column tasks.task.actor is 'who submitted it where no key did: user:<id>';

-- outside a transaction
alter table tasks.task validate constraint task_submitter;
