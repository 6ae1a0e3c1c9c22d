-- How long a task took, from accept to its end, in steps of a fifth: bucket n is 1.2^n to 1.2^(n+1) milliseconds.
create or replace function tasks.latency_bucket(p_from timestamptz, p_to timestamptz) returns smallint
language sql immutable as $$
    select floor(ln(greatest(extract(epoch from p_to - p_from) * 1000, 1)) / ln(1.2))::smallint
$$;
grant execute on function tasks.latency_bucket to modellix_app;
