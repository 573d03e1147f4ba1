-- What decisions are asked for by: what each says, and of which target.
alter table decision add column kind text collate "C" not null default '';
alter table decision add column target text collate "C" not null default '';
update decision set
    kind = body::json ->> 'kind',
    target = case body::json -> 'launch' -> 'target' ->> 'kind'
        when 'gate_rule'
        then 'gate:' || (body::json -> 'launch' -> 'target' ->> 'gate') || '/'
            || (body::json -> 'launch' -> 'target' ->> 'rule')
        else 'experiment:' || (body::json -> 'launch' -> 'target' ->> 'experiment')
    end;

-- Notices of decisions that webhooks are still to get. They are written with the decision, and deleted once delivered.
create table outbox (
    id text collate "C" not null,
    webhook text collate "C" not null,
    decision_id text collate "C" not null,
    created_at bigint not null,
    attempts bigint not null,
    due_at bigint not null,
    -- Whoever sends it, and until when nobody else does.
    claim text collate "C" not null,
    claimed_until bigint not null,
    -- When it was given up; 0 while it is not.
    dead_at bigint not null,
    -- Why the last attempt failed.
    failure text not null,
    constraint outbox_key primary key (id)
);
create index outbox_due on outbox (webhook, due_at) where dead_at = 0;
