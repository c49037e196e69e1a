-- Up Migration

-- Of models of several classes: how likely each was, by its name.
alter table predictions add column probabilities jsonb;

-- Down Migration
alter table predictions drop column probabilities;
