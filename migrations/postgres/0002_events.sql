-- Events, exposures and activity are only ever added, each row with the number of the write that brought it. So whoever
-- has read up to a number finds what is new by it, and what was read before never changes.
--
-- Ids are compared byte by byte, so that their order is the same everywhere.

-- The last write. One row: a writer holds it from taking its number until its commit, so that numbers follow commits.
create table arrival (
    id integer not null constraint arrival_single check (id = 1),
    last bigint not null,
    constraint arrival_key primary key (id)
) with (fillfactor = 10);
insert into arrival (id, last) values (1, 0);

-- Ids that are taken, whatever happened to the event: the 16 bytes of a UUID, else the bytes of the text. The day of the
-- event tells when it may be forgotten; they come nearly in its order.
create table event_id (
    id bytea not null,
    day integer not null,
    constraint event_id_key primary key (id)
);
create index event_id_day on event_id using brin (day) with (autosummarize = on);

-- Events, a row for each unit of an event. Partitions by time of the event are made by the program; what is too old or too
-- new for one is kept apart. Properties and attributes are JSON objects of texts.
create table event (
    unit_type text collate "C" not null,
    unit_id text collate "C" not null,
    at bigint not null,
    arrival bigint not null,
    n integer not null,
    name text collate "C" not null,
    value double precision,
    properties text not null,
    attributes text not null
) partition by range (at);
create index event_unit on event (unit_type, unit_id, at);
-- Many rows share a number, and the engine stores it once for them; a summary of blocks would lag behind what has just
-- come in, which is what is looked for.
create index event_arrival on event (arrival);
create table event_other partition of event default;

-- The first time a unit was served an arm of a launch in an epoch. Where an earlier one arrives later it is added, and the
-- earliest counts.
create table exposure (
    launch_id text collate "C" not null,
    unit_id text collate "C" not null,
    epoch integer not null,
    arm text collate "C" not null,
    at bigint not null,
    arrival bigint not null,
    settled boolean not null,
    reverted boolean not null,
    attributes text not null,
    constraint exposure_key primary key (launch_id, unit_id, epoch, arm, at)
);
create index exposure_arrival on exposure (launch_id, arrival);

-- The UTC days on which a unit did anything.
create table activity (
    unit_type text collate "C" not null,
    unit_id text collate "C" not null,
    day integer not null,
    arrival bigint not null,
    constraint activity_key primary key (unit_type, unit_id, day)
);
create index activity_arrival on activity (arrival);
create index activity_day on activity using brin (day) with (autosummarize = on);

-- What came in, by name of the event and minute of its arrival.
create table intake (
    name text collate "C" not null,
    minute bigint not null,
    events bigint not null,
    duplicates bigint not null,
    without_value bigint not null,
    without_user_id bigint not null,
    late bigint not null,
    early bigint not null,
    least double precision,
    greatest double precision,
    constraint intake_key primary key (name, minute)
) with (fillfactor = 50);

-- Event time up to which events of a name have come in; of all of them where the name is empty.
create table watermark (
    name text collate "C" not null,
    at bigint not null,
    constraint watermark_key primary key (name)
) with (fillfactor = 50);
