-- Whole numbers are all of eight bytes, and texts that are compared go by their bytes, as in SQLite.

-- Configuration: one revision for all of it, so that a change can tell whether it was made from what is in force.
create table config (
    id bigint not null constraint config_single check (id = 1),
    revision bigint not null,
    constraint config_key primary key (id)
);
insert into config (id, revision) values (1, 0);

-- Gates, experiments, holdouts, metrics and all other documents.
create table document (
    kind text collate "C" not null,
    key text collate "C" not null,
    revision bigint not null,
    archived bigint not null,
    created_at bigint not null,
    updated_at bigint not null,
    body text not null,
    constraint document_key primary key (kind, key)
);

-- Launches. Ids grow with time. One live launch a target.
create table launch (
    id text collate "C" not null,
    revision bigint not null,
    target text collate "C" not null,
    live bigint not null,
    body text not null,
    constraint launch_key primary key (id)
);
create unique index launch_live on launch (target) where live = 1;
create index launch_target on launch (target, id);

create table latch (
    id text collate "C" not null,
    body text not null,
    constraint latch_key primary key (id)
);

-- Decisions are only ever added; the cursor is their order. Changes are made one after the other, so that no decision
-- turns up before one that was there already.
create table decision (
    cursor bigint generated always as identity,
    id text collate "C" not null,
    launch_id text collate "C" not null,
    at bigint not null,
    judged bigint not null,
    body text not null,
    constraint decision_key primary key (cursor),
    constraint decision_id unique (id)
);
create index decision_launch on decision (launch_id, cursor);
create index decision_judged on decision (launch_id, judged, cursor);

-- One row for each change of the configuration.
create table audit (
    seq bigint generated always as identity,
    at bigint not null,
    actor text not null,
    action text not null,
    config_revision bigint not null,
    detail text not null,
    constraint audit_key primary key (seq)
);
