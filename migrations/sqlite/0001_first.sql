-- Configuration: one revision for all of it, so that a change can tell whether it was made from what is in force.
create table config (
    id integer not null constraint config_single check (id = 1),
    revision integer not null,
    constraint config_key primary key (id)
);
insert into config (id, revision) values (1, 0);

-- Gates, experiments, holdouts and metrics.
create table document (
    kind text not null,
    key text not null,
    revision integer not null,
    archived integer not null,
    created_at integer not null,
    updated_at integer not null,
    body text not null,
    constraint document_key primary key (kind, key)
) without rowid;

-- Launches. Ids grow with time. One live launch a target.
create table launch (
    id text not null,
    revision integer not null,
    target text not null,
    live integer not null,
    body text not null,
    constraint launch_key primary key (id)
) without rowid;
create unique index launch_live on launch (target) where live = 1;
create index launch_target on launch (target, id);

create table latch (
    id text not null,
    body text not null,
    constraint latch_key primary key (id)
) without rowid;

-- Decisions are only ever added; the cursor is their order.
create table decision (
    cursor integer not null,
    id text not null,
    launch_id text not null,
    at integer not null,
    body text not null,
    constraint decision_key primary key (cursor autoincrement),
    constraint decision_id unique (id)
);
create index decision_launch on decision (launch_id, cursor);

-- One row for each change of the configuration.
create table audit (
    seq integer not null,
    at integer not null,
    actor text not null,
    action text not null,
    config_revision integer not null,
    detail text not null,
    constraint audit_key primary key (seq autoincrement)
);

-- Events as they were logged. The unique id is what makes a repeat count once.
create table event (
    seq integer not null,
    id text not null,
    name text not null,
    at integer not null,
    received_at integer not null,
    value real,
    properties text not null,
    constraint event_key primary key (seq),
    constraint event_id unique (id)
);

-- The same events by unit, in the order in which metrics read them.
create table unit_event (
    unit_type text not null,
    unit_id text not null,
    name text not null,
    at integer not null,
    seq integer not null,
    value real,
    constraint unit_event_key primary key (unit_type, unit_id, name, at, seq)
) without rowid;

-- The UTC days on which a unit did anything.
create table activity (
    unit_type text not null,
    unit_id text not null,
    day integer not null,
    constraint activity_key primary key (unit_type, unit_id, day)
) without rowid;

-- The first time a unit was served an arm of a launch in an epoch.
create table exposure (
    launch_id text not null,
    unit_id text not null,
    epoch integer not null,
    arm text not null,
    first_at integer not null,
    settled integer not null,
    reverted integer not null,
    constraint exposure_key primary key (launch_id, unit_id, epoch, arm)
) without rowid;

-- Event time up to which a source has delivered.
create table watermark (
    source text not null,
    at integer not null,
    constraint watermark_key primary key (source)
) without rowid;
