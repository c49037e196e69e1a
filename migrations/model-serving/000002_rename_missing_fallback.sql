-- Up Migration

-- What a deployment said of features that do not come has another name.
update definitions set body = jsonb_set(body::jsonb, '{features,fallback}', '"defaults"')::json
  where kind = 'deployment' and body #>> '{features,fallback}' = 'missing';

-- Down Migration
update definitions set body = jsonb_set(body::jsonb, '{features,fallback}', '"missing"')::json
  where kind = 'deployment' and body #>> '{features,fallback}' = 'defaults';
