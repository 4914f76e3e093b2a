create table orgs (id bigint primary key, name text not null);
create table users (id bigint primary key, org_id bigint references orgs, name text not null, email text not null);
