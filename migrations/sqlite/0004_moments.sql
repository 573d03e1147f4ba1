-- How far a launch is measured: everything up to an arrival, under a definition (JSON). Cells of buckets before
-- `merged_before` are merged. Who changes cells moves the revision in the same transaction.
create table measure_position (
    launch_id text not null,
    revision integer not null,
    arrival integer not null,
    merged_before integer not null,
    definition text not null,
    constraint measure_position_key primary key (launch_id)
) without rowid;

-- By how much units changed the sums of a metric in a bucket of event time. Sums are JSON, exact.
create table moment_cell (
    launch_id text not null,
    metric text not null,
    epoch integer not null,
    week integer not null,
    arm text not null,
    settled integer not null,
    segment text not null,
    bucket integer not null,
    sums text not null,
    constraint moment_cell_key primary key (launch_id, metric, epoch, week, arm, settled, segment, bucket)
) without rowid;

-- What was published of a launch, numbered from 1; it never changes. The body is JSON.
create table moment_snapshot (
    launch_id text not null,
    number integer not null,
    at integer not null,
    failed integer not null,
    body text not null,
    constraint moment_snapshot_key primary key (launch_id, number)
) without rowid;
