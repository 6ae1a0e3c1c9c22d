-- SHA-256 over the previous hash and the fields, each as `<bytes>:<text>,` so that no two lists look alike.
create or replace function audit.chained(p_previous bytea, p_fields text[]) returns bytea
language sql immutable set search_path = pg_catalog as $$
    select sha256(p_previous || (
        select string_agg(
            convert_to(octet_length(convert_to(field, 'UTF8')) || ':' || field || ',', 'UTF8'), ''::bytea order by nth)
        from unnest(p_fields) with ordinality as f (field, nth)))
$$;
grant execute on function audit.chained to modellix_app;
