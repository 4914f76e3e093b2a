create table post_views (post_id bigint primary key, views bigint not null default 0);
create table presence (user_id bigint primary key, page text not null);
