-- A label of keys that belong together, such as a project: what they cost is summed by it. Read by lists and sums only.
alter table identity.api_key add column tag text
    check (tag = btrim(tag) and length(tag) between 1 and 64 and tag !~ '[[:cntrl:]]');
comment on column identity.api_key.tag is 'a label of keys that belong together, such as a project; null: none';
grant update (tag) on identity.api_key to modellix_app;
