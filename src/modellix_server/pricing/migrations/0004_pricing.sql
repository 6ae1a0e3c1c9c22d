-- The operator's prices over the catalogue's list prices. Rows are only added: the newest of each
-- (model, tier) counts, and a task names the version it was quoted under.
create schema pricing;
grant usage on schema pricing to modellix_app;

create table pricing.price (
    version bigint generated always as identity primary key,
    model text not null,                      -- provider/model; '*' for all models
    tier text not null,                       -- '*' for all tiers
    unit_micros bigint check (unit_micros >= 0),  -- price of one image or second instead of the list's
    margin_bp int check (margin_bp between -10000 and 1000000),  -- on the list price, in hundredths of a percent
    created_at timestamptz not null default now(),
    created_by text not null,
    check (num_nonnulls(unit_micros, margin_bp) <= 1),  -- neither: back to what applies without this row
    check (model <> '*' or (tier = '*' and unit_micros is null))
);
create index price_latest on pricing.price (model, tier, version desc);
grant select on pricing.price to modellix_app;

-- Versions must appear in their order, or a reader between two commits would see a newest version whose
-- predecessor turns up later: hence one writer at a time.
create function pricing.set_price(p_model text, p_tier text, p_unit_micros bigint, p_margin_bp int, p_by text) returns bigint
language plpgsql security definer set search_path = pg_catalog as $$
declare made bigint;
begin
    perform pg_advisory_xact_lock(hashtext('pricing.price'));
    insert into pricing.price (model, tier, unit_micros, margin_bp, created_by)
    values (p_model, p_tier, p_unit_micros, p_margin_bp, p_by) returning version into made;
    return made;
end
$$;

revoke execute on all functions in schema pricing from public;
grant execute on all functions in schema pricing to modellix_app;
