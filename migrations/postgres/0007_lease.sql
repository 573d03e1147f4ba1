-- Which server acts for the guard, by a number that grows with each that takes it, until when, and since when, by the
-- database's clock. There is one row.
create table lease (
    id bigint not null,
    fence bigint not null,
    holder text collate "C" not null,
    -- What the holder calls itself.
    name text collate "C" not null,
    since bigint not null,
    expires_at bigint not null,
    constraint lease_key primary key (id),
    constraint lease_is_one check (id = 1)
);
insert into lease (id, fence, holder, name, since, expires_at) values (1, 0, '', '', 0, 0);
