-- How far a launch is measured: everything up to an arrival, under a definition (JSON). Cells of buckets before
-- `merged_before` are merged. Who changes cells moves the revision in the same transaction.
create table measure_position (
    launch_id text collate "C" not null,
    revision bigint not null,
    arrival bigint not null,
    merged_before bigint not null,
    definition text not null,
    constraint measure_position_key primary key (launch_id)
);

-- By how much units changed the sums of a metric in a bucket of event time. Sums are JSON, exact.
create table moment_cell (
    launch_id text collate "C" not null,
    metric text collate "C" not null,
    epoch bigint not null,
    week bigint not null,
    arm text collate "C" not null,
    settled bigint not null,
    segment text collate "C" not null,
    bucket bigint not null,
    sums text not null,
    constraint moment_cell_key primary key (launch_id, metric, epoch, week, arm, settled, segment, bucket)
);

-- What was published of a launch, numbered from 1; it never changes. The body is JSON.
create table moment_snapshot (
    launch_id text collate "C" not null,
    number bigint not null,
    at bigint not null,
    failed bigint not null,
    body text not null,
    constraint moment_snapshot_key primary key (launch_id, number)
);
