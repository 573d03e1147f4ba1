-- What decisions are asked for by: what each says, and of which target.
alter table decision add column kind text not null default '';
alter table decision add column target text not null default '';
update decision set
    kind = body ->> '$.kind',
    target = case body ->> '$.launch.target.kind'
        when 'gate_rule'
        then 'gate:' || (body ->> '$.launch.target.gate') || '/' || (body ->> '$.launch.target.rule')
        else 'experiment:' || (body ->> '$.launch.target.experiment')
    end;

-- Notices of decisions that webhooks are still to get. They are written with the decision, and deleted once delivered.
create table outbox (
    id text not null,
    webhook text not null,
    decision_id text not null,
    created_at integer not null,
    attempts integer not null,
    due_at integer not null,
    -- Whoever sends it, and until when nobody else does.
    claim text not null,
    claimed_until integer not null,
    -- When it was given up; 0 while it is not.
    dead_at integer not null,
    -- Why the last attempt failed.
    failure text not null,
    constraint outbox_key primary key (id)
) without rowid;
create index outbox_due on outbox (webhook, due_at) where dead_at = 0;
