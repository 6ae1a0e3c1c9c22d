-- When a period that began at a moment resets; null for never.
create or replace function budgets.period_end(p_period text, p_starts timestamptz) returns timestamptz
language sql stable as $$
    select (p_starts at time zone 'UTC' + case p_period
        when 'daily' then interval '1 day' when 'weekly' then interval '1 week' when 'monthly' then interval '1 month'
        end) at time zone 'UTC'
$$;
grant execute on function budgets.period_end to modellix_app;
