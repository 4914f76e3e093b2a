-- The shop of the example.

create table orgs (
  id bigint primary key,
  name text not null
);

-- The rule of `org-members` reads org_id, which the primary key does not hold. Of a row that has moved to another organisation the log then carries
-- the new org_id only, so the old list would stay as it was. `afterwrite setup` says so and makes the replica identity FULL.
create table users (
  id bigint primary key,
  org_id bigint references orgs,
  name text not null,
  email text not null
);

create table products (
  id uuid primary key default gen_random_uuid(),
  name text not null,
  price_cents integer not null
);

-- The primary key holds user_id too, so the log carries all that the rule of `user-orders` reads, and setup leaves the table as it is.
create table orders (
  user_id bigint not null references users,
  id bigint not null,
  product_id uuid not null references products,
  ordered_on date not null default current_date,
  primary key (user_id, id)
);
