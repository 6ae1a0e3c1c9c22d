-- Where each attempt went. Routes are stored once each: a model file that changes later does not change where a running
-- task is polled.
create table tasks.route (
    digest bytea primary key,
    route text not null,
    first_at timestamptz not null default now()
);
comment on table tasks.route is 'Routes that attempts were sent by';
comment on column tasks.route.digest is 'SHA-256 of the text';
comment on column tasks.route.route is 'JSON of catalogue.Route';
grant select, insert on tasks.route to modellix_app;

alter table tasks.attempt
    add column account text,
    add column region text,
    add column vendor_model text,
    add column route bytea;
comment on column tasks.attempt.account is 'name of the vendor account; null, as the three that follow, of an attempt that 0.1.0 made';
comment on column tasks.attempt.region is 'of that account';
comment on column tasks.attempt.vendor_model is 'what the vendor calls the model';
comment on column tasks.attempt.route is 'of tasks.route';

alter type tasks.wanted_move
    add attribute account text,
    add attribute region text,
    add attribute vendor_model text,
    add attribute route bytea;
