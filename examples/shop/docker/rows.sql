insert into orgs select n, 'Organisation ' || n from generate_series(1, 200) n;
insert into users select n, 1 + n % 200, 'User ' || n, 'user' || n || '@example.com' from generate_series(1, 2000) n;
