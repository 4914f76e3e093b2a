create table products (id bigint primary key, name text not null, price_cents integer not null);
create table stock (product_id bigint primary key, pieces integer not null);
create table orders (id bigint primary key, customer_id bigint not null, product_id bigint not null, pieces integer not null);
alter table orders replica identity full;
insert into products values (1, 'Teapot', 1900), (2, 'Cup', 700);
insert into stock values (1, 12), (2, 0);
insert into orders values (1, 7, 1, 1), (2, 7, 2, 4);
