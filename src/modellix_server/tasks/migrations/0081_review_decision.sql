-- What operators decided about the things to review: once each, and never changed.
create table tasks.review_decision (
    review_id bigint primary key references tasks.review (id),
    at timestamptz not null default now(),
    decided_by text not null,
    decision text not null check (length(decision) between 1 and 64),
    note text not null check (length(note) <= 1000)
);
comment on table tasks.review_decision is 'What an operator decided about something to review, in words';
comment on column tasks.review_decision.decided_by is 'as the audit log names who acts: user:3, admin:anna';
grant select, insert on tasks.review_decision to modellix_app;
