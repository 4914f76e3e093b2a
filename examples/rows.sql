-- What each example begins with, whatever the one before has left.
delete from users where id > 3;
insert into orgs values (7, 'Acme'), (8, 'Bolt') on conflict (id) do update set name = excluded.name;
insert into users values (1, 'Ann', 7), (2, 'Bob', 7), (3, 'Cid', 8)
  on conflict (id) do update set name = excluded.name, org_id = excluded.org_id;
