-- Which server acts for the guard, by a number that grows with each that takes it, until when, and since when, by the
-- database's clock. There is one row.
create table lease (
    id integer not null,
    fence integer not null,
    holder text not null,
    -- What the holder calls itself.
    name text not null,
    since integer not null,
    expires_at integer not null,
    constraint lease_key primary key (id),
    constraint lease_is_one check (id = 1)
) without rowid;
insert into lease (id, fence, holder, name, since, expires_at) values (1, 0, '', '', 0, 0);
