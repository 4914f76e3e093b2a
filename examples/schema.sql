-- The tables of the examples. A folder may have a schema.sql of its own.
create table orgs (id bigint primary key, name text not null);
create table users (id bigint primary key, name text not null, org_id bigint not null);
