-- Where each attempt went. Routes are stored once each, under the SHA-256 of their text: a model file that changes later
-- does not change where a running task is polled. Attempts of versions that do not record it have nulls.
create table tasks.route (
    digest bytea primary key,
    route text not null,            -- JSON of catalogue.Route
    first_at timestamptz not null default now()
);
grant select, insert on tasks.route to modellix_app;

alter table tasks.attempt
    add column account text,        -- name of the vendor account
    add column region text,         -- of that account
    add column vendor_model text,   -- what the vendor calls the model
    add column route bytea;         -- of tasks.route

alter type tasks.wanted_move
    add attribute account text,
    add attribute region text,
    add attribute vendor_model text,
    add attribute route bytea;
