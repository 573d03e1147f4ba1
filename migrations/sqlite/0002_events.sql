-- Events, exposures and activity are only ever added, each row with the number of the write that brought it. So whoever
-- has read up to a number finds what is new by it, and what was read before never changes.

alter table event rename to event_before;
alter table activity rename to activity_before;
alter table exposure rename to exposure_before;
alter table watermark rename to watermark_before;

-- The last write. One row; the writer that holds it is the only one.
create table arrival (
    id integer not null constraint arrival_single check (id = 1),
    last integer not null,
    constraint arrival_key primary key (id)
);

-- Ids that are taken, whatever happened to the event: the 16 bytes of a UUID, else the bytes of the text. The day of the
-- event tells when it may be forgotten.
create table event_id (
    id blob not null,
    day integer not null,
    constraint event_id_key primary key (id)
) without rowid;

-- Events by unit, so that what a unit did is one range: a row for each unit of an event, told apart by `n` where one write
-- brought more than one of the same time. Properties and attributes are JSON objects of texts.
create table event (
    unit_type text not null,
    unit_id text not null,
    at integer not null,
    arrival integer not null,
    n integer not null,
    name text not null,
    value real,
    properties text not null,
    attributes text not null,
    constraint event_key primary key (unit_type, unit_id, at, arrival, n)
) without rowid;

-- The first time a unit was served an arm of a launch in an epoch. Where an earlier one arrives later it is added, and the
-- earliest counts.
create table exposure (
    launch_id text not null,
    unit_id text not null,
    epoch integer not null,
    arm text not null,
    at integer not null,
    arrival integer not null,
    settled integer not null,
    reverted integer not null,
    attributes text not null,
    constraint exposure_key primary key (launch_id, unit_id, epoch, arm, at)
) without rowid;

-- The UTC days on which a unit did anything.
create table activity (
    unit_type text not null,
    unit_id text not null,
    day integer not null,
    arrival integer not null,
    constraint activity_key primary key (unit_type, unit_id, day)
) without rowid;

-- What came in, by name of the event and minute of its arrival.
create table intake (
    name text not null,
    minute integer not null,
    events integer not null,
    duplicates integer not null,
    without_value integer not null,
    without_user_id integer not null,
    late integer not null,
    early integer not null,
    least real,
    greatest real,
    constraint intake_key primary key (name, minute)
) without rowid;

-- Event time up to which events of a name have come in; of all of them where the name is empty.
create table watermark (
    name text not null,
    at integer not null,
    constraint watermark_key primary key (name)
) without rowid;

-- What is there already is one write.
insert into arrival (id, last)
select 1, exists (select 1 from event_before) or exists (select 1 from exposure_before) or exists (select 1 from activity_before);

-- Ids that were made for SDKs stood for 16 bytes as well.
insert into event_id (id, day)
select case
           when id glob '????????-????-????-????-????????????' and length(unhex(id, '-')) = 16 then unhex(id, '-')
           when length(id) = 32 and length(unhex(id)) = 16 then unhex(id)
           when id glob 'statsig::*' and length(unhex(substr(id, 10))) = 16 then unhex(substr(id, 10))
           else cast(id as blob)
       end,
       at / 86400000
from event_before
where true
on conflict do nothing;

insert into event (unit_type, unit_id, at, arrival, n, name, value, properties, attributes)
select u.unit_type, u.unit_id, u.at, 1, u.seq, u.name, u.value, e.properties, '{}'
from unit_event u join event_before e on e.seq = u.seq;

insert into exposure (launch_id, unit_id, epoch, arm, at, arrival, settled, reverted, attributes)
select launch_id, unit_id, epoch, arm, first_at, 1, settled, reverted, '{}' from exposure_before;

insert into activity (unit_type, unit_id, day, arrival) select unit_type, unit_id, day, 1 from activity_before;

insert into intake (name, minute, events, duplicates, without_value, without_user_id, late, early, least, greatest)
select name, received_at / 60000, count(*), 0, count(*) - count(value), 0, sum(at < received_at - 3600000),
       sum(at > received_at), min(value), max(value)
from event_before
group by name, received_at / 60000;

insert into watermark (name, at) select '', at from watermark_before;
insert into watermark (name, at) select name, max(min(at, received_at)) from event_before group by name;

-- What is new is found by its number.
create index event_arrival on event (arrival, unit_type);
create index exposure_arrival on exposure (launch_id, arrival);
create index activity_arrival on activity (arrival, unit_type);

drop table event_before;
drop table unit_event;
drop table exposure_before;
drop table activity_before;
drop table watermark_before;
