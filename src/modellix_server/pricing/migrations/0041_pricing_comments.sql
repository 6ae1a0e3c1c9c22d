-- What docs/schema.sql and psql's \d+ show beside tables and columns.
comment on schema pricing is
    'The operator''s prices over the catalogue''s list prices. Rows are only added: the newest of each (model, tier) counts, and a task names the version it was quoted under.';
comment on column pricing.price.model is
    'provider/model; ''*'' for all models';
comment on column pricing.price.tier is
    '''*'' for all tiers';
comment on column pricing.price.unit_micros is
    'price of one image or second instead of the list''s';
comment on column pricing.price.margin_bp is
    'on the list price, in hundredths of a percent';
